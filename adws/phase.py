"""One phase: is it up to date, and if not, its attempts, from the first to the one that stands."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from adws import change, combine, contract, runs, trial
from adws.agents import verdict
from adws.errors import UserError
from adws.model import DONE, Phase, Result, Status, closure
from adws.runs import Run, State
from adws.trial import Before

_SOON = 300.0
"""Seconds that we wait for a vendor that said no for now; for more, the run is parked."""
_BACKOFF = 2.0
"""Seconds before the first repetition where the vendor says none; each further one waits twice as long."""
_CHANGING = re.compile(
    r"0x[0-9a-f]+|[0-9]+\.[0-9]+|[0-9]{2}:[0-9]{2}:[0-9]{2}|[0-9]{5,}|[0-9]+ ?m?s\b|/[0-9]+(?=/(?:tree|io)/)"
)
"""What differs between two logs of the same failure: addresses, durations, times, processes, slots."""

Attempt = Callable[[Phase, Before], Result]
"""(who makes it, what came before) -> an attempt that is not recorded yet."""


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

    def attempt(worker: Phase, before: Before) -> Result:
        return trial.perform(run, state, phase, worker, before)

    return pursue(run, phase, trial.history(run, state, phase), attempt)


def pursue(run: Run, phase: Phase, history: Sequence[Result], attempt: Attempt) -> Result:
    """Make attempts and record each, until one stands. `history`: those of earlier calls for these inputs.

    First come the retries, then once somebody else, then repairs, each followed by a judgement.
    """
    now: list[Result] = []
    worker: Phase | None = phase
    while worker:
        before = Before(earlier=tuple(history), now=tuple(now), patience=verdict.REPEATS - _repeated(now))
        result = _judged(run, attempt(worker, before), before)
        now.append(runs.record(run, result))
        worker = _next(run, phase, worker, now)
    return now[-1]


def _check_needs(run: Run, state: State, phase: Phase) -> None:
    for need in closure(run.pipeline, phase.needs):
        known = state.results.get(need.name)
        if known is None:
            what = f"phase `{phase.name}` needs `{need.name}`, which has no result in run {run.id}"
            raise UserError(f"{what}; run it first: doit {need.name} ADW_ID={run.id}")
        if known.status not in DONE and not need.continue_on_error:
            raise UserError(f"phase `{phase.name}` needs `{need.name}`, which failed: {known.reason}")


def _judged(run: Run, result: Result, before: Before) -> Result:
    """The attempt with what only those before it can tell."""
    failed = before.failed
    if result.status is Status.REPAIRED:
        return dataclasses.replace(result, reason="it was repaired, and has not been judged since")
    if result.status is not Status.FAILED:
        return result
    now = [*before.now, result]
    if result.waits and _seconds(result.waits) < _SOON:
        over = time.monotonic() + _pause(now) > run.deadline
        if over or _repeated(now) >= verdict.REPEATS:
            result = dataclasses.replace(result, waits="", final=True)
    if result.role and failed:
        return dataclasses.replace(result, reason=f"{failed.reason}; its repair: {result.reason}")
    if result.repaired and failed and _signature(run, result) == _signature(run, failed):
        # another repair would do the same
        return dataclasses.replace(
            result, reason=f"{result.reason}; that is as before its repair", final=True
        )
    return result


def _next(run: Run, phase: Phase, worker: Phase, now: Sequence[Result]) -> Phase | None:
    """Who makes the next attempt after those of this call; None where the last one stands."""
    last = now[-1]
    if last.status in DONE or last.final or time.monotonic() > run.deadline:
        return None
    if last.waits:
        if _seconds(last.waits) >= _SOON:
            return None
        time.sleep(_pause(now))
        return worker
    own = [each for each in now if not each.role and not each.waits]
    judge = phase.escalate if own and own[-1].escalated and phase.escalate else phase
    if last.status is Status.REPAIRED:
        return judge
    # a blocker is a verdict on the files, and asking again would be to ask for another one
    blocked = bool(own and contract.blockers(own[-1].fields))
    if not last.role and not blocked:
        if judge is phase and sum(not each.escalated for each in own) <= phase.retries:
            return phase
        if phase.escalate and judge is phase:
            return phase.escalate
    mended = sum(bool(each.role) and not each.waits for each in now)
    return phase.repair if mended < phase.repairs and (phase.agent is None or blocked) else None


def _pause(now: Sequence[Result]) -> float:
    """Seconds to wait after the last of these attempts: as long as its vendor said, or each time longer."""
    times = sum(bool(each.waits) for each in now)
    return min(max(_seconds(now[-1].waits), _BACKOFF * 2.0 ** (times - 1)), _SOON)


def _repeated(now: Sequence[Result]) -> int:
    """Requests and attempts that were repeated, or have to be, since a vendor said no for now."""
    return sum(1 + int(each.agent.get("retries", 0)) for each in now if each.waits)


def _signature(run: Run, result: Result) -> tuple[str, str]:
    """What two equal failures have in common."""
    log = runs.last_log(run, result)
    said = log.read_text(errors="replace") if log.is_file() else ""
    return result.reason, _CHANGING.sub("", said)


def _seconds(waits: str) -> float:
    """Until then; without end where that is not told."""
    if waits in ("", "later"):
        return float("inf") if waits else 0.0
    return (datetime.fromisoformat(waits) - datetime.now().astimezone()).total_seconds()
