"""One attempt at a phase or at its repair, from the base to a result that is ready to be recorded."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adws import attempt, budget, change, combine, contract, evidence, git, runs, seal, workspace
from adws.agents import verdict
from adws.agents.record import Usage
from adws.attempt import Attempt, Help
from adws.errors import told
from adws.model import REPAIR, Phase, Result, Status
from adws.process import Reason
from adws.provision import MissingError
from adws.runs import Run, State


@dataclass(frozen=True, kw_only=True)
class Before:
    """What came before an attempt, for the same inputs."""

    earlier: tuple[Result, ...] = ()
    """The attempts of earlier calls, in order."""
    now: tuple[Result, ...] = ()
    """Those of this call."""
    patience: int = verdict.REPEATS
    """Requests to a model that may be repeated."""

    @property
    def failed(self) -> Result | None:
        """The last attempt at the phase itself that failed."""
        return self._last(lambda each: not each.role)

    @property
    def unmended(self) -> Result | None:
        """The last one that failed before there was any repair."""
        return self._last(lambda each: not each.role and not each.repaired)

    def by(self, role: str) -> Result | None:
        """The last attempt in that role."""
        return next((each for each in reversed((*self.earlier, *self.now)) if each.role == role), None)

    @property
    def repair(self) -> tuple[str, str]:
        """The commit of the repair to start from, and whose; of an earlier call only one not judged yet."""
        last = (*self.earlier, *self.now)[-1:]
        if last and last[0].status is Status.REPAIRED:
            return last[0].commit, last[0].credit
        return (self.now[-1].repaired, self.now[-1].repaired_by) if self.now else ("", "")

    def _last(self, wanted: Callable[[Result], bool]) -> Result | None:
        failed = (each for each in reversed((*self.earlier, *self.now)) if each.status is Status.FAILED)
        return next(filter(wanted, failed), None)


def history(run: Run, state: State, phase: Phase) -> list[Result]:
    """The attempts at the phase that were made for today's inputs, in order."""
    if phase.name not in state.results:
        return []
    try:
        tree = combine.base_tree(run, state, phase)
    except combine.ConflictError:
        return []
    key = runs.key(run, state, phase, tree)
    found = [each for each in runs.attempts(run, phase.name) if each.key == key and each.base_tree == tree]
    return sorted(found, key=lambda each: each.attempt)


def perform(run: Run, state: State, phase: Phase, worker: Phase, before: Before) -> Result:
    """An attempt at the phase, by itself or by who helps out; it is not recorded yet."""
    number, folder = runs.new_attempt(run, state, phase.name)
    started = time.monotonic()
    result = blank(run, worker, number, state.base, state.base_tree)
    if worker is phase.escalate and before.failed:
        result = dataclasses.replace(result, escalated=f"the usual one failed: {before.failed.reason}"[:200])
    try:
        result = runs.persist(run.repo, lambda: _based(run, state, phase, result, *before.repair))
        result = carry_out(run, state, worker, result, folder, _help(run, worker, before, result))
    except (combine.ConflictError, MissingError, TimeoutError) as error:
        result = _failed(result, str(error) or "the run has reached its time limit", final=True)
    return dataclasses.replace(result, seconds=round(time.monotonic() - started, 3))


def blank(run: Run, worker: Phase, number: int, base: str, tree: str) -> Result:
    """The result of an attempt that has not begun."""
    by = f"{worker.agent.name} {worker.model or ''}".strip() if worker.agent else "command"
    return Result(
        phase=worker.name, attempt=number, status=Status.FAILED, reason="it has not begun", by=by,
        seconds=0.0, role=worker.role, sandbox=run.sandbox(worker), key="",
        base=base, base_tree=tree, tree=tree, out=run.repo.empty_tree,
    )  # fmt: skip


def _failed(result: Result, reason: str, *, final: bool = False) -> Result:
    return dataclasses.replace(result, status=Status.FAILED, reason=reason, final=final or result.final)


def _based(run: Run, state: State, phase: Phase, result: Result, repaired: str, whose: str) -> Result:
    base, tree = combine.base(run, state, phase)
    result = dataclasses.replace(
        result, key=runs.key(run, state, phase, tree), base=base, base_tree=tree, tree=tree
    )
    if repaired:
        start = runs.tree_of(run.repo, repaired)
        result = dataclasses.replace(result, repaired=repaired, repaired_by=whose, tree=start)
    if len(phase.needs) > 1:
        runs.pin(run, result)  # the base is a commit that nothing else holds
    return result


