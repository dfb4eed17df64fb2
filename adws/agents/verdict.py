"""What speaks against an agent's attempt beside its exit code: its own record, held against its change.

No exit code, closing word or result event of these programs was found to be true in every case; so each can
turn an attempt red, and none makes it green.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from adws.agents import limits
from adws.agents.record import PROSE, Record
from adws.model import Agent

REFUSED = (401, 403)
"""HTTP statuses that no retry mends."""
OVERLOADED = (429, 500, 502, 503, 504, 529)
"""HTTP statuses that pass by themselves."""
REPEATS = 12
"""Requests and attempts that may be repeated for them: by the agents of a phase and by us, in one call."""
SOME_DAY = datetime.max.replace(tzinfo=UTC)


def fault(
    agent: Agent, record: Record, *, passed: bool, stopped: bool, idle: bool, nothing: bool = False
) -> str:
    """Why the attempt failed, beyond what the exit code says; empty where nothing else speaks against it.

    `passed`: the program ended with 0. `stopped`: it was ended, so that a missing end is no wonder.
    `idle`: it left nothing of what it was asked for. `nothing`: neither a change nor a word of its result.
    """
    name = record.agent or agent.name
    if record.missing:
        return record.missing
    if record.ended and record.reason:
        return f"{name} says: {' '.join(record.reason.split())}"
    if said := refused(agent, record):
        return said
    if stopped or record.form in PROSE:
        return ""
    if record.denials and (idle or nothing):
        tools = ", ".join(dict.fromkeys(sorted(record.denials.values())))
        return f"{name} was denied {tools}, and left nothing"
    if not record.ended:
        return f"{name} ended without saying that it is done"
    if record.stopped:
        return f"{name} stopped early: {record.stopped}"
    if not passed:
        return f"though {name} says that it is done"
    return f"{name} says that it is done, and left nothing" if nothing else ""


def refused(agent: Agent, record: Record) -> str:
    """Whether its last request was refused for good, and it goes on all the same."""
    if record.ended or record.status not in REFUSED:
        return ""
    return f"the key of {record.agent or agent.name} was refused (HTTP {record.status})"


def for_good(record: Record) -> bool:
    """Whether what failed it would fail again: a key, or a recording that is not there."""
    refused = record.status in REFUSED and bool(record.reason or not record.ended)
    return refused or bool(record.missing)


def exhausted(agent: Agent, record: Record, patience: int) -> str:
    """Whether it has repeated more requests than it may, and goes on all the same."""
    if record.ended or record.vain <= patience:
        return ""
    return f"{agent.name} repeated {record.vain} requests in vain (HTTP {record.status})"


def again_at(record: Record, now: datetime) -> datetime | None:
    """When to try again what its vendor said no to for now; None where it did not fail of that.

    Not before the server's own delay. SOME_DAY where a usage limit does not say when it is lifted.
    """
    if not record.ended or not record.reason:
        return None
    limited = bool(record.resets) or limits.is_told(record.reason)
    if not limited and record.status not in OVERLOADED:
        return None
    if record.resets:
        return limits.moment(record.resets, now) or SOME_DAY
    soon = limits.later(now, record.delay) or now
    return limits.resets(record.reason, now) or (SOME_DAY if limited else soon)


def credits(agent: Agent, model: str | None, record: Record) -> dict[str, Any]:
    """Who did it, as fields of a result: the agent's own name for its model is more exact than ours."""
    if record.form in PROSE:
        return {}
    return {"agent": record.fields, "by": f"{agent.name} {record.model or model or ''}".strip()}
