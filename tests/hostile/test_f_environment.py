"""F: where it is started, with how little, how often at once, and what others do to the repository meanwhile.

Further than the list goes:

    168 options that are none, too late, without a value, words of doit
    169 ctrl-C before anything has begun
    170 PATH empty, relative, without a shell; HOME and the cache missing, files, read-only, relative
    171 Python's own variables: PYTHONPATH, PYTHONHOME, PYTHONOPTIMIZE, PYTHONWARNINGS, a broken start file
    172 the user deletes, moves, cleans the repository, the logs, the workspaces in the middle
    173 runs of other ids at the same time
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import BIN, Project
from tests.hostile.conftest import cases, everything, green, mortal, refuse, theirs
from tests.zoo import wait_until

Make = Callable[..., Project]

ONE = "phases: {a: {run: echo a > a}}"
ADWS = str(BIN / "adws")
MEANWHILE = """
phases:
  a: {run: "touch $HOME/begun; until [ -e $HOME/go ]; do sleep 0.05; done; echo a > a"}
  b: {needs: a, run: echo b > b}
"""


def meanwhile(p: Project, do: Callable[[], object], *args: str, status: int | None = 0) -> str:
    """What a run says in whose middle something is done."""
    home = Path(p.env["HOME"])
    command = [ADWS, *(args or ("sdlc",)), "ADW_ID=x"]
    with subprocess.Popen(
        command, cwd=p.path, env=p.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        try:
            wait_until((home / "begun").exists)
            do()
        finally:
            (home / "go").touch()
            said, _ = running.communicate(timeout=60)
    assert status is None or running.returncode == status, said
    assert "Traceback" not in said
    return said


def a_and_b(p: Project) -> bool:
    return {"a", "b"} <= set(p.git("ls-tree", "--name-only", "adw/x").split())


STREAMS = {
    "F121-no-stdin": "<&-",
    "F121-no-stdout": ">&-",
    "F121-no-stderr": "2>&-",
    "F121-none-of-the-three": "<&- >&- 2>&-",
    "F121-a-reader-that-goes-away": "| head -n 1",
    "F121-a-reader-that-is-not-there": "| true",
    "F121-both-to-a-reader-that-is-not-there": "2>&1 | true",
    "F121-nohup": ">/dev/null 2>&1 </dev/null",
}


@cases("streams", STREAMS)
def test_whatever_the_first_three_descriptors_are(project: Make, streams: str):
    p = project(ONE)
    before = theirs(p)
    said = p.run("sh", "-c", f"'{ADWS}' sdlc ADW_ID=x {streams}")
    assert "Traceback" not in said
    assert "BrokenPipe" not in said
    assert p.git("show", "adw/x:a") == "a"
    assert theirs(p) == before


def test_f121_a_terminal_that_cannot_be_written_does_not_cost_the_run(project: Make):
    p = project(ONE)
    p.run("sh", "-c", f"'{ADWS}' sdlc ADW_ID=x >/dev/full", status=None)
    assert p.git("show", "adw/x:a") == "a"


@pytest.mark.parametrize("args", [["sdlc", "ADW_ID=.."], ["list"], ["--help"]])
def test_f121_a_refusal_needs_no_reader_either(project: Make, args: list[str]):
    p = project(ONE)
    words = " ".join(args)
    for streams in ("<&- >&- 2>&-", "2>&1 | true"):
        assert "Traceback" not in p.run("sh", "-c", f"'{ADWS}' {words} {streams}", status=None)


def without(*names: str) -> str:
    return f"exec env {' '.join(f'-u {name}' for name in names)} '{ADWS}' sdlc ADW_ID=x"


def test_f121_without_home_and_everything_else(project: Make, tmp_path: Path):
    """HOME is then the one of the password file, so the cache has to be named."""
    p = project(ONE)
    script = (
        f'exec env -i PATH="$PATH" ISSUE="$ISSUE" XDG_CACHE_HOME="{tmp_path}/cache" \'{ADWS}\' sdlc ADW_ID=x'
    )
    p.run("sh", "-c", script)
    assert p.git("show", "adw/x:a") == "a"


PLACES = {
    "F122-TMPDIR-missing": {"TMPDIR": "/nowhere"},
    "F122-TMPDIR-a-file": {"TMPDIR": "/etc/passwd"},
    "F122-TMPDIR-relative": {"TMPDIR": "tmp"},
    "F170-cache-relative": {"XDG_CACHE_HOME": "cache"},
    "F170-PATH-with-empty-parts": {"PATH": f":{os.environ['PATH']}::."},
    "F171-PYTHONPATH": {"PYTHONPATH": "/nowhere"},
    "F171-PYTHONOPTIMIZE": {"PYTHONOPTIMIZE": "2"},
    "F171-PYTHONSAFEPATH": {"PYTHONSAFEPATH": "1"},
    "F171-PYTHONHASHSEED": {"PYTHONHASHSEED": "0", "PYTHONDEVMODE": "1", "PYTHONWARNINGS": "default"},
    "F171-PYTHONIOENCODING": {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    "F171-PYTHONUNBUFFERED": {"PYTHONUNBUFFERED": "1", "PYTHONINSPECT": ""},
    "F121-TERM": {"TERM": "", "COLUMNS": "0", "LINES": "-1", "NO_COLOR": "1"},
    "F123-LANG-unknown": {"LANG": "xx_YY.Latin-99", "LC_ALL": "nowhere"},
}


@cases("env", PLACES)
def test_odd_variables_are_no_obstacle(project: Make, env: dict[str, str]):
    p = project(ONE)
    before = theirs(p)
    p.adws("sdlc", "ADW_ID=x", **env)
    assert p.git("show", "adw/x:a") == "a"
    assert theirs(p) == before


# no words of our own for these; one line is what has to be, and that nothing is left behind
UNUSABLE = {
    "F170-HOME-a-file": ({"HOME": "/etc/passwd", "XDG_CACHE_HOME": ""}, "/etc/passwd/.cache"),
    "F170-cache-a-file": ({"XDG_CACHE_HOME": "/etc/passwd"}, "/etc/passwd/adws"),
    "F170-cache-missing-and-not-to-be-made": ({"XDG_CACHE_HOME": "/proc/nowhere"}, "/proc/nowhere"),
}


@cases(("env", "path"), UNUSABLE)
def test_a_cache_that_cannot_be_is_named(project: Make, env: dict[str, str], path: str):
    p = project(ONE)
    before = theirs(p)
    said = p.adws("sdlc", "ADW_ID=x", status=2, **env)
    assert re.search(f"^ERROR a: .*{path}", said, re.MULTILINE)
    assert "Traceback" not in said
    assert theirs(p) == before
    green(p, "sdlc")


def test_f170_a_cache_that_cannot_be_written_is_named(project: Make):
    p = project(ONE)
    cache = Path(p.env["XDG_CACHE_HOME"])
    cache.mkdir()
    cache.chmod(0o555)
    said = mortal(p)("sdlc", "ADW_ID=x", status=2)
    assert re.search(f"^ERROR a: {cache}/adws.*: permission denied", said, re.MULTILINE)


def test_f170_an_empty_path_has_no_git(project: Make):
    p = project(ONE)
    said = refuse(p, "sdlc", "ADW_ID=x", PATH="")
    assert said == "git is not installed or not on PATH; adws needs git 2.38 or newer\n"


LOCALES = {
    "F123-LANG-C": {"LANG": "C"},
    "F123-LC_ALL-C": {"LC_ALL": "C"},
    "F123-LC_ALL-POSIX": {"LC_ALL": "POSIX"},
    "F123-no-locale": {"LANG": "", "LC_ALL": "", "LC_CTYPE": ""},
}


@cases("env", LOCALES)
def test_paths_beyond_ascii_in_a_plain_locale(project: Make, env: dict[str, str]):
    beyond_ascii(project, env)


def test_f123_paths_beyond_ascii_where_python_is_told_to_be_ascii(project: Make):
    beyond_ascii(project, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})


def beyond_ascii(project: Make, env: dict[str, str]) -> None:
    p = project("phases: {a: {run: 'cat é/日本.txt > é/neu.txt'}}", issue="# Äpfel\n", **{"é/日本.txt": "ü"})
    p.path = p.path.rename(p.path.with_name("répo"))
    said = p.adws("sdlc", "ADW_ID=x", **env)
    assert "Traceback" not in said
    shown = p.git("-c", "core.quotePath=false", "show", "--format=%s", "--name-only", "adw/x")
    assert shown.split() == ["Äpfel", "é/neu.txt"]
    assert p.git("show", "adw/x:é/neu.txt") == "ü"


CLOCK = """
import random, time
real, at = time.time, {jump}
time.time = lambda: real() + (at if random.random() < 0.5 else 0)
time.time_ns = lambda: int(time.time() * 1e9)
"""


@pytest.mark.parametrize("jump", [-86400, 86400, -40 * 365 * 86400])
def test_f124_the_clock_jumps(project: Make, tmp_path: Path, jump: int):
    p = project(f"timeout: 1m\n{ONE}")
    (tmp_path / "sitecustomize.py").write_text(CLOCK.format(jump=jump))
    said = p.adws("sdlc", "ADW_ID=x", PYTHONPATH=str(tmp_path))
    seconds = [float(n) for n in re.findall(r"^\w+ +passed +(-?[0-9.]+)", said, re.MULTILINE)]
    assert len(seconds) == 2
    assert all(0 <= n < 30 for n in seconds)


def limited(p: Project, limit: str, status: int | None = None) -> str:
    return p.run("sh", "-c", f"{limit} && exec '{ADWS}' sdlc ADW_ID=x", status=status)


LIMITS = {
    "F125-32-files": "ulimit -n 32",
    "F125-16-files": "ulimit -n 16",
    "F125-6-files": "ulimit -n 6",
    "F125-no-file-size": "ulimit -f 0",
    "F125-a-little-file-size": "ulimit -f 8",
    "F125-a-little-memory": "ulimit -v 100000",
    "F125-no-core": "ulimit -c 0",
    "F125-a-little-stack": "ulimit -s 256",
    "F125-a-little-time": "ulimit -t 1",
}


@cases("limit", LIMITS)
def test_with_little_it_works_or_says_what_is_missing(project: Make, limit: str):
    p = project(ONE)
    before = theirs(p)
    said = limited(p, limit)
    assert theirs(p) == before
    found = p.git("for-each-ref", "--format=%(objectname)", "refs/heads/adw/x")
    assert bool(found) == bool(re.search("^merge +passed", said, re.MULTILINE))
    p.git("fsck", "--no-dangling", "--no-progress")
    p.adws("sdlc", "ADW_ID=x")  # and with enough the same command goes on
    assert p.git("show", "adw/x:a") == "a"


def test_f125_32_files_are_enough(project: Make):
    p = project(ONE)
    limited(p, "ulimit -n 32", status=0)


def test_f125_few_processes(project: Make):
    """The limit counts per user and never for root; so somebody else, who may read what is root's."""
    p = project(ONE)
    who: list[str] = []
    with tempfile.TemporaryDirectory() as open_to_all:
        if os.geteuid() == 0:
            may = "+dac_override,+dac_read_search,+fowner"
            who = ["setpriv", "--reuid=65499", "--clear-groups", f"--inh-caps={may}", f"--ambient-caps={may}"]
            if not shutil.which("setpriv") or "adws" not in p.run(*who, ADWS, "--version", status=None):
                pytest.skip("ulimit -u does not count for root, and nobody else can start this Python here")
            shutil.copytree(p.path.parent, open_to_all, dirs_exist_ok=True)
            p.path, home = Path(open_to_all) / "repo", f"{open_to_all}/home"
            p.env |= {"HOME": home, "XDG_CACHE_HOME": f"{home}/cache", "ISSUE": f"{open_to_all}/issue.md"}
            p.run("chown", "-R", "65499", open_to_all)
            p.run("git", "config", "--global", "safe.directory", "*")
        before = theirs(p)
        for most in (1, 3, 6):
            said = p.run(*who, "sh", "-c", f"ulimit -u {most} && exec '{ADWS}' sdlc ADW_ID=x", status=None)
            assert theirs(p) == before
            found = p.git("for-each-ref", "--format=%(objectname)", "refs/heads/adw/x")
            assert bool(found) == bool(re.search("^merge +passed", said, re.MULTILINE))
        p.run(*who, ADWS, "sdlc", "ADW_ID=x")
        assert p.git("show", "adw/x:a") == "a"


