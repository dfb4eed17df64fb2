"""Phases and agents: what they have to have, what they get by default, and in which order they come."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from adws.model import Agent, Phase
from tests.config.conftest import AGENTS, PACKAGE, complaint, complaints, load, phase

SCOUT = "prompt: prompts/scout.md"


def test_a_phase_that_says_nothing_else_has_the_defaults():
    assert phase("run: make test") == Phase(name="a", doc="make test", run="make test", timeout=600.0)


def test_a_phase_can_say_everything():
    found = phase(
        "doc: Do it, run: [make, -j, 4, ''], env: {A: 1}, timeout: 1m, retries: 10, writes: [], frozen: t/**, "
        "inputs: ['**', '!docs/**'], evidence: junit.xml, must-change: true, continue-on-error: true, "
        "if: test -d docs, dir: web, lock: db, copy: .env, keep: {web/node_modules: web/package-lock.json}, "
        "setup: npm ci, secrets: NPM_TOKEN, outputs: web/dist/**"
    )
    assert found == Phase(
        name="a",
        doc="Do it",
        run=("make", "-j", "4", ""),
        env=(("A", "1"),),
        timeout=60.0,
        retries=10,
        writes=(),
        frozen=("t/**",),
        inputs=("**", "!docs/**"),
        evidence=("junit.xml",),
        must_change=True,
        continue_on_error=True,
        condition="test -d docs",
        dir="web",
        lock="db",
        copy=(".env",),
        keep=(("web/node_modules", ("web/package-lock.json",)),),
        setup="npm ci",
        secrets=("NPM_TOKEN",),
        outputs=("web/dist/**",),
    )


def test_a_prompt_is_read_and_its_agent_resolved():
    found = phase(SCOUT + ", agent: other", more=AGENTS)
    assert found.prompt == (PACKAGE / "prompts/scout.md").read_text()
    assert found.agent == Agent(name="other", run=("other", "{model}"), model="small")
    assert (found.model, found.doc, found.run) == ("small", "prompts/scout.md", None)


@pytest.mark.parametrize("written", ["''", "[p.md]", "{a: b}"])
def test_a_prompt_is_the_name_of_a_file(written: str):
    shown = {"''": "nothing", "[p.md]": "a list"}.get(written, "a mapping")
    assert complaint(f"prompt: {written}, agent: tool", more=AGENTS) == (
        f"`prompt` has to be text, not {shown}"
    )


def test_defaults_hold_where_a_phase_says_nothing():
    defaults = "defaults: {agent: tool, timeout: 3m, retries: 2}\n"
    found = phase(SCOUT, more=AGENTS + defaults)
    assert (found.agent and found.agent.name, found.timeout, found.retries) == ("tool", 180.0, 2)
    found = phase(SCOUT + ", agent: other, timeout: 4m, retries: 0", more=AGENTS + defaults)
    assert (found.agent and found.agent.name, found.timeout, found.retries) == ("other", 240.0, 0)


def test_what_prepares_a_workspace_has_its_defaults_and_a_phase_replaces_them_whole():
    defaults = "defaults: {copy: .env, keep: {.venv: uv.lock, .tox: tox.ini}, setup: uv sync}\n"
    found = phase("run: x", more=defaults)
    assert found.keep == ((".tox", ("tox.ini",)), (".venv", ("uv.lock",)))
    assert (found.copy, found.setup) == ((".env",), "uv sync")
    found = phase("run: x, copy: [], keep: {.venv: [uv.lock]}, setup: [uv, sync, --frozen]", more=defaults)
    assert (found.copy, found.keep) == ((), ((".venv", ("uv.lock",)),))
    assert found.setup == ("uv", "sync", "--frozen")


def test_an_agents_secrets_are_its_phases_too():
    agents = "agents: {b: {run: [x], secrets: [KEY, A]}}\ndefaults: {agent: b}"
    assert phase(SCOUT + ", secrets: [B, KEY]", more=agents).secrets == ("A", "B", "KEY")
    assert phase(SCOUT, more=agents).agent == Agent(name="b", run=("x",), secrets=("KEY", "A"))
    assert phase("run: x", more=agents).secrets == ()


def test_a_secret_cannot_be_a_variable_too():
    whose = "variables of phase `a`, its agent or the defaults; remove one"
    assert complaint("run: x, env: {A: 1}, secrets: [B, A]") == f"`A` is in `secrets` and in the {whose}"
    assert complaint("run: x, secrets: A", more="defaults: {env: {A: 1}}") == (
        f"`A` is in `secrets` and in the {whose}"
    )
    agents = "agents: {b: {run: [x], secrets: A, env: {A: 1}}}"
    assert complaint(SCOUT + ", agent: b", more=agents) == f"`A` is in `secrets` and in the {whose}"
    assert complaint("run: x, secrets: py, matrix: {py: a}") == f"`py` is in `secrets` and in the {whose}"


def test_a_condition_is_text_for_the_shell():
    assert phase("run: x, if: git diff --quiet HEAD~1 -- docs").condition == "git diff --quiet HEAD~1 -- docs"
    assert phase("run: x, if: true").condition == "true"
    assert complaint("run: x, if: [test, -d, docs]") == "`if` has to be text, not a list"
    assert complaint("run: x, if: ''") == "`if` has to be text, not nothing"


def test_a_setup_is_a_command_like_run():
    assert phase("run: x, setup: npm ci").setup == "npm ci"
    assert phase("run: x, setup: 'awk {print}'").setup == "awk {print}"
    assert phase("run: x, setup: [x, '{python}', '${home}']").setup == ("x", "{python}", "${home}")
    assert (
        complaint("run: x, setup: []")
        == "`setup` has to be a list that begins with a program, not an empty list"
    )
    assert complaint("run: x, setup: [x, '{pyton}']") == (
        "unknown placeholder `{pyton}` (known: {python} {phase} {adw_id} {out}); did you mean `{python}`?"
    )
    assert complaint("run: x", more="defaults: {setup: [x, '{prompt}']}") == (
        "unknown placeholder `{prompt}` (known: {python} {phase} {adw_id} {out}); did you mean `{out}`?"
    )


def test_the_nearest_environment_wins():
    agents = "agents: {b: {run: [x], env: {B: agent, C: agent}}}\n"
    more = agents + "defaults: {agent: b, env: {A: default, B: default, C: default}}"
    assert dict(phase(SCOUT + ", env: {C: phase}", more=more).env) == {
        "A": "default",
        "B": "agent",
        "C": "phase",
    }


def test_a_phase_has_nothing_but_plain_values():
    found = load(AGENTS + f"phases: {{a: {{{SCOUT}, agent: tool, needs: b}}, b: {{run: [x]}}}}")
    assert b"adws.config" not in pickle.dumps(found)
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("run: 'echo a'", "echo a"),
        ("run: [echo, a b]", "echo a b"),
        ('run: "\\n make\\n test"', "make"),
        ("run: x, doc: D", "D"),
    ],
)
def test_a_phase_without_a_doc_is_described_by_its_command(written: str, shown: str):
    assert phase(written).doc == shown


def test_a_command_is_text_for_the_shell_or_a_list():
    assert phase("run: 'true'").run == "true"
    assert phase("run: true").run == "true"
    assert phase("run: 'awk {print}'").run == "awk {print}"  # braces are the shell's
    assert phase("run: [sleep, 10, '{}', '{A}', '{python}', '{phase}', '{adw_id}']").run == (
        *("sleep", "10", "{}", "{A}"),
        *("{python}", "{phase}", "{adw_id}"),
    )


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("doc: x", "phase `a` has no `run` and no `prompt`; give it one"),
        (f"run: x, {SCOUT}", "phase `a` has both `run` and `prompt`; keep one"),
        ("run: ''", "`run` has to be text, not nothing"),
        ("run: ' '", "`run` has to be text, not nothing"),
        ("run: []", "`run` has to be a list that begins with a program, not an empty list"),
        ("run: ['']", "`run` has to be text, not nothing"),
        ("run: [a, [b]]", "`run` has to be text, not a list"),
        ("run: [a, b: c]", "`run` has to be text, not a mapping"),
        ("run: {a: b}", "`run` has to be a list that begins with a program, not a mapping"),
        ("run: [a, '{model}']", "unknown placeholder `{model}` (known: {python} {phase} {adw_id} {out})"),
        (
            "run: [a, '{phse}']",
            "unknown placeholder `{phse}` (known: {python} {phase} {adw_id} {out}); did you mean `{phase}`?",
        ),
        ("run: x, agent: b", "`agent` is for a phase with a `prompt`, and `a` has `run`; remove it"),
        ("run: x, model: b", "`model` is for a phase with a `prompt`, and `a` has `run`; remove it"),
    ],
)
def test_a_phase_has_one_thing_to_do(written: str, said: str):
    assert complaint(written, more=AGENTS + "defaults: {agent: tool}") == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (SCOUT + ", agent: tol", "phase `a` has unknown agent `tol`; did you mean `tool`?"),
        (SCOUT + ", agent: ''", "`agent` has to be text, not nothing"),
        (SCOUT, "phase `a` has no agent; name one with `agent`, there or in `defaults`"),
        (
            SCOUT + ", agent: tool, evidence: junit.xml",
            "an agent's own report is not evidence; put the tests into a phase with `run`",
        ),
    ],
)
def test_a_prompt_needs_an_agent_that_is_there(written: str, said: str):
    assert said in complaints(f"version: 1\n{AGENTS}phases: {{a: {{{written}}}}}")[0]


@pytest.mark.parametrize(
    ("agents", "said"),
    [
        ("{b: {model: x}}", "agent `b` has no `run`; give it the command that starts it"),
        ("{b: {run: tool}}", "`run` has to be a list that begins with a program, not `tool`"),
        ("{b: {run: []}}", "`run` has to be a list that begins with a program, not an empty list"),
        ("{b: {run: [x, '{prompts}']}}", None),
        (
            "{B: {run: [x]}}",
            "`B` cannot name an agent: at most 63 small letters, digits and `_`, a letter first",
        ),
        ("[b]", "`agents` has to be a mapping (`key: value`), not a list"),
    ],
)
def test_an_agent_is_a_command(agents: str, said: str | None):
    known = "(known: {python} {phase} {model} {prompt} {adw_id} {out} {record} {limits} {resume})"
    expected = said or f"unknown placeholder `{{prompts}}` {known}; did you mean `{{prompt}}`?"
    assert complaint("run: x", more=f"agents: {agents}") == expected


def test_a_command_with_a_model_needs_one():
    agents = "agents: {b: {run: [x, '--model={model}']}}\ndefaults: {agent: b}"
    assert (
        complaint(SCOUT, more=agents) == "agent `b` is called with `{model}`; give it or phase `a` a `model`"
    )
    assert phase(SCOUT + ", model: 4.10", more=agents).model == "4.10"


def test_an_agent_for_this_run_takes_over_every_prompt_with_its_own_model():
    text = (
        AGENTS
        + f"phases: {{a: {{{SCOUT}, agent: tool, model: large}}, b: {{run: x}}, c: {{{SCOUT}, agent: other, model: large}}}}"
    )
    a, b, c = load(text).phases
    assert [each.agent and (each.agent.name, each.model) for each in (a, b, c)] == [
        ("tool", "large"),
        None,
        ("other", "large"),
    ]
    a, b, c = load(text, agent="other").phases
    assert [each.agent and (each.agent.name, each.model) for each in (a, b, c)] == [
        ("other", "small"),
        None,
        ("other", "large"),
    ]
    assert load(AGENTS + f"phases: {{a: {{{SCOUT}}}}}", agent="tool").phases[0].agent == Agent(
        name="tool", run=("tool",)
    )


def test_prompts_are_searched_in_the_repository_first(tmp_path: Path):
    text = AGENTS + f"phases: {{a: {{{SCOUT}, agent: tool}}}}"
    assert (
        load(text, folders=(tmp_path, PACKAGE)).phases[0].prompt == (PACKAGE / "prompts/scout.md").read_text()
    )
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/scout.md").write_text("Look for {issue} in {x y} and {}.")
    assert load(text, folders=(tmp_path, PACKAGE)).phases[0].prompt == "Look for {issue} in {x y} and {}."


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "p.md",
            b"{isue} {isue}",
            "unknown variable `{isue}` (known: {adw_id} {phase} {issue} {needs} {out} {failure} {failed} {paths}); did you mean `{issue}`?",
        ),
        (
            "p.md",
            b"caf\xe9",
            "prompt `p.md` is not UTF-8 at byte 3; save it as UTF-8",
        ),
        ("q.md", b"", "there is no prompt `q.md` in FOLDER"),
        ("../p.md", b"", "there is no prompt `../p.md` in FOLDER"),
        ("/etc/passwd", b"", "there is no prompt `/etc/passwd` in FOLDER"),
        (".", b"", "there is no prompt `.` in FOLDER"),
        pytest.param(
            *("p" * 300, b"", "prompt `NAME` cannot be read: FOLDER/NAME: file name too long"),
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 14), reason="from 3.14 on there is no such file"
            ),
        ),
    ],
)
def test_a_prompt_that_cannot_be_used_is_told(tmp_path: Path, name: str, content: bytes, said: str):
    (tmp_path / "p.md").write_bytes(content)
    text = AGENTS + f"phases: {{a: {{prompt: {name}, agent: tool}}}}"
    expected = said.replace("FOLDER", str(tmp_path)).replace("NAME", name)
    assert complaints(text, folders=(tmp_path,)) == [f"3:22: {expected}"]


def names(text: str) -> str:
    return " ".join(each.name for each in load(text).phases)


def test_phases_keep_their_order_but_come_after_what_they_need():
    assert names("phases: {a: {run: x}, c: {run: x}, b: {run: x}}") == "a c b"
    assert (
        names("phases: {a: {run: x, needs: z}, b: {run: x}, z: {run: x, needs: y}, y: {run: x}}") == "y z a b"
    )
    assert names("phases: {a: {run: x, needs: [c, b]}, b: {run: x, needs: c}, c: {run: x}}") == "c b a"


def test_needs_are_one_or_a_list_and_count_once():
    found = load(
        "phases: {a: {run: x}, b: {run: x, needs: a}, c: {run: x, needs: [b, a, b]}, d: {run: x, needs: []}}"
    )
    assert [each.needs for each in found.phases] == [(), ("a",), ("b", "a"), ()]


def test_an_unknown_need_is_told_which_one_was_meant():
    assert complaints("phases:\n  build: {run: x}\n  test: {run: x, needs: [biuld, 7, ~]}") == [
        "4:26: phase `test` needs unknown phase `biuld`; did you mean `build`?",
        "4:33: phase `test` needs unknown phase `7`",
        "4:36: `needs` has to be text, not nothing",
    ]


def test_a_cycle_is_shown_where_it_closes():
    assert complaints("phases:\n  review: {run: x, needs: check}\n  check: {run: x, needs: [review]}") == [
        "4:27: phase `review` needs itself: `review -> check -> review`; remove one of these needs"
    ]
    assert complaints("phases: {a: {run: x, needs: a}}") == [
        "2:29: phase `a` needs itself: `a -> a`; remove one of these needs"
    ]


def test_every_separate_cycle_is_shown():
    text = "phases:\n  a: {run: x, needs: b}\n  b: {run: x, needs: [a, c]}\n  c: {run: x, needs: c}\n  d: {run: x, needs: e}\n  e: {run: x, needs: d}"
    assert [line.partition("`; ")[0] for line in complaints(text)] == [
        "4:23: phase `a` needs itself: `a -> b -> a",
        "7:22: phase `d` needs itself: `d -> e -> d",
    ]


@pytest.mark.parametrize("length", [50, 5000])
def test_a_long_cycle_is_one_message(length: int):
    text = "".join(f"  p{n}: {{run: x, needs: p{(n + 1) % length}}}\n" for n in range(length))
    (said,) = complaints("phases:\n" + text)
    assert said.startswith(
        f"{length + 2}:{22 + len(str(length))}: phase `p0` needs itself: `p0 -> p1 -> p2 -> "
    )


def test_a_chain_of_any_length_is_put_in_order():
    text = "".join(f"  p{n}: {{run: x, needs: p{n + 1}}}\n" for n in range(3000))
    found = load("phases:\n" + text + "  p3000: {run: x}\n").phases
    assert [each.name for each in found] == [f"p{n}" for n in range(3000, -1, -1)]


def test_a_thousand_phases_with_as_many_edges_load():
    phases = "".join(f"  m{n}: {{run: x, needs: a}}\n" for n in range(1000))
    last = "  z: {run: x, needs: [" + ", ".join(f"m{n}" for n in range(1000)) + "]}\n"
    assert len(load("phases:\n  a: {run: x}\n" + phases + last).phases) == 1002
