"""Gemini CLI, over Gemini's streamGenerateContent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.agents.turns import CACHED, FRESH, OUT, Turn, Use

ASKS = "/v1beta/models/"
PROGRAM = "node_modules/.bin/gemini"
KEY = {"GEMINI_API_KEY": "a-dummy-key"}
SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
}
TOOLS = {
    "read": lambda path: ("read_file", {"file_path": path}),
    "edit": lambda path, old, new: (
        "replace",
        {"file_path": path, "old_string": old, "new_string": new, "instruction": "as the issue says"},
    ),
    "write": lambda path, content: ("write_file", {"file_path": path, "content": content}),
    "shell": lambda command: ("run_shell_command", {"command": command, "description": "try it"}),
}


def settle(home: Path, url: str) -> dict[str, str]:
    (home / ".gemini").mkdir()
    (home / ".gemini/settings.json").write_text(json.dumps(SETTINGS))
    return {"GOOGLE_GEMINI_BASE_URL": url}


def said(asked: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for each in asked["contents"]:
        if each["role"] == "model":
            yield "assistant", ""
        else:
            yield from (("user", part["text"]) for part in each["parts"] if "text" in part)


def may_use_tools(asked: dict[str, Any]) -> bool:
    return bool(asked.get("tools"))


def answer(turn: Turn, asked: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    for part in turn:
        yield {"candidates": [{"content": {"role": "model", "parts": [_part(part)]}, "index": 0}]}
    end = {"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": FRESH + CACHED, "cachedContentTokenCount": CACHED}
    usage |= {"candidatesTokenCount": OUT, "totalTokenCount": FRESH + CACHED + OUT}
    yield {"candidates": [end], "usageMetadata": usage}


def _part(part: Any) -> dict[str, Any]:
    if not isinstance(part, Use):
        return {"text": part.words}
    tool, given = TOOLS[part.tool](**part.given)
    return {"functionCall": {"name": tool, "args": given}}


def refusal(status: int) -> dict[str, Any]:
    words = {401: "Incorrect API key provided", 429: "Rate limit reached"}.get(status, "Overloaded")
    kind = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED"}.get(status, "UNAVAILABLE")
    return {"error": {"code": status, "message": words, "status": kind}}
