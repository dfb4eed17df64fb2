"""`adws clean` removes what is merged or free, keeps everything else, and says which and why."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import BIN, Project, maker

ONE = "phases: {build: {run: echo a > a}}"
TWO = """
phases:
  build: {run: cat $HOME/code > code}
  check: {needs: build, run: "true"}
workflows: {full: [check], quick: [build]}
"""
DAY = 86_400


def refs(p: Project) -> dict[str, str]:
    lines = p.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split() for line in lines)


def records(p: Project, adw_id: str = "") -> list[str]:
    return [ref.removeprefix("refs/adws/") for ref in refs(p) if ref.startswith(f"refs/adws/{adw_id}")]


def listing(top: Path) -> dict[str, tuple[float, bytes]]:
    """Every path below, with the time of its last change and its content."""
    paths = [top, *top.rglob("*")]
    return {
        str(path): (path.lstat().st_mtime, path.read_bytes() if path.is_file() else b"") for path in paths
    }


def cache(p: Project) -> Path:
    return Path(p.env["XDG_CACHE_HOME"]) / "adws"


def slots(p: Project) -> list[str]:
    return sorted(path.name for path in cache(p).glob("????????????/*"))


def folders(p: Project) -> list[str]:
    return sorted(path.name for path in (p.path / ".adws/runs").iterdir())


def age(top: Path, seconds: float) -> None:
    """As if nobody had been there for that long."""
    for path in [top, *top.rglob("*")]:
        about = path.lstat()
        os.utime(path, (about.st_atime, about.st_mtime - seconds), follow_symlinks=False)


def old_run(p: Project, adw_id: str, seconds: float) -> None:
    """The records of a run, as if they had been written that long ago."""
    then = f"@{int(time.time() - seconds)} +0000"
    for ref in records(p, f"{adw_id}/"):
        raw = p.git("cat-file", "commit", f"refs/adws/{ref}")
        raw = re.sub(r"(?m)^(committer .*>) .*$", rf"\1 {then[1:]}", raw)
        commit = p.run("git", "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw + "\n").strip()
        p.git("update-ref", f"refs/adws/{ref}", commit)


@pytest.fixture
def user(project: Callable[..., Project]) -> Callable[..., Project]:
    """A project whose user has things of their own everywhere: all of it is there and the same afterwards."""

    def make(phases: str = ONE) -> Project:
        p = project(phases, **{".gitignore": "ignored\n"})
        p.env.pop("ADW_ID", None)
        (p.path.parent / "home/code").write_text("1\n")
        p.write("ignored", "mine\n")
        p.write("README.md", "stashed\n")
        p.git("stash")
        p.write("README.md", "not committed\n")
        p.git("branch", "mine")
        p.git("tag", "v1")
        return p

    return make


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    p = maker(tmp_path_factory.mktemp("once"))(ONE)
    p.adws("sdlc", "ADW_ID=run1")
    return p


def mine(p: Project) -> tuple[object, ...]:
    """All that is the user's."""
    kept = {ref: commit for ref, commit in refs(p).items() if not ref.startswith("refs/adws/")}
    files = {
        path: what for path, what in listing(p.path).items() if not re.search(r"/\.(git|adws)(/|$)", path)
    }
    return (
        kept,
        files,
        p.git("stash", "list"),
        (p.path / ".git/config").read_text(),
        p.git("status", "--short"),
    )


def test_a_merged_run_is_removed_and_its_branch_stays(user):
    p = user()
    p.adws("sdlc", "ADW_ID=x")
    before = mine(p)
    said = p.adws("clean").splitlines()
    assert said[0] == "removed run x"
    assert re.fullmatch(rf"removed workspace {cache(p)}/[0-9a-f]{{12}}/0", said[1])
    assert re.fullmatch(r"removed 2, kept 0, freed 0\.[1-9] MB", said[2])
    assert records(p) == []
    assert not (p.path / ".adws/runs/x").exists()
    assert list(cache(p).glob("????????????")) == []
    assert "a" in p.tree("adw/x")
    assert mine(p) == before
    assert p.git("fsck", "--strict", "--no-dangling") == ""
    assert p.adws("clean") == "removed 0, kept 0, freed 0.0 MB\n"


