"""The record of a run: hidden refs, keys, attempts and the run's lock. git is the only database.

    refs/adws/<id>/run                    the run: base commit (its parent), issue and pipeline (its tree)
    refs/adws/<id>/<phase>                its last attempt: the tree it left, on the commit it began from
    refs/adws/<id>/attempt/<phase>/<n>    every attempt: the tree of its ADW_OUT, on the commit above
    refs/adws/<id>/merge                  the commit that was merged last

The verdict is in the commit's message, as JSON. A record that cannot be read counts as not there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adws import git
from adws.errors import UserError
from adws.git import Repo
from adws.model import FORMAT, Phase, Pipeline, Result, Status, closure

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_FIELDS = "%00".join(("%(refname)", "%(objectname)", "%(tree)", "%(parent)", "%(contents)")) + "%00%00"
_US = {"GIT_AUTHOR_NAME": "adws", "GIT_AUTHOR_EMAIL": "adws@localhost"} | {
    "GIT_COMMITTER_NAME": "adws",
    "GIT_COMMITTER_EMAIL": "adws@localhost",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution: whose, of what, and until when. Small and picklable, every task carries it."""

    repo: Repo
    pipeline: Pipeline
    id: str
    deadline: float
    """The end of the whole run, in seconds of time.monotonic, which all processes of a machine share."""

    @property
    def ref(self) -> str:
        return f"refs/adws/{self.id}"


@dataclass(frozen=True, kw_only=True)
class State:
    """How far a run has come: what it was asked, and the last result of each phase."""

    base: str
    """The commit everything starts from."""
    base_tree: str
    issue: str
    """Object id of the issue's text."""
    title: str
    """The issue's first line, fit for a commit's subject."""
    results: dict[str, Result]
    attempts: dict[str, int]
    """Per phase, the highest number taken."""
    merged: str
    """The commit that was merged last, or empty."""


def check_id(adw_id: str) -> str:
    """The id itself, when it can be a path, a branch and a ref on every system."""
    if not _ID.fullmatch(adw_id):
        rule = "letters, digits, `-` and `_`, at most 64, the first a letter or digit"
        raise UserError(f"ADW_ID {adw_id!r} cannot be used; an id has {rule}")
    return adw_id


