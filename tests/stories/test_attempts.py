"""Further attempts: who makes them, what they are told, when they are worth it."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.stories import agents

CLAUDE = """
agents:
  claude:
    format: claude
    resume: [--resume, "{session}"]
    run: [claude, --model, "{model}", "{resume}"]
    model: sonnet
  codex: {format: codex, resume: [resume, "{session}"], run: [codex, exec, "{resume}", "-"]}
defaults: {agent: claude}
"""
ARGUMENTS = 'printf "%s " "$@" >> $HOME/arguments; echo >> $HOME/arguments\n'


def arguments(p) -> list[str]:
    path = p.path.parent / "home/arguments"
    return path.read_text().splitlines() if path.exists() else []


def with_agent(project, script: str, phase: str, name: str = "claude"):
    p = project(f"{CLAUDE}\nphases: {{a: {{prompt: p.md, {phase}}}}}", **{"p.md": "Do it.\n"})
    agents.install(p, ARGUMENTS + script, name)
    return p


def failing(said: str, **more: object) -> str:
    return agents.say(agents.INIT, agents.RESULT | {"is_error": True, "result": said} | more) + "exit 1\n"


ONCE = "[ ! -e $HOME/again ] || { echo a > a; SAY_DONE exit; }\ntouch $HOME/again\n"


def once(then: str) -> str:
    """A script that does this the first time and from then on what it should."""
    return ONCE.replace("SAY_DONE", "\n" + agents.done()) + then


def test_a_further_attempt_is_told_why_the_one_before_failed(project):
    p = with_agent(project, once("echo something > $ADW_OUT/left; exit 3"), "retries: 1")
    p.adws("sdlc", "ADW_ID=x")
    prompt = agents.prompt(p, "a", 2)
    assert prompt.startswith("Do it.\n")
    assert "\n<failure-x>\nexit 3; claude ended without saying that it is done\n</failure-x>\n" in prompt
    assert re.search(r"are in `.*/io/failed`", prompt)
    assert agents.prompt(p, "a", 1) == "Do it.\n"


def test_it_goes_on_from_its_session(project):
    p = with_agent(project, once(agents.done() + "exit 3"), "retries: 1")
    p.adws("sdlc", "ADW_ID=x")
    assert arguments(p) == ["--model sonnet ", "--model sonnet --resume s-1 "]


def test_it_goes_on_from_its_session_in_a_later_call(project):
    p = with_agent(project, once(agents.done() + "exit 3"), "")
    p.adws("sdlc", "ADW_ID=x", status=1)
    p.adws("sdlc", "ADW_ID=x")
    assert arguments(p) == ["--model sonnet ", "--model sonnet --resume s-1 "]
    assert "</failure-x>" in agents.prompt(p, "a", 2)


@pytest.mark.slow
def test_another_issue_is_another_session(project):
    p = with_agent(project, once(agents.done() + "exit 3"), "")
    p.adws("sdlc", "ADW_ID=x", status=1)
    (p.path.parent / "issue.md").write_text("# Something else\n")
    p.adws("sdlc", "ADW_ID=x")
    assert arguments(p) == ["--model sonnet ", "--model sonnet "]
    assert agents.prompt(p, "a", 2) == "Do it.\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "session",
    ["--dangerously", *(pytest.param(each, marks=pytest.mark.slow) for each in ("../s", "a b", "", "{out}"))],
)
def test_a_session_is_no_option_and_no_path(project, session: str):
    evil = agents.say({"type": "system", "subtype": "init", "session_id": session})
    p = with_agent(project, once(evil + "exit 3"), "retries: 1")
    p.adws("sdlc", "ADW_ID=x")
    assert arguments(p) == ["--model sonnet ", "--model sonnet "]


def test_of_a_session_of_codex_each_attempt_counts_its_own(project):
    def turn(tokens: int) -> str:
        usage = {"input_tokens": tokens, "cached_input_tokens": tokens // 2, "output_tokens": tokens // 10}
        return agents.say(
            {"type": "thread.started", "thread_id": "t-1"},
            {"type": "turn.started"},
            {"type": "turn.completed", "usage": usage},
        )

    p = with_agent(
        project,
        f"[ ! -e $HOME/again ] || {{ echo a > a\n{turn(5000)}exit\n}}\ntouch $HOME/again\n{turn(4000)}exit 1",
        "agent: codex, retries: 1",
        "codex",
    )
    p.adws("sdlc", "ADW_ID=x")
    assert arguments(p) == ["exec - ", "exec resume t-1 - "]
    told = [each["agent"] for each in agents.attempts(p, "a")]
    assert [(each["tokens_in"], each["tokens_cached"], each["tokens_out"]) for each in told] == [
        (4000, 2000, 400),
        (1000, 500, 100),
    ]


def test_somebody_else_makes_the_last_attempt(project):
    p = with_agent(
        project,
        f'[ "$2" = opus ] || {{ {agents.done()}\nexit 3\n}}\n{agents.done()}echo a > a',
        "retries: 1, escalate: {model: opus}",
    )
    p.adws("sdlc", "ADW_ID=x")
    assert [line.split()[1] for line in arguments(p)] == ["sonnet", "sonnet", "opus"]
    last = agents.attempts(p, "a")[-1]
    assert last["escalated"] == "the usual one failed: exit 3; though claude says that it is done"
    assert last["by"] == "claude claude-sonnet-5-5"
    p.adws("verify", "adw/x")
    assert "a: up to date" in p.adws("sdlc", "ADW_ID=x")


def test_another_agent_makes_the_last_attempt(project):
    p = with_agent(project, "exit 3", "escalate: {agent: codex}")
    agents.install(p, agents.say({"type": "turn.completed"}) + "echo a > a", "codex")
    p.adws("sdlc", "ADW_ID=x")
    assert agents.attempts(p, "a")[-1]["by"] == "codex"


@pytest.mark.slow
def test_to_escalate_to_the_same_is_no_further_attempt(project):
    p = with_agent(project, "exit 3", "escalate: {model: sonnet}")
    p.adws("sdlc", "ADW_ID=x", status=1)
    assert len(arguments(p)) == 1


OVERLOADED = {"type": "system", "subtype": "api_retry", "error_status": 529, "retry_delay_ms": 100}


def test_an_overloaded_server_costs_no_attempt(project):
    p = with_agent(project, once(failing("API Error: 529 Overloaded", api_error_status=529)), "retries: 0")
    begun = time.monotonic()
    p.adws("sdlc", "ADW_ID=x")
    assert [each["status"] for each in agents.attempts(p, "a")] == ["failed", "passed"]
    assert time.monotonic() - begun > 2


def test_of_an_overloaded_server_the_agents_repetitions_count_too(project):
    storm = agents.say(*[OVERLOADED] * 13)
    p = with_agent(project, storm + "sleep 100", "retries: 3")
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert re.search(
        r"FAILED a: stopped after \d s; claude repeated 13 requests in vain \(HTTP 529\)\n", said
    )
    assert len(arguments(p)) == 1


@pytest.mark.slow
def test_all_together_they_are_repeated_twelve_times(project):
    busy = agents.say(*[OVERLOADED] * 5) + failing("API Error: 529 Overloaded", api_error_status=529)
    p = with_agent(project, busy, "retries: 3")
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert "FAILED a: exit 1; claude says: API Error: 529 Overloaded\n" in said
    assert len(arguments(p)) == 2


def limit(**more: object) -> str:
    told = {"status": "rejected", "rateLimitType": "five_hour", **more}
    event = {"type": "rate_limit_event", "rate_limit_info": told}
    return agents.say(event) + failing("You've hit your limit")


def test_a_usage_limit_parks_the_run(project):
    until = round(time.time()) + 3600
    p = with_agent(project, limit(resetsAt=until), "retries: 3")
    said = p.adws("sdlc", "ADW_ID=x", status=4)
    at = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(until))
    assert f"a: waiting: waits until {at}: exit 1; claude says: You've hit your limit\n" in said
    assert re.search(r"^a +waiting +[\d.]+ +waits until", said, re.MULTILINE)
    assert "again: adws sdlc ADW_ID=x\n" in said
    assert len(arguments(p)) == 1
    agents.install(p, agents.done() + "echo a > a")
    p.adws("sdlc", "ADW_ID=x")


@pytest.mark.slow
def test_a_usage_limit_without_a_time_parks_it_too(project):
    p = with_agent(project, limit(), "retries: 3")
    said = p.adws("sdlc", "ADW_ID=x", status=4)
    assert "a: waiting: waits until its usage limit is lifted, no time was told: exit 1; claude" in said


def test_what_failed_besides_says_the_exit_code(project):
    p = project(f"{CLAUDE}\nphases: {{a: {{prompt: p.md}}, b: {{run: exit 1}}}}", **{"p.md": "Do it.\n"})
    agents.install(p, limit())
    p.adws("sdlc", "ADW_ID=x", status=1)


def test_what_waits_and_is_not_required_keeps_nobody(project):
    p = project(
        f"{CLAUDE}\nphases: {{a: {{prompt: p.md, continue-on-error: true}}, b: {{run: echo b > b}}}}",
        **{"p.md": "Do it.\n"},
    )
    agents.install(p, limit())
    p.adws("sdlc", "ADW_ID=x")
    assert p.tree("adw/x")["b"] == "b"


@pytest.mark.parametrize(
    ("agent", "script", "said"),
    [
        ("tested: '>=3,<4'", "", "`claude` is version 2.1.330, and what was tested is >=3,<4; install one of those, or change `tested` of agent `claude`"),
        ("tested: '>=2.1'", "oops", "`claude --version` tells no version (exit 0); install it anew"),
        ("tested: '>=2.1'", "exit 1", "`claude --version` tells no version (exit 1); install it anew"),
        (
            "secrets: [KEY_A, KEY_B], login: ~/.claude/login",
            "",
            "neither KEY_A nor KEY_B is set nor is there a login in ~/.claude/login; set one, or log in",
        ),
        ("login: [~/.a, ~/.b]", "", "there is not a login in ~/.a or ~/.b; log in"),
    ],
)  # fmt: skip
def test_an_agent_that_cannot_work_is_told_before_anything_starts(
    project, agent: str, script: str, said: str
):
    p = project(
        f"agents: {{claude: {{run: [claude], {agent}}}}}\n"
        "phases: {a: {run: echo a > a}, b: {prompt: p.md, agent: claude}, c: {prompt: p.md, agent: claude}}",
        **{"p.md": "Do it.\n"},
    )
    program = agents.install(p, "exit 1")
    if script:
        program.write_text(f"#!/bin/sh\necho {script}\n" if script == "oops" else f"#!/bin/sh\n{script}\n")
    told = p.adws("sdlc", "ADW_ID=x", status=3)
    assert told == f"agent `claude`: {said} (for `b`, `c`)\nor name another one: AGENT=builtin\n"
    assert not (p.path / ".adws").exists()


def test_a_key_or_a_login_is_enough(project):
    p = project(
        "agents: {claude: {run: [claude], secrets: [KEY_A, KEY_B], login: ~/.claude/login, tested: '>=2.1,<3'}}\n"
        "phases: {b: {prompt: p.md, agent: claude}}",
        **{"p.md": "Do it.\n"},
    )
    agents.install(p, "echo a > a")
    p.adws("sdlc", "ADW_ID=x", status=3)
    p.adws("sdlc", "ADW_ID=x", KEY_B="k")
    (p.path.parent / "home/.claude").mkdir()
    (p.path.parent / "home/.claude/login").touch()
    p.adws("sdlc", "ADW_ID=y")


def test_who_repairs_and_who_resolves_has_to_be_there_too(project):
    p = project(
        "agents: {one: {run: [one]}, two: {run: [two]}, three: {run: [three]}}\n"
        "merge: {resolve: {prompt: p.md, agent: three}}\n"
        "phases: {a: {run: echo a > a, repair: {prompt: p.md, agent: two}}}",
        **{"p.md": "Do it.\n"},
    )
    said = p.adws("sdlc", "ADW_ID=x", status=3)
    assert said.splitlines()[:2] == [
        "agent `two`: no program `two` on PATH; install it (for `a`)",
        "agent `three`: no program `three` on PATH; install it (for `merge`)",
    ]


def test_the_record_of_an_attempt_is_complete(project):
    p = with_agent(project, agents.done() + "echo a > a", "")
    p.adws("sdlc", "ADW_ID=x")
    told = agents.state(p)["a_agent"]
    assert told == {
        "name": "claude", "model": "claude-sonnet-5-5", "session": "s-1", "text": "Did it.", "turns": 2,
        "tokens_in": 0, "tokens_out": 0, "tokens_cached": 0, "cost": 0.25, "denials": [], "retries": 0,
        "status": None, "reason": "", "slot": told["slot"], "thread": told["thread"], "resumed": False,
    }  # fmt: skip
    assert json.dumps(told)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1760000000000}},
        {
            "type": "result",
            "is_error": True,
            "result": "hit your usage limit, try again in 999999999999 days",
        },
        {"type": "system", "subtype": "api_retry", "error_status": 529, "retry_delay_ms": 9e14},
    ],
)
def test_no_time_that_an_agent_tells_is_a_bug_of_ours(project, event):
    p = with_agent(project, agents.say(event) + failing("You've hit your limit"), "")
    said = p.adws("sdlc", "ADW_ID=x", status=4)
    assert "waits until its usage limit is lifted, no time was told" in said


def test_half_an_emoji_is_no_bug_of_ours_either(project):
    p = with_agent(project, failing("cut \ud83d"), "retries: 1")
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert "FAILED a: exit 1; claude says: cut ?\n" in said
    assert "claude says: cut ?" in agents.prompt(p, "a", 2)


def test_a_number_in_the_id_of_a_request_is_no_status(project):
    lines = agents.say(
        {"type": "error", "message": "Reconnecting... 1/5 (stream closed, request id 7f401c2b)"}
    )
    p = with_agent(
        project,
        lines + agents.say({"type": "turn.completed"}) + "sleep 2; echo a > a",
        "agent: codex",
        "codex",
    )
    p.adws("sdlc", "ADW_ID=x")


def test_a_key_that_was_refused_once_does_not_end_the_retries(project):
    once_refused = agents.say({"type": "system", "subtype": "api_retry", "error_status": 401}) + agents.done()
    p = with_agent(project, once_refused + "exit 3", "retries: 2")
    p.adws("sdlc", "ADW_ID=x", status=1)
    assert len(arguments(p)) == 3


def test_a_run_that_ends_while_it_waits_has_failed(project):
    p = project(f"{CLAUDE}\ntimeout: 3s\nphases: {{a: {{prompt: p.md}}}}", **{"p.md": "Do it.\n"})
    agents.install(p, failing("API Error: 529 Overloaded", api_error_status=529))
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert "FAILED a: exit 1; claude says: API Error: 529 Overloaded" in said


def test_all_agents_are_swapped_also_who_escalates(project):
    p = with_agent(project, "exit 3", "escalate: {agent: codex}")
    p.adws("sdlc", "ADW_ID=x", "AGENT=claude", status=1)
    assert len(arguments(p)) == 1


def test_each_agent_is_asked_for_its_version_once(project):
    p = project(
        "agents: {claude: {run: [claude], tested: '>=2'}}\ndefaults: {agent: claude}\n"
        "phases: {a: {prompt: p.md}, b: {prompt: p.md}, c: {run: echo c > c, repair: {prompt: p.md}}}",
        **{"p.md": "Do it.\n"},
    )
    program = agents.install(p, "echo $ADW_PHASE > $ADW_PHASE")
    program.write_text(
        program.read_text().replace('echo "2.1.330', 'echo asked >> $HOME/asked; echo "2.1.330')
    )
    p.adws("sdlc", "ADW_ID=x")
    assert (p.path.parent / "home/asked").read_text() == "asked\n"
