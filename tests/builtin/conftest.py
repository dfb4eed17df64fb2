"""A real git repository to run a phase of the embedded agent in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from adws.builtin.__main__ import main
from tests.conftest import unmeasured

CLEAN = {
    **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "t"),
    **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "t@example.org"),
    **dict.fromkeys(("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"), os.devnull),
}


class Repo:
    """A checkout whose current directory the test is in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "-q", "-b", "main")

    def git(self, *args: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.root, env={**os.environ, **CLEAN}, check=True, capture_output=True
        )
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def commit(self, **files: str | bytes) -> str:
        """Write the files (`commit(**{"a/b.py": "..."})`), commit everything, give the commit's id."""
        for path, text in files.items():
            self.write(path, text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def read(self, path: str) -> str:
        return (self.root / path).read_bytes().decode()

    def phase(self, *args: str, issue: str | None = None) -> int:
        """Run one phase in this process the way `python -m adws.builtin` does; gives the exit code."""
        if issue is not None:
            (self.root.parent / "issue.md").write_bytes(issue.encode("utf-8", "surrogateescape"))
            os.environ["ADW_ISSUE"] = str(self.root.parent / "issue.md")
        return main(list(args))


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    for name in [name for name in os.environ if name.startswith(("ADW_", "GIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ADW_ISSUE", "")  # so that whatever a test puts there is taken back
    (tmp_path / "repo").mkdir()
    monkeypatch.chdir(tmp_path / "repo")
    return Repo(tmp_path / "repo")


@pytest.fixture
def own_coverage(monkeypatch):
    """Coverage that a test measures is its own."""
    unmeasured(monkeypatch)
