"""The contract of a phase: what it is handed, by files and environment, and what it says back."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adws import agents, runs, seal, workspace
from adws.errors import printable
from adws.model import Phase, closure
from adws.runs import Run, State
from adws.workspace import Workspace

_ENVIRONMENT = ("PATH", "HOME", "LANG", "TERM", "TMPDIR", "VIRTUAL_ENV")
"""All that a phase sees of the caller's environment; the rest is what the pipeline names."""
_RETRY = Path(__file__).parent / "prompts" / "retry.md"
"""What a prompt ends with where an earlier attempt has failed."""
_RESULT_LIMIT = 1 << 20
"""Bytes of `result.json`, which goes into a commit message."""
_RESULT_DEPTH = 50


SEVERITIES = ("blocker", "major", "minor")
"""Of a finding, the gravest first. A blocker makes its phase red."""


def hand_over(run: Run, state: State, phase: Phase, place: Workspace, told: Mapping[str, str]) -> None:
    """Write what the phase is given to read: the issue, the results of what it needs, the prompt.

    `told` are the variables of the prompt that say what went wrong.
    """
    (place.io / "issue.md").write_bytes(state.issue)
    upstream: dict[str, dict[str, Any]] = {}
    for need in closure(run.pipeline, phase.needs):
        known = state.results[need.name]
        out = place.io / "needs" / need.name
        workspace.export(run.repo, place, known.out, out)
        upstream[need.name] = {**known.fields, "status": known.status, "base": known.base, "out": str(out)}
    (place.io / "state.json").write_text(json.dumps(upstream, indent=1, sort_keys=True))
    if phase.agent:
        values = {
            "adw_id": run.id,
            "phase": phase.name,
            "issue": _fenced(run, state.issue.decode(errors="replace")),
            "needs": "\n".join(
                f"- {name}: {about['status']}, artifacts in {about['out']}"
                for name, about in upstream.items()
            ),
            "out": str(place.out),
            **dict.fromkeys(("failure", "failed", "paths"), ""),
            **{name: _fenced(run, said) for name, said in told.items()},
        }
        text = agents.render(phase, values)
        if told and not phase.role:
            text += agents.fill(_RETRY.read_text(encoding="utf-8"), values)
        (place.io / "prompt.md").write_text(text, encoding="utf-8", errors="replace")


def _fenced(run: Run, said: str) -> str:
    """The text without the end of a tag of the prompts, which whoever knows the run's id could write."""
    return re.sub(rf"</(?=[a-z]+-{run.id}\b)", r"<\\/", said)


def environment(run: Run, phase: Phase, place: Workspace, base: str) -> dict[str, str]:
    """All the variables that the phase's commands see."""
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
    return {**compose, **committer, **passed(phase), **ours}


def passed(phase: Phase) -> dict[str, str]:
    """Of these variables those that are the same in all its attempts."""
    caller = {name: os.environ[name] for name in (*_ENVIRONMENT, *phase.secrets) if name in os.environ}
    return {"PATH": os.defpath, **caller, **dict(phase.env)}


def fields(path: Path) -> tuple[dict[str, Any], str]:
    """What a JSON object such as `result.json` says, and what is wrong with it; it need not be there."""
    if path.is_symlink() or not path.is_file():
        return {}, ""
    if path.stat().st_size > _RESULT_LIMIT:
        return {}, f"left a {path.name} of more than {_RESULT_LIMIT} bytes"
    try:
        said = json.loads(path.read_bytes(), parse_constant=_number, parse_float=_number)
    except (ValueError, RecursionError) as error:
        return {}, f"left a {path.name} that cannot be read: {error}"
    if not isinstance(said, dict):
        return {}, f"left a {path.name} that is no JSON object"
    if _deeper(said, _RESULT_DEPTH):
        return {}, f"left a {path.name} nested deeper than {_RESULT_DEPTH}"
    return said, ""


def missing(phase: Phase, out: Path) -> str:
    """What is missing of what it has to leave in `ADW_OUT`, or is of another shape; empty for nothing."""
    for name, keys in phase.leaves:
        path = out / name
        if path.resolve() != out.resolve() / name or not path.is_file():
            return f"left no {name} in ADW_OUT"
        said, why = fields(path)
        if why or (without := [key for key in keys if said.get(key) in (None, "")]):
            return why or f"left a {name} without `{without[0]}`"
    return ""


def blocked(result: Mapping[str, Any]) -> str:
    """Which blocker is among the findings of a result.json; or that nobody can tell."""
    found = result.get("findings", [])
    if not isinstance(found, list) or not all(map(_is_finding, found)):
        severities = ", ".join(SEVERITIES)
        return (
            f"left findings of another shape than a list of {{severity, message}}; severities: {severities}"
        )
    grave = blockers(result)
    if not grave:
        return ""
    first = grave[0]
    place = ":".join(_line(str(first[key])) for key in ("path", "line") if first.get(key))
    more = f" and {len(grave) - 1} more" if len(grave) > 1 else ""
    words = _line(first["message"])
    return f"found a blocker{more}: {place}: {words}" if place else f"found a blocker{more}: {words}"


def _line(said: str) -> str:
    return printable(" ".join(said.split()))[:200]


def blockers(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of the findings of a result.json."""
    found = result.get("findings")
    readable = filter(_is_finding, found if isinstance(found, list) else ())
    return [each for each in readable if each["severity"] == SEVERITIES[0]]


def _is_finding(said: Any) -> bool:
    return (
        isinstance(said, dict) and said.get("severity") in SEVERITIES and isinstance(said.get("message"), str)
    )


def _number(said: str) -> float:
    """Python takes `NaN` and `1e999`, and would write what no other reader of JSON takes."""
    if not math.isfinite(number := float(said)):
        raise ValueError(f"{said} is no number")
    return number


def _deeper(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth == 0 or any(_deeper(each, depth - 1) for each in inner)
