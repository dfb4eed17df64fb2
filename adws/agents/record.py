"""What an agent told of an attempt while it worked: read off its output, line by line, whatever the vendor.

Nothing in it is evidence that the work is done: exit codes and closing words of all these programs were seen
to lie. It says who worked, what it cost, and what speaks against the attempt.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

LONGEST = 2000
"""Characters of the final text and of a reason that are kept."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens, and US dollars; None = not told, which is not 0."""

    tokens_in: int = 0
    """With those from the cache."""
    tokens_out: int = 0
    tokens_cached: int = 0
    cost: float | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """One event, or everything so far: `a | b` is what is known after both."""

    model: str = ""
    """As the vendor resolved it."""
    session: str = ""
    """What a later call can go on from."""
    text: str = ""
    """The agent's last words."""
    usage: Mapping[str, Usage] = field(default_factory=dict)
    """By message, as some tell one more than once; what is under `TOTAL` counts alone."""
    turns: int = 0
    """As told at the end; before that each message is one."""
    denials: Mapping[str, str] = field(default_factory=dict)
    """Tools that it was not allowed to use, or that failed it, by call."""
    answered: bool = False
    """In an event: its model answered, so that what was refused before is past."""
    retries: int = 0
    """Of requests to its model."""
    vain: int = 0
    """Those of them since its model last answered."""
    status: int = 0
    """HTTP status of the last request, if that failed; 0 = it did not."""
    delay: float = 0.0
    """Seconds for which the server asked to wait before the next request."""
    resets: float = 0.0
    """When the usage limit that said no is lifted, in seconds of time.time; 0 = not told."""
    stopped: str = ""
    """Why it ended before it was done, though it calls that a success."""
    ended: bool | None = None
    """Whether it said that it is done or has failed; None in an event that says nothing about that."""
    reason: str = ""
    """Why it failed, in its own words; counts with `ended`."""
    cumulative: bool = False
    """Whether the tokens and the cost under TOTAL are of its whole session, earlier calls included."""
    agent: str = ""
    """Who did what is replayed."""
    missing: str = ""
    """Why there was nothing to replay."""
    form: str = ""
    """Which of FORMATS it was read off; in one event none."""

    def __or__(self, later: Record) -> Record:
        past = Record() if later.answered else self
        return Record(
            model=later.model or self.model,
            session=later.session or self.session,
            text=later.text or self.text,
            usage={**self.usage, **later.usage},
            turns=later.turns or self.turns,
            denials={**self.denials, **later.denials},
            retries=self.retries + later.retries,
            vain=past.vain + later.retries,
            status=later.status or past.status,
            delay=later.delay or past.delay,
            resets=later.resets or past.resets,
            stopped=later.stopped or self.stopped,
            ended=self.ended if later.ended is None else later.ended,
            reason=later.reason if later.ended else self.reason,
            cumulative=later.cumulative or self.cumulative,
            agent=later.agent or self.agent,
            missing=later.missing or self.missing,
            form=later.form or self.form,
        )

    @property
    def used(self) -> Usage:
        """All of it together. A cost that one of them did not tell is not known."""
        if total := self.usage.get(TOTAL):
            return total
        every = list(self.usage.values())
        costs = [each.cost for each in every if each.cost is not None]
        return Usage(
            tokens_in=sum(each.tokens_in for each in every),
            tokens_out=sum(each.tokens_out for each in every),
            tokens_cached=sum(each.tokens_cached for each in every),
            cost=sum(costs) if costs and len(costs) == len(every) else None,
        )

    @property
    def taken(self) -> int:
        """Turns, as far as they are known."""
        return self.turns or len(self.usage.keys() - {TOTAL})

    def after(self, earlier: Usage) -> Record:
        """Without what its session had used before this call."""
        if not self.cumulative:
            return self
        used = self.used
        cost = None if used.cost is None else max(used.cost - (earlier.cost or 0.0), 0.0)
        own = Usage(
            tokens_in=max(used.tokens_in - earlier.tokens_in, 0),
            tokens_out=max(used.tokens_out - earlier.tokens_out, 0),
            tokens_cached=max(used.tokens_cached - earlier.tokens_cached, 0),
            cost=cost,
        )
        return replace(self, usage={TOTAL: own})

    def thread(self, earlier: Usage) -> Usage:
        """What its session has used, after this call."""
        used = self.used
        if self.cumulative:
            return used
        costs = [each.cost for each in (used, earlier) if each.cost is not None]
        return Usage(
            tokens_in=used.tokens_in + earlier.tokens_in,
            tokens_out=used.tokens_out + earlier.tokens_out,
            tokens_cached=used.tokens_cached + earlier.tokens_cached,
            cost=sum(costs) if costs else None,
        )

    @property
    def fields(self) -> dict[str, Any]:
        """For JSON, the same keys for every format."""
        return {
            "model": self.model or None,
            "session": self.session or None,
            "text": self.text[:LONGEST],
            "turns": self.taken or None,
            **asdict(self.used),
            "denials": sorted(self.denials.values()),
            "retries": self.retries,
            "status": self.status or None,
            "reason": self.reason[:LONGEST],
        }