def test_the_same_id_can_be_used_anew(user):
    p = user(TWO)
    p.adws("full", "ADW_ID=x")
    p.adws("clean", "ADW_ID=x")
    assert p.adws("clean", "ADW_ID=x", status=3) == f"run x is not known in {p.path}\n"
    assert "give it an issue" in p.adws("full", "ADW_ID=x", status=3, ISSUE="")
    (p.path.parent / "home/code").write_text("2\n")
    p.git("branch", "-q", "-D", "adw/x")
    said = p.adws("full", "ADW_ID=x")
    assert "up to date" not in said
    assert p.tree("adw/x")["code"] == "2"
    assert (p.path / ".adws/runs/x/build/attempt-1").is_dir()
    assert "x/attempt/build/1" in records(p)


def unmerged(p: Project, why: str) -> str:
    """A run x that is not merged, and what is said of it."""
    if why == "failed":
        p.write("pipeline.yaml", "version: 1\nphases: {a: {run: echo a > a}, b: {needs: a, run: exit 1}}\n")
        p.adws("sdlc", "ADW_ID=x", status=1)
        return "nothing of it was merged"
    p.adws("quick" if why == "another workflow" else "full", "ADW_ID=x")
    commit = p.git("rev-parse", "--short=12", "adw/x")
    if why == "branch deleted":
        p.git("branch", "-q", "-D", "adw/x")
        return f"its commit {commit} is on no branch"
    if why == "branch amended":
        p.git(
            "update-ref", "refs/heads/adw/x", p.git("commit-tree", "-p", "main", "-m", "mine", "adw/x^{tree}")
        )
        return f"its commit {commit} is on no branch"
    if why == "another workflow":
        p.adws("check", "ADW_ID=x")
        return f"the result of phase `check` is not in its commit {commit}"
    (p.path.parent / "home/code").write_text("2\n")
    p.git("update-ref", "-d", "refs/adws/x/build")
    p.adws("build", "ADW_ID=x")
    return f"the result of phase `build` is not in its commit {commit}"


@pytest.mark.parametrize(
    "why", ["failed", "branch deleted", "branch amended", "another workflow", "done again since"]
)
def test_an_unmerged_run_is_kept_and_said_until_told_so(user, why):
    p = user(TWO)
    said = unmerged(p, why)
    before = records(p)
    hint = "to remove it all the same: adws clean ADW_ID=x --unmerged"
    for args in ["ADW_ID=x"], []:
        assert f"kept run x: {said}; {hint}\n" in p.adws("clean", *args)
    assert records(p) == before
    assert (p.path / ".adws/runs/x").is_dir()
    kept = mine(p)
    assert re.fullmatch(r"removed run x\nremoved 1, kept 0, freed 0\.\d MB\n", p.adws(*hint.split()[7:]))
    assert records(p) == []
    assert mine(p) == kept


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/remotes/origin/main"])
def test_a_run_is_merged_on_whatever_branch_its_commit_is(user, ref):
    p = user()
    p.adws("sdlc", "ADW_ID=x")
    p.git("update-ref", ref, "adw/x")
    p.git("branch", "-q", "-D", "adw/x")
    assert "removed run x\n" in p.adws("clean")


def test_a_run_whose_failed_phase_was_left_out_by_its_own_rule_is_merged(user):
    p = user("phases: {a: {run: echo a > a}, b: {run: exit 1, continue-on-error: true}}")
    p.adws("sdlc", "ADW_ID=x")
    assert "removed run x\n" in p.adws("clean")


