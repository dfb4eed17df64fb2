"""Nothing of a command is left: the zoo, times the ways to end. And what is kept of the output."""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adws import process, supervise
from adws.process import Outcome, Reason
from adws.supervise import HEAD, TAIL, Log, Run, Tree, Veil
from tests.zoo import KINDS, Zoo, kill, wait_until

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can prove that nothing is left")

CALLER = """
import fcntl, os, sys
from pathlib import Path
from tests.zoo import Zoo

_, folder, token, *kinds = sys.argv
lock = os.open(Path(folder, "lock"), os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
Zoo(Path(folder), token).run(*kinds, keep=(lock,))
"""
TOP = Path(__file__).parent.parent


@pytest.fixture
def zoo(tmp_path: Path) -> Iterator[Zoo]:
    with Zoo(tmp_path) as zoo:
        yield zoo


@pytest.fixture
def outcome(zoo: Zoo) -> Iterator[Future[Outcome]]:
    """Of the whole zoo, which is open; it is still to come."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit(zoo.run, *KINDS)


@linux
def test_a_naive_runner_leaves_survivors_and_they_are_noticed(zoo):
    with subprocess.Popen(zoo.argv(*KINDS[:-1]), cwd=zoo.folder, env={}) as naive:
        zoo.wait_until_open()
        naive.kill()  # which is what subprocess.run does after its timeout
    assert len(zoo.left()) == len(KINDS)  # all but the chaser, and the orphan of the nested subreaper


@linux
def test_nothing_is_left_when_the_command_exits(zoo):
    outcome = zoo.run(*KINDS, "exit")
    assert zoo.left() == {}
    assert outcome.text == "exit 0"
    assert outcome.leftovers >= len(KINDS)
    assert zoo.log.read_text() == "ready\n"


@linux
def test_nothing_is_left_when_it_times_out(zoo):
    outcome = zoo.run(*KINDS, timeout=2.5)
    assert zoo.left() == {}
    assert (zoo.folder / "ready").exists()
    assert outcome == Outcome(reason=Reason.TIMED_OUT, seconds=2.5)


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_when_the_supervisor_gets_a_signal(zoo, outcome, number):
    zoo.wait_until_open()
    guard, _ = zoo.supervisors(os.getpid())
    kill(guard, number)
    assert outcome.result().text == f"stopped by {number.name}"
    assert zoo.left() == {}


@linux
def test_nothing_is_left_when_the_caller_asks_to_stop(zoo, outcome):
    zoo.wait_until_open()
    process.stop()
    assert outcome.result().text == "stopped by its caller"
    assert zoo.left() == {}


@linux
@pytest.mark.parametrize("which", [0, 1], ids=["guard", "inner"])
def test_nothing_is_left_when_one_of_the_supervisors_is_killed(zoo, outcome, which):
    zoo.wait_until_open()
    kill(zoo.supervisors(os.getpid())[which], signal.SIGKILL)
    assert outcome.result().text == "the supervisor was killed"
    assert zoo.left() == {}


def start_caller(zoo: Zoo) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", CALLER, zoo.folder, zoo.token, *KINDS]
    caller = subprocess.Popen(argv, cwd=TOP, stderr=subprocess.PIPE)
    zoo.wait_until_open()
    return caller


@linux
def test_nothing_is_left_when_the_caller_is_killed_and_until_then_its_lock_is_held(zoo):
    caller = start_caller(zoo)
    lock = os.open(zoo.folder / "lock", os.O_RDWR)
    caller.kill()
    caller.communicate()
    with pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert zoo.left()
    fcntl.flock(lock, fcntl.LOCK_EX)
    wait_until(lambda: not zoo.left(), 0.1)  # the last to go is the one that held the lock
    os.close(lock)


@linux
def test_nothing_is_left_when_the_caller_is_interrupted(zoo):
    caller = start_caller(zoo)
    caller.send_signal(signal.SIGINT)
    _, said = caller.communicate()
    assert zoo.left() == {}
    assert said.endswith(b"KeyboardInterrupt\n")


@linux
def test_asking_again_does_not_prolong_the_grace(zoo):
    with ThreadPoolExecutor() as pool:
        outcome = pool.submit(zoo.run, "deaf", grace=0.5)
        zoo.wait_until_open()
        guard, inner = zoo.supervisors(os.getpid())
        while not outcome.done():
            for pid in (guard, inner):
                kill(pid, signal.SIGHUP)
            time.sleep(0.05)
    assert outcome.result().text == "stopped by SIGHUP"


@pytest.fixture
def elsewhere(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on Linux, as far as the supervisor can tell."""
    script = zoo.folder / "elsewhere.py"
    script.write_text(
        f"import sys; sys.path.append({str(Path(supervise.__file__).parent)!r})\n"
        "import supervise; supervise._adopt_orphans = lambda: False; supervise.main()\n"
    )
    monkeypatch.setattr(process, "SUPERVISE", script)


