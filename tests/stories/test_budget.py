"""What agents may use: kept by their own switches, by what they tell while they work, over attempts and calls."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from tests.conftest import BIN
from tests.stories import agents

AGENTS = """
agents:
  claude:
    format: claude
    limits: {max-cost: [--budget, "{max_cost}"], max-turns: [--turns, "{max_turns}"]}
    run: [claude, "{limits}"]
  codex: {format: codex, run: [codex]}
  tool: {run: [tool]}
defaults: {agent: claude}
"""
ARGUMENTS = 'printf "%s " $ADW_PHASE "$@" >> $HOME/arguments; echo >> $HOME/arguments\n'


def turn(number: int, tokens: int) -> dict[str, Any]:
    usage = {"input_tokens": tokens, "output_tokens": 0}
    return {"type": "assistant", "message": {"id": f"m{number}", "content": [], "usage": usage}}


def used(tokens: int, cost: float) -> str:
    return agents.done(total_cost_usd=cost, usage={"input_tokens": tokens, "output_tokens": 0})


def arguments(p) -> list[str]:
    return (p.path.parent / "home/arguments").read_text().splitlines()


def with_agent(project, script: str, phases: str):
    p = project(f"{AGENTS}\n{phases}", **{"p.md": "Do it.\n"})
    agents.install(p, ARGUMENTS + script)
    return p


def test_the_agents_own_switches_say_what_is_left(project):
    p = with_agent(
        project,
        used(100, 0.75) + "exit 1",
        "phases: {a: {prompt: p.md, retries: 1, max-cost: 2.5, max-turns: 5, max-tokens: 1000}}",
    )
    p.adws("sdlc", "ADW_ID=x", status=1)
    assert arguments(p) == ["a --budget 2.5 --turns 5 ", "a --budget 1.75 --turns 3 "]


def test_a_cap_is_kept_over_attempts_and_calls(project):
    p = with_agent(
        project, used(400, 0.1) + "exit 1", "phases: {a: {prompt: p.md, retries: 5, max-tokens: 1000}}"
    )
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    why = "FAILED a: exit 1; though claude says that it is done; phase `a` has used its `max-tokens` of 1000; raise it to go on\n"
    assert why in said
    assert len(arguments(p)) == 3
    assert why in p.adws("sdlc", "ADW_ID=x", status=1)
    assert len(arguments(p)) == 3
    p.write("pipeline.yaml", (p.path / "pipeline.yaml").read_text().replace("1000", "2000"))
    agents.install(p, used(100, 0.1) + "echo a > a")
    p.adws("sdlc", "ADW_ID=x")


def test_who_uses_more_is_ended_at_once(project):
    flood = "".join(agents.say(turn(number, 300)) for number in range(5))
    p = with_agent(
        project, flood + "echo a > a; sleep 100", "phases: {a: {prompt: p.md, retries: 3, max-tokens: 1000}}"
    )
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    why = r"stopped after \d s; it used 1500 of the 1000 that `max-tokens` leaves it"
    assert re.search(f"FAILED a: {why}\n", said)
    assert len(agents.attempts(p, "a")) == 1


def test_turns_are_counted_where_the_agent_does_not(project):
    steps = "".join(agents.say(turn(number, 1)) for number in range(4))
    phases = "agents: {claude: {format: claude, run: [claude]}}\nphases: {a: {prompt: p.md, max-turns: 3}}"
    p = project(f"defaults: {{agent: claude}}\n{phases}", **{"p.md": "Do it.\n"})
    agents.install(p, steps + "sleep 100")
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert "it used 4 of the 3 that `max-turns` leaves it\n" in said


def test_what_a_killed_attempt_has_used_counts(project):
    p = with_agent(
        project,
        agents.say(turn(1, 900)) + "sleep 2; kill -9 $(cat $HOME/pid); sleep 100",
        "phases: {a: {prompt: p.md, max-tokens: 1000}}",
    )
    p.run(
        "sh", "-c", "echo $$ > $HOME/pid; exec adws sdlc ADW_ID=x", status=-9, PATH=f"{BIN}:{p.env['PATH']}"
    )
    agents.install(p, agents.say(turn(1, 200)) + "sleep 100")
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert "it used 200 of the 100 that `max-tokens` leaves it" in said


SIDE_BY_SIDE = """
max-cost: 3
phases:
  a: {prompt: p.md}
  b: {needs: a, prompt: p.md}
  c: {needs: a, prompt: p.md}
