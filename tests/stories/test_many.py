"""Many runs, the user's own commits and git's garbage collection at once: nothing is lost, the loser is told."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable

import pytest

from tests.conftest import BIN

PIPELINE = """
phases:
  build: {run: 'echo "$ADW_ID" > "$ADW_ID"; cat "$ADW_ISSUE" > issue-"$ADW_ID"'}
  test: {needs: build, writes: [], run: 'test -s "$ADW_ID"'}
  document: {needs: build, run: 'echo more > "more-$ADW_ID"'}
merge: {into: main}
"""


def start(p, adw_id: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BIN / "doit", "-n", "2", "sdlc", f"ADW_ID={adw_id}"],
        cwd=p.path, env=p.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def finish(p, running: dict[str, subprocess.Popen[str]]) -> None:
    """Wait for all; whoever was told that nothing was merged does it again, as they were told to."""
    for adw_id, run in running.items():
        said, _ = run.communicate(timeout=250)
        assert "Traceback" not in said
        if run.returncode:
            assert run.returncode == 1, said
            assert "was not moved" in said or "times while we merged" in said, said
            p.doit("sdlc", f"ADW_ID={adw_id}")


def at_once(count: int, p, during: Callable[[], None] = lambda: None) -> list[str]:
    """So many runs, and somebody else at work meanwhile, over and over."""
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            during()
            over.wait(0.2)

    other = threading.Thread(target=repeat)
    other.start()
    try:
        names = [f"run-{number}" for number in range(count)]
        finish(p, {name: start(p, name) for name in names})
    finally:
        over.set()
        other.join()
    return names


def check(p, names: list[str], branch: str = "main", taken_along: bool = False) -> None:
    """Each run's change is there by one commit, in one line, and nothing is left behind.

    `taken_along`: or it came with a commit of the user's own, made in the middle of the fast-forward: git
    writes the index first and moves the branch then, and whoever commits in between commits both.
    """
    subjects = p.git("log", "--format=%(trailers:key=Adws-Run,valueonly,separator=)", branch).split()
    assert len(subjects) == len({*subjects})
    assert {*subjects} == {*names} or (taken_along and {*subjects} < {*names})
    assert not p.git("rev-list", "--min-parents=2", branch)
    tree = p.git("ls-tree", "-r", "--name-only", branch).splitlines()
    assert {f"{kind}{name}" for kind in ("", "issue-", "more-") for name in names} <= set(tree)
    locks = [lock for lock in (p.path / ".git").rglob("*.lock") if lock.parent.name != "adws"]
    assert locks == []
    assert p.git("fsck", "--no-dangling", "--connectivity-only") == ""


@pytest.mark.parametrize("count", [6, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_runs_that_merge_into_one_branch_while_the_user_commits_to_it(project, count):
    p = project(PIPELINE)
    made: list[str] = []

    def user() -> None:
        p.write(f"mine-{len(made)}", "mine\n")
        subprocess.run(["git", "add", f"mine-{len(made)}"], cwd=p.path, env=p.env, capture_output=True)
        done = subprocess.run(["git", "commit", "-qm", "mine"], cwd=p.path, env=p.env, capture_output=True)
        if not done.returncode:  # else git was told to wait: adws holds the index
            made.append(f"mine-{len(made)}")

    names = at_once(count, p, user)
    user()  # what the last of them may have staged and was told to wait with
    check(p, names, taken_along=True)
    assert made
    assert set(made) <= set(p.git("ls-tree", "--name-only", "main").splitlines())
    assert p.git("status", "--porcelain", "--untracked-files=no") == ""


def collect(p) -> None:
    """git itself may find an object gone that was there a moment ago, and then stops; the next one works."""
    p.run("git", "gc", "--quiet", "--prune=now", status=None)


@pytest.mark.parametrize("count", [4, pytest.param(30, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_garbage_collection_in_the_middle(project, count):
    p = project(PIPELINE.replace("main", "trunk"))
    p.git("branch", "trunk")
    names = at_once(count, p, lambda: collect(p))
    p.git("gc", "--quiet", "--prune=now")
    check(p, names, "trunk")


def test_the_same_run_twice_tells_the_second_who_has_it(project):
    p = project("phases: {slow: {run: 'until test -e $HOME/go; do sleep 0.05; done; echo s > s'}}")
    first = start(p, "x")
    while (
        not (p.path / ".git/adws/x.lock").exists()
        or "process" not in (p.path / ".git/adws/x.lock").read_text()
    ):
        time.sleep(0.02)
    said = p.doit("sdlc", "ADW_ID=x", status=3)
    assert said == f"run x is in progress (process {first.pid}); wait for it, or stop it\n"
    (p.path.parent / "home/go").touch()
    assert first.wait(60) == 0
