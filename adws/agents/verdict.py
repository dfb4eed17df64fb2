"""What speaks against an agent's attempt beside its exit code: its own record, held against its change.

No exit code, closing word or result event of these programs was found to be true in every case; so each can
turn an attempt red, and none makes it green.
"""

from __future__ import annotations

from typing import Any

from adws.agents.record import Record
from adws.model import Agent

REFUSED = (401, 403)
"""HTTP statuses that no retry mends."""


def fault(agent: Agent, record: Record, *, passed: bool, stopped: bool, idle: bool) -> str:
    """Why the attempt failed, beyond what the exit code says; empty where nothing else speaks against it.

    `passed`: the program ended with 0. `stopped`: it was ended, so that a missing end is no wonder.
    `idle`: it left nothing of what it was asked for.
    """
    if record.ended and record.reason:
        return f"{agent.name} says: {' '.join(record.reason.split())}"
    if said := refused(agent, record):
        return said
    if stopped or agent.format == "text":
        return ""
    if record.denials and idle:
        tools = ", ".join(dict.fromkeys(sorted(record.denials.values())))
        return f"{agent.name} was denied {tools}, and left nothing"
    if not record.ended:
        return f"{agent.name} ended without saying that it is done"
    if record.stopped:
        return f"{agent.name} stopped early: {record.stopped}"
    return "" if passed else f"though {agent.name} says that it is done"


def refused(agent: Agent, record: Record) -> str:
    """Whether its last request was refused for good, and it goes on all the same."""
    if record.ended or record.status not in REFUSED:
        return ""
    return f"the key of {agent.name} was refused (HTTP {record.status})"


def credits(agent: Agent, model: str | None, record: Record) -> dict[str, Any]:
    """Who did it, as fields of a result: the agent's own name for its model is more exact than ours."""
    if agent.format == "text":
        return {}
    return {"agent": record.fields, "by": f"{agent.name} {record.model or model or ''}".strip()}