def test_only_the_named_runs(user):
    p = user()
    for adw_id in "x", "y", "z":
        p.adws("sdlc", f"ADW_ID={adw_id}")
    said = p.adws("clean", "ADW_ID=z", "--dry-run", "ADW_ID=x").splitlines()
    assert said[:2] == ["would remove run z", "would remove run x"]
    p.adws("clean", "ADW_ID=z", "ADW_ID=x")
    assert {ref.split("/")[0] for ref in records(p)} == {"y"}
    assert slots(p) == ["0"]
    p.adws("clean", ADW_ID="y")
    assert (records(p), slots(p)) == ([], ["0"])


@pytest.fixture
def busy(user) -> Iterator[tuple[Project, subprocess.Popen[str]]]:
    """A run x in progress, in slot 0."""
    p = user("phases: {a: {run: 'test -e $HOME/quick || { touch $HOME/at-work; sleep 60; }'}}")
    argv = [BIN / "adws", "sdlc", "ADW_ID=x"]
    running = subprocess.Popen(argv, cwd=p.path, env=p.env, stdout=subprocess.DEVNULL, text=True)
    end = time.monotonic() + 30
    while not (p.path.parent / "home/at-work").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    yield p, running
    running.terminate()
    running.wait(20)


def test_a_run_in_progress_and_its_workspace_are_not_touched(busy):
    p, running = busy
    (p.path.parent / "home/quick").touch()
    p.adws("sdlc", "ADW_ID=y")
    before = refs(p), slots(p)
    assert before[1] == ["0", "1"]
    for args in ["--dry-run"], ["ADW_ID=x"]:
        assert re.search(r"^kept run x: .+\n", p.adws("clean", "--unmerged", *args), re.MULTILINE)
        assert (refs(p), slots(p)) == before
    said = p.adws("clean", "--unmerged").splitlines()
    assert said[0] == f"kept run x: run x is in progress (process {running.pid}); wait for it, or stop it"
    assert said[1] == "removed run y"
    assert re.fullmatch(r"kept workspace \S+/0: somebody is at work on it", said[2])
    assert re.fullmatch(r"removed workspace \S+/1", said[3])
    assert set(records(p)) == {"x/run"}
    assert (p.path / ".adws/runs/x/a/attempt-1").is_dir()
    assert slots(p) == ["0"]
    assert running.poll() is None


def test_a_dry_run_says_the_same_and_changes_nothing(user):
    p = user(TWO)
    p.adws("full", "ADW_ID=x")
    p.adws("check", "ADW_ID=y")
    (p.path / ".adws/runs/lost/a").mkdir(parents=True)
    shutil.rmtree(p.path / ".git/adws")  # as after a clone
    before = refs(p), listing(p.path.parent)
    said = p.adws("clean", "--dry-run")
    assert (refs(p), listing(p.path.parent)) == before
    last = said.splitlines()[-1]
    assert re.fullmatch(r"would remove 3, keep 1, free (0\.\d) MB", last)
    real = (
        said.replace("would remove", "removed").replace(", keep ", ", kept ").replace(", free ", ", freed ")
    )
    assert p.adws("clean") == real
    assert slots(p) == []


def killed(p: Project, code: str, *args: str) -> None:
    """`adws clean` that is killed on its way, where `code` says so."""
    program = (
        f"import os, sys, shutil, subprocess\nfrom adws import git\n{code}\nfrom adws.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", program, "clean", *args], cwd=p.path, env=p.env, check=False)
    assert done.returncode == -signal.SIGKILL


KILL_IN_TRANSACTION = """
real = git.run
def run(*args, git_dir, stdin=b"", **more):
    if args[0] != "update-ref":
        return real(*args, git_dir=git_dir, stdin=stdin, **more)
    moves = stdin.decode().splitlines()
    for move in [move for move in moves if move.startswith("delete")][:COUNT]:
        real("update-ref", "--stdin", git_dir=git_dir, stdin=(move + chr(10)).encode())
    os.kill(os.getpid(), 9)
git.run = run
"""
KILL_IN_FOLDER = """
def rmtree(path, **more):
    files = [os.path.join(top, name) for top, _, names in os.walk(path) for name in names]
    for file in files[:len(files) // 2]:
        os.unlink(file)
    os.kill(os.getpid(), 9)
shutil.rmtree = rmtree
"""


