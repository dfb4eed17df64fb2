"""The way in: make, with stub programs where a machine would lack the real one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = ("awk", "cat", "cp", "echo", "env", "find", "git", "make", "mv", "rm", "sed", "sh", "touch")
OLD_PYTHON = "case $1 in --version) echo Python 3.9.18;; *) exit 1;; esac"
WITHOUT_VENV = f'case $2 in *ensurepip*) exit 1;; *) exec {sys.executable} "$@";; esac'


class Clone:
    """A clone on a machine that has nothing but what the test puts on its PATH."""

    def __init__(self, home: Path) -> None:
        self.root, self.bin = home / "clone", home / "bin"
        self.root.mkdir()
        self.bin.mkdir()
        self.environment = {"PATH": str(self.bin), "HOME": str(home)}
        self.settings = home / ".gitconfig"
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(ROOT / name, self.root)
        shutil.copytree(ROOT / "examples", self.root / "examples")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)

    def stub(self, name: str, script: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def set_up(self) -> None:
        """As `make setup` leaves it, with a doit that shows what it was given."""
        for name in ("python", "doit"):
            self.stub(f"../clone/.venv/bin/{name}", 'echo "$*"; env')
        (self.root / ".venv/.stamp").write_text(f"{self.root.resolve()}\n")

    def make(self, *args: str, status: int = 0) -> str:
        done = subprocess.run(
            ["make", *args], cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def given(self, *args: str) -> dict[str, str]:
        """What doit finds in its environment."""
        lines = self.make(*args).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_make_alone_shows_every_target(clone: Clone) -> None:
    shown = re.findall(r"^  make ([a-z_-]+) +\S", clone.make(), re.MULTILINE)
    phony = re.findall(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[-1].split()
    assert sorted([*shown, "git", "venv"]) == sorted(phony)


@pytest.mark.parametrize(
    ("stubs", "message"),
    [
        ({}, "needs Python 3.11 or newer, `python3` is not there; name one: make PYTHON=path"),
        (
            {"python3": OLD_PYTHON, "python3.13": "exit 127"},
            "needs Python 3.11 or newer, `python3` is Python 3.9.18; name one: make PYTHON=path",
        ),
        (
            {"python3": OLD_PYTHON, "python3.11": WITHOUT_VENV},
            "`python3.11` has no venv module; on Debian and Ubuntu: sudo apt install python3-venv",
        ),
        ({"git": "echo git version 2.37.9"}, "needs git 2.38 or newer, this is 2.37"),
        ({"git": "exit 127"}, "needs git 2.38 or newer, there is none"),
    ],
)
def test_what_a_machine_lacks_is_said_in_one_line(clone: Clone, stubs: dict[str, str], message: str) -> None:
    for name, script in stubs.items():
        clone.stub(name, script)
    first, second = clone.make("setup", status=2).splitlines()
    assert first == f"make: {message}"
    assert second.startswith("make: *** ")
    assert not (clone.root / ".venv").exists()


def test_a_named_python_is_refused_rather_than_replaced(clone: Clone) -> None:
    clone.stub("python3.9", OLD_PYTHON)
    clone.stub("python3.12", WITHOUT_VENV)
    assert "`python3.9` is Python 3.9.18" in clone.make("setup", "PYTHON=python3.9", status=2)


def test_set_up_once_nothing_more_is_needed(clone: Clone) -> None:
    clone.set_up()
    assert clone.make("setup") == "make: .venv is ready\n"


def test_a_copied_venv_is_made_anew(clone: Clone) -> None:
    clone.set_up()
    (clone.root / ".venv/.stamp").write_text("/where/it/was\n")
    assert "needs Python" in clone.make("setup", status=2)


@pytest.mark.parametrize(
    ("imports", "status", "message"),
    [("exit 0", 0, "going on with the old one"), ("exit 1", 2, "the first time needs the network")],
)
def test_a_failed_install_keeps_what_works(clone: Clone, imports: str, status: int, message: str) -> None:
    clone.set_up()
    clone.stub("../clone/.venv/bin/python", f"case $1 in -c) {imports};; *) exit 1;; esac")
    os.utime(clone.root / ".venv/.stamp", (0, 0))
    assert f"make: could not install into .venv; {message}\n" in clone.make("setup", status=status)
    assert (clone.root / ".venv/.stamp").stat().st_mtime == 0, "the next start tries again"


def test_with_uv_there_uv_installs(clone: Clone) -> None:
    clone.stub("python3.12", "exit 0")
    clone.stub("uv", 'echo "uv $*"; mkdir -p .venv/bin')
    clone.stub("mkdir", f'exec {shutil.which("mkdir")} "$@"')
    said = clone.make("setup").splitlines()
    assert "uv venv -q --python python3.12 .venv" in said
    assert "uv pip install -q --python .venv/bin/python -e . --group dev" in said


@pytest.mark.parametrize(
    "value", ["it's my issue.md", 'say "hi"', "$HOME/$(shell echo no)", "; echo no", "ü"]
)
def test_values_reach_doit_word_for_word(clone: Clone, value: str) -> None:
    clone.set_up()
    assert clone.given("sdlc", f"ISSUE={value}")["ISSUE"] == value
    clone.environment["ISSUE"] = value
    assert clone.given("sdlc")["ISSUE"] == value


def test_an_empty_value_counts_as_not_given(clone: Clone) -> None:
    clone.set_up()
    clone.environment["AGENT"] = "x"
    given = clone.given("plan_build", "ADW_ID=a1", "REPO=", "ISSUE= ", "AGENT=")
    assert given["ADW_ID"] == "a1"
    assert not given.keys() & {"REPO", "ISSUE", "AGENT"}


def test_j_says_how_many_phases_run_at_once(clone: Clone) -> None:
    clone.set_up()
    assert clone.make("sdlc", "ADW_ID=a1").startswith("-n 3 sdlc\n")
    assert clone.make("sdlc", "ADW_ID=a1", "J=").startswith("-n 3 sdlc\n")
    assert clone.make("plan_build", "ADW_ID=a1", "J=1").startswith("-n 1 plan_build\n")


def test_with_nothing_given_the_sample_is_mended(clone: Clone) -> None:
    clone.set_up()
    given = clone.given("sdlc", "AGENT=builtin")
    assert (given["REPO"], given["ISSUE"]) == (".sample", "examples/splitbill-issue.md")
    assert git(clone.root / ".sample", "log", "--format=%an: %s") == "sample: Split a bill among friends"
    assert git(clone.root / ".sample", "status", "--porcelain") == ""


def test_the_sample_is_made_once(clone: Clone) -> None:
    clone.set_up()
    clone.make("sdlc")
    (clone.root / ".sample/mine").touch()
    clone.make("sdlc")
    assert (clone.root / ".sample/mine").exists()


def test_the_users_git_settings_do_not_reach_the_sample(clone: Clone) -> None:
    clone.set_up()
    clone.stub("hooks/pre-commit", "exit 1")
    clone.settings.write_text(
        f"[core]\nhooksPath = {clone.bin}/hooks\n[commit]\ngpgSign = true\n[init]\ndefaultBranch = trunk\n"
    )
    clone.environment["GIT_DIR"] = str(clone.root / "elsewhere")
    clone.make(".sample")
    assert git(clone.root / ".sample", "branch", "--show-current") == "main"
    assert not (clone.root / "elsewhere").exists()


def test_the_fix_in_the_issue_applies_to_the_sample(clone: Clone) -> None:
    issue = (ROOT / "examples/splitbill-issue.md").read_text()
    clone.make(".sample")
    (clone.root / "fix").write_text(issue.split("```diff\n")[1].split("```")[0])
    git(clone.root / ".sample", "apply", "--index", "../fix")
    assert git(clone.root / ".sample", "diff", "--cached", "--name-only").split() == [
        "splitbill/shares.py", "tests/test_shares.py",
    ]  # fmt: skip


def test_clean_leaves_what_is_the_users(clone: Clone) -> None:
    clone.set_up()
    for name in ("adws/__pycache__", "tests", "benchmarks", ".adws/runs", "mine/__pycache__"):
        (clone.root / name).mkdir(parents=True)
    clone.make(".sample")
    clone.make("clean")
    made = {".venv", ".sample", "adws/__pycache__"}
    assert not [name for name in made if (clone.root / name).exists()]
    kept = {"Makefile", "pyproject.toml", "examples/splitbill-issue.md", ".adws/runs", "mine/__pycache__"}
    assert [name for name in kept if not (clone.root / name).exists()] == []


def test_ci_runs_the_commands_of_the_readme() -> None:
    commands = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line.startswith("make ")]
    readme = (ROOT / "README.md").read_text()
    assert commands == ["make check", "make test", "make test-agents"]
    assert [command for command in commands if command not in readme] == []


def git(place: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=place, check=True, capture_output=True, text=True)
    return done.stdout.strip()
