"""The record of a run: hidden refs, keys, attempts and the run's lock. git is the only database.

    refs/adws/<id>/run                    the run: base commit (its parent), issue and pipeline (its tree);
                                          where it was asked something else before, that is its second parent
    refs/adws/<id>/<phase>                its last attempt: the tree it left, on the commit it began from
    refs/adws/<id>/attempt/<phase>/<n>    every attempt, repairs too; at resolving conflicts under `merge`
    refs/adws/<id>/merge                  the commit that was merged last

The verdict is in the commit's message, as JSON; what it left in ADW_OUT is the tree of its second parent. A
record that cannot be read counts as not there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import io
import json
import math
import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from adws import git
from adws.errors import UserError
from adws.git import Repo
from adws.model import FORMAT, RESOLVE, Agent, Phase, Pipeline, Result, Status, closure
from adws.seal import Seal

_OID = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\n")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TRIES, _PAUSE = 10, 0.2
"""How often something is done that `git gc` spoils, and seconds in between."""
_GC_LIMIT = 60.0
"""Seconds to wait for a `git gc` to end."""
_US = {"GIT_AUTHOR_NAME": "adws", "GIT_AUTHOR_EMAIL": "adws@localhost"} | {
    "GIT_COMMITTER_NAME": "adws",
    "GIT_COMMITTER_EMAIL": "adws@localhost",
}


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution: whose, of what, and until when. Small and picklable, every task carries it."""

    repo: Repo
    pipeline: Pipeline
    id: str
    deadline: float
    """The end of the whole run, in seconds of time.monotonic, which all processes of a machine share."""
    seal: Seal
    """How this call found the repository."""
    bwrap: bool
    """Whether bubblewrap can be used here, and somebody asks for it."""
    due: tuple[str, ...] = ()
    """The phases that this call is about."""

    def sandbox(self, phase: Phase) -> str:
        """What keeps the phase in its workspace."""
        return "bwrap" if self.bwrap and phase.sandbox != "none" else "none"

    @property
    def ref(self) -> str:
        return f"refs/adws/{self.id}"


@dataclass(frozen=True, kw_only=True)
class State:
    """How far a run has come: what it was asked, and the last result of each phase."""

    record: str
    """The commit that says what the run was asked."""
    base: str
    """The commit everything starts from."""
    base_tree: str
    issue: bytes
    title: str
    """The issue's first line, fit for a commit's subject."""
    results: dict[str, Result]
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
    (repo.git_dir / "adws").mkdir(exist_ok=True)
    with _lock_file(repo, adw_id) as fd:
        if not _locked(fd):
            holder = os.read(fd, 100).decode(errors="replace").strip()
            raise UserError(f"run {adw_id} is in progress ({holder}); wait for it, or stop it")
        os.ftruncate(fd, 0)
        os.write(fd, f"process {os.getpid()}\n".encode())
        # the run is ours, so a lock on one of its refs was left by a git that was killed; and a ref that git
        # cannot read counts as not there: both would block us
        for path in (repo.git_dir / "refs" / "adws" / adw_id).rglob("*"):
            if path.is_file() and not (path.suffix != ".lock" and _OID.fullmatch(path.read_bytes())):
                path.unlink()
        yield


@contextlib.contextmanager
def exclusive(repo: Repo, name: str, deadline: float, late: str = "") -> Iterator[int]:
    """Hold a lock that all runs of the repository share; whoever inherits the descriptor holds it too.

    Raises TimeoutError, with the words `late`, at `deadline` (time.monotonic).
    """
    with _lock_file(repo, f".{name}") as fd:  # no id begins with a dot, so this is no run's lock
        while not _locked(fd):
            if time.monotonic() > deadline:
                raise TimeoutError(late)
            time.sleep(0.05)
        yield fd


