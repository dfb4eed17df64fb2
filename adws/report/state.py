"""adw_state.json: the fields of all phases in one view, for programs that look at a run from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adws.runs import State

_PREFIX = {"document": "doc"}
"""The field names `doc_status`, `doc_path` are older than we are; all others go by the phase's name."""


def fields(state: State, adw_id: str) -> dict[str, Any]:
    """Each phase's own fields under its own prefix, so that none can write another's."""
    view: dict[str, Any] = {"adw_id": adw_id, "base": state.base, "merge_commit": state.merged or None}
    for name, result in sorted(state.results.items()):
        own = {
            **result.fields,
            **({"agent": result.agent} if result.agent else {}),
            "status": str(result.status),
            "reason": result.reason,
            "seconds": result.seconds,
            "attempt": result.attempt,
            "commit": result.commit,
        }
        view |= {f"{_PREFIX.get(name, name)}_{key}": value for key, value in own.items()}
    return view


def write(folder: Path, state: State, adw_id: str) -> None:
    """Put the view beside the logs, whole or not at all; read-only, since nothing ever reads it back."""
    temporary = folder / ".adw_state.json"
    temporary.unlink(missing_ok=True)
    temporary.write_text(json.dumps(fields(state, adw_id), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    temporary.chmod(0o444)
    temporary.replace(folder / "adw_state.json")
