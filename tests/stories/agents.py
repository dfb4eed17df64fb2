"""A stub on PATH where a paid agent would be: it does what its script says, and speaks as the real one does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conftest import Project

INIT = {"type": "system", "subtype": "init", "session_id": "s-1", "model": "claude-sonnet-5-5"}
RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "Did it.", "num_turns": 2}
PLAIN = "agents: {tool: {run: [tool]}}\ndefaults: {agent: tool}\n"


def say(*events: dict[str, Any]) -> str:
    """Lines of a script that print these events."""
    return "".join(f"cat <<'EVENT'\n{json.dumps(event)}\nEVENT\n" for event in events)


def done(**more: Any) -> str:
    """How the claude of a script says that it is done."""
    return say(INIT, RESULT | {"total_cost_usd": 0.25} | more)


def install(p: Project, script: str, name: str = "claude", version: str = "2.1.330 (Claude Code)") -> Path:
    """Put an agent of that name on the project's PATH; its file."""
    folder = p.path.parent / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / name
    answer = f'[ "$1" != --version ] || {{ echo "{version}"; exit; }}'
    program.write_text(f"#!/bin/sh\n{answer}\nset -e\n{script}")
    program.chmod(0o755)
    if str(folder) not in p.env["PATH"].split(":"):
        p.env |= {"PATH": f"{folder}:{p.env['PATH']}", "ANTHROPIC_API_KEY": "sk-a-dummy-key"}
    return program


def state(p: Project, adw_id: str = "x") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((p.path / f".adws/runs/{adw_id}/adw_state.json").read_text())
    return found


def attempts(p: Project, phase: str, adw_id: str = "x") -> list[dict[str, Any]]:
    """What is recorded of every attempt that has ended, in order."""
    ref = f"refs/adws/{adw_id}/attempt/{phase}"
    refs = p.git("for-each-ref", "--format=%(refname)", ref).splitlines()
    ordered = sorted(refs, key=lambda ref: int(ref.rpartition("/")[2]))
    found = [json.loads(p.git("log", "-1", "--format=%b", ref)) for ref in ordered]
    return [each for each in found if each]  # of one that was killed there is no verdict


def prompt(p: Project, phase: str, attempt: int, adw_id: str = "x") -> str:
    return (p.path / f".adws/runs/{adw_id}/{phase}/attempt-{attempt}/prompt.md").read_text()
