"""The whole life of a run on what a machine may have; `make test-matrix` does it under every Python and git."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN
from tests.zoo import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.platforms]

LIFE = r"""
phases:
  plan: {run: "seq 9 > both; echo plan >> $HOME/ran"}
  left: {needs: plan, run: "sed -i.old s/1/left/ both; rm both.old; echo left >> $HOME/ran"}
  right: {needs: plan, run: "sed -i.old s/9/right/ both; rm both.old; echo right >> $HOME/ran"}
  check: {needs: [left, right], run: "echo check >> $HOME/ran; grep left both && grep right both && test -e $HOME/ok"}
"""
MERGED = "left\n2\n3\n4\n5\n6\n7\n8\nright"


def live(p, tool) -> None:
    """A phase fails; the same command goes on, merges both sides of one file, and has nothing to do after that."""
    home, status, start = Path(p.env["HOME"]), p.git("status", "--porcelain"), p.git("rev-parse", "HEAD")
    assert "FAILED check: exit 1\n" in tool("sdlc", "ADW_ID=x", status=1)
    assert p.git("for-each-ref", "refs/heads/adw") == ""
    (home / "ok").touch()
    said = tool("sdlc", "ADW_ID=x")
    assert re.findall(r"^(\w+) +up to date", said, re.MULTILINE) == ["plan", "left", "right"]
    said = tool("sdlc", "ADW_ID=x")
    assert "branch adw/x has it all" in said
    ran = (home / "ran").read_text().split()
    assert (ran[0], sorted(ran[1:3]), ran[3:]) == ("plan", ["left", "right"], ["check", "check"])
    assert p.tree("adw/x") == p.tree("HEAD") | {"both": MERGED}
    assert (p.git("rev-parse", "adw/x^"), p.git("rev-parse", "HEAD")) == (start, start)
    assert p.git("status", "--porcelain") == status


# How workers start and what they are can only interact with Python: one repository is enough. What `default`
# is changed with Python 3.14.
@pytest.mark.parametrize("program", ["doit", "adws"])
@pytest.mark.parametrize(
    ("how", "method"),
    [
        *(("-n3 -P process", method) for method in ("default", "fork", "forkserver", "spawn")),
        *((how, "default") for how in ("-n3 -P thread", "-n1 -P process", "-n1 -P thread", "-n0")),
    ],
)
def test_every_kind_of_worker_runs_it(project, program, how, method):
    p = project(LIFE)
    start_with(p, method)
    # from Python 3.12 on a fork beside a thread is told, and doit itself has one beside the workers it forks
    p.env["PYTHONWARNINGS"] = "default,ignore:This process:DeprecationWarning:multiprocessing.popen_fork"

    def tool(*args: str, status: int = 0) -> str:
        said = getattr(p, program)("run", *how.split(), *args, status=status)
        assert "Warning" not in said
        return said

    live(p, tool)


def start_with(p, method: str) -> None:
    """Let multiprocessing start workers that way, in all programs: each Python imports a module of this name."""
    if method != "default":
        folder = Path(p.env["HOME"]) / "site"
        folder.mkdir()
        choose = f"if not multiprocessing.parent_process(): multiprocessing.set_start_method({method!r})"
        (folder / "sitecustomize.py").write_text(f"import multiprocessing\n{choose}\n")
        p.env["PYTHONPATH"] = str(folder)


@pytest.mark.parametrize("method", ["default", "fork", "forkserver", "spawn"])
def test_a_killed_worker_does_not_hang_the_run_however_it_was_started(project, method):
    p = project('phases: {a: {run: "true"}, b: {run: "echo $PPID > $HOME/supervisor; sleep 60"}}')
    start_with(p, method)
    command = [str(BIN / "doit"), "-n2", "sdlc", "ADW_ID=x"]
    with subprocess.Popen(command, cwd=p.path, env=p.env, stdout=subprocess.PIPE, text=True) as running:
        told = Path(p.env["HOME"]) / "supervisor"
        wait_until(lambda: told.exists() and told.read_text())
        os.kill(parent(parent(int(told.read_text()))), signal.SIGKILL)
        try:
            said, _ = running.communicate(timeout=20)
        finally:
            running.terminate()
    assert "a worker process died with exit code -9" in said
    assert running.returncode == 2


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


# How a repository keeps objects, refs and checkouts can only interact with git, and with each other, since each
# of the three decides where we find something below its git directory.
@pytest.mark.parametrize("checkout", ["plain", "linked worktree", "worktree of a bare one", "submodule"])
@pytest.mark.parametrize("refs", ["files", "reftable"])
@pytest.mark.parametrize("objects", ["sha1", "sha256"])
def test_every_kind_of_repository_is_served(project, objects, refs, checkout):
    p = project(LIFE)
    repository(p, objects, refs)
    place(p, checkout, refs)
    live(p, p.doit)
    # onto a branch that is checked out: the one merge that moves files under the user's eyes
    p.write("pipeline.yaml", "version: 1\nphases: {new: {run: echo new > new}}\nmerge: {into: here}\n")
    p.commit()
    p.doit("sdlc", "ADW_ID=y")
    assert (p.path / "new").read_text() == "new\n"
    assert p.git("status", "--porcelain") == ""
    git_dir = p.path / p.git("rev-parse", "--git-common-dir")
    assert not [path for path in git_dir.rglob("*.lock") if path.parent.name != "adws"]
    p.git("fsck", "--strict", "--no-dangling", "--no-progress")


def repository(p, objects: str, refs: str) -> None:
    """Begin the project's history anew, in a repository of that kind."""
    shutil.rmtree(p.path / ".git")
    formats = [f"--object-format={objects}", *(["--ref-format=reftable"] if refs == "reftable" else [])]
    said = p.run("git", "init", "--quiet", "--initial-branch", "main", *formats, status=None)
    if "ref-format" in said:
        pytest.skip(f"{p.git('version')} has no reftable; it came with git 2.45")
    for key, value in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        p.run("git", "config", "--global", key, value)
    p.commit("start")
    p.git("checkout", "--quiet", "-b", "here")


def place(p, checkout: str, refs: str) -> None:
    """Go on in a checkout of that kind."""
    above, formats = p.path.parent, (["--ref-format=reftable"] if refs == "reftable" else [])
    if checkout == "linked worktree":
        p.git("checkout", "--quiet", "main")
        p.git("worktree", "add", "--quiet", "../linked", "here")
        p.path = above / "linked"
    elif checkout == "worktree of a bare one":
        p.git("clone", "--quiet", "--bare", *formats, ".", "../bare.git")
        # each checkout with settings of its own, as sparse ones have; then being bare is one of them
        for setting in (
            ["extensions.worktreeConfig", "true"],
            ["--unset", "core.bare"],
            ["--worktree", "core.bare", "true"],
        ):
            p.git("-C", "../bare.git", "config", *setting)
        p.git("-C", "../bare.git", "worktree", "add", "--quiet", "../of-bare", "here")
        p.path = above / "of-bare"
    elif checkout == "submodule":
        (above / "super").mkdir()
        p.git(
            "-C",
            "../super",
            "init",
            "--quiet",
            f"--object-format={p.git('rev-parse', '--show-object-format')}",
            *formats,
        )
        p.git(
            "-C",
            "../super",
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            "-b",
            "here",
            str(p.path),
            "sub",
        )
        p.path = above / "super/sub"
