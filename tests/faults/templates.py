"""The projects of a sweep: a small repository in the middle of somebody's work, and the command to fault."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import BIN

NAIVE = Path(__file__).with_name("naive.sh")

PIPELINE = """\
version: 1
phases:
  a: {run: 'echo a >> code; rm old; echo out > "$ADW_OUT/x"'}
  b: {needs: a, run: 'read x < "${ADW_STATE%/*}/needs/a/x"; echo "$x" > b'}
  c: {needs: a, run: 'echo c > c'}
"""


@dataclass(frozen=True, kw_only=True)
class Template:
    """What a run starts from."""

    name: str
    argv: tuple[str, ...]
    branch: str
    build: Callable[[Project], None]
    ours: bool = False
    """Whether the branch is checked out, so that the checkout moves with it."""


@dataclass(frozen=True)
class Project:
    """A template or a copy of one: all that its run can change lies below `root`."""

    root: Path

    @property
    def repo(self) -> Path:
        return self.root / "repo"

    @property
    def git_dir(self) -> Path:
        return self.repo / ".git"

    @property
    def env(self) -> dict[str, str]:
        """The caller's environment without what would change the run, or be written into its results."""
        drop = (
            "GIT_",
            "ADW_",
            "COVERAGE_",
            "COV_",
            "PYTEST_",
            "MAKE",
            "ISSUE",
            "REPO",
            "AGENT",
            "XDG_",
            "LC_",
        )
        passed = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
        home = self.root / "home"
        return passed | {
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "TMPDIR": str(self.root / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
        }

    def git(self, *args: str, ok: tuple[int, ...] = (0,)) -> str:
        """What git answers, with standard error behind it; a question leaves no trace."""
        env = self.env | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0"}
        done = subprocess.run(
            ["git", *args], cwd=self.repo, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode in ok, f"git {' '.join(args)}: {said}"
        return said.strip()

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def copy(self, root: Path) -> Project:
        # cp, since shutil.copytree takes three times as long
        subprocess.run(["cp", "-a", self.root, root], check=True, timeout=60)
        return Project(root)


def _repository(project: Project) -> None:
    for name in ("repo", "home", "tmp"):
        (project.root / name).mkdir(parents=True)
    (project.root / "issue.md").write_text("# Do it\n")
    project.git("init", "--quiet", "--initial-branch", "main", "--template=")
    project.git("config", "user.name", "Ada")
    project.git("config", "user.email", "ada@example.org")
    for name in ("code", "old", "dirty", "staged"):
        (project.repo / name).write_text(f"{name}\n")


def _work_of_theirs(project: Project) -> None:
    """A stash, a change, a staged change and an untracked file: none of it is the run's business."""
    project.commit("start")
    (project.repo / "dirty").write_text("stashed\n")
    project.git("stash", "--quiet")
    (project.repo / "dirty").write_text("changed\n")
    (project.repo / "staged").write_text("changed\n")
    project.git("add", "staged")
    (project.repo / "untracked").write_text("theirs\n")
    project.git("repack", "-a", "-d", "-q")
    for number in range(256):
        # else an object's id, which holds seconds, decides whether a folder has to be made: one event more or less
        (project.git_dir / "objects" / f"{number:02x}").mkdir(exist_ok=True)


def _own_branch(project: Project) -> None:
    _repository(project)
    (project.repo / "pipeline.yaml").write_text(PIPELINE)
    _work_of_theirs(project)


def _checked_out(project: Project) -> None:
    _repository(project)
    (project.repo / "pipeline.yaml").write_text(f"{PIPELINE}merge: {{into: main}}\n")
    _work_of_theirs(project)


def _naive(project: Project) -> None:
    _repository(project)
    _work_of_theirs(project)


def _leaky(project: Project) -> None:
    _naive(project)
    (project.repo / "leaks").touch()


def _adws(jobs: int) -> tuple[str, ...]:
    return (str(BIN / "adws"), "-n", str(jobs), "sdlc", "ADW_ID=x", "ISSUE=../issue.md")


TEMPLATES = {
    template.name: template
    for template in (
        Template(name="branch", argv=_adws(1), branch="adw/x", build=_own_branch),
        Template(name="main", argv=_adws(1), branch="main", build=_checked_out, ours=True),
        # the numbers of its events are another order every time: a few points, to see that the order is no matter
        Template(name="parallel", argv=_adws(3), branch="adw/x", build=_own_branch),
        Template(name="naive", argv=("sh", str(NAIVE)), branch="adw/x", build=_naive),
        Template(name="leaky", argv=("sh", str(NAIVE)), branch="adw/x", build=_leaky),
    )
}
"""branch: the pipeline's default, a branch of its own. main: the branch that is checked out. naive, leaky: see
`naive.sh`; the oracle must not be content with them."""


def scratch() -> Path:
    """Where the copies go: in memory if there is such a place."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 28 else Path()