@contextlib.contextmanager
def _lock_file(repo: Repo, name: str) -> Iterator[int]:
    path = repo.git_dir / "adws" / f"{name}.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def persist(repo: Repo, work: Callable[[], T], between: Callable[[], object] = lambda: None) -> T:
    """Do the work, again where git says no: what no ref holds yet is what `git gc --prune=now` takes away.

    As often as there was a gc to wait for, and a few times without.
    """
    tries = 1
    while True:
        try:
            return work()
        except git.GitError:
            spoiled = _collects(repo)
            if tries == _TRIES:
                raise
        time.sleep(_PAUSE)
        tries += 0 if _await_gc(repo) and spoiled else 1
        between()


def begin(run: Run, source: bytes, issue: bytes | None) -> None:
    """Record the run to go on with, or a new one on the commit that is checked out.

    A known id without an issue keeps the recorded one; with another issue the run goes on from the same
    base, and the phases, whose keys hold the issue, are due again.
    """
    repo = run.repo
    known = _find(run, f"{run.ref}/run", {})
    if known is None:
        _refuse_lookalike(run)
    issue = known.issue if known and issue is None else issue
    if issue is None:
        raise _unknown(run)
    files = {"issue.md": issue, "pipeline.json": _definition(run.pipeline), "pipeline.yaml": source}
    recorded = objects(repo, [f"{run.ref}/run:{name}" for name in files]) if known else []
    if not known or [each and each.content for each in recorded] != list(files.values()):
        folder(repo, run.id)  # where it cannot be, nothing is to be recorded
        persist(repo, lambda: _ask(run, known, files))


def _ask(run: Run, known: State | None, files: Mapping[str, bytes]) -> None:
    """Record what the run is asked."""
    repo = run.repo
    entries = (
        f"100644 {name}\0".encode() + bytes.fromhex(_store(repo, files[name])) for name in sorted(files)
    )
    tree = _store(repo, b"".join(entries), "tree")  # `git mktree` does not sync what it writes
    base = known.base if known else repo.head
    facts = {"format": FORMAT, "base_tree": tree_of(repo, base), "title": _title(files["issue.md"])}
    parents = [base, known.record] if known else [base]
    commit = _commit(repo, tree, parents, f"adws run {run.id}", facts)
    git.run("update-ref", f"{run.ref}/run", commit, git_dir=repo.git_dir)
    check_whole(repo, commit, base)


def load(run: Run, names: Iterable[str] | None = None) -> State:
    """The run as recorded, with the results of the named phases or of all; UserError where there is none."""
    wanted = [phase.name for phase in run.pipeline.phases] if names is None else names
    state = _find(run, f"{run.ref}/run", {name: f"{run.ref}/{entry(name)}" for name in wanted})
    if state is None:
        raise _unknown(run)
    return state


def result(repo: Repo, phase: str, commit: str) -> Result | None:
    """The result that the commit holds, if it is one of that phase."""
    (found,) = objects(repo, [commit])
    return _result(phase, found) if found else None


def at(repo: Repo, adw_id: str, record: str, results: Mapping[str, str]) -> tuple[Run, State] | None:
    """The run as these commits tell it, whatever its refs say; None where they do not tell of one."""
    (content,) = objects(repo, [f"{record}:pipeline.json"])
    try:
        pipeline = json.loads(content.content if content else b"", object_hook=_noun)
        run = Run(repo=repo, pipeline=pipeline, id=adw_id, deadline=math.inf, seal=Seal(), bwrap=False)
    except (ValueError, TypeError):
        return None
    state = _find(run, record, results)
    return (run, state) if state else None


def _definition(pipeline: Pipeline) -> bytes:
    return json.dumps(pipeline, default=_given, indent=1).encode()


def _given(noun: Any) -> dict[str, object]:
    """What is not as it is by default: a later version, with more that can be set, has the same keys."""
    values = {field.name: (getattr(noun, field.name), field.default) for field in dataclasses.fields(noun)}
    return {name: value for name, (value, default) in values.items() if value != default}


