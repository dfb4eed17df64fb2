"""What a phase is told: read once from the environment, with defaults for a run by hand."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adws.builtin import checkout
from adws.errors import UserError

State = Mapping[str, Mapping[str, object]]
LOCAL = ".adws/local"
"""Where a run by hand keeps what the phases leave behind, below the root of the checkout."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """One call of one phase."""

    adw_id: str
    phase: str
    base: str
    """The commit it started from: an id, or `HEAD` in a run by hand."""
    out: Path
    """An existing directory for what is not part of the tree."""
    issue: str
    """The issue's text, lines ending in `\\n`; empty where there is none."""
    state: State
    """Per phase it needs: `status`, `summary`, `out`, and whatever else its result.json says."""
    root: Path
    """The top of the checkout."""


def load(phase: str, *, issue: str | None = None, needs_issue: bool = False) -> Context:
    """The context of `phase`; `issue` is a file or `-` for stdin and goes before `ADW_ISSUE`."""
    environ = os.environ
    top = checkout.git(Path.cwd(), "rev-parse", "--show-toplevel")
    root = Path(os.fsdecode(top.removesuffix(b"\n")))
    text = _issue(issue or environ.get("ADW_ISSUE"))
    if needs_issue and not text.strip():
        how = f"python -m adws.builtin {phase} issue.md"
        raise UserError(f"there is no issue to work on; name a file, as in `{how}`, or set ADW_ISSUE")
    given_out = environ.get("ADW_OUT")
    state = environ.get("ADW_STATE")
    return Context(
        adw_id=_adw_id(environ.get("ADW_ID") or "local"),
        phase=environ.get("ADW_PHASE") or phase,
        base=environ.get("ADW_BASE") or "HEAD",
        out=_made(Path(given_out).absolute()) if given_out else _local_out(root, phase),
        issue=text,
        state=_state(Path(state)) if state else _local_state(root / LOCAL, phase),
        root=root,
    )


def write_result(ctx: Context, **fields: object) -> None:
    """Leave `result.json` in the phase's out directory: sorted keys, whole or not at all."""
    write_json(ctx.out / "result.json", fields)


def write_json(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    checkout.replace(path, text.encode("utf-8", "replace"))  # half a character would make it unreadable


def _issue(source: str | None) -> str:
    """Any bytes are an issue: what is not UTF-8 is replaced, and GitHub's CRLF is a line end like others."""
    if not source:
        return ""
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise UserError(f"the issue {source} cannot be read: {error.strerror}") from error
    return raw.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _adw_id(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise UserError(f"ADW_ID {name!r} is not a name: letters, digits, `-` and `_`, at most 64")
    return name


def _made(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{checkout.shown(directory)} cannot be made: {error.strerror}") from error
    return directory


def _local_out(root: Path, phase: str) -> Path:
    out = _made(root / LOCAL / phase)
    ignore = root / ".adws" / ".gitignore"
    if not ignore.exists():
        checkout.write(root, ".adws/.gitignore", b"*\n")
    (out / "result.json").unlink(missing_ok=True)  # an earlier verdict must not pass for this one's
    return out


def _state(path: Path) -> State:
    state = _object(path)
    if not all(isinstance(value, dict) for value in state.values()):
        raise UserError(f"{checkout.shown(path)} does not hold one JSON object per phase")
    return state


def _local_state(local: Path, phase: str) -> State:
    """What the phases run by hand before this one left in their default places."""
    found = sorted(file for file in local.glob("*/result.json") if file.parent.name != phase)
    return {file.parent.name: {**_object(file), "out": str(file.parent)} for file in found}


def _object(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{checkout.shown(file)} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{checkout.shown(file)} does not hold a JSON object")
    return value