def test_f126_the_same_id_twice_at_once(project: Make):
    p = project(MEANWHILE)
    seen = []

    def second() -> None:
        before = everything(p.path)
        seen.append(p.adws("sdlc", "ADW_ID=x", status=3))
        seen.append(p.doit("sdlc", "ADW_ID=x", status=3))
        assert everything(p.path) == before

    meanwhile(p, second)
    assert len(set(seen)) == 1
    assert re.fullmatch(r"run x is in progress \(process \d+\); wait for it, or stop it\n", seen[0])
    assert a_and_b(p)


def test_f173_another_id_at_once_is_no_obstacle(project: Make):
    p = project(MEANWHILE)
    source = (p.path / "pipeline.yaml").read_text()

    def other() -> None:
        p.write("pipeline.yaml", f"version: 1\n{ONE}\n")
        p.adws("sdlc", "ADW_ID=y")
        p.write("pipeline.yaml", source)

    meanwhile(p, other)
    assert a_and_b(p)
    assert p.git("diff", "--name-only", "main", "adw/y") == "a"


INTO = MEANWHILE + "merge: {into: main}\n"


def test_f127_the_user_commits_on_the_branch(project: Make):
    p = project(INTO)

    def commit() -> None:
        p.write("mine", "mine")
        p.commit("mine")

    meanwhile(p, commit)
    assert p.git("log", "--format=%s", "main").splitlines() == ["Do it", "mine", "start"]
    assert {"a", "b", "mine"} <= {path.name for path in p.path.iterdir()}
    assert p.git("status", "--porcelain") == ""