def _noun(said: dict[str, Any]) -> Pipeline | Phase | Agent:
    """The way back from `_given`; TypeError where a newer version has more to say."""
    kind = Pipeline if "phases" in said else Phase if "doc" in said else Agent
    return kind(**{name: _frozen(value) for name, value in said.items()})


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _find(run: Run, run_record: str, refs: Mapping[str, str]) -> State | None:
    """In one question to git, for exactly these refs: listing a directory of refs reads every one in it."""
    asked = [run_record, f"{run_record}:issue.md", f"{run.ref}/merge", *refs.values()]
    about, issue, merged, *records = objects(run.repo, asked)
    facts = _message(about) if about else {}
    if not about or not facts or not issue:
        return None
    results = {name: _result(name, record) for name, record in zip(refs, records, strict=True) if record}
    return State(
        record=about.oid,
        base=about.header("parent")[0],
        base_tree=str(facts["base_tree"]),
        issue=issue.content,
        title=str(facts["title"]),
        results={name: result for name, result in results.items() if result},
        merged=merged.oid if merged else "",
    )


def record(run: Run, result: Result) -> Result:
    """Keep an attempt: its tree as a commit on its base, its artifacts beside it. Returns it complete."""
    return persist(run.repo, lambda: _record(run, result))


def _record(run: Run, result: Result) -> Result:
    facts = {k: v for k, v in dataclasses.asdict(result).items() if k not in ("base", "commit", "tree")}
    commit = _on_base(run, result, {"format": FORMAT, **facts})
    name = entry(result.phase)
    moves = f"update {run.ref}/attempt/{name}/{result.attempt} {commit}\n"
    if result.role != RESOLVE:  # what has the name of its ref is the commit that was merged
        moves += f"update {run.ref}/{name} {commit}\n"
    git.run("update-ref", "--stdin", git_dir=run.repo.git_dir, stdin=moves.encode())
    check_whole(run.repo, commit, result.base)
    return dataclasses.replace(result, commit=commit)


def attempts(run: Run, phase: str = "") -> list[Result]:
    """Every attempt of the run, or at one phase, that has ended."""
    asked = ("for-each-ref", "--format=%(refname)", f"{run.ref}/attempt/{entry(phase)}")
    refs = git.text(*asked, git_dir=run.repo.git_dir).splitlines()
    names = [ref.split("/")[-2].replace(".", ":", 1) for ref in refs]
    found = zip(names, objects(run.repo, refs), strict=True)
    return [result for name, record in found if record and (result := _result(name, record))]


def put_back(run: Run, told: Mapping[str, str]) -> None:
    """Undo what somebody else did to the results' refs; `told` are the commits that belong there."""
    refs = {f"{run.ref}/{entry(name)}": commit for name, commit in told.items()}
    there = objects(run.repo, list(refs))
    moves = [
        f"update {ref} {commit}\n"
        for (ref, commit), found in zip(refs.items(), there, strict=True)
        if not found or found.oid != commit
    ]
    if moves:
        git.run("update-ref", "--stdin", git_dir=run.repo.git_dir, stdin="".join(moves).encode())


def pin(run: Run, result: Result) -> None:
    """Keep from `git gc --prune=now` what an attempt has so far. Raises GitError where that was faster.

    There is no verdict in it, so it counts as no record.
    """
    commit = _on_base(run, result, {})
    ref = f"{run.ref}/attempt/{entry(result.phase)}/{result.attempt}"
    git.run("update-ref", ref, commit, git_dir=run.repo.git_dir)
    check_whole(run.repo, commit, result.base)


def check_whole(repo: Repo, commit: str, known: str) -> None:
    """Raises GitError unless all objects of a commit are there, beyond those of the commit `known`.

    Call it when a ref holds the commit: a `git gc` that began before may not know of it, and is waited for.
    """
    _await_gc(repo)
    git.run("rev-list", "--objects", "--quiet", commit, "--not", known, git_dir=repo.git_dir)


def _await_gc(repo: Repo) -> bool:
    """Whether there is none now."""
    for _ in range(round(_GC_LIMIT / _PAUSE)):
        if not _collects(repo):
            return True
        time.sleep(_PAUSE)
    return False


def _collects(repo: Repo) -> bool:
    """Whether a `git gc` is at work: it says so in gc.pid, with its pid and its machine."""
    try:
        pid, host = (repo.git_dir / "gc.pid").read_text().split()
        os.kill(int(pid), 0)
    except (OSError, ValueError):
        return False
    return host == platform.node()


