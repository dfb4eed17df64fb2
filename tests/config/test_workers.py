"""Who works on what: models, caps, helpers, and every way in which they can be wrong."""

from __future__ import annotations

import pytest

from adws.model import Agent
from tests.config.conftest import AGENTS, complaints, load, phase, refused

SCOUT = "prompt: prompts/scout.md, agent: other"
MODELS = "agents: {a: {run: [x, '{model}'], model: own}, b: {run: [x, '{model}'], model: small}}"


def wrong(fields: str, run: str = "[x]") -> str:
    text = f"agents: {{a: {{run: {run}, {fields}}}}}\nphases: {{p: {{prompt: prompts/plan.md, agent: a}}}}"
    (said,) = complaints(f"version: 1\n{text}")
    return said.split(": ", 1)[1]


def test_an_agent_says_how_it_is_told_caps_and_sessions():
    text = """
agents:
  a:
    tested: '>=2.1,<3'
    login: [~/.a, ~/.b]
    limits: {max-turns: [--turns, '{max_turns}'], max-cost: ['--cost={max_cost}']}
    resume: [--resume, '{session}']
    run: [x, '{limits}', '{resume}', '-']
phases: {p: {prompt: prompts/plan.md, agent: a}}
"""
    assert load(text).phases[0].agent == Agent(
        name="a",
        run=("x", "{limits}", "{resume}", "-"),
        tested=">=2.1,<3",
        login=("~/.a", "~/.b"),
        limits=(("max-turns", ("--turns", "{max_turns}")), ("max-cost", ("--cost={max_cost}",))),
        resume=("--resume", "{session}"),
    )


TOGETHER = "`{0}` and an argument `{{{0}}}` in `run`, alone and once, belong together"


