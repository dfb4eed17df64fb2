"""The contract of a phase: what it is handed, by files and environment, and what it says back."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from adws import agents, runs, seal, workspace
from adws.model import Phase, closure
from adws.runs import Run, State
from adws.workspace import Workspace

_ENVIRONMENT = ("PATH", "HOME", "LANG", "TERM", "TMPDIR", "VIRTUAL_ENV")
"""All that a phase sees of the caller's environment; the rest is what the pipeline names."""
_RESULT_LIMIT = 1 << 20
"""Bytes of `result.json`, which goes into a commit message."""
_RESULT_DEPTH = 50


def hand_over(run: Run, state: State, phase: Phase, place: Workspace) -> None:
    """Write what the phase is given to read: the issue, the results of what it needs, the prompt."""
    (place.io / "issue.md").write_bytes(state.issue)
    told: dict[str, dict[str, Any]] = {}
    for need in closure(run.pipeline, phase.needs):
        known = state.results[need.name]
        out = place.io / "needs" / need.name
        workspace.export(run.repo, place, known.out, out)
        told[need.name] = {**known.fields, "status": known.status, "base": known.base, "out": str(out)}
    (place.io / "state.json").write_text(json.dumps(told, indent=1, sort_keys=True))
    if phase.agent:
        values = {
            "adw_id": run.id,
            "phase": phase.name,
            "issue": state.issue.decode(errors="replace"),
            "needs": "\n".join(
                f"- {name}: {about['status']}, artifacts in {about['out']}" for name, about in told.items()
            ),
            "out": str(place.out),
        }
        (place.io / "prompt.md").write_text(agents.render(phase, values), encoding="utf-8")


def environment(run: Run, phase: Phase, place: Workspace, base: str) -> dict[str, str]:
    """All the variables that the phase's commands see."""
    passed = {name: os.environ[name] for name in (*_ENVIRONMENT, *phase.secrets) if name in os.environ}
    ours = {
        "ADW_ID": run.id,
        "ADW_PHASE": phase.name,
        "ADW_BASE": base,
        "ADW_OUT": str(place.out),
        "ADW_ISSUE": str(place.io / "issue.md"),
        "ADW_STATE": str(place.io / "state.json"),
        "ADW_SLOT": str(place.slot),
        "ADW_PORT": str(workspace.PORTS + 100 * place.slot),
    }
    # by which what it does to the user's branches can be told from what the user does
    committer = {"GIT_COMMITTER_EMAIL": f"{runs.entry(phase.name)}@{run.id}.{seal.DOMAIN}"}
    # compose names a project by its folder, and all workspaces have the same
    compose = {"COMPOSE_PROJECT_NAME": f"adws-{place.slot}"}
    return {"PATH": os.defpath, **compose, **committer, **passed, **dict(phase.env), **ours}


def fields(path: Path) -> tuple[dict[str, Any], str]:
    """What `result.json` says, and what is wrong with it; a phase need not leave one."""
    if path.is_symlink() or not path.is_file():
        return {}, ""
    if path.stat().st_size > _RESULT_LIMIT:
        return {}, f"left a result.json of more than {_RESULT_LIMIT} bytes"
    try:
        said = json.loads(path.read_bytes(), parse_constant=_number, parse_float=_number)
    except (ValueError, RecursionError) as error:
        return {}, f"left a result.json that cannot be read: {error}"
    if not isinstance(said, dict):
        return {}, "left a result.json that is no JSON object"
    if _deeper(said, _RESULT_DEPTH):
        return {}, f"left a result.json nested deeper than {_RESULT_DEPTH}"
    return said, ""


def _number(said: str) -> float:
    """Python takes `NaN` and `1e999`, and would write what no other reader of JSON takes."""
    if not math.isfinite(number := float(said)):
        raise ValueError(f"{said} is no number")
    return number


def _deeper(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth == 0 or any(_deeper(each, depth - 1) for each in inner)
