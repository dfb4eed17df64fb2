"""What a stream of events may look like, and still has to be understood."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adws.agents import record, verdict
from adws.agents.record import Record, Usage
from adws.model import Agent

INIT = {"type": "system", "subtype": "init", "session_id": "s", "model": "m"}
USAGE = {"input_tokens": 10, "cache_read_input_tokens": 2, "output_tokens": 3}
RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "done",
    "num_turns": 2,
    "total_cost_usd": 0.5,
    "usage": USAGE,
}


def lines(*events: Any) -> list[bytes]:
    return [each if isinstance(each, bytes) else json.dumps(each).encode() for each in events]


def claude(*events: Any) -> Record:
    return record.read("claude", lines(*events))


def message(name: str, **usage: int) -> dict[str, Any]:
    return {"type": "assistant", "message": {"id": name, "content": [], "usage": usage}}


@pytest.mark.parametrize(
    "between",
    [
        b"",
        b"\r",
        b"npm warn deprecated something",
        b"\xff\xfe{not utf-8}",
        b'{"type": "result", "subtype": "succ',
        b"[1, 2]",
        b"{}",
        b'{"type": ["result"], "message": 3}',
        b'{"type": "assistant", "message": {"content": "x", "usage": []}}',
        b'{"type": "system", "subtype": "init"',
        b"{" * 100_000,
        b"x" * 5_000_000,
    ],
    ids=range(12),
)
def test_what_is_no_event_is_passed_over(between: bytes):
    assert claude(INIT, between, RESULT, between) == claude(INIT, RESULT)


def test_a_line_of_five_megabytes_is_read():
    long = {"type": "user", "message": {"content": "x" * 5_000_000}}
    assert claude(INIT, long, RESULT | {"result": "y" * 5_000_000}).fields["text"] == "y" * record.LONGEST


def test_the_order_of_keys_is_no_matter():
    assert claude(dict(reversed(RESULT.items()))) == claude(RESULT)


def test_a_line_that_was_cut_is_no_result():
    found = record.read("claude", [*lines(INIT, RESULT)[:1], lines(RESULT)[0][:-9]])
    assert found.ended is None
    agent = Agent(name="claude", run=(), format="claude")
    said = verdict.fault(agent, found, passed=True, stopped=False, idle=False)
    assert said == "claude ended without saying that it is done"


def test_events_after_the_result_change_nothing_but_what_they_say():
    assert claude(INIT, RESULT, {"type": "system", "subtype": "status"}).ended


def test_of_two_results_the_last_words_count():
    found = claude(RESULT | {"is_error": True, "result": "overloaded"}, RESULT)
    assert (found.text, found.reason) == ("done", "")
    assert claude(RESULT, RESULT | {"result": ""}).text == "done"


def test_an_error_that_calls_itself_a_success_is_one():
    assert claude(RESULT | {"is_error": True, "result": "Credit balance is too low"}).reason.startswith(
        "Credit"
    )
    assert claude({"type": "result", "subtype": "error_max_turns"}).reason == "error_max_turns"


def test_a_message_that_is_told_twice_is_paid_once():
    found = claude(
        message("a", input_tokens=5, output_tokens=1), message("a", input_tokens=5, output_tokens=1)
    )
    assert found.used == Usage(tokens_in=5, tokens_out=1)
    assert found.fields["turns"] == 1


def test_the_sum_at_the_end_counts_alone():
    found = claude(message("a", input_tokens=500, output_tokens=1), RESULT)
    assert found.used == Usage(tokens_in=12, tokens_out=3, tokens_cached=2, cost=0.5)


def test_a_cost_that_nobody_told_is_not_0():
    told = {key: value for key, value in RESULT.items() if key != "total_cost_usd"}
    assert claude(told).used.cost is None
    step = {"type": "step_finish", "part": {"id": "1", "reason": "stop", "tokens": {"input": 5}, "cost": 0}}
    assert record.read("opencode", lines(step)).used.cost is None
    paid = {"type": "step_finish", "part": {"id": "2", "reason": "stop", "tokens": {"input": 5}, "cost": 0.1}}
    assert record.read("opencode", lines(step, paid)).used.cost is None
    assert record.read("opencode", lines(paid)).used.cost == 0.1


def test_plain_text_tells_its_last_line():
    assert record.read("text", [b"first", b"last", b" "]) == Record(text="last", form="text")


def test_exit_1_after_a_good_result_is_told_as_that():
    agent = Agent(name="claude", run=(), format="claude")
    said = verdict.fault(agent, claude(INIT, RESULT), passed=False, stopped=False, idle=False)
    assert said == "though claude says that it is done"


def test_a_failure_without_a_word_is_a_failure():
    found = claude(INIT, {"type": "result", "is_error": True})
    assert (found.ended, found.reason) == (True, "no reason told")


def test_what_was_refused_before_an_answer_is_past():
    retry = {"type": "system", "subtype": "api_retry", "retry_delay_ms": 500, "error_status": 529}
    answer = {"type": "assistant", "message": {"id": "m1", "content": [], "usage": USAGE}}
    limited = {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1795788000}}
    allowed = {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed"}}
    found = record.read("claude", lines(INIT, limited, allowed, retry, retry, answer, retry))
    assert (found.retries, found.vain, found.status, found.resets) == (3, 1, 529, 0)
    found |= record.claude(answer)
    assert (found.retries, found.vain, found.status) == (3, 0, 0)
    spoken = {"type": "assistant", "message": {"model": "<synthetic>", "content": []}}
    assert record.read("claude", lines(retry, spoken)).status == 529
    broken = {"type": "error", "message": "Reconnecting... 1/5 (unexpected status 503)"}
    item = {"type": "item.completed", "item": {"type": "command_execution"}}
    assert record.read("codex", lines(broken)).status == 503
    assert record.read("codex", lines(broken, item)).status == 0