def test_f127_the_user_changes_the_same_file(project: Make):
    p = project(INTO)

    def commit() -> None:
        p.write("a", "mine\n")
        p.commit("mine")

    said = meanwhile(p, commit, status=1)
    assert "branch `main` and this run both changed a; nothing was merged, both results are kept" in said
    assert (p.path / "a").read_text() == "mine\n"
    assert p.git("status", "--porcelain") == ""


def test_f127_the_user_changes_a_file_without_committing(project: Make):
    p = project(INTO)
    said = meanwhile(p, lambda: p.write("a", "mine\n"), status=1)
    assert re.search("FAILED merge: branch `main` was not moved: .*the commit is kept: [0-9a-f]{40}", said)
    assert (p.path / "a").read_text() == "mine\n"
    assert p.git("log", "--format=%s", "main") == "start"


def test_f127_the_user_deletes_the_branch(project: Make):
    """Who did it cannot be told, as a branch takes its reflog along: so it is told, and the same command goes on."""
    p = project(MEANWHILE)
    p.git("branch", "adw/x")
    said = meanwhile(p, lambda: p.git("branch", "-D", "adw/x"), status=1)
    assert "refs/heads/adw/x, which is gone; put that right, then start again" in said
    p.adws("sdlc", "ADW_ID=x")
    assert a_and_b(p)


