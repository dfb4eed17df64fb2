"""What an agent did once is done again from its recording: without the agent, a network or a key."""

from __future__ import annotations

import shutil

import pytest

from tests.stories import agents

PIPELINE = """\
version: 1
include: sdlc.yaml
record: ../recordings
"""
AGENT = """
mkdir -p specs docs
case $ADW_PHASE in
  scout) echo '{"files": []}' > "$ADW_OUT/scout.json" ;;
  plan) echo "# spec" > "specs/$ADW_ID.md" ;;
  build)
    printf 'def double(x):\\n    return 2 * x\\n' > twice.py
    rm old; ln -s twice.py link; printf '\\0\\377' > binary
    echo 'true' > tool.sh; chmod +x tool.sh ;;
  document) echo doubles > docs/twice.md ;;
esac
echo '{"summary": "did '$ADW_PHASE'", "findings": []}' > "$ADW_OUT/result.json"
"""
FILES = {
    "twice.py": "def double(x):\n    return x\n",
    "test_twice.py": "from twice import double\n\n\ndef test_double():\n    assert double(2) == 4\n",
    "old": "old\n",
}


@pytest.fixture
def recorded(project):
    """A project and the recordings of a run by an agent that is gone by now."""
    p = project(PIPELINE, issue="# double is wrong\r\n", **FILES)  # as a web page sends it
    program = agents.install(p, AGENT + agents.done())
    p.adws("sdlc", "ADW_ID=x", "AGENT=claude")
    program.unlink()
    del p.env["ANTHROPIC_API_KEY"]
    return p


def results(p) -> dict[str, tuple[str, str]]:
    """Of each phase the trees that it left: files and artifacts. The report of tests holds times."""
    names = ("scout", "plan", "build", "review", "document")
    return {
        name: tuple(
            p.git("rev-parse", f"refs/adws/x/{name}^{{tree}}", f"refs/adws/x/{name}^2^{{tree}}").split()
        )
        for name in names
    }


def forget(p) -> None:
    """Everything that is known of the run."""
    for ref in p.git("for-each-ref", "--format=%(refname)", "refs/adws", "refs/heads/adw").splitlines():
        p.git("update-ref", "-d", ref)
    shutil.rmtree(p.path / ".adws")


def test_it_is_the_same_to_the_byte(recorded):
    p = recorded
    made, told, tree = results(p), agents.state(p)["build_agent"], p.git("rev-parse", "adw/x^{tree}")
    stream = p.log("x", "build")
    forget(p)
    p.adws("sdlc", "ADW_ID=x", "AGENT=replay")
    assert results(p) == made
    assert p.git("rev-parse", "adw/x^{tree}") == tree
    assert p.git("ls-tree", "adw/x", "link", "tool.sh").split()[::4] == ["120000", "100755"]
    again = agents.state(p)["build_agent"]
    assert {**again, "name": "claude", "slot": told["slot"]} == told
    assert p.log("x", "build") == '{"adws-replay": "claude", "agent": "claude"}\n' + stream
    assert "by replay claude-sonnet-5-5 for $0.25" in p.git("log", "-1", "--format=%B", "adw/x")
    p.adws("verify", "adw/x")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param("files", "1 of it there, on other files", marks=pytest.mark.slow),
        ("issue", "1 of it there, with another prompt, issue or ADW_ID"),
        pytest.param("recordings", "none of it there, 4 of others", marks=pytest.mark.slow),
    ],
)
def test_what_it_misses_is_told(recorded, change: str, said: str):
    p = recorded
    forget(p)
    if change == "files":
        p.write("README.md", "other\n")
        p.commit()
    elif change == "issue":
        (p.path.parent / "issue.md").write_text("# double is wrong!\n")
    else:
        shutil.rmtree(next((p.path.parent / "recordings").glob("scout-*")))
    seen = p.adws("sdlc", "ADW_ID=x", "AGENT=replay", status=1)
    folder = p.path.parent / "recordings"
    missing = f"no recording of phase `scout` in {p.path}/../recordings fits: {said}; record it anew"
    assert f"FAILED scout: exit 3; {missing}\n" in seen
    assert folder.is_dir()


def test_a_failure_is_replayed_as_one(project):
    p = project(PIPELINE, issue="# double is wrong\n", **FILES)
    program = agents.install(p, agents.say(agents.INIT) + "echo half > done; exit 7")
    p.adws("scout", "ADW_ID=x", "AGENT=claude", status=1)
    program.unlink()
    forget(p)
    seen = p.adws("scout", "ADW_ID=x", "AGENT=replay", status=1)
    assert "FAILED scout: exit 7; claude ended without saying that it is done; changed done, outside" in seen


