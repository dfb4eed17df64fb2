"""The real claude in the shipped pipeline, with a model on loopback that says what a script says."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.agents.server import Model, Turn, out, serving, text, use
from tests.conftest import TOP, Project

CLAUDE = TOP / ".agents/claude_agent_sdk/_bundled/claude"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CLAUDE.exists(), reason="needs Claude Code; `make test-agents` installs it"),
    pytest.mark.timeout(240),
]


def script(prompt: str, had: int) -> Turn:
    """What a good agent does in each phase."""
    folder = out(prompt)
    tree, phase = Path(folder).parents[1] / "tree", re.findall(r"# (\w+):", prompt)[0].lower()
    said = {"summary": f"did {phase}", "findings": []}
    result = use("Write", file_path=f"{folder}/result.json", content=json.dumps(said))
    found = use("Write", file_path=f"{folder}/scout.json", content=json.dumps({"files": []}))
    spec = use("Write", file_path=f"{tree}/specs/x.md", content="# Double it\n")
    turns = {
        "scout": [[found], [result]],
        "plan": [[spec], [result]],
        "build": [
            [text("Let me look."), use("Read", file_path=f"{tree}/twice.py")],
            [use("Edit", file_path=f"{tree}/twice.py", old_string="return x", new_string="return 2 * x")],
            [
                use(
                    "Bash",
                    command="python3 -c 'import twice; assert twice.double(2) == 4'",
                    description="try it",
                )
            ],
            [result],
        ],
        "document": [
            [use("Bash", command=f"mkdir -p {tree}/docs && echo doubles > {tree}/docs/twice.md")],
            [result],
        ],
    }.get(phase, [[result]])
    return turns[had] if had < len(turns) else [text("Done, and all is well.")]


@pytest.fixture
def claude(project, request):
    """`claude(model)`: a project whose agent is the real claude, with this model behind it."""

    def make(model: Model, **defaults: object) -> Project:
        p: Project = project(
            issue="# double is wrong\n",
            **{
                "twice.py": "def double(x):\n    return x\n",
                "test_twice.py": "from twice import double\n\n\ndef test_double():\n    assert double(2) == 4\n",
            },
        )
        context = serving(model)
        url = context.__enter__()
        request.addfinalizer(lambda: context.__exit__(None, None, None))
        env = {"ANTHROPIC_BASE_URL": url, "CLAUDE_CODE_MAX_RETRIES": "2", "DISABLE_AUTOUPDATER": "1"}
        env |= {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "IS_SANDBOX": "1"}
        given = {"agent": "claude", "timeout": "120s", "env": env, **defaults}
        p.write("pipeline.yaml", f"version: 1\ninclude: sdlc.yaml\ndefaults: {json.dumps(given)}\n")
        bin_dir = p.path.parent / "bin"
        bin_dir.mkdir()
        (bin_dir / "claude").symlink_to(CLAUDE)
        p.env |= {"PATH": f"{bin_dir}{os.pathsep}{p.env['PATH']}", "ANTHROPIC_API_KEY": "sk-ant-a-dummy-key"}
        return p

    return make


def told(p: Project, phase: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((p.path / ".adws/runs/x/adw_state.json").read_text())[
        f"{phase}_agent"
    ]
    return found


def test_it_does_the_whole_pipeline(claude):
    p = claude(Model(script))
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
        r"build: passed in .* by claude claude-sonnet\S* for \$0\.\d\d: did build",
        p.git("log", "-1", "adw/x"),
    )
    p.adws("verify", "adw/x")


def test_a_refused_key_is_told_at_once(claude):
    model = Model(script, for_ever=401)
    p = claude(model, retries=2)
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert re.search(r"FAILED scout: .*(HTTP 401|401|authentication|API key)", said)
    assert [each.name for each in (p.path / ".adws/runs/x/scout").iterdir()] == ["attempt-1"]


@pytest.mark.parametrize("faults", [[429], [529, 529], ["cut"]], ids=["429", "529", "cut"])
def test_what_passes_is_retried_by_itself(claude, faults):
    p = claude(Model(script, faults=faults))
    p.adws("scout", "ADW_ID=x")
    assert told(p, "scout")["reason"] == ""


def test_a_server_that_stays_overloaded_is_a_failure(claude):
    p = claude(Model(script, for_ever=529))
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: exit 1; claude says: " in said
    assert told(p, "scout")["status"] == 529


def test_a_model_that_hangs_is_a_stall(claude):
    p = claude(Model(script, faults=["hang"] * 9), **{"idle-timeout": "5s"})
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: stalled; " in said


def test_it_says_that_it_is_done_and_did_nothing(claude):
    p = claude(Model(lambda *_: [text("Fixed, and the tests pass.")]))
    said = p.adws("plan_build", "ADW_ID=x", "AGENT=build=claude,scout=builtin,plan=builtin", status=1)
    assert "FAILED build: changed nothing, and a change is due" in said


def test_denied_tools_and_cheerful_words_are_red(claude):
    p = claude(Model(script))
    run = "[claude, -p, --model, sonnet, --output-format, stream-json, --verbose]"
    with (p.path / "pipeline.yaml").open("a") as file:
        file.write(f"agents: {{claude: {{format: claude, secrets: ANTHROPIC_API_KEY, run: {run}}}}}\n")
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: claude was denied Write, and left nothing" in said


def test_nothing_that_it_starts_is_left(claude, tmp_path):
    def leaves(prompt: str, had: int) -> Turn:
        command = f"nohup setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 300' >/dev/null 2>&1 &"
        result = use("Write", file_path=f"{out(prompt)}/result.json", content='{"summary": "left one"}')
        turns = [[use("Bash", command=f"{command} sleep 1", description="a server")], [result]]
        return turns[had] if had < 2 else [text("Left a server running.")]

    p = claude(Model(leaves))
    p.adws("scout", "ADW_ID=x")
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_a_flood_of_output_of_a_tool_is_no_obstacle(claude):
    def floods(prompt: str, had: int) -> Turn:
        flood = use("Bash", command="head -c 3000000 /dev/zero | tr '\\0' x; echo", description="flood")
        return [flood] if had == 0 else script(prompt, had - 1)

    p = claude(Model(floods))
    p.adws("scout", "ADW_ID=x")
    assert told(p, "scout")["turns"] == 3


def test_its_turns_are_capped_by_itself(claude):
    p = claude(Model(lambda *_: [use("Bash", command="echo again", description="loop")]), **{"max-turns": 2})
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: exit 1; claude says: Reached maximum number of turns (2)" in said


def test_its_cost_is_capped_by_itself(claude):
    looping = Model(lambda *_: [use("Bash", command="echo again", description="loop")])
    p = claude(looping, **{"max-cost": 0.01, "retries": 5})
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: phase `scout` has used its `max-cost` of 0.01; raise it to go on\n" in said
    assert "Reached maximum budget ($0.01)" in p.log("x", "scout")


def test_a_further_attempt_goes_on_from_the_session(claude):
    def forgets(prompt: str, had: int) -> Turn:
        # it has had a turn more than the first time, and the prompt of the first time is the first that it sees
        return [text("I have left nothing.")] if had == 0 else script(prompt, had - 1)

    p = claude(Model(forgets), retries=1)
    p.adws("scout", "ADW_ID=x")
    attempts = p.git("for-each-ref", "--format=%(refname)", "refs/adws/x/attempt/scout").splitlines()
    first, second = (json.loads(p.git("log", "-1", "--format=%b", ref)) for ref in attempts)
    assert first["reason"] == "left no scout.json in ADW_OUT"
    assert second["agent"]["session"] == first["agent"]["session"]
    assert second["agent"]["turns"] == 3


def test_what_the_tests_find_is_repaired_by_it(claude):
    def slips(prompt: str, had: int) -> Turn:
        tree = Path(out(prompt)).parents[1] / "tree"
        read = use("Read", file_path=f"{tree}/twice.py")
        if "# Repair:" in prompt:
            mend = use("Edit", file_path=f"{tree}/twice.py", old_string="3 * x", new_string="2 * x")
            return [[read], [mend], [text("Mended.")]][min(had, 2)]
        turn = script(prompt, had)
        return [{**each, "input": {**each["input"], "new_string": "return 3 * x"}} if each.get("name") == "Edit" else each
                for each in turn]  # fmt: skip

    p = claude(Model(slips))
    p.adws("plan_build_test_review", "ADW_ID=x")
    assert p.tree("adw/x")["twice.py"] == "def double(x):\n    return 2 * x"
    said = p.git("log", "-1", "--format=%B", "adw/x")
    assert re.search(r"^test: passed after a repair by claude claude-sonnet\S* in", said, re.MULTILINE)
    p.adws("verify", "adw/x")