@pytest.mark.usefixtures("elsewhere")
def test_where_orphans_can_not_be_adopted_the_process_group_is_stopped(zoo):
    with ThreadPoolExecutor() as pool:
        outcome = pool.submit(zoo.run, "plain", "deaf", "stopped")
        zoo.wait_until_open()
        process.stop()
    assert outcome.result().text == "stopped by its caller"
    assert zoo.left() == {}


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_where_orphans_can_not_be_adopted_the_group_does_not_outlive_the_command(zoo):
    outcome = zoo.run("plain", "deaf", "stopped", "exit")
    assert (outcome.text, outcome.leftovers) == ("exit 0", 1)
    assert zoo.left() == {}


def test_what_can_not_be_killed_is_given_up_and_reported(monkeypatch):
    monkeypatch.setattr(supervise, "PATIENCE", 0.0)
    tree = Tree(0, True)
    monkeypatch.setattr(tree, "reap", lambda: True)
    monkeypatch.setattr(tree, "ask", lambda: 1)
    monkeypatch.setattr(tree, "kill", lambda: 1)  # one that has become root's, or hangs in a system call
    run = Run(tree, 0.0, 0.0, 100.0)
    while run.goes_on():
        time.sleep(run.milliseconds() / 1000)
    assert (run.outcome["reason"], run.detail) == ("timed_out", "1 of its processes could not be killed")


def test_a_long_log_keeps_its_first_and_its_newest_part(tmp_path):
    path, written = tmp_path / "log", 0
    log = Log(str(path))
    inode = path.stat().st_ino
    while written < 4 * (HEAD + 2 * TAIL):
        log.write(b"%015d\n" % written * 4096)
        written += 16 * 4096
        assert path.stat().st_size <= HEAD + 2 * TAIL
    kept = path.read_bytes()
    marker = kept[HEAD:].split(b"\n", 2)[1]
    left_out = int(marker.split()[1])
    assert marker == b"[... %d bytes left out ...]" % left_out
    assert kept.startswith(b"%015d\n" % 0 * 4096)
    assert kept[:HEAD].endswith(b"%015d\n" % (HEAD - 16 * 4096) * 4096)
    newest = kept[HEAD + len(marker) + 2 :]
    assert len(newest) >= TAIL
    assert HEAD + left_out + len(newest) == written
    assert newest.startswith(b"%015d\n" % (HEAD + left_out))
    assert newest.endswith(b"%015d\n" % (written - 16 * 4096))
    assert path.stat().st_ino == inode


def test_a_flood_without_a_newline_costs_little_memory(zoo):
    flood = (
        "head -c 300000000 /dev/zero; echo; grep VmHWM /proc/$PPID/status"  # the parent is the inner process
    )
    outcome = process.run(
        ["sh", "-c", flood], cwd=zoo.folder, env={"PATH": os.environ["PATH"]}, log=zoo.log, timeout=60
    )
    assert outcome.text == "exit 0"
    kept = zoo.log.read_bytes()
    assert int(kept.split()[-2]) <= 30 * 1024  # KiB
    assert kept[:HEAD] == bytes(HEAD)
    assert len(kept) <= HEAD + 2 * TAIL


