"""One phase: is it up to date, its attempts with their evidence and contract, the recorded result."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from adws import attempt, change, combine, contract, evidence, git, runs, workspace
from adws.errors import UserError
from adws.model import Phase, Result, Status, closure
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
        if result.status is not Status.FAILED or time.monotonic() > run.deadline:
            break
    return result


def judge(run: Run, state: State, phase: Phase, commit: str, log: Path) -> str:
    """Run the phase's command on a fresh checkout; what is wrong, empty when the evidence is green."""
    tree = runs.tree_of(run.repo, commit)
    with attempt.begin(run, state, phase, commit, tree, log) as again:
        said = again.execute() or evidence.fault(again.place.out, phase.evidence)
        return said or ("" if again.capture() == tree else "changed the files that it judges")


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
        base=state.base, base_tree=state.base_tree, tree=state.base_tree, out=run.repo.empty_tree,
    )  # fmt: skip
    try:
        base, tree = combine.base(run, state, phase)
        key = runs.key(run, state, phase, tree)
        result = dataclasses.replace(result, key=key, base=base, base_tree=tree, tree=tree)
        result = _work(run, state, phase, result, folder)
    except (combine.ConflictError, MissingError, TimeoutError) as error:
        result = dataclasses.replace(result, reason=str(error))
    status = Status.FAILED if result.reason else result.status
    return dataclasses.replace(result, status=status, seconds=round(time.monotonic() - started, 3))


def _work(run: Run, state: State, phase: Phase, result: Result, folder: Path) -> Result:
    """The attempt in its workspace: what it left, and everything that speaks against it."""
    with attempt.begin(run, state, phase, result.base, result.base_tree, folder / "log") as work:
        if phase.agent:
            (folder / "prompt.md").write_bytes((work.place.io / "prompt.md").read_bytes())
        wanted, said = work.wanted()
        if not wanted or said:
            return dataclasses.replace(result, status=Status.SKIPPED, reason=said)
        faults, out = [work.execute()], work.place.out
        try:
            tree, artifacts = work.capture(), workspace.capture_out(run.repo, work.place)
        except git.GitError as error:
            return dataclasses.replace(result, reason=f"left what cannot be captured: {error}")
        fields, said = contract.fields(out / "result.json")
        faults += [change.violation(run.repo, phase, result.base_tree, tree), said]
        faults += [evidence.fault(out, phase.evidence)]
        workspace.export(run.repo, work.place, artifacts, folder / "out")
    if phase.evidence and tree != result.base_tree and not any(faults):
        # what the report says was seen on files that the command changed meanwhile
        commit = runs.join(run.repo, tree, [result.base])
        faults.append(judge(run, state, phase, commit, folder / "log.judged"))
    reason = "; ".join(filter(None, faults))
    return dataclasses.replace(result, tree=tree, out=artifacts, fields=fields, reason=reason)
