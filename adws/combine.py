"""Results put together: each one is a change, from the tree it started from to the tree it left.

Changes are merged one after another in declared order, by git, on trees. So the outcome depends neither on
the order in which phases finished nor on the history of their hidden commits.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from adws import change, git, runs
from adws.errors import printable
from adws.git import Repo
from adws.model import Phase, Result, Status, closure
from adws.runs import Run, State

_NO_SYSTEM = {"GIT_ATTR_NOSYSTEM": "1"}
_NO_USER = (("core.attributesFile", os.devnull),)
"""The attributes of a machine and of its user could let a conflict pass, and would there only."""
Resolved = Mapping[str, str]
"""By the tree with the conflict, the tree that it was resolved to."""


class ConflictError(Exception):
    """Changes that do not go together; `str()` says which, for the user."""

    def __init__(self, who: str, overlap: OverlapError) -> None:
        paths = overlap.paths
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        super().__init__(f"{who} both changed {printable(paths[0])}{more}")
        self.overlap = overlap


class OverlapError(Exception):
    def __init__(self, paths: Sequence[str], tree: str) -> None:
        super().__init__()
        self.paths = paths
        self.tree = tree
        """What git could do: the files in conflict have markers, where it can set any."""


def base_tree(run: Run, state: State, phase: Phase) -> str:
    """The tree a phase starts from: all that it needs, near and far. Raises ConflictError."""
    return fold(run, state, closure(run.pipeline, phase.needs))


def base(run: Run, state: State, phase: Phase) -> tuple[str, str]:
    """Commit and tree a phase starts from. Raises ConflictError."""
    tree = base_tree(run, state, phase)
    if not phase.needs:
        return state.base, tree
    parents = [state.results[need].commit for need in phase.needs]
    if len(parents) == 1 and state.results[phase.needs[0]].tree == tree:
        return parents[0], tree
    return runs.join(run.repo, tree, parents), tree


def fold(run: Run, state: State, phases: Iterable[Phase], resolved: Resolved = MappingProxyType({})) -> str:
    """The run's base with the changes of these phases, in their order, without those of failed ones.

    Raises ConflictError where it is not among the `resolved`.
    """
    tree = state.base_tree
    merged: list[Result] = []
    for phase in phases:
        result = state.results.get(phase.name)
        if result is None or result.status is not Status.PASSED or result.tree == result.base_tree:
            continue
        try:
            tree = _three_way(run.repo, result.base_tree, tree, result.tree, resolved)
        except OverlapError as overlap:
            others = [r.phase for r in merged if _touches(run.repo, r, overlap.paths)]
            who = ", ".join(f"`{name}`" for name in others) or "earlier ones"
            raise ConflictError(f"phases {who} and `{phase.name}`", overlap) from None
        merged.append(result)
    return tree


def applies(repo: Repo, result: Result, base_tree: str) -> bool:
    """Whether the result's change still goes onto this base."""
    try:
        _three_way(repo, result.base_tree, base_tree, result.tree, {})
    except OverlapError:
        return False
    return True


def onto(repo: Repo, branch: str, before: str, tip: str, tree: str, resolved: Resolved) -> str:
    """The tree of a branch's tip with the change from `before` to `tree`. Raises ConflictError."""
    try:
        return _three_way(repo, before, tip, tree, resolved)
    except OverlapError as overlap:
        raise ConflictError(f"branch `{branch}` and this run", overlap) from None


def _three_way(repo: Repo, before: str, ours: str, theirs: str, resolved: Resolved) -> str:
    if before == theirs or ours == theirs:
        return ours
    if before == ours:
        return theirs
    # commits, since merge-tree takes trees only from git 2.45 on and a base only from 2.40 on
    root = runs.join(repo, before)
    sides = [runs.join(repo, tree, [root]) for tree in (ours, theirs)]
    options = ("--write-tree", "-z", "--name-only", "--no-messages")
    status, out = git.call(
        "merge-tree", *options, *sides, git_dir=repo.git_dir, env=_NO_SYSTEM, config=_NO_USER, ok=(0, 1)
    )
    tree, *paths = out.decode(errors="surrogateescape").rstrip("\0").split("\0")
    if not tree:
        raise git.GitError("merge-tree", status, "")  # it ends with 1 as well where a commit is not there
    if status == 1:
        if tree in resolved:
            return resolved[tree]
        raise OverlapError(paths or ["an unnamed path"], tree)
    return tree


def _touches(repo: Repo, result: Result, paths: Sequence[str]) -> bool:
    touched = {file.path for file in change.files(repo, result.base_tree, result.tree)}
    return not touched.isdisjoint(paths)
