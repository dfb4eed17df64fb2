"""The real codex, gemini and opencode in the shipped pipeline, each with a model on loopback that says what a script says."""

from __future__ import annotations

import re
import time
import uuid
from pathlib import Path

import pytest

from tests.agents.clis import codex, gemini, name, opencode, pin, program
from tests.agents.conftest import told
from tests.agents.script import diligent
from tests.agents.server import Model, out
from tests.agents.turns import Turn, shell, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]


def installed(cli, *values):
    reason = f"needs {name(cli)} from npm; `make test-agents-all` installs it"
    missing = pytest.mark.skipif(not program(cli).exists(), reason=reason)
    return pytest.param(cli, *values, marks=missing, id=name(cli))


def each(*clis):
    return pytest.mark.parametrize("cli", [installed(cli) for cli in clis])


def alive(mark: str) -> bool:
    """Whether any process has this in its command line."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes())
        except OSError:  # gone meanwhile
            continue
    return any(mark.encode() in line for line in lines)


@each(codex, gemini, opencode)
def test_it_is_the_version_that_was_asked_for(driven, cli):
    p = driven(cli, Model(diligent))
    assert p.run(name(cli), "--version").splitlines()[0].split()[-1] == pin(cli)


@each(codex, gemini, opencode)
def test_it_does_the_whole_pipeline(driven, cli):
    p = driven(cli, Model(diligent))
    p.adws("sdlc", "ADW_ID=x")
    made = p.tree("adw/x")
    assert made["twice.py"] == "def double(x):\n    return 2 * x"
    assert made["docs/twice.md"] == "doubles"
    build = told(p, "build")
    assert (build["tokens_in"], build["tokens_out"], build["tokens_cached"]) == (6000, 250, 1000)
    assert build["text"] == "Done, and all is well."
    assert re.search(rf"build: passed in .* by {name(cli)}.*: did build", p.git("log", "-1", "adw/x"))
    p.adws("verify", "adw/x")


@pytest.mark.parametrize(
    ("cli", "words"),
    [
        installed(codex, "stopped after . s; the key of codex was refused .HTTP 401"),
        installed(gemini, r"exit 145; gemini says: \[API Error: .*Incorrect API key provided"),
        installed(opencode, "exit 1; opencode says: Incorrect API key provided"),
    ],
)
def test_a_refused_key_is_told_at_once(driven, cli, words):
    model = Model(diligent, for_ever=401)
    p = driven(cli, model, retries=2)
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert re.search(f"FAILED scout: {words}", said)
    assert [tried.name for tried in (p.path / ".adws/runs/x/scout").iterdir()] == ["attempt-1"]


@pytest.mark.parametrize(
    ("cli", "fault"),
    [installed(codex, 429), installed(codex, "cut"), installed(gemini, "cut"), installed(opencode, 429)],
)
def test_what_passes_is_retried_by_itself(driven, cli, fault):
    model = Model(diligent, faults=[fault])
    p = driven(cli, model)
    p.adws("scout", "ADW_ID=x")
    assert told(p, "scout")["reason"] == ""
    assert model.requests == 4


@pytest.mark.parametrize(
    ("cli", "agent", "words"),
    [
        installed(
            codex,
            "secrets: CODEX_API_KEY, run: [codex, exec, --json, --sandbox, read-only, '-']",
            "codex says that it is done, and left nothing; changed nothing, and a change is due",
        ),
        installed(
            gemini,
            "secrets: GEMINI_API_KEY, run: [gemini, --output-format, stream-json, --model, gemini-2.5-pro, --skip-trust]",
            "gemini was denied replace, run_shell_command, write_file, and left nothing",
        ),
        installed(
            opencode,
            'secrets: OPENAI_API_KEY, env: {OPENCODE_PERMISSION: \'{"edit": "ask"}\'}, run: [opencode, run, --format, json]',
            "opencode was denied edit, and left nothing",
        ),
    ],
)
def test_denied_tools_and_cheerful_words_are_red(driven, cli, agent, words):
    p = driven(cli, Model(diligent), agent=agent)
    given = f"AGENT=build={name(cli)},scout=builtin,plan=builtin"
    said = p.adws("plan_build", "ADW_ID=x", given, status=1)
    assert f"FAILED build: {words}" in said


@each(codex, gemini, opencode)
def test_nothing_that_it_starts_is_left(driven, cli):
    mark = uuid.uuid4().hex

    def leaves(prompt: str, had: int) -> Turn:
        server = f"nohup setsid sh -c 'touch {out(prompt)}/ran; sleep 300; : {mark}' >/dev/null 2>&1 &"
        return [shell(f"{server} sleep 1")] if had == 0 else diligent(prompt, had - 1)

    p = driven(cli, Model(leaves))
    p.adws("scout", "ADW_ID=x")
    assert (p.path / ".adws/runs/x/scout/attempt-1/out/ran").exists()
    assert not alive(mark)


@each(gemini)
def test_a_tool_that_hangs_and_does_not_obey_is_killed(driven, cli):
    mark = uuid.uuid4().hex

    def hangs(prompt: str, had: int) -> Turn:
        tool = f"trap '' TERM HUP INT; touch {out(prompt)}/ran; while :; do sleep 1; done; : {mark}"
        return [shell(f'sh -c "{tool}"')]

    p = driven(cli, Model(hangs), **{"idle-timeout": "15s"})
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: stalled; it was stopped after" in said
    assert (p.path / ".adws/runs/x/scout/attempt-1/out/ran").exists()
    assert not alive(mark)


@each(gemini)
def test_a_loop_is_no_success(driven, cli):
    p = driven(cli, Model(lambda *_: [shell("echo again")]))
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: gemini stopped early: Loop detected, stopping execution" in said


@each(opencode)
def test_an_overloaded_server_and_not_a_word_is_a_stall(driven, cli):
    model = Model(diligent, for_ever=529)
    p = driven(cli, model, **{"idle-timeout": "20s"})
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: stalled; it was stopped after 20 s, silent for too long" in said
    assert model.requests > 0


@each(codex)
def test_no_network_is_a_stall(driven, cli):
    p = driven(cli, Model(diligent), **{"idle-timeout": "6s"})
    config = p.path.parent / "home/.codex/config.toml"
    config.write_text(re.sub(r"http://127.0.0.1:\d+", "http://127.0.0.1:1", config.read_text()))
    began = time.monotonic()
    said = p.adws("scout", "ADW_ID=x", status=1)
    assert "FAILED scout: stalled; it was stopped after" in said
    assert time.monotonic() - began < 60


@each(codex)
def test_its_own_sandbox_keeps_it_in_its_workspace(driven, cli):
    def strays(prompt: str, had: int) -> Turn:
        outside = Path(out(prompt)).parents[1] / "outside"
        turns: list[Turn] = [[shell(f"touch {outside}")], [write(f"{outside}", "x")]]
        return turns[had] if had < 2 else diligent(prompt, had - 2)

    p = driven(cli, Model(strays))
    p.adws("scout", "ADW_ID=x")
    assert not list((p.path.parent / "home/cache").rglob("outside"))
