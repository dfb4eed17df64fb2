"""A model that says what a script says, on loopback, in the protocol of whoever asks: all that the real CLIs need.

The next turn follows from the request alone (how many turns the assistant had since its prompt), so a request that
is sent again gets the same answer.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.agents.clis import claude, codex, gemini, opencode
from tests.agents.turns import Say, Turn

PROTOCOLS = {each.ASKS: each for each in (claude, codex, gemini, opencode)}
"""By what the path of a request has in it."""
OUT = re.compile(r"`(\S+)/result\.json`")


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
            return
        protocol = next(found for part, found in PROTOCOLS.items() if part in self.path)
        if not protocol.may_use_tools(asked):
            self._stream(protocol.answer([Say("a title")], asked, "aside"))  # does not advance the script
        elif not self._fails(protocol):
            prompt, had = _so_far(protocol.said(asked))
            turn = self.model.script(prompt, had)
            self._stream(protocol.answer(turn, asked, f"{self.model.requests}_{had}"))

    def _fails(self, protocol: Any) -> bool:
        model = self.model
        model.requests += 1
        fault = model.for_ever or (model.faults.pop(0) if model.faults else 0)
        if isinstance(fault, int) and fault:
            self._json(fault, protocol.refusal(fault), **({"retry-after": "1"} if fault == 429 else {}))
        elif fault == "hang":
            model.over.wait(60)
        elif fault == "cut":
            events = list(protocol.answer([Say("I was about to")], {}, "cut"))
            self._stream(events[: len(events) // 2])
        return bool(fault)

    def _stream(self, events: Iterable[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event in events:
            kind = f"event: {event['type']}\n" if "type" in event else ""
            self.wfile.write(f"{kind}data: {json.dumps(event)}\n\n".encode())
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


def _so_far(said: Iterable[tuple[str, str]]) -> tuple[str, int]:
    """The last prompt, and how many turns the assistant had since."""
    prompt, had = "", 0
    for role, words in said:
        if role == "user" and OUT.search(words):
            prompt, had = words, 0
        had += role == "assistant"
    return prompt, had


def out(prompt: str) -> str:
    """The phase's `ADW_OUT`, as its prompt names it."""
    found = OUT.search(prompt)
    assert found, prompt
    return found[1]
