"""The real claude in the shipped pipeline, with a model on loopback that says what a script says."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from tests.agents import clis
from tests.agents.clis import program
from tests.agents.conftest import told
from tests.agents.script import diligent
from tests.agents.server import Model, out
from tests.agents.turns import Say, Turn, Use, edit, read, shell
from tests.stories import agents

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not program(clis.claude).exists(), reason="needs Claude Code; `make test-agents` installs it"
    ),
    pytest.mark.timeout(240),
]


@pytest.fixture
def claude(driven):
    """`claude(model)`: a project whose agent is the real claude, with this model behind it."""
    return partial(driven, clis.claude)


def test_it_does_the_whole_pipeline(claude):
    p = claude(Model(diligent))
    p.adws("sdlc", "ADW_ID=x")
    made = p.tree("adw/x")
    assert made["twice.py"] == "def double(x):\n    return 2 * x"
    assert made["docs/twice.md"] == "doubles"
    build = told(p, "build")
    assert (build["turns"], build["tokens_in"], build["tokens_out"], build["tokens_cached"]) == (
        5,
        6000,
        250,
        1000,
    )
    assert isinstance(build["cost"], float)
    assert re.search(
        r"build: passed in .* by claude claude-opus\S* for \$0\.\d\d: did build",
        p.git("log", "-1", "adw/x"),
    )
    p.adws("verify", "adw/x")


def test_a_refused_key_is_told_at_once(claude):
    model = Model(diligent, for_ever=401)
    p = claude(model, retries=2)
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert re.search(r"FAILED scout: .*(HTTP 401|401|authentication|API key)", said)
    assert [each.name for each in (p.path / ".adws/runs/x/scout").iterdir()] == ["attempt-1"]


@pytest.mark.parametrize("faults", [[429], [529, 529], ["cut"]], ids=["429", "529", "cut"])
def test_what_passes_is_retried_by_itself(claude, faults):
    p = claude(Model(diligent, faults=faults))
    p.adws("scout", "ADW_ID=x")
    assert told(p, "scout")["reason"] == ""


def test_a_server_that_stays_overloaded_is_a_failure(claude):
    p = claude(Model(diligent, for_ever=529))
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: exit 1; claude says: " in said
    assert told(p, "scout")["status"] == 529


def test_a_model_that_hangs_is_a_stall(claude):
    p = claude(Model(diligent, faults=["hang"] * 9), **{"idle-timeout": "5s"})
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: stalled; " in said


def test_it_says_that_it_is_done_and_did_nothing(claude):
    p = claude(Model(lambda *_: [Say("Fixed, and the tests pass.")]))
    said = p.adws("plan_build", "ADW_ID=x", "AGENT=build=claude,scout=builtin,plan=builtin", status=1)
    why = "claude says that it is done, and left nothing; changed nothing, and a change is due"
    assert f"FAILED build: {why}\n" in said


def test_denied_tools_and_cheerful_words_are_red(claude):
    run = "[claude, -p, --model, sonnet, --output-format, stream-json, --verbose]"
    p = claude(Model(diligent), agent=f"secrets: ANTHROPIC_API_KEY, run: {run}")
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: claude was denied Write, and left nothing" in said


def test_nothing_that_it_starts_is_left(claude, tmp_path):
    def leaves(prompt: str, had: int) -> Turn:
        command = f"nohup setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 300' >/dev/null 2>&1 &"
        return [shell(f"{command} sleep 1")] if had == 0 else diligent(prompt, had - 1)

    p = claude(Model(leaves))
    p.adws("scout", "ADW_ID=x")
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_a_flood_of_output_of_a_tool_is_no_obstacle(claude):
    def floods(prompt: str, had: int) -> Turn:
        flood = shell("head -c 3000000 /dev/zero | tr '\\0' x; echo")
        return [flood] if had == 0 else diligent(prompt, had - 1)

    p = claude(Model(floods))
    p.adws("scout", "ADW_ID=x")
    assert told(p, "scout")["turns"] == 4


def test_its_turns_are_capped_by_itself(claude):
    p = claude(Model(lambda *_: [shell("echo again")]), **{"max-turns": 2})
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: exit 1; claude says: Reached maximum number of turns (2)" in said


def test_its_cost_is_capped_by_itself(claude):
    p = claude(Model(lambda *_: [shell("echo again")]), **{"max-cost": 0.01, "retries": 5})
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: exit 1; claude says: Reached maximum budget ($0.01)" in said
    assert "; phase `scout` has used its `max-cost` of 0.01; raise it to go on\n" in said
    assert "Reached maximum budget ($0.01)" in p.log("x", "scout")


def test_a_further_attempt_goes_on_from_the_session_and_counts_its_own(claude):
    def forgets(prompt: str, had: int) -> Turn:
        return diligent(prompt, had) if "has failed" in prompt else [Say("I have left nothing.")]

    p = claude(Model(forgets), retries=1)
    p.adws("scout", "ADW_ID=x")
    first, second = agents.attempts(p, "scout")
    assert first["reason"] == "claude says that it is done, and left nothing"
    assert second["agent"]["session"] == first["agent"]["session"]
    assert (first["agent"]["turns"], second["agent"]["turns"]) == (1, 3)
    assert (first["agent"]["tokens_in"], second["agent"]["tokens_in"]) == (1200, 3600)
    assert second["agent"]["cost"] == pytest.approx(3 * first["agent"]["cost"], rel=0.01)


def test_what_the_tests_find_is_repaired_by_it(claude):
    def slips(prompt: str, had: int) -> Turn:
        path = Path(out(prompt)).parents[1] / "tree/twice.py"
        if "# Repair:" in prompt:
            turns = [[read(f"{path}")], [edit(f"{path}", "3 * x", "2 * x")], [Say("Mended.")]]
            return turns[min(had, 2)]
        wrong = edit(f"{path}", "    return x", "    return 3 * x")
        return [
            wrong if isinstance(each, Use) and each.tool == "edit" else each for each in diligent(prompt, had)
        ]

    p = claude(Model(slips))
    p.adws("plan_build_test_review", "ADW_ID=x")
    assert p.tree("adw/x")["twice.py"] == "def double(x):\n    return 2 * x"
    said = p.git("log", "-1", "--format=%B", "adw/x")
    assert re.search(
        r"^test: passed after a repair by claude claude-sonnet\S* for \S+ in", said, re.MULTILINE
    )
    p.adws("verify", "adw/x")