@pytest.mark.parametrize(
    ("count", "packed"),
    [
        pytest.param(
            count, packed, marks=[] if (count, packed) in [(1, False), (4, True)] else pytest.mark.slow
        )
        for packed in (False, True)
        for count in range(7)
    ],
)
def test_killed_between_two_refs_it_is_still_what_it_was_and_clean_finishes(user, count, packed):
    p = user(TWO)
    p.adws("full", "ADW_ID=x")
    if packed:
        p.git("pack-refs", "--all")
    all_of_it = set(records(p))
    assert len(all_of_it) == 6  # two results, two attempts, run, merge
    killed(p, KILL_IN_TRANSACTION.replace("COUNT", str(count)), "ADW_ID=x")
    left = set(records(p))
    assert len(left) == 6 - count
    assert left >= {"x/run", "x/merge"} or left <= {"x/merge"}
    (p.path / ".git/refs/adws/x").mkdir(parents=True, exist_ok=True)
    (p.path / ".git/refs/adws/x/build.lock").touch()  # of a git that was killed as well
    said = p.adws("clean", "ADW_ID=x").splitlines()
    assert said[0] == ("removed run x" if left else "removed the logs of run x, which has no record")
    assert (records(p), (p.path / ".adws/runs/x").exists()) == ([], False)


@pytest.mark.parametrize("count", [2, *(pytest.param(count, marks=pytest.mark.slow) for count in (0, 1, 3))])
def test_an_unmerged_run_that_was_half_removed_needs_to_be_told_again(user, count):
    p = user("phases: {a: {run: echo a > a}, b: {needs: a, run: exit 1}}")
    p.adws("sdlc", "ADW_ID=x", status=1)
    killed(p, KILL_IN_TRANSACTION.replace("COUNT", str(count)), "ADW_ID=x", "--unmerged")
    assert "kept run x: nothing of it was merged" in p.adws("clean")
    p.adws("clean", "--unmerged")
    assert records(p) == []


def test_a_half_removed_run_can_go_on(user):
    p = user(TWO)
    p.adws("full", "ADW_ID=x")
    killed(p, KILL_IN_TRANSACTION.replace("COUNT", "3"))
    assert "branch adw/x has it all" in p.adws("full", "ADW_ID=x")


def test_killed_within_a_folder_clean_finishes(user):
    p = user()
    p.adws("sdlc", "ADW_ID=x")
    old_run(p, "x", 2 * DAY)
    p.git("update-ref", "refs/heads/adw/x", "refs/adws/x/merge")
    age(p.path / ".adws/runs/x", 2 * DAY)
    age(cache(p), 2 * DAY)
    killed(p, KILL_IN_FOLDER, "--unmerged", "--older-than", "1d")
    assert (records(p), folders(p)) == ([], ["x.removed"])
    killed(p, KILL_IN_FOLDER, "--unmerged", "--older-than", "1d")
    shutil.rmtree(p.path / ".adws/runs/x.removed")
    killed(p, KILL_IN_FOLDER, "--unmerged", "--older-than", "1d")
    assert slots(p) == ["0.removed"]
    assert "removed 1, kept 0" in p.adws("clean", "--older-than", "1d")
    assert (folders(p), slots(p)) == ([], [])


def test_a_phase_never_finds_half_of_what_was_kept(user):
    p = user(
        """
phases:
  a: {run: ls dep | wc -l > count, keep: {dep: README.md}, setup: mkdir dep; touch dep/1 dep/2 dep/3 dep/4}
"""
    )
    p.adws("sdlc", "ADW_ID=x")
    killed(p, KILL_IN_FOLDER, "--unmerged")  # the logs
    shutil.rmtree(p.path / ".adws/runs")
    killed(p, KILL_IN_FOLDER, "--unmerged")
    assert slots(p) == ["0.removed"]
    p.adws("sdlc", "ADW_ID=y")
    assert p.tree("adw/y")["count"] == "4"
    p.adws("clean")
    assert slots(p) == []


