"""One phase: is it up to date, its attempts with their evidence and contract, the recorded result."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from adws import attempt, change, combine, contract, evidence, git, runs, seal, workspace
from adws.agents import verdict
from adws.attempt import Attempt
from adws.errors import UserError, told
from adws.model import Phase, Result, Status, closure
from adws.process import Reason
from adws.provision import MissingError
from adws.runs import Run, State


def is_current(run: Run, state: State, phase: Phase) -> bool:
    """Whether the recorded result is one for exactly today's inputs, and no failure."""
    known = state.results.get(phase.name)
    if known is None or known.status is Status.FAILED:
        return False
    try:
        base_tree = combine.base_tree(run, state, phase)
    except (combine.ConflictError, KeyError):
        return False
    return known.key == runs.key(run, state, phase, base_tree) and combine.applies(run.repo, known, base_tree)


def perform(run: Run, phase: Phase) -> Result:
    """Do the phase, with its retries, and record every attempt; the last one is the result.

    UserError where a phase it needs has no result to start from.
    """
    state = runs.load(run, [each.name for each in closure(run.pipeline, [phase.name])])
    _check_needs(run, state, phase)
    for _ in range(1 + phase.retries):
        result = runs.record(run, _try(run, state, phase))
        refused = result.agent.get("status") in verdict.REFUSED  # and would be again
        if result.status is not Status.FAILED or refused or time.monotonic() > run.deadline:
            break
    return result


def judge(run: Run, state: State, phase: Phase, commit: str, log: Path) -> str:
    """Run the phase's command on a fresh checkout; what is wrong, empty when the evidence is green."""
    tree = runs.tree_of(run.repo, commit)
    with attempt.begin(run, state, phase, commit, tree, log) as again:
        if said := again.execute() or _evidence(again):
            return said
        again.place.check()
        left = again.capture()
        again.put_away(left)
        return "" if left == tree else "changed the files that it judges"


def _evidence(done: Attempt) -> str:
    """What is wrong with the reports that it left."""
    phase, out = done.phase, done.place.out
    said = evidence.fault(out, phase.evidence, done.began)
    if said or phase.baseline is None:
        return said
    return evidence.lost(out, done.place.io / "needs" / phase.baseline, phase.evidence)


def _prove(run: Run, state: State, phase: Phase, result: Result, log: Path) -> str:
    """Whether `proves` fails before the change and passes after it; which half is missing, if one is."""
    before = change.with_tests(run.repo, result.base_tree, result.tree)
    for when, tree in (("before", before), ("after", result.tree)):
        commit = runs.join(run.repo, tree, [result.base])
        with attempt.begin(run, state, phase, commit, tree, log.with_name(f"{log.name}.{when}")) as work:
            if said := work.furnish():
                return said
            outcome = work.call(phase.proves or "", "")
        if when == "after":
            return "" if outcome.passed else f"`proves` does not pass after its change: {outcome.text}"
        if outcome.passed:
            return "`proves` passes before its change as well, so it proves nothing"
        # 126 and 127 are the shell's for a command that cannot be run, as opposed to one that says no
        if outcome.reason is not Reason.EXITED or outcome.code in (126, 127):
            return f"`proves` could not be run before its change: {outcome.text}"
    return ""


def _check_needs(run: Run, state: State, phase: Phase) -> None:
    for need in closure(run.pipeline, phase.needs):
        known = state.results.get(need.name)
        if known is None:
            what = f"phase `{phase.name}` needs `{need.name}`, which has no result in run {run.id}"
            raise UserError(f"{what}; run it first: doit {need.name} ADW_ID={run.id}")
        if known.status is Status.FAILED and not need.continue_on_error:
            raise UserError(f"phase `{phase.name}` needs `{need.name}`, which failed: {known.reason}")


def _try(run: Run, state: State, phase: Phase) -> Result:
    number, folder = runs.new_attempt(run, state, phase.name)
    started = time.monotonic()
    by = f"{phase.agent.name} {phase.model or ''}".strip() if phase.agent else "command"
    result = Result(
        phase=phase.name, attempt=number, status=Status.PASSED, reason="", by=by, seconds=0.0, key="",
        sandbox=run.sandbox(phase),
        base=state.base, base_tree=state.base_tree, tree=state.base_tree, out=run.repo.empty_tree,
    )  # fmt: skip
    try:
        result = runs.persist(run.repo, lambda: _based(run, state, phase, result))
        result = _work(run, state, phase, result, folder)
    except (combine.ConflictError, MissingError, TimeoutError) as error:
        result = dataclasses.replace(result, reason=str(error))
    status = Status.FAILED if result.reason else result.status
    return dataclasses.replace(result, status=status, seconds=round(time.monotonic() - started, 3))


def _based(run: Run, state: State, phase: Phase, result: Result) -> Result:
    base, tree = combine.base(run, state, phase)
    key = runs.key(run, state, phase, tree)
    result = dataclasses.replace(result, key=key, base=base, base_tree=tree, tree=tree)
    if len(phase.needs) > 1:
        runs.pin(run, result)  # the base is a commit that nothing else holds
    return result


def _work(run: Run, state: State, phase: Phase, result: Result, folder: Path) -> Result:
    """The attempt in its workspace: what it left, and everything that speaks against it."""
    log = folder / "log"
    with attempt.begin(run, state, phase, result.base, result.base_tree, log) as work:
        if phase.agent:
            (folder / "prompt.md").write_bytes((work.place.io / "prompt.md").read_bytes())
        wanted, said = work.wanted()
        if not wanted or said:
            return dataclasses.replace(result, status=Status.SKIPPED, reason=said)
        faults, out = [work.execute()], work.place.out
        try:
            result = _capture(run, work, result)
        except (git.GitError, OSError) as error:
            said = told(error) if isinstance(error, OSError) else str(error)
            return dataclasses.replace(result, reason=f"left what cannot be captured: {said}")
        changed = result.tree != result.base_tree
        credits, doubt = work.told(changed)
        faults += [doubt, result.reason]
        result = dataclasses.replace(result, **credits)
        fields, said = contract.fields(out / "result.json")
        result = dataclasses.replace(result, fields=fields)
        faults += [change.violation(run.repo, phase, result.base_tree, result.tree), said, _evidence(work)]
        faults += [seal.broken(run.repo, run.seal)]
        workspace.export(run.repo, work.place, result.out, folder / "out")
    if phase.evidence and changed and not any(faults):
        # what the report says was seen on files that the command changed meanwhile
        commit = runs.join(run.repo, result.tree, [result.base])
        faults.append(judge(run, state, phase, commit, folder / "log.judged"))
    if phase.proves and not any(faults):
        faults.append(_prove(run, state, phase, result, folder / "log.proves"))
    return dataclasses.replace(result, reason="; ".join(filter(None, faults)))


def _capture(run: Run, work: Attempt, result: Result) -> Result:
    """What it left, safe from everybody. Raises GitError where that is more than git can hold."""

    def left() -> Result:
        tree = work.capture()
        if leak := work.leak(tree):
            return dataclasses.replace(result, reason=f"{leak}; nothing of it was kept")
        found = dataclasses.replace(result, tree=tree, out=workspace.capture_out(run.repo, work.place))
        if (tree, found.out) != (result.base_tree, run.repo.empty_tree):
            runs.pin(run, found)
        return found

    # with the old index git would take what is gone for stored already
    work.place.check()
    found = runs.persist(run.repo, left, lambda: work.place.checkout.git("read-tree", result.base_tree))
    if not found.reason:
        work.warn()
        work.put_away(found.tree)
    return found