def test_f127_the_user_moves_the_branch_back(project: Make):
    p = project(MEANWHILE + "merge: {into: work}\n")
    first = p.git("rev-parse", "HEAD")
    p.write("second", "x")
    p.commit("second")
    p.git("branch", "work")
    meanwhile(p, lambda: p.git("branch", "--force", "work", first))
    assert p.git("log", "--format=%s", "work").splitlines() == ["Do it", "start"]
    assert set(p.git("diff", "--name-only", first, "work").split()) == {"a", "b"}


def test_f127_the_user_switches_to_another_branch(project: Make):
    p = project(INTO)
    meanwhile(p, lambda: p.git("checkout", "--quiet", "-b", "other"))
    assert p.git("symbolic-ref", "--short", "HEAD") == "other"
    assert p.git("status", "--porcelain") == ""
    assert {"a", "b"} <= set(p.tree("main"))


def test_f127_the_user_amends_what_the_run_began_from(project: Make):
    p = project(INTO)
    meanwhile(p, lambda: p.git("commit", "--quiet", "--amend", "--message", "amended"))
    assert p.git("log", "--format=%s", "main").splitlines() == ["Do it", "amended"]


@pytest.mark.parametrize(
    "prune",
    [["gc", "--quiet", "--prune=now"], ["repack", "-adq"], ["prune", "--expire=now"], ["pack-refs", "--all"]],
)
def test_f128_the_user_collects_garbage(project: Make, prune: list[str]):
    p = project(MEANWHILE.replace("echo a > a", "echo a > a; git add a; git gc -q --prune=now || true"))
    meanwhile(p, lambda: p.git(*prune))
    assert a_and_b(p)
    p.git("reflog", "expire", "--expire=now", "--all")
    p.git("gc", "--quiet", "--prune=now")
    assert p.git("show", "refs/adws/x/a:a") == "a"
    p.git("fsck", "--no-progress")