def test_runs_of_all_checkouts_and_their_logs(user, tmp_path):
    p = user()
    p.adws("sdlc", "ADW_ID=here")
    other = tmp_path / "other tree"
    p.git("worktree", "add", "-q", str(other), "-b", "other")
    p.adws("sdlc", "ADW_ID=there", cwd=other)
    assert (other / ".adws/runs/there").is_dir()
    p.run("mkdir", str(tmp_path / "gone"))
    p.git("worktree", "add", "-q", str(tmp_path / "gone/w"), "-b", "gone")
    shutil.rmtree(tmp_path / "gone")
    said = p.adws("clean", cwd=p.path / ".adws").splitlines()
    assert said[:2] == ["removed run here", "removed run there"]
    assert list((other / ".adws/runs").iterdir()) == []
    assert (records(p), slots(p)) == ([], [])
    p.adws("sdlc", "ADW_ID=new")
    assert "removed run new\n" in p.adws("clean", f"REPO={p.path}", cwd=tmp_path)


def test_older_than(user):
    p = user()
    for adw_id in "old", "new":
        p.adws("sdlc", f"ADW_ID={adw_id}")
    old_run(p, "old", 8 * DAY)
    p.git("update-ref", "refs/heads/adw/old", "refs/adws/old/merge")
    before = records(p)
    said = p.adws("clean", "--older-than", "7d", "--unmerged").splitlines()
    assert re.fullmatch(r"kept run new: last used \d{4}-\d\d-\d\d \d\d:\d\d", said[0])
    assert said[1] == "removed run old"
    assert re.fullmatch(r"kept workspace \S+/0: last used \d{4}-\d\d-\d\d \d\d:\d\d", said[2])
    assert records(p) == [ref for ref in before if not ref.startswith("old/")]
    age(cache(p), 13 * 3600)
    assert "kept workspace" in p.adws("clean", "--older-than", "1d")
    assert "removed workspace" in p.adws("clean", "--older-than=12h")