@pytest.mark.parametrize(
    ("fields", "run", "said"),
    [
        ("resume: [-r, '{session}']", "[x]", f"agent `a`: {TOGETHER.format('resume')}"),
        ("resume: [-r, '{session}']", "[x, '-{resume}']", f"agent `a`: {TOGETHER.format('resume')}"),
        ("resume: [-r]", "[x, '{resume}', '{resume}']", f"agent `a`: {TOGETHER.format('resume')}"),
        ("model: m", "[x, '{limits}']", f"agent `a`: {TOGETHER.format('limits')}"),
        ("resume: -r", "[x, '{resume}']", "`resume` has to be a list of arguments, such as `[--resume, '{session}']`, not `-r`"),
        ("resume: ['{sesion}']", "[x, '{resume}']", "unknown placeholder `{sesion}` (known: {session}); did you mean `{session}`?"),
        ("limits: {max-turns: 5}", "[x, '{limits}']", "`max-turns` has to be a list of arguments, such as `[--max-turns, '{max_turns}']`, not `5`"),
        ("limits: {max-turn: [x]}", "[x, '{limits}']", "unknown key `max-turn` in `limits`; did you mean `max-turns`?"),
        ("tested: newest", "[x]", "`tested` has to be a range of versions, such as `>=2.1,<3`, not `newest`"),
        ("login: .a", "[x]", "`login` has to be absolute or below home, such as `~/.claude`, not `.a`"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_agent_is_told(fields: str, run: str, said: str):
    assert wrong(fields, run) == said


def test_a_model_is_for_its_agent():
    text = f"{MODELS}\ndefaults: {{agent: a}}\nphases: {{p: {{prompt: prompts/plan.md, model: {{a: big, b: huge}}}}}}"
    assert load(text).phases[0].model == "big"
    assert load(text, agent="b").phases[0].model == "huge"
    one = text.replace("{a: big, b: huge}", "{a: big}")
    assert load(one, agent="b").phases[0].model == "small"


def test_a_model_for_nobody_is_told():
    said = complaints(
        f"version: 1\n{MODELS}\nphases: {{p: {{prompt: prompts/plan.md, agent: a, model: {{aa: big}}}}}}"
    )
    assert said == ["3:57: there is no agent `aa` for this `model`; did you mean `a`?"]


@pytest.mark.parametrize(
    ("written", "amount"), [("2", 2.0), ("2.5", 2.5), ("0.05", 0.05), ("2.5000", 2.5), ("999999", 999999.0)]
)
def test_a_cost_is_an_amount(written: str, amount: float):
    claude = "agents: {other: {format: claude, run: [x]}}"
    assert phase(f"{SCOUT}, max-cost: {written}", more=claude).caps == (("max-cost", amount),)


@pytest.mark.parametrize("written", ["0", "0.00", "-1", "1e3", "$2", "'2'", ".5", "2.55555", "many", "[1]"])
def test_no_other_is(written: str):
    claude = "agents: {other: {format: claude, run: [x]}}"
    (said,) = complaints(f"version: 1\n{claude}\nphases: {{a: {{{SCOUT}, max-cost: {written}}}}}")
    assert "`max-cost` has to be US dollars, such as `2.50`, not " in said


@pytest.mark.parametrize("key", ["max-cost: 1", "max-turns: 1", "max-tokens: 1", "escalate: {model: m}"])
def test_what_is_for_agents_is_told_where_there_is_none(key: str):
    (said,) = complaints(f"version: 1\nphases: {{a: {{run: x, {key}}}}}")
    word = key.partition(":")[0]
    assert said.endswith(f"`{word}` is for a phase with a `prompt`, and `a` has `run`; remove it")


def test_defaults_of_caps_are_for_agents_only():
    text = f"{AGENTS}defaults: {{max-tokens: 5, agent: tool}}\nphases: {{a: {{run: x}}}}"
    assert load(text).phases[0].caps == ()
    with_limits = "agents: {tool: {run: [x, '{limits}'], limits: {max-tokens: ['{max_tokens}']}}}\n"
    text = (
        f"{with_limits}defaults: {{max-tokens: 5, agent: tool}}\nphases: {{a: {{prompt: prompts/plan.md}}}}"
    )
    assert load(text).phases[0].caps == (("max-tokens", 5),)


def test_a_repair_has_what_its_phase_has_and_what_it_says_itself():
    text = f"""
{AGENTS}
phases:
  a:
    run: x
    env: {{A: 1}}
    keep: {{.venv: uv.lock}}
    timeout: 1m
    writes: []
    evidence: junit.xml
    repair: {{prompt: prompts/repair.md, agent: tool, attempts: 3, timeout: 5m, writes: src/**, frozen: src/x}}
"""
    found = load(text).phases[0]
    assert found.repair
    assert (found.repairs, found.repair.name, found.repair.role) == (3, "a", "repair")
    assert found.repair.prompt
    assert found.repair.prompt.startswith("# Repair")
    assert (found.repair.env, found.repair.keep) == ((("A", "1"),), ((".venv", ("uv.lock",)),))
    assert (found.repair.timeout, found.repair.writes, found.repair.frozen) == (
        300.0,
        ("src/**",),
        ("src/x",),
    )
    assert (found.repair.evidence, found.repair.run, found.repair.must_change) == ((), None, True)


def test_a_shard_has_a_repair_of_its_own():
    text = f"""
{AGENTS}
phases: {{a: {{matrix: {{py: ["3.11", "3.12"]}}, run: x, repair: {{prompt: prompts/repair.md, agent: tool}}}}}}
"""
    repairs = [each.repair for each in load(text).phases]
    assert [each.name for each in repairs if each] == ["a:3.11", "a:3.12"]
    assert [dict(each.env)["py"] for each in repairs if each] == ["3.11", "3.12"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("phases: {a: {run: x, repair: {agent: tool}}}", "`repair` has no `prompt`; give it one, such as `prompts/repair.md`"),
        ("phases: {a: {run: x, repair: {prompt: prompts/repair.md}}}", "phase `a` has no agent; name one with `agent`, there or in `defaults`"),
        ("phases: {a: {run: x, repair: {prompt: prompts/repair.md, agent: tol}}}", "phase `a` has unknown agent `tol`; did you mean `tool`?"),
        ("phases: {a: {run: x, repair: {prompt: prompts/repair.md, agent: tool, attempts: 0}}}", "`attempts` has to be a whole number from 1 to 10, not `0`"),
        ("phases: {a: {run: x, repair: {script: y}}}", "unknown key `script` in `repair`"),
        ("phases: {a: {run: x, repair: yes}}", "`repair` has to be a mapping (`key: value`), not `yes`"),
        ("phases: {a: {run: x, fix: {}}}", "unknown key `fix` in phase `a`; did you mean `repair`?"),
        ("merge: {resolve: {agent: tool}}\nphases: {a: {run: x}}", "`resolve` has no `prompt`; give it one, such as `prompts/resolve.md`"),
        ("merge: {resolve: {prompt: prompts/resolve.md, agent: tool, writes: x}}\nphases: {a: {run: x}}", "unknown key `writes` in `resolve`"),
        ("phases: {a: {run: x, leaves: [result.json]}}", "`leaves` has to be a mapping (`key: value`), not a list"),
        ("phases: {a: {run: x, leaves: {result.txt: a}}}", "`result.txt` in `leaves` has to be a JSON file, such as `result.json`"),
        ("phases: {a: {run: x, leaves: {../r.json: a}}}", "`leaves` has to be relative with no `..`, no `.git`, no `!*?[\\`, such as `result.json`, not `../r.json`"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_helper_is_told(text: str, said: str):
    first = refused(f"version: 1\n{AGENTS}{text}").splitlines()[0]
    assert first.split(": ", 1)[1].startswith(said)


def test_builtin_repairs_and_resolves_nothing():
    builtin = "agents: {b: {format: builtin, run: [x]}}\ndefaults: {agent: b}\n"
    text = f"{builtin}merge: {{resolve: {{prompt: prompts/resolve.md}}}}\nphases: {{a: {{run: x, repair: {{prompt: prompts/repair.md}}}}}}"
    found = load(text)
    assert (found.phases[0].repair, found.phases[0].repairs, found.resolve) == (None, 0, None)


def test_who_escalates_says_to_whom():
    text = f"{MODELS}\ndefaults: {{agent: a}}\nphases: {{p: {{prompt: prompts/plan.md, escalate: {{agent: b}}}}}}"
    found = load(text).phases[0]
    assert found.escalate
    assert found.escalate.agent
    assert (found.escalate.agent.name, found.escalate.model) == ("b", "small")
    # somebody else does it in this run, and the last attempt is still as written; unless all agents are swapped
    swapped = load(text, agent="p=a").phases[0].escalate
    assert swapped
    assert swapped.agent
    assert swapped.agent.name == "b"
    assert load(text, agent="a").phases[0].escalate is None