def _on_base(run: Run, result: Result, facts: dict[str, object]) -> str:
    subject = f"adws {run.id}: {result.phase} {result.status}, attempt {result.attempt}"
    parents = [result.base]
    if result.out != run.repo.empty_tree:
        parents += [_commit(run.repo, result.out, [], f"{subject}, artifacts", {"format": FORMAT})]
    return _commit(run.repo, result.tree, parents, subject, facts)


def key(run: Run, state: State, phase: Phase, base_tree: str) -> str:
    """Hash of all that the outcome of a phase depends on.

    Of the base only what it declares as `inputs`; of what it needs, near and far, artifacts and verdicts; the
    prompt is in the definition as its template.
    """
    tree = base_tree if phase.inputs is None else matching(run.repo, base_tree, phase.inputs)
    upstream = [p.name for p in closure(run.pipeline, phase.needs)]
    outs = {name: (known.out, known.status) for name in upstream if (known := state.results.get(name))}
    issue = hashlib.sha256(state.issue).hexdigest()
    parts = [FORMAT, tree, phase, run.id, issue, outs]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=_given).encode()).hexdigest()


def join(repo: Repo, tree: str, parents: Iterable[str] = ()) -> str:
    """A commit for a tree that no phase made; the same tree and parents give the same commit, always."""
    dates = {"GIT_AUTHOR_DATE": "@0 +0000", "GIT_COMMITTER_DATE": "@0 +0000"}
    args = [arg for parent in parents for arg in ("-p", parent)]
    return git.text(
        "commit-tree", tree, *args, git_dir=repo.git_dir, env=_US | dates, stdin=b"adws: base of a phase\n"
    )


def tree_of(repo: Repo, commit: str) -> str:
    return git.text("rev-parse", "--verify", f"{commit}^{{tree}}", git_dir=repo.git_dir)


def trees_of(repo: Repo, commits: Iterable[str]) -> dict[str, str]:
    """Each commit's tree, in one question; empty where there is none."""
    asked = list(commits)
    found = objects(repo, [f"{commit}^0" for commit in asked])
    return {commit: "".join(f.header("tree")) if f else "" for commit, f in zip(asked, found, strict=True)}


def entry(phase: str) -> str:
    """What a phase is called in refs and folders; no ref and no path on Windows can have a colon."""
    return phase.replace(":", ".")


def folder(repo: Repo, adw_id: str) -> Path:
    """Where a person finds the run's logs: below `.adws/`, which keeps itself out of git."""
    top = repo.root / ".adws"
    path = top / "runs" / adw_id
    if links := [each for each in (top, path.parent, path) if each.is_symlink()]:
        raise UserError(f"{links[0]} is a link, and nothing is written through one; remove it")
    path.mkdir(parents=True, exist_ok=True)
    if not (top / ".gitignore").exists():
        (top / ".gitignore").write_text("*\n")
    return path


def last_log(run: Run, result: Result) -> Path:
    """Of the command that came last in an attempt: `if`, `setup`, the phase's own, or the one that judged."""
    place = folder(run.repo, run.id) / entry(result.phase) / f"attempt-{result.attempt}"
    logs = (path for path in place.glob("log*") if path.is_file())
    return max(logs, key=lambda path: path.stat().st_mtime_ns, default=place / "log")


def recordings(run: Run) -> Path:
    """Where recordings of agents lie; the repository where the pipeline names no folder."""
    return run.repo.root / Path(run.pipeline.record).expanduser()


def new_attempt(run: Run, state: State, phase: str) -> tuple[int, Path]:
    """Number and new folder of the next attempt. A killed one left a folder only, and keeps its number."""
    place = folder(run.repo, run.id) / entry(phase)
    place.mkdir(exist_ok=True)
    taken = [int(p.name[8:]) for p in place.glob("attempt-*") if p.name[8:].isdecimal()]
    last = state.results[phase].attempt if phase in state.results else 0
    number = max([last, *taken]) + 1
    while not last and any(objects(run.repo, [f"{run.ref}/attempt/{entry(phase)}/{number}"])):
        number += 1  # somebody deleted the result and the folder
    path = place / f"attempt-{number}"
    path.mkdir()
    return number, path