@contextlib.contextmanager
def lock(repo: Repo, adw_id: str) -> Iterator[None]:
    """Hold the run: a second call with the same id is told who has it. The kernel lets go when we die."""
    folder = repo.git_dir / "adws"
    folder.mkdir(exist_ok=True)
    fd = os.open(folder / f"{adw_id}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(fd, 100).decode(errors="replace").strip()
        os.close(fd)
        raise UserError(f"run {adw_id} is in progress ({holder}); wait for it, or stop it") from None
    try:
        os.ftruncate(fd, 0)
        os.write(fd, f"process {os.getpid()}\n".encode())
        # the run is ours, so a lock on one of its refs was left by a git that was killed, and would block us
        for stale in (repo.git_dir / "refs" / "adws" / adw_id).rglob("*.lock"):
            stale.unlink()
        yield
    finally:
        os.close(fd)


def begin(run: Run, source: bytes, issue: bytes | None) -> State:
    """The run to go on with, or a new one on the commit that is checked out.

    A known id without an issue keeps the recorded one; with another issue the run goes on from the same
    base, and the phases, whose keys hold the issue, are due again.
    """
    repo = run.repo
    known = find(run)
    if known is None:
        _refuse_lookalike(run)
        if issue is None:
            raise _unknown(run)
    elif issue is None:
        issue = git.run("cat-file", "blob", known.issue, git_dir=repo.git_dir)
    blobs = {"issue.md": _blob(repo, issue), "pipeline.yaml": _blob(repo, source)}
    listing = "".join(f"100644 blob {oid}\t{name}\n" for name, oid in blobs.items())
    tree = git.text("mktree", git_dir=repo.git_dir, stdin=listing.encode())
    facts = {
        "format": FORMAT,
        "issue": blobs["issue.md"],
        "title": _title(issue),
        "pipeline": run.pipeline.digest,
    }
    commit = _commit(repo, tree, [known.base if known else repo.head], f"adws run {run.id}", facts)
    git.run("update-ref", f"{run.ref}/run", commit, git_dir=repo.git_dir)
    return load(run)


def load(run: Run) -> State:
    """The run as recorded; UserError where there is none."""
    state = find(run)
    if state is None:
        raise _unknown(run)
    return state


def find(run: Run) -> State | None:
    """The run as recorded, in one question to git, or None where there is none that can be read."""
    out = git.run("for-each-ref", f"--format={_FIELDS}", f"{run.ref}/", git_dir=run.repo.git_dir)
    records = {}
    for entry in out.decode(errors="replace").split("\0\0\n"):
        name, *fields = entry.split("\0")
        if len(fields) == 4:
            records[name.removeprefix(f"{run.ref}/")] = fields
    about = _message(records["run"][3]) if "run" in records else {}
    if not about:
        return None
    base = records["run"][2]
    return State(
        base=base,
        base_tree=tree_of(run.repo, base),
        issue=str(about["issue"]),
        title=str(about["title"]),
        results={name: result for name, fields in records.items() if (result := _result(name, *fields))},
        attempts=_attempts(name for name in records if name.startswith("attempt/")),
        merged=records["merge"][0] if "merge" in records else "",
    )


def record(run: Run, result: Result) -> Result:
    """Keep an attempt: its tree as a commit on its base, its artifacts beside it. Returns it complete."""
    facts = {k: v for k, v in dataclasses.asdict(result).items() if k not in ("base", "commit", "tree")}
    subject = f"adws {run.id}: {result.phase} {result.status}, attempt {result.attempt}"
    commit = _commit(run.repo, result.tree, [result.base], subject, {"format": FORMAT, **facts})
    kept = _commit(run.repo, result.out, [commit], f"{subject}, artifacts", {"format": FORMAT})
    # the attempt first: once the result is there, all that it names is safe from gc
    number = f"attempt/{result.phase}/{result.attempt}"
    git.run("update-ref", f"{run.ref}/{number}", kept, "", git_dir=run.repo.git_dir)
    git.run("update-ref", f"{run.ref}/{result.phase}", commit, git_dir=run.repo.git_dir)
    return dataclasses.replace(result, commit=commit)


def key(run: Run, state: State, phase: Phase, base_tree: str) -> str:
    """Hash of all that the outcome of a phase depends on.

    Of the base only what it declares as `inputs`; of what it needs, near and far, artifacts and verdicts; the
    prompt is in the definition as its template.
    """
    tree = base_tree if phase.inputs is None else _matching(run.repo, base_tree, phase.inputs)
    upstream = [p.name for p in closure(run.pipeline, phase.needs)]
    outs = {name: (known.out, known.status) for name in upstream if (known := state.results.get(name))}
    parts = [FORMAT, tree, dataclasses.asdict(phase), run.id, state.issue, outs]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def join(repo: Repo, tree: str, parents: Iterable[str] = ()) -> str:
    """A commit for a tree that no phase made; the same tree and parents give the same commit, always."""
    dates = {"GIT_AUTHOR_DATE": "@0 +0000", "GIT_COMMITTER_DATE": "@0 +0000"}
    args = [arg for parent in parents for arg in ("-p", parent)]
    return git.text(
        "commit-tree", tree, *args, git_dir=repo.git_dir, env=_US | dates, stdin=b"adws: base of a phase\n"
    )


def tree_of(repo: Repo, commit: str) -> str:
    return git.text("rev-parse", "--verify", f"{commit}^{{tree}}", git_dir=repo.git_dir)


def empty_tree(repo: Repo) -> str:
    return git.text("mktree", git_dir=repo.git_dir)


def folder(repo: Repo, adw_id: str) -> Path:
    """Where a person finds the run's logs: below `.adws/`, which keeps itself out of git."""
    top = repo.root / ".adws"
    path = top / "runs" / adw_id
    path.mkdir(parents=True, exist_ok=True)
    if not (top / ".gitignore").exists():
        (top / ".gitignore").write_text("*\n")
    return path


def new_attempt(run: Run, state: State, phase: str) -> tuple[int, Path]:
    """Number and new folder of the next attempt. A killed one left a folder only, and keeps its number."""
    place = folder(run.repo, run.id) / phase
    place.mkdir(exist_ok=True)
    taken = [int(p.name[8:]) for p in place.glob("attempt-*") if p.name[8:].isdecimal()]
    number = max([state.attempts.get(phase, 0), *taken]) + 1
    path = place / f"attempt-{number}"
    path.mkdir()
    return number, path


def printable(text: str) -> str:
    """The text without what could move a terminal's cursor or hide in it."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _unknown(run: Run) -> UserError:
    return UserError(f"run {run.id} is not known in {run.repo.root}; give it an issue: ISSUE=path.md")


def _matching(repo: Repo, tree: str, globs: Iterable[str]) -> str:
    """The files of a tree that match, with their content ids."""
    return git.text(
        "diff-tree", "-r", "--raw", empty_tree(repo), tree, "--", *git.pathspecs(globs), git_dir=repo.git_dir
    )


def _commit(repo: Repo, tree: str, parents: list[str], subject: str, facts: dict[str, object]) -> str:
    message = f"{subject}\n\n{json.dumps(facts, indent=1, sort_keys=True)}\n"
    args = [arg for parent in parents for arg in ("-p", parent)]
    return git.text("commit-tree", tree, *args, git_dir=repo.git_dir, env=_US, stdin=message.encode())


def _blob(repo: Repo, content: bytes) -> str:
    return git.text("hash-object", "-w", "--stdin", git_dir=repo.git_dir, stdin=content)


def _title(issue: bytes) -> str:
    lines = (line.strip().lstrip("#").strip() for line in issue.decode(errors="replace").splitlines())
    plain = ("".join(c for c in line if c.isprintable()) for line in lines)
    title = next((line for line in plain if line), "adws run without a title")
    return title if len(title) <= 72 else title[:71] + "…"


def _message(contents: str) -> dict[str, object]:
    """The facts in a record's message, empty where it is not ours. A newer format is refused, not guessed."""
    _, _, body = contents.partition("\n\n")
    try:
        facts = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int):
        return {}
    if facts["format"] > FORMAT:
        raise UserError("the run was recorded by a newer adws; go on with that, or start a new ADW_ID")
    return facts


def _result(name: str, commit: str, tree: str, parents: str, contents: str) -> Result | None:
    facts = _message(contents)
    facts.pop("format", None)
    try:
        result = Result(**facts, base=parents, commit=commit, tree=tree)  # type: ignore[arg-type]
        result = dataclasses.replace(result, status=Status(result.status))
    except (TypeError, ValueError):
        return None
    return result if result.phase == name else None


def _attempts(names: Iterable[str]) -> dict[str, int]:
    highest: dict[str, int] = {}
    for name in names:
        _, phase, number = name.split("/")
        if number.isdecimal():
            highest[phase] = max(highest.get(phase, 0), int(number))
    return highest


def _refuse_lookalike(run: Run) -> None:
    refs = git.run("for-each-ref", "--format=%(refname)", "refs/adws/", git_dir=run.repo.git_dir).decode()
    for other in {ref.split("/")[2] for ref in refs.splitlines()}:
        if other != run.id and other.casefold() == run.id.casefold():
            raise UserError(
                f"run {other} exists; {run.id} would be the same on a file system that ignores case"
            )
