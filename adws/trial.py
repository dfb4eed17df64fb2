"""One attempt at a phase or at its repair, from the base to a result that is ready to be recorded."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

from adws import attempt, budget, change, combine, contract, evidence, git, recording, runs, seal, workspace
from adws.agents import verdict
from adws.agents.record import Usage
from adws.attempt import Attempt, Help
from adws.errors import told
from adws.model import Phase, Result, Status
from adws.process import Reason
from adws.provision import MissingError
from adws.runs import Run, State


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is tried: the phase, by whom, and what came before, which counts if its key still does."""

    run: Run
    state: State
    phase: Phase
    worker: Phase
    """The phase itself, or who repairs it or does it instead."""
    before: Result | None
    """The attempt before; after a repair this one starts from what that left."""
    failed: Result | None
    """The last attempt at the phase itself that failed, to be told."""
    last: Result | None
    """The worker's own last attempt, to go on from its session."""
    patience: int = verdict.REPEATS
    """Requests to a model that may be repeated."""
    paths: str = ""
    """The files in conflict, one per line."""


def perform(trial: Trial) -> Result:
    """Do it; the result is not recorded yet."""
    run, phase, worker = trial.run, trial.phase, trial.worker
    number, folder = runs.new_attempt(run, trial.state, phase.name)
    started = time.monotonic()
    state = trial.state
    result = dataclasses.replace(
        blank(run, worker, number, state.base, state.base_tree), escalated=_why_other(trial)
    )
    try:
        result = runs.persist(run.repo, lambda: _based(trial, result))
        result = carry_out(trial, result, folder)
    except (combine.ConflictError, MissingError, TimeoutError) as error:
        result = dataclasses.replace(result, reason=str(error))
    status = Status.FAILED if result.reason else result.status
    if worker.part and status is Status.PASSED:
        status = Status.REPAIRED
    return dataclasses.replace(result, status=status, seconds=round(time.monotonic() - started, 3))


def blank(run: Run, worker: Phase, number: int, base: str, tree: str) -> Result:
    """The result of an attempt that has not begun."""
    by = f"{worker.agent.name} {worker.model or ''}".strip() if worker.agent else "command"
    return Result(
        phase=worker.name, attempt=number, status=Status.PASSED, reason="", by=by, seconds=0.0, key="",
        part=worker.part, sandbox=run.sandbox(worker),
        base=base, base_tree=tree, tree=tree, out=run.repo.empty_tree,
    )  # fmt: skip


def _why_other(trial: Trial) -> str:
    other = trial.worker is trial.phase.escalate
    return f"the usual one failed: {trial.failed.reason}"[:200] if other and trial.failed else ""


def _based(trial: Trial, result: Result) -> Result:
    run, state, phase = trial.run, trial.state, trial.phase
    base, tree = combine.base(run, state, phase)
    result = dataclasses.replace(
        result, key=runs.key(run, state, phase, tree), base=base, base_tree=tree, tree=tree
    )
    before = trial.before
    if before and before.key == result.key:
        fresh = before.status is Status.REPAIRED
        repaired, who = (before.commit, before.credit) if fresh else (before.repaired, before.repaired_by)
        tree = runs.tree_of(run.repo, repaired) if repaired else tree
        result = dataclasses.replace(result, repaired=repaired, repaired_by=who, tree=tree)
    if len(phase.needs) > 1:
        runs.pin(run, result)  # the base is a commit that nothing else holds
    return result


def _help(trial: Trial, result: Result, folder: Path) -> tuple[Help, str]:
    """What the attempt is given, and why it may not begin."""
    run, worker = trial.run, trial.worker
    caps, said = budget.share(run, trial.state, worker, folder)
    failed = trial.failed if trial.failed and trial.failed.key == result.key else None
    failed = failed if worker.agent or result.repaired else None
    last = trial.last
    name = worker.agent.name if worker.agent else ""
    session = last.agent if last and last.key == result.key and last.agent.get("name") == name else {}
    return Help(
        failed=failed,
        paths=trial.paths,
        log=runs.last_log(run, failed) if failed else None,
        session=session.get("session") or "",
        slot=session.get("slot"),
        thread=Usage(**session.get("thread", {})),
        caps=caps,
        meter=budget.meter(run, folder, caps),
        patience=trial.patience,
    ), said


def carry_out(trial: Trial, result: Result, folder: Path) -> Result:
    """The attempt at a tree, in its workspace: what it left, and everything that speaks against it."""
    run, state, worker, start = trial.run, trial.state, trial.worker, result.tree
    help, said = _help(trial, result, folder)
    if said:
        return dataclasses.replace(result, reason=said, final=True)
    with attempt.begin(
        run, state, worker, result.repaired or result.base, start, folder / "log", help
    ) as work:
        if worker.agent:
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
        changed, leaked = result.tree != start, bool(result.reason)
        credits, doubt = work.told(changed)
        faults += [doubt, result.reason]
        fields, said = contract.fields(out / "result.json")
        result = dataclasses.replace(result, **credits, fields=fields)
        faults += [change.violation(run.repo, worker, start, result.tree), said or contract.blocked(fields)]
        faults += [_evidence(work, repaired=bool(result.repaired)), seal.broken(run.repo, run.seal)]
        faults += [] if any(faults) else [contract.missing(worker, out)]
        workspace.export(run.repo, work.place, result.out, folder / "out")
        if worker.agent and work.outcome and not leaked:
            recording.write(run, worker.agent, work.place, work.outcome, start, result, folder / "log")
    if worker.evidence and changed and not any(faults):
        # what the report says was seen on files that the command changed meanwhile
        commit = runs.join(run.repo, result.tree, [result.base])
        faults.append(judge(run, state, worker, commit, folder / "log.judged"))
    if worker.proves and not any(faults):
        faults.append(_prove(run, state, worker, result, folder / "log.proves"))
    idle = bool(worker.part) and not changed and not result.waits  # and so would be the next one
    return dataclasses.replace(result, reason="; ".join(filter(None, faults)), final=result.final or idle)


def _capture(run: Run, work: Attempt, result: Result) -> Result:
    """What it left, safe from everybody. Raises GitError where that is more than git can hold."""
    start = result.tree

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
    found = runs.persist(run.repo, left, lambda: work.place.checkout.git("read-tree", start))
    if not found.reason:
        work.warn()
        work.put_away(found.tree)
    return found


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


def _evidence(done: Attempt, *, repaired: bool = False) -> str:
    """What is wrong with the reports that it left, and, after a repair, whether they show fewer tests."""
    phase, out, io = done.phase, done.place.out, done.place.io
    if not phase.evidence:
        return ""
    said = evidence.fault(out, phase.evidence, done.began)
    if not said and repaired and done.help.failed:
        said = evidence.unrun(out, io / "failed", phase.evidence)
    if said or phase.baseline is None:
        return said
    return evidence.lost(out, io / "needs" / phase.baseline, phase.evidence)


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