_NO_MODEL = "<synthetic>"
"""Whose words Claude Code's own are, as when it tells of an error."""
TOTAL = ""
"""The key of a sum in `Record.usage`."""
Event = Mapping[str, Any]


def claude(event: Event) -> Record:
    """Claude Code and its relatives (qwen): `--output-format stream-json --verbose`."""
    kind, session = event.get("type"), _text(event.get("session_id"))
    message = _map(event.get("message"))
    match kind, event.get("subtype"):
        case "system", "init":
            return Record(session=session, model=_text(event.get("model")))
        case "system", "api_retry":
            delay = _number(event.get("retry_delay_ms")) / 1000
            return Record(retries=1, status=_number(event.get("error_status")), delay=delay)
        case "rate_limit_event", _:
            told = _map(event.get("rate_limit_info"))
            rejected = told.get("status") == "rejected"
            return Record(resets=_number(told.get("resetsAt")) if rejected else 0, answered=not rejected)
        case "system", "permission_denied":
            return Record(denials={_text(event.get("tool_use_id")): _text(event.get("tool_name"))})
        case "assistant", _:
            usage = {_text(message.get("id")): _claude_usage(_map(message.get("usage")))}
            texts = [each.get("text") for each in _maps(message.get("content")) if each.get("type") == "text"]
            return Record(
                text=_text(texts[-1]) if texts else "",
                usage=usage if message.get("usage") else {},
                answered=message.get("model") != _NO_MODEL,
            )
        case "result", subtype:
            return _claude_result(event, _text(subtype), session)
    return Record()


def _claude_result(event: Event, subtype: str, session: str) -> Record:
    said = _text(event.get("result"))
    errors = event.get("errors")
    failed = bool(event.get("is_error")) or subtype.startswith("error")
    reason = said or (_text(errors[0]) if isinstance(errors, list) and errors else "") or subtype
    cost = event.get("total_cost_usd")
    usage = _claude_usage(_map(event.get("usage")))
    models = {name: _map(each) for name, each in _map(event.get("modelUsage")).items()}
    if models:  # `usage` leaves out what was retried; where a session was resumed, this is of all its calls
        cached = sum(_number(each.get("cacheReadInputTokens")) for each in models.values())
        made = sum(_number(each.get("cacheCreationInputTokens")) for each in models.values())
        fresh = sum(_number(each.get("inputTokens")) for each in models.values())
        out = sum(_number(each.get("outputTokens")) for each in models.values())
        usage = Usage(tokens_in=fresh + cached + made, tokens_out=out, tokens_cached=cached)
    usage = Usage(**asdict(usage) | {"cost": _dollars(cost)})
    denials = _maps(event.get("permission_denials"))
    odd = _text(event.get("stop_reason"))
    return Record(
        session=session,
        text="" if failed else said,
        model=max(models, key=lambda name: _number(models[name].get("outputTokens")), default=""),
        usage={TOTAL: usage},
        cumulative=bool(models),
        turns=_number(event.get("num_turns")),
        denials={_text(each.get("tool_use_id")): _text(each.get("tool_name")) for each in denials},
        status=_number(event.get("api_error_status")),
        stopped=odd if odd in ("max_tokens", "refusal") else "",
        ended=True,
        reason=(reason or "no reason told") if failed else "",
    )


