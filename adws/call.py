"""What a call asks for: variables, pipeline, issue. Read and refused here, before anything is created."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adws import config, runs
from adws.errors import UserError, suggest
from adws.model import Pipeline

VARIABLES = ("ADW_ID", "ISSUE", "REPO", "AGENT")
"""From the command line or, for make and CI, from the environment; an empty one there counts as not given."""
ISSUE_LIMIT = 1 << 20
"""Bytes; a longer text is no issue, and every phase would be handed it."""

_GIVEN = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Call:
    """What was asked on the command line and in the environment."""

    adw_id: str
    issue: str
    repo: Path
    agent: str
    words: tuple[str, ...]
    """The arguments that are no variables."""
    cwd: Path
    """Where the user stands; their paths are relative to it."""
    given: tuple[tuple[str, str], ...]
    """The variables that lead to the same run again."""


def read(argv: Sequence[str], cwd: Path) -> Call:
    """The call that `argv` makes. UserError for an unknown variable or an id that cannot be used."""
    matches = [match for word in argv if (match := _GIVEN.fullmatch(word))]
    given: dict[str, str] = {}
    for match in matches:
        if given.setdefault(match[1], match[2]) != match[2]:
            both = f"as `{given[match[1]]}` and as `{match[2]}`"
            raise UserError(f"`{match[1]}` is given twice, {both}; leave one out")
    for name in given:
        if name not in VARIABLES:
            raise UserError(
                f"unknown variable `{name}`{suggest(name, VARIABLES)}; there are {', '.join(VARIABLES)}"
            )
    value = {name: given.get(name) or os.environ.get(name, "") for name in VARIABLES}
    adw_id = value["ADW_ID"] or (given["ADW_ID"] if "ADW_ID" in given else os.urandom(4).hex())
    repo = (cwd / value["REPO"]).resolve() if value["REPO"] else Path.cwd()
    again = {"ADW_ID": adw_id, "REPO": str(repo) if value["REPO"] else "", "AGENT": value["AGENT"]}
    return Call(
        adw_id=runs.check_id(adw_id),
        issue=value["ISSUE"],
        repo=repo,
        agent=value["AGENT"],
        words=tuple(word for word in argv if not _GIVEN.fullmatch(word)),
        cwd=cwd,
        given=tuple((name, word) for name, word in again.items() if word),
    )


def read_pipeline(call: Call) -> tuple[Pipeline, bytes]:
    """The pipeline of the call's repository, or the shipped one where it has none; and its files' text.

    Looks for `.git` itself: git takes longer to ask than all that `doit list` does otherwise.
    """
    root = next((folder for folder in (call.repo, *call.repo.parents) if (folder / ".git").exists()), None)
    path, name = config.SHIPPED, "the shipped pipeline.yaml (the repository has none)"
    if root and os.path.lexists(root / "pipeline.yaml"):
        path, name = root / "pipeline.yaml", "pipeline.yaml"
    if path.exists() and not path.is_file():
        raise UserError(f"{name} is not a file")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}") from None
    folders = [*([root] if root else []), config.SHIPPED.parent]
    return config.load(source, name=name, prompt_dirs=folders, agent=call.agent)


def read_issue(call: Call) -> bytes | None:
    """The issue's text, None when none was given. UserError where a phase could do nothing with it."""
    if not call.issue:
        return None
    if call.issue == "-":
        name, content = "standard input", sys.stdin.buffer.read(ISSUE_LIMIT + 1) if sys.stdin else b""
    else:
        name, path = call.issue, call.cwd / call.issue
        if not path.is_file():
            raise UserError(
                f"issue {name} is not a file" if path.exists() else f"issue {name} does not exist"
            )
        try:
            with path.open("rb") as file:
                content = file.read(ISSUE_LIMIT + 1)
        except OSError as error:
            raise UserError(f"issue {name} cannot be read: {error.strerror}") from None
    if len(content) > ISSUE_LIMIT:
        raise UserError(f"issue {name} is longer than 1 MiB; give the phases the part that matters")
    if b"\0" in content:
        raise UserError(f"issue {name} is a binary file; an issue is text")
    try:
        if not content.decode("utf-8-sig").strip():
            raise UserError(f"issue {name} is empty; write down what is to be done")
    except UnicodeDecodeError as error:
        raise UserError(f"issue {name} is not UTF-8 at byte {error.start}; save it as UTF-8") from None
    return content
