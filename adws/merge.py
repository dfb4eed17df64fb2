"""The one merge: it trusts no one, re-verifies every record, and moves one branch once, or says why not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adws import branch, change, combine, git, phase, resolve, runs, seal, trial
from adws.errors import printable
from adws.model import DONE, Phase, Result, Status, closure
from adws.runs import Run, State

_TRIES = 20
"""How often the branch may move under our hands before we give up."""


class RefusedError(Exception):
    """Nothing was merged; `str()` says why, for the user."""

    def __init__(self, message: str, *, waits: bool = False) -> None:
        super().__init__(message)
        self.waits = waits
        """Whether it is because of a usage limit."""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """How the merge ended."""

    branch: str
    commit: str
    """The tip of the branch that has it all; empty when there was nothing to commit and no branch."""
    moved: bool
    """Whether this call moved the branch; else everything was there already."""


def perform(run: Run, wanted: Iterable[str], told: Mapping[str, str]) -> Merged:
    """Put the results of the wanted phases into one commit on the run's branch. Raises RefusedError.

    `told` are the commits of results as those told them who recorded them.
    """
    state = runs.load(run)
    phases = closure(run.pipeline, wanted)
    if said := seal.broken(run.repo, run.seal) or forged(run, state, phases, told):
        raise RefusedError(said)
    if faults := [said for each in phases if (said := fault(run, state, each))]:
        raise RefusedError("; ".join(faults))
    resolved: list[Result] = []
    try:
        while True:
            try:
                return runs.persist(run.repo, lambda: _publish(run, state, phases, resolved))
            except combine.ConflictError as conflict:
                resolved.append(_resolve(run, state, conflict))
    except TimeoutError as error:
        said = str(error) or "another run moved branches until this run's time limit"
        raise RefusedError(said) from None


def fault(run: Run, state: State, each: Phase) -> str:
    """Why the recorded result cannot be taken: by the record itself, not by what doit believes."""
    known = state.results.get(each.name)
    if known is None:
        return f"phase `{each.name}` has no result"
    if known.status not in DONE:
        return "" if each.continue_on_error else f"phase `{each.name}` failed: {known.reason}"
    if not phase.is_current(run, state, each):
        return f"the result of phase `{each.name}` is not for these inputs; run it again"
    if known.status is Status.SKIPPED and each.condition is not None:
        return ""
    if said := phase.breach(run, each, known):
        return f"phase `{each.name}` {said}"
    return ""


def forged(run: Run, state: State, phases: Iterable[Phase], told: Mapping[str, str]) -> str:
    """What the records say and is not so; the rest of a record git itself holds together."""
    results = [state.results[each.name] for each in phases if each.name in state.results]
    outs = {result.phase: f"{result.commit}^2" for result in results}
    asked = [state.base, *(result.base for result in results), *outs.values()]
    trees = runs.trees_of(run.repo, asked)
    if trees[state.base] != state.base_tree:
        return f"the record of run {run.id} is inconsistent; start a new ADW_ID"
    wrong = [r.phase for r in results if told.get(r.phase, r.commit) != r.commit]
    if wrong:
        return f"the record of phase `{wrong[0]}` is not the one that was made; it was put back, start again"
    wrong = [r.phase for r in results if trees[r.base] != r.base_tree]
    wrong += [r.phase for r in results if (trees[outs[r.phase]] or run.repo.empty_tree) != r.out]
    return f"the record of phase `{wrong[0]}` is inconsistent; run it again" if wrong else ""


def _resolve(run: Run, state: State, conflict: combine.ConflictError) -> Result:
    """The resolution of a conflict, as it was found before or is now. Raises RefusedError."""
    kept = f"{conflict}; nothing was merged, both results are kept"
    if run.pipeline.resolve is None:
        raise RefusedError(kept) from None
    found = resolve.perform(run, state, conflict.overlap, run.pipeline.resolve)
    if found.status is Status.PASSED:
        return found
    if found.waits:
        raise RefusedError(f"{kept}; its resolution {phase.waiting(found)}", waits=True) from None
    log = f"; its log is {runs.last_log(run, found)}" if found.attempt else ""
    raise RefusedError(f"{kept}; {found.by} did not resolve it: {found.reason}{log}") from None


def _publish(run: Run, state: State, phases: Sequence[Phase], resolved: Sequence[Result]) -> Merged:
    trees = {each.base_tree: each.tree for each in resolved}
    tree = combine.fold(run, state, phases, trees)
    name = run.pipeline.into.replace("{adw_id}", run.id)
    ref = f"refs/heads/{name}"
    with contextlib.ExitStack() as stack:
        lock = None
        for _ in range(_TRIES):
            tip = branch.tip(run.repo, ref)
            merged = (
                combine.onto(
                    run.repo, name, before(run, state, tip), runs.tree_of(run.repo, tip), tree, trees
                )
                if tip
                else tree
            )
            if merged == runs.tree_of(run.repo, tip or state.base):
                return Merged(branch=name, commit=tip, moved=False)
            try:
                _judge(run, state, phases, merged)
            except RefusedError as refused:
                for each in resolved:
                    resolve.withdraw(run, state, each, str(refused))
                raise
            said = message(run, state, phases, tree, resolved)
            commit = _commit(run, merged, said, tip or state.base)
            git.run("update-ref", f"{run.ref}/merge", commit, git_dir=run.repo.git_dir)
            runs.check_whole(run.repo, commit, tip or state.base)  # `git gc --prune=now` may have been faster
            try:
                branch.move(run, ref, commit, tip, lock)
            except git.GitError as error:
                if branch.tip(run.repo, ref) == tip:
                    raise RefusedError(
                        f"branch `{name}` was not moved: {error}; the commit is kept: {commit}"
                    ) from None
                branch.recover(run.repo, lock)  # git may have been killed just after it moved the branch
            else:
                return Merged(branch=name, commit=commit, moved=True)
            # somebody was faster; from now on no other run is, so that of many each has its turn
            lock = stack.enter_context(branch.turn(run.repo, run.deadline, lock))
            time.sleep(0.1)
    raise RefusedError(
        f"branch `{name}` moved {_TRIES} times while we merged; it is now at {branch.tip(run.repo, ref)}"
    )


def before(run: Run, state: State, tip: str) -> str:
    """The tree to compare with: what this run brought to the branch last, by its history, or where it began.

    Not what our own records say was made: it may not have come to the branch.
    """
    key = "--format=%(trailers:key=Adws-Tree,valueonly)"
    asked = ("log", "-1", key, f"--grep=^Adws-Run: {run.id}$", tip, f"^{state.base}")
    return git.text(*asked, git_dir=run.repo.git_dir).strip() or state.base_tree


def _judge(run: Run, state: State, phases: Sequence[Phase], tree: str) -> None:
    """Judge again every phase whose evidence was seen on a tree with other inputs than this one."""
    for each in phases:
        known = state.results[each.name]
        if not each.evidence or known.status is not Status.PASSED:
            continue
        if not change.files(run.repo, known.tree, tree, each.inputs or ()):
            continue
        log = runs.folder(run.repo, run.id) / runs.entry(each.name) / "log.merged"
        if said := trial.judge(run, state, each, runs.join(run.repo, tree, [state.base]), log):
            raise RefusedError(
                f"phase `{each.name}` passed alone, but not on the merged tree: {said}; its log is {log}"
            )


def _commit(run: Run, tree: str, said: str, parent: str) -> str:
    name, email = run.repo.identity
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", name), ("EMAIL", email))
    }
    sign = ("-S",) if run.pipeline.sign else ()
    given = {"env": who, "stdin": said.encode(), "config": run.repo.signing}
    try:
        _, out = git.call("commit-tree", *sign, tree, "-p", parent, git_dir=run.repo.git_dir, **given)  # type: ignore[arg-type]
    except git.GitError as error:
        if not sign:
            raise
        raise RefusedError(f"the commit was not made: {error}") from None
    return out.decode().strip()


def message(
    run: Run, state: State, phases: Sequence[Phase], tree: str, resolved: Sequence[Result] = ()
) -> str:
    """What the commit says; `tree` is what the run brings, before it is put onto the branch's tip."""
    results = [state.results[each.name] for each in phases]
    lines = [state.title, "", *map(_line, (*results, *resolved)), ""]
    lines += [f"Adws-Run: {run.id}", f"Adws-Record: {state.record}", f"Adws-Base: {state.base}"]
    lines += [f"Adws-Pipeline: sha256:{run.pipeline.digest}", f"Adws-Tree: {tree}"]
    lines += [f"Adws-Phase: {r.phase} {r.status} {r.seconds:.1f}s {r.commit}" for r in results]
    lines += [f"Adws-Resolve: {r.commit}" for r in resolved]
    return "\n".join(lines) + "\n"


def _line(result: Result) -> str:
    said = result.reason or str(result.fields.get("summary", ""))
    note = printable(" ".join(said.split()))[:100]
    verdict = result.status if result.status in DONE else "failed, not merged"
    verdict = f"{verdict} after a repair by {result.repaired_by}" if result.repaired else verdict
    verdict = "conflict resolved" if result.role else verdict
    box = f" in {result.sandbox}" if result.sandbox != "none" else ""
    return f"{result.phase}: {verdict} in {result.seconds:.1f} s, by {result.credit}{box}" + (
        f": {note}" if note else ""
    )