def _claude_usage(told: Event) -> Usage:
    out, cached = _number(told.get("output_tokens")), _number(told.get("cache_read_input_tokens"))
    fresh = _number(told.get("input_tokens"))
    # qwen's input has the cached ones in it, and only qwen tells a total
    together = fresh + cached + _number(told.get("cache_creation_input_tokens"))
    return Usage(
        tokens_in=fresh if "total_tokens" in told else together, tokens_out=out, tokens_cached=cached
    )


def codex(event: Event) -> Record:
    """Codex: `exec --json`."""
    item = _map(event.get("item"))
    match event.get("type"), item.get("type"):
        case "thread.started", _:
            return Record(session=_text(event.get("thread_id")))
        case "turn.started", _:
            return Record(ended=False)
        case "item.completed", "agent_message":
            return Record(text=_text(item.get("text")), answered=True)
        case "item.completed", "command_execution" | "file_change" | "mcp_tool_call" if _refused(item):
            return Record(denials={_text(item.get("id")): _text(item.get("type"))}, answered=True)
        case "item.started" | "item.completed", kind if kind != "error":
            return Record(answered=True)
        case "error", _:
            said = _text(event.get("message"))
            return Record(retries=int(said.startswith("Reconnecting")), status=_status(said))
        case "turn.completed", _:
            told = _map(event.get("usage"))
            usage = Usage(
                tokens_in=_number(told.get("input_tokens")),
                tokens_out=_number(told.get("output_tokens")),
                tokens_cached=_number(told.get("cached_input_tokens")),
            )
            return Record(usage={TOTAL: usage}, cumulative=True, ended=True)
        case "turn.failed", _:
            said = _text(_map(event.get("error")).get("message"))
            return Record(ended=True, reason=said or "turn failed", status=_status(said))
    return Record()


def _refused(item: Event) -> bool:
    """A command that ended with an error was run; one that the sandbox did not let begin was not."""
    said = _text(item.get("aggregated_output"))
    kept_out = "sandbox" in said or "bwrap" in said
    return item.get("status") in ("failed", "declined") and (item["type"] != "command_execution" or kept_out)


def gemini(event: Event) -> Record:
    """Gemini CLI: `-o stream-json`."""
    match event.get("type"):
        case "init":
            return Record(session=_text(event.get("session_id")), model=_text(event.get("model")))
        case "message" if event.get("role") == "assistant":
            return Record(text=_text(event.get("content")))
        case "tool_result" if event.get("status") == "error":
            kind = _text(_map(event.get("error")).get("type"))
            tool = _text(event.get("tool_id")).partition("__")[0]
            kept_out = kind in ("tool_not_registered", "policy_violation", "permission_denied")
            return Record(denials={_text(event.get("tool_id")): tool} if kept_out else {})
        case "error":
            return Record(stopped=_text(event.get("message")))
        case "result":
            told, failed = _map(event.get("stats")), event.get("status") != "success"
            said = _text(_map(event.get("error")).get("message"))
            usage = Usage(
                tokens_in=_number(told.get("input_tokens")),
                tokens_out=_number(told.get("output_tokens")),
                tokens_cached=_number(told.get("cached")),
            )
            reason = (said or "no reason told") if failed else ""
            return Record(usage={TOTAL: usage}, ended=True, reason=reason, status=_status(said))
    return Record()