def test_folders_without_a_record(user):
    p = user()
    p.adws("sdlc", "ADW_ID=x")
    top = p.path / ".adws/runs"
    for name in "lost", "fresh", "held", "not.ours":
        (top / name / "a").mkdir(parents=True)
        (top / name / "a/log").write_text("x")
    age(top / "lost", 2 * DAY)
    age(top / "held", 2 * DAY)
    with (p.path / ".git/adws/held.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = p.adws("clean", "--older-than", "1d")
    assert "removed the logs of run lost, which has no record\n" in said
    assert folders(p) == ["fresh", "held", "not.ours", "x"]
    p.adws("clean")
    assert folders(p) == ["not.ours"]


def test_links_are_not_followed(user, tmp_path):
    p = user()
    p.adws("sdlc", "ADW_ID=x")
    precious = tmp_path / "precious"
    (precious / "runs/x").mkdir(parents=True)
    (precious / "runs/x/file").write_text("mine")
    (precious / "0").mkdir()
    (precious / "0/file").write_text("mine")
    (p.path / ".adws/runs/x/link").symlink_to(precious)
    next(cache(p).glob("????????????/0")).joinpath("kept").symlink_to(precious)
    (cache(p) / "0123456789ab").symlink_to(precious)
    (p.path / ".adws/runs/lost").symlink_to(precious)
    before = listing(precious)
    p.adws("clean")
    assert (records(p), slots(p), listing(precious)) == ([], ["0", "runs"], before)
    shutil.rmtree(p.path / ".adws")
    (p.path / ".adws").symlink_to(precious)
    p.adws("clean")
    (p.path / ".adws").unlink()
    (p.path / ".adws").mkdir()
    (p.path / ".adws/runs").symlink_to(precious / "runs")
    p.adws("clean")
    assert listing(precious) == before


def test_directories_that_may_not_be_written(user):
    p = user("phases: {a: {run: 'mkdir -p d/e f; touch d/e/f; chmod -R a-w d; chmod 0 f'}}")
    p.adws("sdlc", "ADW_ID=x", status=None)
    p.adws("clean", "--unmerged")
    assert slots(p) == []


def test_what_cannot_be_removed_stops_nothing_else(user):
    p = user()
    p.adws("sdlc", "ADW_ID=x")
    p.adws("sdlc", "ADW_ID=y")
    code = """
from adws import clean
real = clean.remove
def remove(path):
    if "runs/x" in str(path):
        raise PermissionError(13, "Permission denied", str(path))
    real(path)
clean.remove = remove
from adws.cli import main
main()
"""
    said = p.run(sys.executable, "-c", code, "clean", status=2).splitlines()
    where = p.path / ".adws/runs/x.removed"
    assert said[:2] == [f"kept run x: {where}: permission denied", "removed run y"]
    assert said[-1].startswith("removed 2, kept 1")


def test_a_pool_goes_with_its_repository_and_not_with_another(user, project):
    p, q, r = user(), project(ONE, name="q"), project(ONE, name="r")
    for each in p, q, r:
        each.adws("sdlc", "ADW_ID=x")
    assert slots(p) == ["0", "0", "0"]
    shutil.rmtree(q.path)
    (cache(p) / "CACHEDIR.TAG").touch()
    said = p.adws("clean")
    assert len(re.findall(r"^removed workspace \S+/0, whose repository is gone$", said, re.MULTILINE)) == 1
    assert slots(p) == ["0"]
    assert "removed workspace" in r.adws("clean")
    assert sorted(path.name for path in cache(p).iterdir()) == ["CACHEDIR.TAG", "slots"]


def test_without_a_cache_or_its_locks(user):
    p = user()
    p.adws("sdlc", "ADW_ID=x")
    shutil.rmtree(cache(p) / "slots")
    p.adws("clean", "--dry-run")
    assert not (cache(p) / "slots").exists()
    assert "removed workspace" in p.adws("clean")
    shutil.rmtree(cache(p))
    assert p.adws("clean") == "removed 0, kept 0, freed 0.0 MB\n"


def test_records_that_another_machine_brought(user, tmp_path):
    p = user()
    p.adws("sdlc", "ADW_ID=x")
    p.git("clone", "-q", ".", str(tmp_path / "other"))
    p.path = tmp_path / "other"
    p.git("fetch", "-q", "origin", "refs/adws/*:refs/adws/*")
    p.git("update-ref", "refs/adws/stray", "HEAD")
    assert p.adws("clean") == "removed run x\nremoved 1, kept 0, freed 0.0 MB\n"
    assert records(p) == ["stray"]


def test_a_run_that_goes_on_meanwhile_is_not_lost(user):
    p = user()
    p.adws("sdlc", "ADW_ID=x")
    code = """
import subprocess
from adws import clean, git
kind = sys.argv.pop()
real = (clean._unmerged, git.run)
def unmerged(record, apart):
    if kind == "before":
        subprocess.run(["git", "update-ref", "refs/adws/x/new", "HEAD"], check=True)
    return real[0](record, apart)
def run(*args, **more):
    if args[0] == "update-ref":
        subprocess.run(["git", "update-ref", "refs/adws/x/run", "HEAD"], check=True)
    return real[1](*args, **more)
clean._unmerged, git.run = unmerged, run
from adws.cli import main
main()
"""
    code = f"import sys\n{code}"
    assert "kept run x: it went on meanwhile\n" in p.run(sys.executable, "-c", code, "clean", "before")
    before = records(p)
    assert "x/new" in before
    p.git("update-ref", "-d", "refs/adws/x/new")
    said = p.run(sys.executable, "-c", code, "clean", "during", status=2)
    assert re.search(r"^kept run x: .*refs/adws/x/run.* expected ", said, re.MULTILINE)
    assert len(records(p)) == len(before) - 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--frobnicate"], "adws clean knows no `--frobnicate`; see adws clean --help"),
        (["--dryrun"], "adws clean knows no `--dryrun`; did you mean `--dry-run`?"),
        (["--unmerge"], "adws clean knows no `--unmerge`; did you mean `--unmerged`?"),
        (["x"], "adws clean knows no `x`; see adws clean --help"),
        (["--older-than"], "argument --older-than: expected one argument; see adws clean --help"),
        (["--older-than", "7"], "`7` is no age; write days or hours: 7d, 12h"),
        (["--older-than=-1d"], "`-1d` is no age; write days or hours: 7d, 12h"),
        (["--unmerged=no"], "argument --unmerged: ignored explicit argument 'no'; see adws clean --help"),
        (
            ["ADW_IDD=x"],
            "unknown variable `ADW_IDD`; did you mean `ADW_ID`?; there are ADW_ID, ISSUE, REPO, AGENT",
        ),
        (["ADW_ID=runn"], "run runn is not known in {path}; did you mean `run1`?"),
        (["ADW_ID=run1", "ADW_ID=no"], "run no is not known in {path}"),
        (
            ["ADW_ID=", "--unmerged"],
            "ADW_ID '' cannot be used; an id has letters, digits, `-` and `_`, at most 64, the first a letter or digit",
        ),
        (
            ["ADW_ID=", "ADW_ID=run1"],
            "ADW_ID '' cannot be used; an id has letters, digits, `-` and `_`, at most 64, "
            "the first a letter or digit",
        ),
        (["REPO=.."], "{path}/.. is not in a git repository; change into one, or make one: git init"),
    ],
)
def test_a_bad_call_is_one_line_and_removes_nothing(once, args, said):
    p = once
    before = records(p), slots(p)
    assert before[1] == ["0"]
    said = said.replace("{path}/..", str(p.path.parent)).replace("{path}", str(p.path))
    assert p.adws("clean", *args, status=3) == f"{said}\n"
    assert (records(p), slots(p)) == before


