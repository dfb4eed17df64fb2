"""The one judge of every point: what may be after a fault, and what has to be once the same command ran again."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.templates import Project, Template


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """What is the user's: none of it may change but by the clean move of a checked-out branch."""

    head: str
    config: str
    refs: str
    """All branches and tags but the run's, and the stash."""
    staged: str
    files: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """What the run comes to when nothing happens to it."""

    base: str
    old: str
    """The branch before the run; empty where there was none."""
    tree: str
    before: Checkout
    after: Checkout
    traces: frozenset[str]
    """The files in .git and .adws afterwards, their changing parts levelled."""


def undisturbed(template: Template, start: Project, ended: Project) -> Undisturbed:
    found = Undisturbed(
        base=start.git("rev-parse", "main"),
        old=_branch(start, template)[0],
        tree=ended.git("rev-parse", f"{template.branch}^{{tree}}"),
        before=checkout(start, template),
        after=checkout(ended, template),
        traces=frozenset(_traces(ended)),
    )
    assert found.before == found.after or template.ours, (found.before, found.after)
    return found


def after_fault(template: Template, known: Undisturbed, project: Project) -> Iterator[str]:
    """What must not be even right after the fault."""
    tip, said = _branch(project, template)
    if said:
        yield f"the branch cannot be read: {said}"
    elif tip != known.old:
        yield from (f"right after the fault, {fault}" for fault in _new_tip(known, project, tip))
    now = checkout(project, template)
    if template.ours:
        # while it moves it may be anywhere in between; what the move has nothing to do with stays
        moves = {name for name in known.before.files.keys() | known.after.files.keys()
                 if known.before.files.get(name) != known.after.files.get(name)}  # fmt: skip
        yield from _differs(known.before, now, moves)
    else:
        yield from _differs(known.before, now)


def after_resume(template: Template, known: Undisturbed, project: Project) -> Iterator[str]:
    """What is left to wish for once the same command has ended with 0."""
    tip, said = _branch(project, template)
    yield from [f"the branch cannot be read: {said}"] if said else _new_tip(known, project, tip)
    yield from _differs(known.after, checkout(project, template))
    if said := fsck(project):
        yield f"git fsck: {said}"
    yield from (f"left behind: {name}" for name in sorted(set(_traces(project)) - known.traces))
    for path in (project.root / "tmp").iterdir():
        # with such a file Python tries out the directory; on a disk that is broken nobody can remove it
        if not re.fullmatch(r"[a-z0-9_]{8}", path.name) or path.read_bytes() not in (b"", b"blat"):
            yield f"left behind: tmp/{path.name}"
    for log in (project.repo / ".adws").rglob("log*"):
        if "Traceback" in log.read_text(errors="replace"):
            yield f"a traceback in {log.relative_to(project.repo)}"


def fsck(project: Project) -> str:
    return project.git("fsck", "--full", "--no-dangling", "--no-progress", ok=tuple(range(256)))


def _branch(project: Project, template: Template) -> tuple[str, str]:
    """The tip, empty where there is none; and what is wrong with it."""
    ref = f"refs/heads/{template.branch}"
    tip = project.git("rev-parse", "--verify", "--quiet", ref, ok=(0, 1, 128))
    if re.fullmatch("[0-9a-f]{40,64}", tip):
        return tip, ""
    return "", f"`{tip}`" if tip or (project.git_dir / ref).exists() else ""


def _new_tip(known: Undisturbed, project: Project, tip: str) -> Iterator[str]:
    if not tip:
        yield "there is no branch"
        return
    tree, *parents = project.git("show", "--no-patch", "--format=%T %P", tip, ok=(0, 128)).split()
    if tree != known.tree:
        yield f"the branch has another tree: {tree}"
    if parents != [known.base]:
        yield f"the branch is not one commit on its base: {parents}"


def checkout(project: Project, template: Template) -> Checkout:
    refs = project.git(
        "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags", "refs/stash"
    )
    own = f" refs/heads/{template.branch}"
    try:
        index = project.git("ls-files", "--stage", ok=(0, 128))
        if not template.ours:
            index += hashlib.sha256((project.git_dir / "index").read_bytes()).hexdigest()
    except FileNotFoundError:
        index = "gone"
    return Checkout(
        head=(project.git_dir / "HEAD").read_text(),
        config=(project.git_dir / "config").read_text(),
        refs="\n".join(line for line in refs.splitlines() if not line.endswith(own)),
        staged=index,
        files=dict(_files(project.repo)),
    )


def _files(top: Path) -> Iterator[tuple[str, str]]:
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in (".git", ".adws")]
        for name in names:
            path = Path(folder, name)
            yield str(path.relative_to(top)), f"{path.lstat().st_mode:o} {path.read_text(errors='replace')}"


def _differs(due: Checkout, now: Checkout, moves: set[str] | None = None) -> Iterator[str]:
    """`moves`: the files that may differ, and with them the index."""
    for part in ("head", "config", "refs", *(() if moves is not None else ("staged",))):
        if getattr(due, part) != getattr(now, part):
            yield f"the user's {part}: {getattr(now, part)!r}, not {getattr(due, part)!r}"
    for name in sorted((due.files.keys() | now.files.keys()) - (moves or set())):
        if due.files.get(name) != now.files.get(name):
            yield f"the user's file {name}: {now.files.get(name)!r}, not {due.files.get(name)!r}"


def _traces(project: Project) -> Iterator[str]:
    """The files in .git and .adws, but for objects, which git collects by itself, and what git keeps for undoing."""
    for top in (project.git_dir, project.repo / ".adws"):
        for folder, folders, names in os.walk(top):
            if Path(folder) == project.git_dir:
                folders.remove("objects")
            for name in names:
                if name != "ORIG_HEAD":
                    path = str(Path(folder, name).relative_to(project.repo))
                    # a killed attempt keeps its number, and its folder with whatever it came to
                    yield re.sub(r"attempt(-|/\w+/)\d+(/.*)?", "attempt", path)
