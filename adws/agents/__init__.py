"""How an agent is called: its command filled in, and the prompt rendered. Agents are data, not code."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from adws.model import Agent, Command, Phase

PLACEHOLDERS = ("python", "phase", "model", "prompt", "adw_id", "out")
"""What may stand in braces in a command that is a list; `prompt` (a path) only in an agent's."""
VARIABLES = ("adw_id", "phase", "issue", "needs", "out")
"""What may stand in braces in a prompt."""
BRACES = re.compile(r"(?<!\$)\{([a-z_][a-z0-9_]*)\}")
"""A name in braces; all other braces are text, and `${name}` is the shell's."""


def command(phase: Phase, command: Command, *, adw_id: str, prompt: Path, out: Path) -> list[str]:
    """The arguments of one of a phase's commands. Into a string only the shell looks."""
    if isinstance(command, str):
        # -e, as GitHub Actions does: a failed line must not be green because a later one succeeds
        return ["/bin/sh", "-e", "-c", command]
    values = {
        "python": sys.executable,
        "phase": phase.name.partition(":")[0],  # whoever works on a shard knows it by ADW_PHASE
        "model": phase.model or "",
        "prompt": str(prompt),
        "adw_id": adw_id,
        "out": str(out),
    }
    return [fill(part, values) for part in command]


def reads_prompt(agent: Agent) -> bool:
    """Whether the prompt is its standard input: so it is where it does not name `{prompt}`."""
    return not any("{prompt}" in part for part in agent.run)


def render(phase: Phase, variables: Mapping[str, str]) -> str:
    """The prompt with its variables filled in, in one pass: nothing is filled into what was filled in."""
    return fill(phase.prompt or "", variables)


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with these values for their names in braces; other names stay as they are."""
    return BRACES.sub(lambda match: values.get(match[1], match[0]), text)