def _unknown(run: Run) -> UserError:
    return UserError(f"run {run.id} is not known in {run.repo.root}; give it an issue: ISSUE=path.md")


def matching(repo: Repo, tree: str, globs: Iterable[str]) -> str:
    """The files of a tree that match, with their content ids."""
    specs = git.pathspecs(globs)
    return git.text("diff-tree", "-r", "--raw", repo.empty_tree, tree, "--", *specs, git_dir=repo.git_dir)


def _commit(repo: Repo, tree: str, parents: list[str], subject: str, facts: dict[str, object]) -> str:
    message = f"{subject}\n\n{json.dumps(facts, indent=1, sort_keys=True)}\n"
    args = [arg for parent in parents for arg in ("-p", parent)]
    return git.text("commit-tree", tree, *args, git_dir=repo.git_dir, env=_US, stdin=message.encode())


def _store(repo: Repo, content: bytes, kind: str = "blob") -> str:
    return git.text("hash-object", "-w", "-t", kind, "--stdin", git_dir=repo.git_dir, stdin=content)


def _title(issue: bytes) -> str:
    lines = (
        line.strip().lstrip("#").strip() for line in issue.decode("utf-8-sig", errors="replace").splitlines()
    )
    plain = ("".join(c for c in line if c.isprintable()) for line in lines)
    title = next((line for line in plain if line), "adws run without a title")
    return title if len(title) <= 72 else title[:71] + "…"


@dataclass(frozen=True)
class Object:
    """What a ref leads to; of a commit its first lines as well."""

    oid: str
    content: bytes

    def header(self, name: str) -> list[str]:
        lines = self.content.partition(b"\n\n")[0].decode(errors="replace").splitlines()
        return [value for key, _, value in (line.partition(" ") for line in lines) if key == name]


def objects(repo: Repo, names: Sequence[str]) -> list[Object | None]:
    """What is there under each of these names, in one question."""
    asked = "".join(f"{name}\n" for name in names).encode(errors="surrogateescape")
    out = io.BytesIO(git.run("cat-file", "--batch", "--buffer", git_dir=repo.git_dir, stdin=asked))
    found: list[Object | None] = []
    for _ in names:
        oid, *about = out.readline().decode(errors="replace").split()
        there = len(about) == 2
        found.append(Object(oid, out.read(int(about[1]))) if there else None)
        out.read(there)  # the line's end behind the content
    return found


def _message(record: Object) -> dict[str, object]:
    """The facts in a record's message, empty where it is not ours. A newer format is refused, not guessed."""
    _, _, message = record.content.partition(b"\n\n")
    try:
        facts = json.loads(message.partition(b"\n\n")[2])
    except (ValueError, RecursionError):
        return {}
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int):
        return {}
    if facts["format"] > FORMAT:
        what = f"recorded in format {facts['format']} by a newer adws, and this one reads {FORMAT}"
        raise UserError(f"the run was {what}; update adws, or start a new ADW_ID")
    return facts


def _result(name: str, record: Object) -> Result | None:
    facts = _message(record)
    facts.pop("format", None)
    try:
        base, tree = record.header("parent")[0], record.header("tree")[0]
        result = Result(**facts, base=base, commit=record.oid, tree=tree)  # type: ignore[arg-type]
        result = dataclasses.replace(result, status=Status(result.status))
    except (TypeError, ValueError, IndexError):
        return None
    return result if result.phase == name else None


def _refuse_lookalike(run: Run) -> None:
    refs = git.run("for-each-ref", "--format=%(refname)", "refs/adws/", git_dir=run.repo.git_dir).decode()
    for other in {ref.split("/")[2] for ref in refs.splitlines()}:
        if other != run.id and other.casefold() == run.id.casefold():
            raise UserError(
                f"run {other} exists; {run.id} would be the same on a file system that ignores case"
            )
