"""One phase: is it up to date, and if not, its attempts, from the first to the one that stands."""

from __future__ import annotations

import dataclasses
import re
import time
from dataclasses import dataclass
from datetime import datetime

from adws import change, combine, contract, runs, trial
from adws.agents import verdict
from adws.errors import UserError
from adws.model import DONE, Phase, Result, Status, closure
from adws.runs import Run, State
from adws.trial import Trial

_SOON = 300.0
"""Seconds that we wait for a vendor that said no for now; for more, the run is parked."""
_BACKOFF = 2.0
"""Seconds before the first repetition where the vendor says none; each further one waits twice as long."""
_CHANGING = re.compile(r"0x[0-9a-f]+|[0-9]+")
"""What differs between two logs of the same failure."""


def is_current(run: Run, state: State, phase: Phase) -> bool:
    """Whether the recorded result is one for exactly today's inputs, and no failure."""
    known = state.results.get(phase.name)
    if known is None or known.status not in DONE:
        return False
    try:
        base_tree = combine.base_tree(run, state, phase)
    except (combine.ConflictError, KeyError):
        return False
    return known.key == runs.key(run, state, phase, base_tree) and combine.applies(run.repo, known, base_tree)


def breach(run: Run, phase: Phase, result: Result) -> str:
    """What the phase, or its repair, changed and was not allowed to; empty for nothing."""
    if not result.repaired or phase.repair is None:
        return change.violation(run.repo, phase, result.base_tree, result.tree)
    start = runs.tree_of(run.repo, result.repaired)
    said = change.violation(run.repo, phase.repair, result.base_tree, start)
    return f"{said}, in its repair" if said else change.violation(run.repo, phase, start, result.tree)


def waiting(result: Result) -> str:
    """What a phase waits for, in the user's words and time zone."""
    if result.waits == "later":
        return f"waits until its usage limit is lifted, no time was told: {result.reason}"
    at = datetime.fromisoformat(result.waits).astimezone()
    return f"waits until {at:%Y-%m-%d %H:%M %Z}: {result.reason}"


def perform(run: Run, phase: Phase) -> Result:
    """Do the phase and record every attempt at it; the last one is the result.

    UserError where a phase it needs has no result to start from.
    """
    state = runs.load(run, [each.name for each in closure(run.pipeline, [phase.name])])
    _check_needs(run, state, phase)
    last = state.results.get(phase.name)
    failed = failure(run, last) if last else None
    course = _Course(run=run, state=state, phase=phase, worker=phase, last=last, failed=failed)
    while True:
        result = runs.record(run, course.judged(trial.perform(course.next)))
        if not course.goes_on(result):
            return result


def failure(run: Run, last: Result) -> Result | None:
    """The attempt at the phase itself that failed, of those that ended with `last`."""
    if not last.part:
        return last if last.status is Status.FAILED else None
    found = [each for each in runs.attempts(run) if each.phase == last.phase and not each.part]
    return max(found, key=lambda each: each.attempt, default=None)


def _check_needs(run: Run, state: State, phase: Phase) -> None:
    for need in closure(run.pipeline, phase.needs):
        known = state.results.get(need.name)
        if known is None:
            what = f"phase `{phase.name}` needs `{need.name}`, which has no result in run {run.id}"
            raise UserError(f"{what}; run it first: doit {need.name} ADW_ID={run.id}")
        if known.status not in DONE and not need.continue_on_error:
            raise UserError(f"phase `{phase.name}` needs `{need.name}`, which failed: {known.reason}")


@dataclass(kw_only=True)
class _Course:
    """Whose turn it is: retries, then once somebody else, then repairs, each followed by a judgement."""

    run: Run
    state: State
    phase: Phase
    worker: Phase
    last: Result | None
    """The last attempt, be it one of an earlier call."""
    failed: Result | None
    """The last attempt at the phase itself that failed."""
    retried: int = 0
    repairs: int = 0
    repeats: int = 0
    """Requests and attempts that were repeated since a vendor said no for now."""
    pauses: int = 0
    stuck: bool = False
    """Whether it fails as it did before its repair."""

    @property
    def next(self) -> Trial:
        last = self.last
        return Trial(
            run=self.run,
            state=self.state,
            phase=self.phase,
            worker=self.worker,
            before=last,
            failed=self.failed,
            last=last if last and last.part == self.worker.part else None,
            patience=verdict.REPEATS - self.repeats,
        )

    def judged(self, result: Result) -> Result:
        """The result with what only those before it can tell."""
        if result.status is Status.REPAIRED:
            return dataclasses.replace(result, reason="it was repaired, and has not been judged since")
        if result.status is not Status.FAILED:
            return result
        self.repeats += 1 + result.agent.get("retries", 0) if result.waits else 0
        if result.waits and self.repeats >= verdict.REPEATS and _seconds(result.waits) < _SOON:
            result = dataclasses.replace(result, waits="", final=True)
        if self.worker.part and self.failed:
            return dataclasses.replace(result, reason=f"{self.failed.reason}; its repair: {result.reason}")
        if self.last and self.last.status is Status.REPAIRED and self.failed:
            self.stuck = self._signature(result) == self._signature(self.failed)
            more = "; that is as before its repair" if self.stuck else ""
            result = dataclasses.replace(result, reason=result.reason + more)
        return result

    def goes_on(self, result: Result) -> bool:
        """Whether there is another attempt, which is `next`."""
        self.last, phase = result, self.phase
        if result.status in DONE or self._ends(result):
            return False
        if result.status is Status.REPAIRED:
            other = self.failed and self.failed.escalated
            self.worker = phase.escalate if other and phase.escalate else phase
            return True
        if result.waits:
            return self._waited(result)
        if not result.part:
            self.failed = result
        if not result.part and self.retried < self.worker.retries and self.worker is phase:
            self.retried += 1
        elif self.worker is phase and phase.escalate:
            self.worker = phase.escalate
        elif phase.repair and self.repairs < phase.repairs and not self.stuck and self._mendable:
            self.repairs += 1
            self.worker = phase.repair
        else:
            return False
        return True

    @property
    def _mendable(self) -> bool:
        """Whether the files are at fault: an agent that looked at them has to have found a blocker."""
        return self.phase.agent is None or bool(self.failed and contract.blockers(self.failed.fields))

    def _ends(self, result: Result) -> bool:
        """Whether no other attempt would fare better, or none now."""
        return result.final or _seconds(result.waits) >= _SOON or time.monotonic() > self.run.deadline

    def _waited(self, result: Result) -> bool:
        """Wait as long as the vendor said; False where the run ends before."""
        pause = max(_seconds(result.waits), _BACKOFF * 2.0**self.pauses)
        self.pauses += 1
        if time.monotonic() + pause > self.run.deadline:
            return False
        time.sleep(pause)
        return True

    def _signature(self, result: Result) -> tuple[str, str]:
        """What two equal failures have in common."""
        log = runs.last_log(self.run, result)
        said = log.read_text(errors="replace") if log.is_file() else ""
        return result.reason, _CHANGING.sub("", said)


def _seconds(waits: str) -> float:
    """Until then; without end where that is not told."""
    if waits in ("", "later"):
        return float("inf") if waits else 0.0
    return (datetime.fromisoformat(waits) - datetime.now().astimezone()).total_seconds()