def test_f128_the_user_collects_garbage_all_the_time(project: Make):
    """Objects that are captured and not yet held by a ref are the ones at risk."""
    phases = "".join(
        f"  p{n}: {{needs: [{f'p{n - 1}' if n else ''}], run: 'for i in 1 2 3 4 5; do echo {n} > f{n}.$i; done'}}\n"
        for n in range(6)
    )
    p = project(f"phases:\n{phases}")
    loop = subprocess.Popen(
        ["sh", "-c", "while git gc --quiet --prune=now; do :; done"],
        cwd=p.path,
        env=p.env,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        said = p.adws("sdlc", "ADW_ID=x", status=None)
    finally:
        os.killpg(loop.pid, signal.SIGKILL)
        loop.wait()
    assert "Traceback" not in said
    for lock in (p.path / ".git").rglob("*.lock"):
        if lock.parent.name != "adws":
            lock.unlink()
    p.git("fsck", "--no-dangling", "--no-progress")
    p.adws("sdlc", "ADW_ID=x")
    assert len(p.git("diff", "--name-only", "main", "adw/x").splitlines()) == 30


def gone(p: Project, *names: str) -> Callable[[], None]:
    def remove() -> None:
        for name in names:
            path = p.path.parent / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


GONE = {
    "F172-logs": ("repo/.adws", 0),
    "F172-issue": ("issue.md", 0),
    "F172-pipeline": ("repo/pipeline.yaml", 0),
    "F172-dodo": ("repo/dodo.py", 0),
    "F172-workspaces": ("home/cache", None),
    "F172-locks": ("repo/.git/adws", None),
}


@cases(("name", "status"), GONE)
def test_what_the_user_deletes_in_the_middle_costs_no_result(project: Make, name: str, status: int | None):
    p = project(MEANWHILE)
    source = (p.path / "pipeline.yaml").read_text()
    said = meanwhile(p, gone(p, name), status=status)
    assert "Traceback" not in said
    p.write("pipeline.yaml", source)
    (p.path.parent / "issue.md").write_text("# Do it\n")
    p.adws("sdlc", "ADW_ID=x")
    assert a_and_b(p)


@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_f172_a_repository_that_goes_away_in_the_middle_is_told(project: Make, how: str):
    p = project(MEANWHILE)
    elsewhere = p.path.with_name("elsewhere")
    said = meanwhile(
        p,
        (lambda: shutil.rmtree(p.path)) if how == "deleted" else (lambda: p.path.rename(elsewhere)),
        status=None,
    )
    assert "merge: passed" not in said
    assert not p.path.exists() or not (p.path / ".git/HEAD").exists()
    if how == "moved":
        assert everything(elsewhere)
        p.path.exists() and shutil.rmtree(p.path)
        elsewhere.rename(p.path)
        p.adws("sdlc", "ADW_ID=x")
        assert a_and_b(p)


OPTIONS: dict[str, tuple[list[str], str]] = {
    "F168-unknown": (["--unknown-option"], "unknown option `--unknown-option`.*"),
    "F168-unknown-short": (["-z", "list"], "unknown option `-z`.*"),
    "F168-nearly": (
        ["--processes", "2", "sdlc"],
        r"unknown option `--processes`; did you mean `--process`\?",
    ),
    "F168-of-a-command": (["list", "--bogus"], "unknown option `--bogus`.*"),
    "F168-no-value": (["-n"], ".*-n.*"),
    "F168-no-number": (["-n", "x", "sdlc"], ".*"),
    "F168-too-late": (["sdlc", "-n", "2"], "option `-n` comes too late; .*"),
    "F168-unknown-and-late": (["sdlc", "--bogus"], "unknown option `--bogus`.*"),
    "F168-not-ours": (["forget"], "there is no workflow or phase `forget` in pipeline.yaml; .*"),
    "F168-a-path": (
        ["../../etc/passwd"],
        "there is no workflow or phase `../../etc/passwd` in pipeline.yaml; .*",
    ),
}


@cases(("args", "said"), OPTIONS)
def test_an_option_that_is_none_is_told_in_one_line(project: Make, args: list[str], said: str):
    p = project(ONE)
    out = refuse(p, *args, "ADW_ID=x")
    assert re.fullmatch(said + "\n", out)
    assert "CmdOption" not in out


def test_f168_a_word_does_not_steer_the_terminal(project: Make):
    p = project(ONE)
    assert "\x1b" not in refuse(p, "\x1b[2Jx", "ADW_ID=x")


INTERRUPT = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""


@pytest.mark.parametrize(
    "module", ["adws.cli", "doit", "doit.cmd_run", "yaml", "adws.tasks", "adws.config", "git", "sqlite3"]
)
def test_f169_ctrl_c_before_anything_has_begun(project: Make, tmp_path: Path, module: str):
    """`adws.cli` is the first of ours; before that it is Python's own traceback."""
    p = project(ONE)
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT.format(module=module))
    before = theirs(p)
    said = p.adws("sdlc", "ADW_ID=x", status=None if module == "adws.cli" else 130, PYTHONPATH=str(tmp_path))
    assert module == "adws.cli" or "Traceback" not in said
    assert theirs(p) == before


