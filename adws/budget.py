"""What the agents of a run have used, and what is left for the next attempt, also while others are at work.

An attempt takes its share before it begins. What it has used is in its record once that is made; until then,
and where it was killed, it is in `usage.json` beside its log.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adws import runs
from adws.agents.record import Record
from adws.model import DONE, Caps, Phase, closure
from adws.runs import Run, State

_FILE = "usage.json"
_LEAST = {"max-cost": 0.0001, "max-turns": 1.0, "max-tokens": 1.0}


@dataclass(frozen=True, kw_only=True)
class Use:
    """What one attempt has used, by cap; and, while it works, what it may use."""

    phase: str
    role: str
    used: Mapping[str, float | None]
    """None = not told."""
    share: Mapping[str, float] = field(default_factory=dict)


def share(run: Run, state: State, phase: Phase, folder: Path) -> tuple[Caps, str]:
    """What the attempt in `folder` may use, and why it may not begin, if so.

    Of the caps of the run, the phases that can begin beside it are left as much each as it gets itself.
    TimeoutError where the run's deadline comes before its turn to ask.
    """
    if phase.agent is None or not phase.caps + run.pipeline.caps:
        return (), ""
    late = "its share of the caps could not be had until the run's time limit"
    with runs.exclusive(run.repo, "budget", run.deadline, late):
        uses = list(_uses(run))
        own = [use for use in uses if (use.phase, use.role) == (runs.entry(phase.name), phase.role)]
        found = {cap: most - _sum(own, cap) for cap, most in phase.caps}
        if short := _short(found, phase.caps):
            return (), f"phase `{phase.name}` {short}"
        left = {cap: most - _sum(uses, cap) for cap, most in run.pipeline.caps}
        if short := _short(left, run.pipeline.caps):
            return (), f"the run {short}"
        beside = 1 + _beside(run, state, phase, [use.phase for use in uses if use.share])
        found |= {cap: min(_part(cap, most, beside), found.get(cap, most)) for cap, most in left.items()}
        _write(folder, run, phase, found, {})
    return tuple(found.items()), ""


def _part(cap: str, most: float, beside: int) -> float:
    """One of so many equal parts; of turns and tokens there is no half."""
    return most / beside if cap == "max-cost" else float(max(most // beside, 1.0))


def meter(run: Run, phase: Phase, folder: Path, caps: Caps) -> Callable[[Record], str]:
    """Writes down what an attempt uses while it works, and says which cap it has passed."""
    last: dict[str, float | None] = {}

    def look(record: Record) -> str:
        used = _told(record)
        if caps and used != last:
            last.update(used)
            _write(folder, run, phase, dict(caps), used)
        return next((_over(cap, most, used[cap]) for cap, most in caps if (used[cap] or 0.0) > most), "")

    return look


def untold(caps: Caps, record: Record) -> str:
    """Which cap could not be kept, since the agent did not tell in the end what it used."""
    used = record.used
    if "max-cost" in dict(caps) and used.cost is None and used.tokens_in + used.tokens_out:
        return "it did not tell what it cost, so `max-cost` cannot be kept; set `max-tokens`"
    return ""


def _told(record: Record) -> dict[str, float | None]:
    used = record.used
    return {"max-cost": used.cost, "max-turns": record.taken, "max-tokens": used.tokens_in + used.tokens_out}


def _over(cap: str, most: float, used: float | None) -> str:
    return f"it used {used:.15g} of the {most:.15g} that `{cap}` leaves it"


def _short(left: Mapping[str, float], caps: Caps) -> str:
    gone = [cap for cap in left if left[cap] < _LEAST[cap]]
    return f"has used its `{gone[0]}` of {dict(caps)[gone[0]]:.15g}; raise it to go on" if gone else ""


def _uses(run: Run) -> Iterator[Use]:
    """Of every attempt of the run."""
    recorded = set()
    for each in runs.attempts(run):
        name = runs.entry(each.phase)
        recorded.add((name, f"attempt-{each.attempt}"))
        tokens = each.agent.get("tokens_in", 0) + each.agent.get("tokens_out", 0)
        told = {
            "max-cost": each.agent.get("cost"),
            "max-turns": each.agent.get("turns"),
            "max-tokens": tokens,
        }
        yield Use(phase=name, role=each.role, used=told)
    for path in runs.folder(run.repo, run.id).glob(f"*/attempt-*/{_FILE}"):
        if path.parts[-3:-1] in recorded:
            continue
        if use := _open(run, path):
            yield use


def _open(run: Run, path: Path) -> Use | None:
    """An attempt that is at work, or was killed; None where somebody wrote into its file."""
    try:
        said = json.loads(path.read_bytes())
        share = {cap: float(most) for cap, most in said["share"].items()}
        used = {cap: float(of or 0.0) for cap, of in said["used"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    # of an attempt of an earlier call only what it has used is left
    at_work = said.get("call") == _call(run)
    return Use(phase=path.parts[-3], role=str(said.get("role")), used=used, share=share if at_work else {})


def _sum(uses: Sequence[Use], cap: str) -> float:
    """What is gone or promised."""
    return sum(use.share.get(cap, use.used.get(cap) or 0.0) for use in uses)


def _beside(run: Run, state: State, phase: Phase, at_work: Sequence[str]) -> int:
    """How many phases may still begin, or need a repair, while this one works."""
    before = {each.name for each in closure(run.pipeline, phase.needs)}
    return sum(
        (each.agent or each.repair) is not None
        and each.name in run.due
        and each.name not in {*before, phase.name}
        and runs.entry(each.name) not in at_work
        and not (each.name in state.results and state.results[each.name].status in DONE)
        and phase.name not in {need.name for need in closure(run.pipeline, each.needs)}
        for each in run.pipeline.phases
    )


def _write(
    folder: Path, run: Run, phase: Phase, share: Mapping[str, float], used: Mapping[str, float | None]
) -> None:
    half = folder / f".{_FILE}"
    half.write_text(json.dumps({"call": _call(run), "role": phase.role, "share": share, "used": used}))
    half.replace(folder / _FILE)


def _call(run: Run) -> str:
    """Names this call among all that went on with the run: no two have the same deadline."""
    return repr(run.deadline)