def _help(run: Run, worker: Phase, before: Before, result: Result) -> Help:
    """What the attempt is given of those before it."""
    if worker.agent:
        failed = before.failed
        # who has found a blocker did no wrong: the next one looks with fresh eyes
        failed = None if failed and not worker.role and contract.blockers(failed.fields) else failed
    else:
        failed = before.unmended if result.repaired else None
    last, name = before.by(worker.role), worker.agent.name if worker.agent else ""
    if failed and last and last.role and last.status is Status.FAILED and last.attempt > failed.attempt:
        failed = dataclasses.replace(failed, reason=last.reason)  # which says both
    # a session goes on only where the prompt says what became of its last changes
    session = last.agent if failed and last and last.agent.get("name") == name else {}
    if session.get("resumed") and not session.get("turns"):
        session = {}  # it is not there any more, as on another machine
    return Help(
        failed=failed,
        log=runs.last_log(run, failed) if failed else None,
        session=session.get("session") or "",
        slot=session.get("slot"),
        thread=Usage(**session.get("thread", {})),
        patience=before.patience,
    )


def carry_out(run: Run, state: State, worker: Phase, result: Result, folder: Path, help: Help) -> Result:
    """The attempt in its workspace: what it left, and everything that speaks against it."""
    start = result.tree
    caps, said = budget.share(run, state, worker, folder)
    if said:
        why = help.failed.reason if help.failed else ""
        return _failed(result, why if why.endswith(said) else f"{why}; {said}".removeprefix("; "), final=True)
    help = dataclasses.replace(help, caps=caps, meter=budget.meter(run, worker, folder, caps))
    base = result.repaired or result.base
    with attempt.begin(run, state, worker, base, start, folder / "log", help) as work:
        if worker.agent:
            (folder / "prompt.md").write_bytes((work.place.io / "prompt.md").read_bytes())
        wanted, said = work.wanted()
        said = said or ("`if` says no since its repair" if not wanted and result.repaired else "")
        if not wanted or said:
            return (
                _failed(result, said)
                if said
                else dataclasses.replace(result, status=Status.SKIPPED, reason="")
            )
        faults, out = [work.execute()], work.place.out
        try:
            result, leak = _capture(run, work, result)
        except (git.GitError, OSError) as error:
            said = told(error) if isinstance(error, OSError) else str(error)
            return _failed(result, f"left what cannot be captured: {said}")
        changed = result.tree != start
        credits, doubt = work.told(changed)
        fields, said = contract.fields(out / "result.json")
        result = dataclasses.replace(result, **credits, fields=fields)
        faults += [doubt, leak, change.violation(run.repo, worker, start, result.tree)]
        faults += [said or contract.blocked(fields), _evidence(work, repaired=bool(result.repaired))]
        faults += [seal.broken(run.repo, run.seal)]
        faults += [] if any(faults) else [contract.missing(worker, out)]
        workspace.export(run.repo, work.place, result.out, folder / "out")
        if not leak:
            work.record(start, result)
    if worker.evidence and changed and not any(faults):
        # what the report says was seen on files that the command changed meanwhile
        commit = runs.join(run.repo, result.tree, [result.base])
        faults.append(judge(run, state, worker, commit, folder / "log.judged"))
    if worker.proves and not any(faults):
        faults.append(_prove(run, state, worker, result, folder / "log.proves"))
    if any(faults):
        idle = bool(worker.role) and not changed and not result.waits  # and so would be the next one
        return _failed(result, "; ".join(filter(None, faults)), final=idle)
    status = Status.REPAIRED if worker.role == REPAIR else Status.PASSED
    return dataclasses.replace(result, status=status, reason="")


def _capture(run: Run, work: Attempt, result: Result) -> tuple[Result, str]:
    """What it left, safe from everybody, and which secret it shows. GitError where git cannot hold it."""
    start = result.tree

    def left() -> tuple[Result, str]:
        tree = work.capture()
        if leak := work.leak(tree):
            return result, f"{leak}; nothing of it was kept"
        found = dataclasses.replace(result, tree=tree, out=workspace.capture_out(run.repo, work.place))
        if (tree, found.out) != (result.base_tree, run.repo.empty_tree):
            runs.pin(run, found)
        return found, ""

    # with the old index git would take what is gone for stored already
    work.place.check()
    found, leak = runs.persist(run.repo, left, lambda: work.place.checkout.git("read-tree", start))
    if not leak:
        work.warn()
        if not work.phase.role:  # a repair may have mended what is kept, and that is in no tree
            work.put_away(found.tree)
    return found, leak


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
        said = evidence.lost(out, io / "failed", phase.evidence, unrun=True)
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