CHUNKS = st.sampled_from([b"a", b"b", b"ab", b"aab", b"aaaa", b"baaaaab"])  # so that forms begin in forms
WORDS = st.lists(CHUNKS, min_size=1, max_size=12).map(b"".join)
FORMS = st.sets(WORDS.filter(lambda word: len(word) >= 7), min_size=1).map(
    lambda forms: sorted(forms, key=len, reverse=True)
)
FORMS_AND_PIECES = FORMS.flatmap(
    lambda forms: st.tuples(
        st.just(forms),
        st.lists(st.one_of(st.sampled_from(forms), WORDS, st.just(b"c"))).map(b"".join).flatmap(cut_anywhere),
    )
)


def cut_anywhere(whole: bytes) -> st.SearchStrategy[list[bytes]]:
    cuts = st.lists(st.integers(0, len(whole))).map(sorted)
    return cuts.map(lambda at: [whole[i:j] for i, j in itertools.pairwise([0, *at, len(whole)])])


def shown(veil: Veil, pieces: list[bytes]) -> bytes:
    return b"".join([*(veil.show(piece, last=False) for piece in pieces), veil.show(b"", last=True)])


@given(FORMS_AND_PIECES)
def test_what_is_hidden_does_not_show_however_the_output_is_cut_and_the_rest_does(example):
    forms, pieces = example
    whole = re.sub(b"|".join(forms), b"***", b"".join(pieces))
    assert shown(Veil(forms), pieces) == whole
    assert not any(form in whole for form in forms)


@given(FORMS_AND_PIECES)
def test_nothing_waits_but_what_may_go_on_to_be_hidden(example):
    forms, pieces = example
    veil = Veil(forms)
    for piece in pieces:
        veil.show(piece, last=False)
        assert veil.held == b"" or any(form.startswith(veil.held) and form != veil.held for form in forms)


def test_without_what_waits_a_cut_would_show_what_is_hidden(monkeypatch):
    cut = [b"a secret, hun", b"ter2, and more"]
    assert shown(Veil([b"hunter2"]), cut) == b"a secret, ***, and more"
    monkeypatch.setattr(Veil, "_beginning", lambda self, data, start: len(data))
    assert shown(Veil([b"hunter2"]), cut) == b"a secret, hunter2, and more"


def test_a_log_shows_at_once_what_is_not_the_beginning_of_a_secret(tmp_path):
    path = tmp_path / "log"
    log = Log(str(path), [b"hunter2"])
    for piece, then in (
        (b"is it hun", b"is it "),
        (b"ger? hunter", b"is it hunger? "),
        (b"2\n", b"is it hunger? ***\n"),
    ):
        log.write(piece)
        assert path.read_bytes() == then
    log.write(b"hu")
    log.write(b"", last=True)
    assert path.read_bytes() == b"is it hunger? ***\nhu"


def test_a_log_that_is_cut_short_shows_no_part_of_a_secret(tmp_path):
    path = tmp_path / "log"
    log = Log(str(path), [b"hunter2"])
    for n in range(4 * (HEAD + 2 * TAIL) // 65536):
        log.write((b"hunter2" * 65536)[n % 7 : n % 7 + 65536 - n % 5])
    log.write(b"", last=True)
    assert b"hunter2" not in path.read_bytes()
    assert path.stat().st_size <= HEAD + 2 * TAIL


@pytest.mark.parametrize(
    ("log", "problem"),
    [("/dev/full", "no space left on device"), ("/nowhere/log", "no such file or directory")],
)
def test_a_log_that_can_not_be_written_does_not_hold_up_the_command(zoo, log, problem):
    outcome = process.run(
        ["/bin/sh", "-c", "head -c 1000000 /dev/zero; exit 3"],
        cwd=zoo.folder,
        env={},
        log=Path(log),
        timeout=60,
    )
    assert outcome.text == f"exit 3; its log is incomplete: {problem}"