@pytest.mark.slow
def test_a_recording_holds_no_secret(project):
    p = project(PIPELINE, issue="# double is wrong\n", **FILES)
    agents.install(
        p, "echo $ANTHROPIC_API_KEY; echo $ANTHROPIC_API_KEY > $ADW_OUT/key\n" + AGENT + agents.done()
    )
    p.adws("scout", "ADW_ID=x", "AGENT=claude")
    found = [path.read_bytes() for path in (p.path.parent / "recordings").rglob("*") if path.is_file()]
    assert len(found) == 5
    assert not any(b"sk-a-dummy-key" in content for content in found)


def test_what_was_ended_by_force_is_not_recorded(project):
    p = project(PIPELINE + "defaults: {agent: claude, timeout: 1s}\n", issue="# double is wrong\n", **FILES)
    agents.install(p, "sleep 100")
    p.adws("scout", "ADW_ID=x", status=1)
    assert not (p.path.parent / "recordings").exists()


def test_outside_of_a_phase_it_says_so(project, tmp_path):
    from tests.conftest import BIN

    p = project()
    said = p.run(str(BIN / "python"), "-m", "adws.agents.replay", status=3)
    assert said.endswith("replay: usage: python -m adws.agents.replay FOLDER\n")
    lost = p.run(
        str(BIN / "python"),
        "-m",
        "adws.agents.replay",
        "x",
        status=3,
        cwd=tmp_path,
        ADW_OUT="x",
        ADW_PHASE="a",
    )
    assert lost.endswith(
        "replay: this is not the workspace of a phase; name the agent `replay` in a pipeline\n"
    )


def test_where_the_recordings_are_has_to_be_said(project):
    said = project().adws("scout", "ADW_ID=x", "AGENT=replay", status=3)
    what = "agent `replay` plays recordings; name their folder with `record: folder` at the top level"
    assert said == f"the shipped pipeline.yaml (the repository has none): {what}\n"


@pytest.mark.parametrize(
    "script",
    [
        "rm -r d; echo file > d",
        "rm -r d; ln -s old d",
        pytest.param("rm old; mkdir old; echo x > old/x", marks=pytest.mark.slow),
        pytest.param("rm -r d", marks=pytest.mark.slow),
    ],
)
def test_files_and_directories_can_change_places(project, script: str):
    p = project(
        "version: 1\nrecord: ../recordings\nagents: {claude: {format: claude, run: [claude]}, "
        'replay: {format: replay, run: ["{python}", -P, -m, adws.agents.replay, "{record}"]}}\n'
        "phases: {a: {prompt: p.md, agent: claude}}\n",
        **{"p.md": "Do it.\n", "d/e/f": "f\n", "old": "old\n"},
    )
    agents.install(p, script + "\n" + agents.done())
    p.adws("sdlc", "ADW_ID=x")
    tree = p.git("rev-parse", "adw/x^{tree}")
    forget(p)
    p.adws("sdlc", "ADW_ID=x", "AGENT=replay")
    assert p.git("rev-parse", "adw/x^{tree}") == tree


def test_a_further_attempt_is_replayed_too(project):
    p = project(PIPELINE + "defaults: {agent: claude, retries: 1}\n", issue="# double is wrong\n", **FILES)
    program = agents.install(
        p, "[ -e $HOME/once ] || { touch $HOME/once; exit 3; }\n" + AGENT + agents.done()
    )
    p.adws("scout", "ADW_ID=x")
    program.unlink()
    forget(p)
    p.adws("scout", "ADW_ID=x", "AGENT=replay")
    assert len(agents.attempts(p, "scout")) == 2


def test_what_is_missing_is_not_tried_again(project):
    p = project(PIPELINE + "defaults: {agent: builtin, retries: 3}\n", issue="# double is wrong\n", **FILES)
    p.adws("scout", "ADW_ID=x", "AGENT=replay", status=1)
    assert len(agents.attempts(p, "scout")) == 1


@pytest.mark.slow
def test_an_attempt_that_cannot_be_recorded_is_an_attempt(project):
    p = project(PIPELINE, issue="# double is wrong\n", **FILES)
    (p.path.parent / "recordings").write_text("a file\n")
    agents.install(p, AGENT + agents.done())
    p.adws("scout", "ADW_ID=x", "AGENT=claude")
    assert "adws: warning: it was not recorded: " in p.log("x", "scout")


def test_a_folder_of_somebody_else_is_refused(project):
    p = project(PIPELINE.replace("../recordings", "~nobody/x"), issue="# double is wrong\n", **FILES)
    said = p.adws("scout", "ADW_ID=x", status=3)
    assert "`record` has to be a folder, absolute, relative or below `~/`, not `~nobody/x`" in said
