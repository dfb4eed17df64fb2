"""Codex, over OpenAI's Responses. Its default model has one tool: JavaScript, which calls the others."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.agents.turns import CACHED, FRESH, OUT, Turn, Use

ASKS = "/responses"
PROGRAM = "node_modules/.bin/codex"
KEY = {"CODEX_API_KEY": "sk-a-dummy-key"}
SETTINGS = """\
model_provider = "loopback"
check_for_update_on_startup = false
analytics.enabled = false
features = {{plugins = false, apps = false}}
sandbox_workspace_write = {{exclude_slash_tmp = true, exclude_tmpdir_env_var = true}}
[model_providers.loopback]
name = "loopback"
base_url = "{url}/v1"
env_key = "CODEX_API_KEY"
wire_api = "responses"
"""
TOOLS = {
    "read": lambda path: _shell(f"cat {path}"),
    "edit": lambda path, old, new: _patch(f"*** Update File: {path}\n@@\n-{old}\n+{new}"),
    "write": lambda path, content: _patch(f"*** Add File: {path}\n+" + content.replace("\n", "\n+")),
    "shell": lambda command: _shell(command),
}


def _shell(command: str) -> str:
    return f"text((await tools.exec_command({{cmd: {json.dumps(command)}}})).output)"


def _patch(change: str) -> str:
    patch = f"*** Begin Patch\n{change}\n*** End Patch\n"
    return f"text(await tools.apply_patch({json.dumps(patch)}))"


def settle(home: Path, url: str) -> dict[str, str]:
    (home / ".codex").mkdir()
    (home / ".codex/config.toml").write_text(SETTINGS.format(url=url))
    return {}


def said(asked: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for ours, items in itertools.groupby(asked["input"], _by_assistant):
        if ours:  # its words and its calls are items of their own
            yield "assistant", ""
        else:
            parts = [part for item in items if item.get("role") == "user" for part in item["content"]]
            yield from (("user", part["text"]) for part in parts)


def _by_assistant(item: dict[str, Any]) -> bool:
    return item.get("role") == "assistant" or item["type"] in ("reasoning", "custom_tool_call")


def may_use_tools(asked: dict[str, Any]) -> bool:
    return any(item["type"] == "additional_tools" for item in asked["input"])


def answer(turn: Turn, asked: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "response": {"id": f"resp_{name}"}}
    for index, part in enumerate(turn):
        if isinstance(part, Use):
            item = {"type": "custom_tool_call", "call_id": f"call_{name}_{index}", "name": "exec"}
            item |= {"id": f"ctc_{name}_{index}", "input": TOOLS[part.tool](**part.given)}
        else:
            item = {"type": "message", "role": "assistant", "id": f"msg_{name}_{index}"}
            item |= {"content": [{"type": "output_text", "text": part.words}]}
        yield {"type": "response.output_item.added", "output_index": index, "item": item}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    usage = {"input_tokens": FRESH + CACHED, "input_tokens_details": {"cached_tokens": CACHED}}
    usage |= {"output_tokens": OUT, "total_tokens": FRESH + CACHED + OUT}
    yield {"type": "response.completed", "response": {"id": f"resp_{name}", "usage": usage}}


def refusal(status: int) -> dict[str, Any]:
    words = {401: "Incorrect API key provided", 429: "Rate limit reached"}.get(status, "Overloaded")
    return {"error": {"message": words, "type": "error", "code": str(status)}}
