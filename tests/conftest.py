"""A real repository with a pipeline, and the real commands on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
REPEATED = {"faults", "hostile", "state", "zoo"}
"""Folders of tests that go through the same lines as the stories, many times: measured, they take twice as long."""


def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: a fifth of the time a test waits for something, and another one can use that."""
    return (os.cpu_count() or 1) + 1


class Project:
    """A user's repository, and what a user types in it."""

    def __init__(self, path: Path, home: Path) -> None:
        self.path = path
        self.env = {
            k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "ADW_")) and k != "MAKELEVEL"
        }
        self.env |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        for name in ("ISSUE", "REPO", "AGENT"):
            self.env.pop(name, None)

    def run(
        self, *argv: str, status: int | None = 0, cwd: Path | None = None, stdin: str = "", **env: str
    ) -> str:
        """What the command printed, standard error last."""
        done = subprocess.run(
            argv,
            cwd=cwd or self.path,
            env=self.env | env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        said = done.stdout + done.stderr
        assert status is None or done.returncode == status, f"exit {done.returncode}, not {status}:\n{said}"
        return said

    def git(self, *args: str) -> str:
        return self.run("git", *args).strip()

    def copy(self, folder: Path) -> Project:
        """The same repository, with its runs and its issue, in another folder; nothing is at HOME."""
        shutil.copytree(self.path, folder / self.path.name, symlinks=True)
        shutil.copy(self.env["ISSUE"], folder)
        (folder / "home").mkdir()
        made = Project(folder / self.path.name, folder / "home")
        made.env["ISSUE"] = str(folder / Path(self.env["ISSUE"]).name)
        return made

    def doit(self, *args: str, status: int | None = 0, **kwargs: object) -> str:
        """Plain doit, with the dodo.py in the repository."""
        return self.run(str(BIN / "doit"), *args, status=status, **kwargs)  # type: ignore[arg-type]

    def adws(self, *args: str, status: int | None = 0, **kwargs: object) -> str:
        return self.run(str(BIN / "adws"), *args, status=status, **kwargs)  # type: ignore[arg-type]

    def write(self, name: str, content: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def commit(self, message: str = "change") -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def tree(self, rev: str) -> dict[str, str]:
        """Path -> content of all files of a commit."""
        names = self.git("ls-tree", "-r", "--name-only", rev).splitlines()
        return {name: self.git("show", f"{rev}:{name}") for name in names}

    def log(self, adw_id: str, phase: str, attempt: int = 1) -> str:
        return (self.path / ".adws/runs" / adw_id / phase / f"attempt-{attempt}" / "log").read_text()


def maker(folder: Path) -> Callable[..., Project]:
    """`maker(folder)(phases, issue=...)`: a repository with one commit, a pipeline.yaml, a dodo.py, an issue."""

    def make(phases: str = "", *, issue: str = "# Do it\n", name: str = "repo", **files: str) -> Project:
        path, home = folder / name, folder / "home"
        path.mkdir()
        home.mkdir(exist_ok=True)
        made = Project(path, home)
        made.git("init", "--quiet", "--initial-branch", "main")
        made.git("config", "user.name", "Ada")
        made.git("config", "user.email", "ada@example.org")
        if phases:
            made.write(
                "pipeline.yaml", phases if phases.startswith("version:") else f"version: 1\n{phases}\n"
            )
        shutil.copy(TOP / "dodo.py", path / "dodo.py")
        made.write("README.md", "hello\n")
        for file, content in files.items():
            made.write(file, content)
        made.commit("start")
        (folder / "issue.md").write_text(issue)
        made.env["ISSUE"] = str(folder / "issue.md")
        return made

    return make


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Project]:
    """What `maker` makes, in this test's own folder."""
    return maker(tmp_path)


def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this test starts is not measured, also where the tests themselves run under coverage."""
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _not_measured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a test with variants, the first goes through the lines of all."""
    variants = getattr(request.node, "callspec", None)
    if request.path.parent.name in REPEATED or (variants and any(variants.indices.values())):
        unmeasured(monkeypatch)
