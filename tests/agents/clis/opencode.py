"""opencode, over Chat Completions, which most other vendors speak as well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.agents.turns import CACHED, FRESH, OUT, Turn, Use

ASKS = "/chat/completions"
PROGRAM = "node_modules/.bin/opencode"
KEY = {"OPENAI_API_KEY": "sk-a-dummy-key"}
TOOLS = {
    "read": lambda path: ("read", {"filePath": path}),
    "edit": lambda path, old, new: ("edit", {"filePath": path, "oldString": old, "newString": new}),
    "write": lambda path, content: ("write", {"filePath": path, "content": content}),
    "shell": lambda command: ("bash", {"command": command, "description": "try it"}),
}


def settle(home: Path, url: str) -> dict[str, str]:
    options = {"baseURL": f"{url}/v1", "apiKey": "{env:OPENAI_API_KEY}"}
    prices = {"input": 3, "output": 15, "cache_read": 0.3}
    models = {"scripted": {"cost": prices}}
    loopback = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": models}
    config = {"model": "loopback/scripted", "autoupdate": False, "provider": {"loopback": loopback}}
    # it would fetch its plugins' library from npm, in every new home
    quiet = {"OPENCODE_DISABLE_MODELS_FETCH": "1", "npm_config_offline": "true"}
    return {"OPENCODE_CONFIG_CONTENT": json.dumps(config), **quiet}


def said(asked: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for each in asked["messages"]:
        content = each.get("content") or ""
        parts = [{"text": content}] if isinstance(content, str) else content
        yield each["role"], "".join(part.get("text", "") for part in parts)


def may_use_tools(asked: dict[str, Any]) -> bool:
    return bool(asked.get("tools"))


def answer(turn: Turn, asked: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    chunk = {"id": f"chatcmpl-{name}", "object": "chat.completion.chunk", "model": asked.get("model", "")}
    for index, part in enumerate(turn):
        delta = {"role": "assistant", **_delta(part, f"call_{name}_{index}", index)}
        yield chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    reason = "tool_calls" if any(isinstance(part, Use) for part in turn) else "stop"
    yield chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    usage = {"prompt_tokens": FRESH + CACHED, "prompt_tokens_details": {"cached_tokens": CACHED}}
    usage |= {"completion_tokens": OUT, "total_tokens": FRESH + CACHED + OUT}
    yield chunk | {"choices": [], "usage": usage}


def _delta(part: Any, call: str, index: int) -> dict[str, Any]:
    if not isinstance(part, Use):
        return {"content": part.words}
    tool, given = TOOLS[part.tool](**part.given)
    function = {"name": tool, "arguments": json.dumps(given)}
    return {"tool_calls": [{"index": index, "id": call, "type": "function", "function": function}]}


def refusal(status: int) -> dict[str, Any]:
    words = {401: "Incorrect API key provided", 429: "Rate limit reached"}.get(status, "Overloaded")
    return {"error": {"message": words, "type": "error", "code": str(status)}}