def test_f169_ctrl_c_at_any_time_at_the_start(project: Make):
    p = project(ONE)
    before = theirs(p)
    for tenths in range(6):
        running = subprocess.Popen(
            [ADWS, "sdlc", f"ADW_ID=x{tenths}"],
            cwd=p.path,
            env=p.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        time.sleep(0.06 + tenths * 0.04)
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=60)
        # Python's own word for its own start
        not_yet_ours = running.returncode == 1 and "init_import_site" in said
        assert not_yet_ours or running.returncode in (0, 130, -2), said
        assert running.returncode != 130 or "Traceback" not in said
    assert theirs(p) == before


def test_f122_tmpdir_is_full(project: Make):
    p = project(ONE)
    script = f"mount -t tmpfs -o size=64k adws-full /mnt && dd if=/dev/zero of=/mnt/fill bs=1k 2>/dev/null; TMPDIR=/mnt exec '{ADWS}' sdlc ADW_ID=x"
    in_namespace(p, script)


def test_f122_tmpdir_has_no_programs(project: Make):
    p = project(ONE)
    in_namespace(
        p, f"mount -t tmpfs -o noexec adws-noexec /mnt && TMPDIR=/mnt exec '{ADWS}' sdlc ADW_ID=x", status=0
    )
    assert p.git("show", "adw/x:a") == "a"


def in_namespace(p: Project, script: str, status: int | None = None) -> None:
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("needs root and unshare, to mount a small file system")
    if p.run("unshare", "--mount", "sh", "-c", "mount -t tmpfs none /mnt && echo ok", status=None) != "ok\n":
        pytest.skip("nothing can be mounted here")
    before = theirs(p)
    said = p.run("unshare", "--mount", "sh", "-c", script, status=status)
    assert "Traceback" not in said
    assert theirs(p) == before


def test_f125_core_files_and_niceness_are_the_users(project: Make):
    """What the caller set is what a phase has: no limit is raised or lowered on the way."""
    p = project("phases: {a: {run: ulimit -a > a}}")
    p.adws("sdlc", "ADW_ID=x")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert re.search(rf"nofiles.* {soft}$", p.git("show", "adw/x:a"), re.MULTILINE)
