"""A model that says what a script says, over Anthropic's Messages API on loopback: all that the real claude needs.

The next turn follows from the request alone (how many turns the assistant had already), so a request that is
sent again gets the same answer.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Turn = list[dict[str, Any]]
"""The blocks of one answer: text, or the use of a tool."""
USAGE = {"input_tokens": 1000, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 0}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(tool: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "name": tool, "input": given}


@dataclass
class Model:
    """What it answers."""

    script: Callable[[str, int], Turn]
    """(prompt, turns that the assistant had) -> the next one."""
    faults: list[int | str] = field(default_factory=list)
    """How the first requests fail: an HTTP status, `cut` in the middle of the answer, or `hang`."""
    for_ever: int = 0
    """The status of all requests."""
    requests: int = 0
    over: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def serving(model: Model) -> Iterator[str]:
    """The URL at which it answers."""
    handler = type("Handler", (_Handler,), {"model": model})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        model.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    model: Model

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._json(200, {})

    def do_GET(self) -> None:
        self._json(404, {})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "count_tokens" in self.path:
            self._json(200, {"input_tokens": 1000})
        elif not asked.get("tools"):
            self._answer([text("a title")], asked)  # a side question, which does not advance the script
        else:
            self._turn(asked)

    def _turn(self, asked: dict[str, Any]) -> None:
        model = self.model
        model.requests += 1
        fault = model.for_ever or (model.faults.pop(0) if model.faults else 0)
        if isinstance(fault, int) and fault:
            kind = {401: "authentication_error", 429: "rate_limit_error"}.get(fault, "overloaded_error")
            error = {"type": "error", "error": {"type": kind, "message": kind}}
            self._json(fault, error, **({"retry-after": "1"} if fault == 429 else {}))
            return
        if fault == "hang":
            model.over.wait(60)
            return
        prompt = next(_words(each) for each in asked["messages"] if "# " in _words(each))
        had = sum(each["role"] == "assistant" for each in asked["messages"])
        self._answer(model.script(prompt, had), asked, cut=fault == "cut")

    def _answer(self, turn: Turn, asked: dict[str, Any], *, cut: bool = False) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        name = f"msg_{self.model.requests}_{id(turn)}"
        message = {"id": name, "type": "message", "role": "assistant", "model": asked["model"]}
        empty = {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**USAGE, "output_tokens": 1},
        }
        self._event("message_start", message={**message, **empty})
        for index, block in enumerate(turn):
            tool = block["type"] == "tool_use"
            start = {**block, "id": f"toolu_{name}_{index}", "input": {}} if tool else text("")
            delta = (
                {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
                if tool
                else {"type": "text_delta", "text": block["text"]}
            )
            self._event("content_block_start", index=index, content_block=start)
            if cut:
                return
            self._event("content_block_delta", index=index, delta=delta)
            self._event("content_block_stop", index=index)
        reason = "tool_use" if any(block["type"] == "tool_use" for block in turn) else "end_turn"
        self._event(
            "message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 50}
        )
        self._event("message_stop")

    def _event(self, kind: str, **more: Any) -> None:
        self.wfile.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode())
        self.wfile.flush()

    def _json(self, status: int, said: dict[str, Any], **headers: str) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        for name, value in {
            "content-type": "application/json",
            "content-length": str(len(body)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _words(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(each.get("text", "") for each in content)


def out(prompt: str) -> str:
    """The phase's `ADW_OUT`, as its prompt names it."""
    found = re.search(r"`(\S+)/result\.json`", prompt)
    assert found, prompt
    return found[1]