"""


def test_phases_side_by_side_share_what_is_left_of_the_run(project):
    p = with_agent(project, used(1, 1.0) + "echo $ADW_PHASE > $ADW_PHASE", SIDE_BY_SIDE)
    p.adws("sdlc", "ADW_ID=x")
    assert sorted(arguments(p)) == ["a --budget 3 ", "b --budget 1 ", "c --budget 1 "]


def test_a_run_that_has_used_all_of_it_begins_nothing(project):
    p = with_agent(project, used(1, 3.0) + "echo $ADW_PHASE > $ADW_PHASE", SIDE_BY_SIDE)
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert "FAILED b: the run has used its `max-cost` of 3; raise it to go on\n" in said
    assert arguments(p) == ["a --budget 3 "]


def test_a_cost_that_is_not_told_is_red_where_it_is_capped(project):
    script = agents.done(total_cost_usd=None, usage={"input_tokens": 5}) + "echo a > a"
    p = with_agent(project, script, "phases: {a: {prompt: p.md, retries: 2, max-cost: 1}}")
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    why = "it did not tell what it cost, so `max-cost` cannot be kept; set `max-tokens`"
    assert f"FAILED a: {why}\n" in said
    assert len(arguments(p)) == 1


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        (
            "phases: {a: {prompt: p.md, agent: codex, max-cost: 1}}",
            "`max-cost` cannot be kept in phase `a`: agent `codex` does not tell what it uses of it (it tells: "
            "`max-tokens`)",
        ),
        (
            "max-tokens: 5\nphases: {a: {prompt: p.md, agent: tool}}",
            "`max-tokens` cannot be kept in phase `a`: agent `tool` does not tell what it uses of it (it tells: none)",
        ),
        (
            "max-turns: 5\nphases: {a: {run: x, repair: {prompt: p.md, agent: codex}}}",
            "`max-turns` cannot be kept in phase `a`: agent `codex` does not tell what it uses of it (it tells: "
            "`max-tokens`)",
        ),
    ],
)
def test_a_cap_that_nobody_can_keep_is_refused_before_anything_starts(project, phases: str, said: str):
    p = with_agent(project, "", phases)
    assert p.adws("sdlc", "ADW_ID=x", status=3) == (
        f"pipeline.yaml: {said}; leave it out, or give the agent `limits`\n"
    )
    assert not (p.path / ".adws").exists()


def test_the_embedded_agent_uses_nothing(project):
    p = project(issue="# Look\n", **{"pipeline.yaml": "version: 1\ninclude: sdlc.yaml\nmax-cost: 0.01\n"})
    p.adws("scout", "ADW_ID=x")


def test_a_share_that_cannot_be_had_is_no_pass(project):
    p = with_agent(project, used(1, 0.1), "timeout: 3s\nphases: {a: {prompt: p.md, max-cost: 1}}")
    (p.path / ".git/adws").mkdir()
    lock = p.path / ".git/adws/.budget.lock"
    holder = subprocess.Popen(["flock", lock, "sleep", "30"])
    try:
        said = p.adws("sdlc", "ADW_ID=x", status=1)
    finally:
        holder.kill()
    assert "FAILED a: its share of the caps could not be had until the run's time limit\n" in said


def test_a_timeout_is_no_cost_that_was_not_told(project):
    script = agents.say(turn(1, 5)) + "sleep 20"
    p = with_agent(project, script, "phases: {a: {prompt: p.md, retries: 1, timeout: 1s, max-cost: 5}}")
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert "FAILED a: timed out after 1 s\n" in said
    assert len(arguments(p)) == 2


def test_turns_are_shared_in_whole_numbers(project):
    p = with_agent(
        project,
        used(1, 0.1) + "echo $ADW_PHASE > $ADW_PHASE",
        "max-turns: 10\nphases: {a: {prompt: p.md}, b: {prompt: p.md}, c: {prompt: p.md}}",
    )
    p.adws("sdlc", "ADW_ID=x")
    # 3 each, and somewhat less or more for who begins when another has ended
    assert [bool(re.fullmatch(r"[abc] --turns [2-4] ", line)) for line in arguments(p)] == [True] * 3


@pytest.mark.slow
def test_what_is_not_wanted_gets_no_share(project):
    p = with_agent(
        project,
        used(1, 0.1) + "echo $ADW_PHASE > $ADW_PHASE",
        "max-cost: 3\nphases: {a: {prompt: p.md}, b: {prompt: p.md}}\nworkflows: {one: a}",
    )
    p.adws("one", "ADW_ID=x")
    assert arguments(p) == ["a --budget 3 "]


def test_the_caps_of_a_repair_are_its_own(project):
    script = used(1, 0.75) + (
        "if grep -q '^# Repair'; then echo good > f; else\n"
        """grep -q good f || echo '{"findings": [{"severity": "blocker", "message": "m"}]}' > $ADW_OUT/result.json\nfi"""
    )
    p = with_agent(
        project,
        script,
        "phases: {a: {prompt: p.md, writes: [], repair: {prompt: prompts/repair.md, max-cost: 0.5}}}",
    )
    p.write("f", "bad\n")
    p.commit()
    p.adws("sdlc", "ADW_ID=x", status=None)
    assert arguments(p)[:2] == ["a ", "a --budget 0.5 "]


@pytest.mark.slow
@pytest.mark.parametrize("cost", [-5, "NaN", True, "free"])
def test_a_cost_that_cannot_be_is_none(project, cost: object):
    said = agents.done(total_cost_usd=cost, usage={"input_tokens": 5}).replace('"NaN"', "NaN")
    p = with_agent(project, said + "echo a > a", "phases: {a: {prompt: p.md, max-cost: 1}}")
    assert "it did not tell what it cost" in p.adws("sdlc", "ADW_ID=x", status=1)


@pytest.mark.slow
def test_who_writes_into_the_accounts_does_not_stop_the_run(project):
    p = with_agent(project, used(1, 0.1) + "exit 3", "phases: {a: {prompt: p.md, max-cost: 5}}")
    p.adws("sdlc", "ADW_ID=x", status=1)
    for number, content in enumerate(["", "{", "[]", '{"call": 1, "share": {}, "used": []}'], 2):
        folder = p.path / f".adws/runs/x/a/attempt-{number}"
        folder.mkdir()
        (folder / "usage.json").write_text(content)
    p.adws("sdlc", "ADW_ID=x", status=1)
    assert arguments(p) == ["a --budget 5 ", "a --budget 4.9 "]


def test_caps_are_for_those_who_resolve_too(project):
    p = with_agent(
        project, "", "phases: {a: {run: x}}\nmerge: {resolve: {prompt: p.md, agent: tool, max-cost: 1}}"
    )
    said = p.adws("sdlc", "ADW_ID=x", status=3)
    assert "`max-cost` cannot be kept in phase `merge`: agent `tool` does not tell what it uses of it" in said


def test_a_call_that_goes_on_from_no_session_counts_whole(project):
    """The sums of an agent without `resume` are those of the one call."""
    models = {"m": {"inputTokens": 400, "outputTokens": 0}}
    p = with_agent(
        project,
        agents.done(total_cost_usd=0.5, modelUsage=models) + "exit 1",
        "phases: {a: {prompt: p.md, retries: 5, max-cost: 1}}",
    )
    p.adws("sdlc", "ADW_ID=x", status=1)
    assert [each["agent"]["cost"] for each in agents.attempts(p, "a") if each["agent"]] == [0.5, 0.5]
