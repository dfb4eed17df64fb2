"""Claude Code, over Anthropic's Messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.agents.turns import CACHED, FRESH, OUT, Turn, Use

ASKS = "/v1/messages"
PROGRAM = "claude_agent_sdk/_bundled/claude"
KEY = {"ANTHROPIC_API_KEY": "sk-ant-a-dummy-key"}
TOOLS = {
    "read": lambda path: ("Read", {"file_path": path}),
    "edit": lambda path, old, new: ("Edit", {"file_path": path, "old_string": old, "new_string": new}),
    "write": lambda path, content: ("Write", {"file_path": path, "content": content}),
    "shell": lambda command: ("Bash", {"command": command, "description": "try it"}),
}


def settle(home: Path, url: str) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": url,
        "CLAUDE_CODE_MAX_RETRIES": "2",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
    }


def said(asked: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for each in asked["messages"]:
        content = each["content"]
        parts = [{"text": content}] if isinstance(content, str) else content
        if each["role"] == "assistant":
            yield "assistant", ""
        else:
            yield from (("user", part["text"]) for part in parts if "text" in part)


def may_use_tools(asked: dict[str, Any]) -> bool:
    return bool(asked.get("tools"))


def answer(turn: Turn, asked: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    usage = {"input_tokens": FRESH, "cache_read_input_tokens": CACHED, "cache_creation_input_tokens": 0}
    message = {"id": f"msg_{name}_{id(turn)}", "type": "message", "role": "assistant"}
    message |= {"model": asked.get("model", ""), "content": [], "stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": {**message, "usage": {**usage, "output_tokens": 1}}}
    for index, part in enumerate(turn):
        if isinstance(part, Use):
            tool, given = TOOLS[part.tool](**part.given)
            block = {"type": "tool_use", "id": f"toolu_{name}_{index}", "name": tool, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(given)}
        else:
            block = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": part.words}
        yield {"type": "content_block_start", "index": index, "content_block": block}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    reason = "tool_use" if any(isinstance(part, Use) for part in turn) else "end_turn"
    delta = {"stop_reason": reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": OUT}}
    yield {"type": "message_stop"}


def refusal(status: int) -> dict[str, Any]:
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status, "overloaded_error")
    return {"type": "error", "error": {"type": kind, "message": kind}}
