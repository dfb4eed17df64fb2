"""When a vendor that says no for now is worth another try, as their own words tell it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from adws.agents import limits, record, verdict
from tests.agents.test_record import lines

NOW = datetime(2026, 11, 27, 14, 30, tzinfo=timezone(timedelta(hours=1)))
"""Half past one in UTC."""


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("Claude AI usage limit reached|1795788000", "2026-11-27T15:00:00+01:00"),
        ("You've hit your limit · resets 3pm (UTC)", "2026-11-27T16:00:00+01:00"),
        ("You've hit your session limit · resets 3:30pm (Asia/Shanghai)", "2026-11-28T08:30:00+01:00"),
        ("5-hour limit reached ∙ resets 3pm", "2026-11-27T15:00:00+01:00"),
        ("5-hour limit reached ∙ resets 12am", "2026-11-28T00:00:00+01:00"),
        ("weekly limit reached · resets Dec 1, 12:30pm", "2026-12-01T12:30:00+01:00"),
        ("weekly limit reached · resets Jan 2, 9am", "2027-01-02T09:00:00+01:00"),
        ("You've hit your usage limit. Try again at 3:51 PM.", "2026-11-27T15:51:00+01:00"),
        ("You've hit your usage limit. Please try again at Nov 29th, 2026 12:55 AM.", "2026-11-29T00:55:00+01:00"),
        ("hit your usage limit. Upgrade or try again in 2 days 17 hours 14 minutes.", "2026-11-30T07:44:00+01:00"),
        ("Your quota will reset after 3h12m.", "2026-11-27T17:42:00+01:00"),
        ("Quota exceeded. Please retry in 2s.. Retrying after 5872ms...", "2026-11-27T14:30:02+01:00"),
        ("Rate limit reached. Please try again in 1.5s. Visit", "2026-11-27T14:30:01.500000+01:00"),
        ("429 Too Many Requests; retry-after: 30", "2026-11-27T14:30:30+01:00"),
        ('{"type":"usage_limit_reached","resets_at":1795788000,"resets_in_seconds":9568}', "2026-11-27T15:00:00+01:00"),
    ],
)  # fmt: skip
def test_the_time_is_read_off_the_words(said: str, at: str):
    found = limits.resets(said, NOW)
    assert found is not None
    assert found.isoformat() == at


@pytest.mark.parametrize(
    "said",
    [
        "try again later",
        "resets at 25:00",
        "resets Foo 1, 3pm",
        "it resets 3",
        "resets 99pm",
        "try again on 31 Feb",
        "",
    ],
)
def test_no_time_is_made_up(said: str):
    assert limits.resets(said, NOW) is None


@pytest.mark.parametrize(
    ("said", "limited"),
    [
        ("You've hit your limit · resets 3pm (UTC)", True),
        ("You're out of extra usage · resets 3pm", True),
        ("Your group's usage limit is set to $0", True),
        ("You exceeded your current quota, please check your plan and billing details", True),
        ("You have reached your weekly limit", True),
        ("Reached maximum number of turns (2)", False),
        ("exceeded retry limit, last status: 429 Too Many Requests", False),
        ("Prompt is too long", False),
        ("Credit balance is too low", False),
        ("API Error: 529 Overloaded", False),
    ],
)
def test_a_usage_limit_is_told_from_other_limits(said: str, limited: bool):
    assert limits.is_told(said) == limited


def again(form: str, *events: object) -> datetime | None:
    return verdict.again_at(record.read(form, lines(*events)), NOW)


def result(said: str, **more: object) -> dict[str, object]:
    return {"type": "result", "subtype": "success", "is_error": True, "result": said, **more}


def test_the_event_of_claude_is_believed_before_its_words():
    told = {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1795788000}}
    at = again("claude", told, result("You've hit your limit · resets 9pm (UTC)"))
    assert at is not None
    assert at.isoformat() == "2026-11-27T15:00:00+01:00"


def test_a_warning_is_no_limit():
    told = {
        "type": "rate_limit_event",
        "rate_limit_info": {"status": "allowed_warning", "resetsAt": 1795788000},
    }
    done = {"type": "result", "subtype": "success", "is_error": False, "result": "done"}
    assert again("claude", told, done) is None
    assert again("claude", told, result("Credit balance is too low")) is None


def test_a_limit_without_a_time_is_lifted_some_day():
    assert again("claude", result("You have reached your weekly limit")) == verdict.SOME_DAY


def test_an_overloaded_server_is_asked_again_after_its_own_delay():
    retry = {"type": "system", "subtype": "api_retry", "error_status": 529, "retry_delay_ms": 4000}
    at = again("claude", retry, result("API Error: 529 Overloaded", api_error_status=529))
    assert at == NOW + timedelta(seconds=4)


def test_what_a_retry_does_not_mend_is_not_asked_again():
    assert again("claude", result("Prompt is too long", api_error_status=400)) is None
    failed = {"type": "turn.failed", "error": {"message": "unexpected status 401 Unauthorized"}}
    assert again("codex", failed) is None


def test_codex_tells_both_by_words():
    limited = {
        "type": "turn.failed",
        "error": {"message": "You've hit your usage limit. Try again at 3:51 PM."},
    }
    assert again("codex", limited) == NOW.replace(hour=15, minute=51)
    busy = {
        "type": "turn.failed",
        "error": {"message": "exceeded retry limit, last status: 429 Too Many Requests"},
    }
    assert again("codex", busy) == NOW


def test_a_full_disk_is_no_usage_limit():
    assert limits.is_told(
        "You have exhausted your capacity on this model. Your quota will reset after 3h20m10s."
    )
    assert not limits.is_told("EDQUOT: disk quota exceeded, write")