def test_help_is_found_every_way(user):
    p = user()
    said = p.adws("clean", "--help")
    assert said.startswith("usage: adws clean [ADW_ID=id]... [REPO=path] [--older-than AGE] [--unmerged]")
    assert p.adws("help", "clean") == p.adws("clean", "-h") == said
    assert "adws clean --dry-run" in p.adws("--help")
    assert "removed 0" in p.adws(f"REPO={p.path}", "clean", cwd=p.path.parent)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--frobnicate", "sdlc"], "unknown option `--frobnicate`; adws help run lists all options"),
        (["-z"], "unknown option `-z`; adws help run lists all options"),
        (["--singel"], "unknown option `--singel`; did you mean `--single`?"),
        (["list", "--statsu"], "unknown option `--statsu`; did you mean `--status`?"),
        (["build", "--xyz"], "unknown option `--xyz`; adws help run lists all options"),
        (["build", "-n", "1"], "option `-n` comes too late; options stand before workflows and phases"),
        (["-n"], "option -n requires argument; adws help run lists all options"),
    ],
)
def test_an_option_that_doit_does_not_know_is_one_line(user, args, said):
    assert user().adws(*args, status=3) == f"{said}\n"


@pytest.mark.parametrize("module", ["getopt", "doit.cmd_base", "yaml", "adws.report.console", "adws.clean"])
def test_ctrl_c_during_the_imports_is_silent(user, module):
    code = f"""
import os, signal, sys
class Stop:
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Stop())
from adws.cli import main
main()
"""
    p = user()
    assert p.run(sys.executable, "-c", code, "clean", status=130) == ""
    ignored = (
        f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{code}"  # as nohup and `&` have it
    )
    assert "removed 0" in p.run(sys.executable, "-c", ignored, "clean")
