"""How an agent is called: its command filled in, and the prompt rendered. Agents are data, not code."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adws.model import Agent, Caps, Command, Phase

PLACEHOLDERS = ("python", "phase", "model", "prompt", "adw_id", "out", "record", "limits", "resume")
"""What may stand in braces in an agent's command. `prompt` and `record` are paths; `limits` and `resume` are
an argument alone each, and stand for as many as there are."""
VARIABLES = ("adw_id", "phase", "issue", "needs", "out", "failure", "failed", "paths")
"""What may stand in braces in a prompt; the last three are empty where nothing failed or conflicts."""
BRACES = re.compile(r"(?<!\$)\{([a-z_][a-z0-9_]*)\}")
"""A name in braces; all other braces are text, and `${name}` is the shell's."""
_SESSION = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class Given:
    """What is filled into the commands of one attempt."""

    adw_id: str
    prompt: Path
    out: Path
    record: Path
    caps: Caps = ()
    """What the attempt may use."""
    session: str = ""
    """The session to go on from; empty = a new one."""


def command(phase: Phase, command: Command, given: Given) -> list[str]:
    """The arguments of one of a phase's commands. Into a string only the shell looks."""
    if isinstance(command, str):
        # -e, as GitHub Actions does: a failed line must not be green because a later one succeeds
        return ["/bin/sh", "-e", "-c", command]
    values = {
        "python": sys.executable,
        "phase": phase.role or phase.name.partition(":")[0],  # who works on a shard knows it by ADW_PHASE
        "model": phase.model or "",
        "prompt": str(given.prompt),
        "adw_id": given.adw_id,
        "out": str(given.out),
        "record": str(given.record),
    }
    several = {"{limits}": _limits(phase, given.caps), "{resume}": resume(phase, given.session)}
    return [arg for part in command for arg in several.get(part, [fill(part, values)])]


def _limits(phase: Phase, caps: Caps) -> list[str]:
    kept = dict(phase.agent.limits if phase.agent else ())
    return [
        fill(part, {cap.replace("-", "_"): f"{most:.15g}"})
        for cap, most in caps
        for part in kept.get(cap, ())
    ]


def resume(phase: Phase, session: str) -> list[str]:
    """The arguments with which its agent goes on from that session; none where it cannot."""
    # it comes from the agent's output: it must be no option and no path
    if phase.agent is None or not _SESSION.fullmatch(session):
        return []
    return [fill(part, {"session": session}) for part in phase.agent.resume]


def reads_prompt(agent: Agent) -> bool:
    """Whether the prompt is its standard input: so it is where it does not name `{prompt}`."""
    return not any("{prompt}" in part for part in agent.run)


def render(phase: Phase, variables: Mapping[str, str]) -> str:
    """The prompt with its variables filled in, in one pass: nothing is filled into what was filled in."""
    return fill(phase.prompt or "", variables)


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with these values for their names in braces; other names stay as they are."""
    return BRACES.sub(lambda match: values.get(match[1], match[0]), text)
