"""How an agent is called: its command filled in, and the prompt rendered. Agents are data, not code."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from adws.model import Phase

PLACEHOLDERS = ("python", "phase", "model", "prompt", "adw_id", "out")
"""What may stand in braces in a command that is a list; `prompt` (a path) only in an agent's."""
VARIABLES = ("adw_id", "phase", "issue", "needs", "out")
"""What may stand in braces in a prompt."""
BRACES = re.compile(r"\{([a-z_]+)\}")
"""A name in braces; all other braces are text."""


def command(phase: Phase, *, adw_id: str, prompt: Path, out: Path) -> tuple[list[str], Path | None]:
    """The arguments that start a phase, and the file to give it as standard input, if any.

    A phase's string is for the shell and is not touched. An agent that does not name `{prompt}` reads the
    prompt from its standard input.
    """
    if isinstance(phase.run, str):
        # -e, as GitHub Actions does: a failed line must not be green because a later one succeeds
        return ["/bin/sh", "-e", "-c", phase.run], None
    parts = phase.agent.run if phase.agent else phase.run or ()
    values = {
        "python": sys.executable,
        "phase": phase.name,
        "model": phase.model or "",
        "prompt": str(prompt),
        "adw_id": adw_id,
        "out": str(out),
    }
    by_file = any("{prompt}" in part for part in parts)
    return [_fill(part, values) for part in parts], prompt if phase.agent and not by_file else None


def render(phase: Phase, variables: Mapping[str, str]) -> str:
    """The prompt with its variables filled in, in one pass: nothing is filled into what was filled in."""
    return _fill(phase.prompt or "", variables)


def _fill(text: str, values: Mapping[str, str]) -> str:
    return BRACES.sub(lambda match: values.get(match[1], match[0]), text)