def opencode(event: Event) -> Record:
    """opencode: `run --format json`. It has no last event; the last step has to end with `stop`."""
    part, session = _map(event.get("part")), _text(event.get("sessionID"))
    match event.get("type"):
        case "step_start":
            return Record(session=session, ended=False)
        case "text":
            return Record(text=_text(part.get("text")))
        case "tool_use":
            state, tool = _map(part.get("state")), _text(part.get("tool"))
            refused = state.get("status") == "error" and "permission" in _text(state.get("error"))
            if tool == "invalid":  # one that its settings deny is not there at all
                refused, tool = True, _text(_map(state.get("input")).get("tool"))
            return Record(denials={_text(part.get("callID")): tool} if refused else {})
        case "step_finish":
            told, cost = _map(part.get("tokens")), part.get("cost")
            cache = _map(told.get("cache"))
            cached = _number(cache.get("read"))
            usage = Usage(
                tokens_in=_number(told.get("input")) + cached + _number(cache.get("write")),
                tokens_out=_number(told.get("output")) + _number(told.get("reasoning")),
                tokens_cached=cached,
                # it tells 0 for a model whose price it does not know, and for an answer of nothing
                cost=_dollars(cost) if cost or not any(_used(told)) else None,
            )
            return Record(usage={_text(part.get("id")): usage}, ended=part.get("reason") == "stop")
        case "error":
            error = _map(event.get("error"))
            data = _map(error.get("data"))
            reason = _text(data.get("message")) or _text(error.get("name")) or "no reason told"
            status = _number(data.get("statusCode"))
            return Record(session=session, ended=True, reason=reason, status=status)
    return Record()


def _nothing(_event: Event) -> Record:
    return Record()


def _used(tokens: Event) -> Iterator[int]:
    for each in tokens.values():
        yield from _used(each) if isinstance(each, dict) else (_number(each),)


FORMATS: dict[str, Callable[[Event], Record]] = {
    "text": _nothing,
    "builtin": _nothing,
    "claude": claude,
    "qwen": claude,
    "codex": codex,
    "gemini": gemini,
    "opencode": opencode,
    "replay": _nothing,
}
"""What an agent's output can be. `text` and `builtin` tell nothing but their last line, and `builtin` uses no
model. `replay` says in its first line which of the others follows."""
PROSE = ("text", "builtin")
TELLS: dict[str, tuple[str, ...]] = {
    "text": (),
    "builtin": ("max-cost", "max-turns", "max-tokens"),
    "claude": ("max-cost", "max-turns", "max-tokens"),
    "qwen": ("max-turns", "max-tokens"),
    "codex": ("max-tokens",),
    "gemini": ("max-tokens",),
    "opencode": ("max-cost", "max-turns", "max-tokens"),
    "replay": ("max-cost", "max-turns", "max-tokens"),
}
"""The caps that can be kept by what each tells."""


class Reader:
    """Reads an output as it comes. What is no JSON object between the events is somebody else's prose."""

    def __init__(self, form: str) -> None:
        self.record = Record(form=form)

    def feed(self, lines: Iterable[bytes]) -> Record:
        """The record of all so far."""
        for line in lines:
            form = self.record.form
            if form in PROSE:
                self.record |= Record(text=line.decode(errors="replace").strip())
            elif event := _event(line):
                headed = form == "replay" and HEADER in event
                self.record |= _header(event) if headed else FORMATS[form](event)
        return self.record


HEADER = "adws-replay"
"""The key of the format in the first line of what `replay` prints."""


def _header(event: Event) -> Record:
    named = _text(event.get(HEADER))
    form = named if named in FORMATS else ""
    return Record(form=form, agent=_text(event.get("agent")), missing=_text(event.get("missing")))


def read(form: str, lines: Iterable[bytes]) -> Record:
    """The record of an output."""
    return Reader(form).feed(lines)


def _event(line: bytes) -> Event:
    if not line.lstrip().startswith(b"{"):
        return {}
    try:
        return _map(json.loads(line.decode(errors="replace")))
    except (ValueError, RecursionError):
        return {}


def _map(value: Any) -> Event:
    return value if isinstance(value, dict) else {}


def _maps(value: Any) -> list[Event]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    # half of a surrogate pair, as JavaScript cuts an emoji, is no text that could be written anywhere
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _dollars(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known and math.isfinite(value) and value >= 0 else None


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and abs(value) < 1e15 else 0


def _status(said: str) -> int:
    """The HTTP status in a vendor's prose; 0 = none."""
    # alone, not in the middle of a request's id
    found = re.search(r"(?<![\w.-])(401|403|404|429|500|502|503|504|529)(?![\w.-]*\w)", said)
    return int(found[1]) if found else 0
