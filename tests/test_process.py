"""What a command is given, what is said of its end, and who takes it along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adws import process, secrets
from adws.process import Outcome, Reason
from tests.zoo import Zoo, kill, wait_until

TOP = Path(__file__).parent.parent
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Outcome]:
    """Runs a command; what it printed is in the file `log`."""

    def run(*argv: str, **options) -> Outcome:
        given = {"cwd": tmp_path, "env": ENV, "log": tmp_path / "log", "timeout": 60.0}
        return process.run(argv, **given | options)

    return run


@pytest.fixture
def zoo(tmp_path: Path) -> Iterator[Zoo]:
    with Zoo(tmp_path) as zoo:
        yield zoo


@pytest.mark.parametrize("code", [0, 3, 255])
def test_the_exit_code_is_the_command_s_own(run, code):
    outcome = run("sh", "-c", f"exit {code}")
    assert (outcome.code, outcome.text, outcome.passed) == (code, f"exit {code}", code == 0)


@pytest.mark.parametrize(
    ("number", "name"), [(11, "SIGSEGV"), (9, "SIGKILL"), (15, "SIGTERM"), (40, "signal 40")]
)
def test_death_by_a_signal_has_its_name(run, number, name):
    outcome = run(sys.executable, "-c", f"import os; os.kill(os.getpid(), {number})")
    assert (outcome.reason, outcome.signal, outcome.passed) == (Reason.SIGNALLED, name, False)
    assert outcome.text == f"killed by {name}"


def test_a_timeout_stays_one_when_the_command_then_exits_0(run, tmp_path):
    outcome = run("sh", "-c", "trap 'echo cleaned up; exit 0' TERM; sleep 60 & wait", timeout=1.5)
    assert (outcome.text, outcome.passed) == ("timed out after 1.5 s", False)
    assert (tmp_path / "log").read_text() == "cleaned up\n"


def test_a_stopped_command_is_woken_to_hear_that_it_has_to_end(run, tmp_path):
    outcome = run("sh", "-c", "trap 'echo bye; exit' TERM; kill -STOP $$", timeout=1.5)
    assert outcome.text == "timed out after 1.5 s"
    assert (tmp_path / "log").read_text() == "bye\n"


def test_waiting_for_a_command_that_closed_its_output_costs_nothing(run):
    before = os.times()
    assert run("sh", "-c", "exec >&- 2>&-; sleep 0.7").passed
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.35


def test_what_ends_shortly_after_the_command_is_no_leftover(run, tmp_path):
    outcome = run("sh", "-c", "(sleep 0.1; echo the end) & exit 0")
    assert (outcome.text, outcome.leftovers) == ("exit 0", 0)
    assert (tmp_path / "log").read_text() == "the end\n"


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["nope"], "`nope`: no such file or directory"),
        (["./nope"], "`./nope`: no such file or directory"),
        (["/"], "`/`: permission denied"),
        ([], "``: the command is empty"),
        ([""], "``: the command is empty"),
        (["a\0b"], "`a\0b`: embedded null byte"),
        (["echo", "x" * 200_000], "`echo`: argument list too long"),
        (["echo", *["x" * 100_000] * 100], "`echo`: argument list too long"),
    ],
    ids=["absent", "absent path", "folder", "empty", "no name", "nul", "long argument", "long"],
)  # fmt: skip
def test_what_can_not_be_started_is_said(run, argv, problem):
    outcome = run(*argv)
    assert (outcome.reason, outcome.passed) == (Reason.COULD_NOT_START, False)
    # Python 3.14 says it with more words
    said = outcome.text.replace("posix_spawnp: embedded null character in path", "embedded null byte")
    assert said == f"could not start {problem}"


def test_a_missing_directory_prompt_or_interpreter_is_said(run, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    assert run("true", cwd=gone).text == f"could not start `true`: {gone}: no such file or directory"
    assert run("true", stdin=gone).text == f"could not start `true`: {gone}: no such file or directory"
    assert run("true", "\ud800").text.startswith("could not start `true`: 'utf-8' codec can't encode")
    assert run("true", env={"a=b": ""}).text == "could not start `true`: illegal environment variable name"
    monkeypatch.setattr(sys, "executable", str(gone))
    assert run("true").text == "could not start the supervisor: no such file or directory"


def test_a_bug_in_the_supervisor_is_told_from_a_kill(run, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "SUPERVISE", tmp_path / "broken.py")
    process.SUPERVISE.write_text("1 / 0")
    assert run("true").text == "the supervisor was killed; ZeroDivisionError: division by zero"


def test_the_environment_is_exactly_the_one_given(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "s")
    monkeypatch.setenv("LC_ALL", "C")  # for which Python adds an LC_CTYPE to its own environment
    run("/usr/bin/env", "-0", env={"NAME": "value", "BYTES": "\udcff\n"})
    assert (tmp_path / "log").read_bytes() == b"NAME=value\0BYTES=\xff\n\0"


def test_the_program_is_looked_up_in_the_path_given(run, tmp_path):
    tool = tmp_path / "bin/tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho mine")
    tool.chmod(0o755)
    for path in (str(tool.parent), "bin"):
        assert run("tool", env={"PATH": path}).passed
        assert (tmp_path / "log").read_text() == "mine\n"


def test_the_input_is_the_file_given_or_nothing(run, tmp_path):
    (tmp_path / "prompt").write_text("do it\n")
    assert run("sh", "-c", "cat; echo the end", stdin=tmp_path / "prompt").passed
    assert (tmp_path / "log").read_text() == "do it\nthe end\n"
    assert run("sh", "-c", "cat; echo the end").passed
    assert (tmp_path / "log").read_text() == "the end\n"


SECRET = "hunter2/hunter2+"
HIDE = secrets.forms([SECRET])


@pytest.mark.parametrize(
    ("script", "log"),
    [
        ('echo "key: $S."', "key: ***.\n"),
        ('printf "${S%hunter2+}"; sleep 0.3; printf "hunter2+; the end"', "***; the end"),
        ('printf "${S%hunter2+}"; sleep 0.3; printf hunter', "hunter2/hunter"),
        ('printf "user:%s" "$S" | base64', "dXNlcjp***\n"),
        ('set -x; test "$S"', "+ test ***\n"),
        ('echo "$S" >&2; kill -KILL $$', "***\n"),
    ],
    ids=["plain", "in two writes", "only the beginning", "base64", "traced", "killed"],
)
def test_a_secret_is_not_in_the_log(run, tmp_path, script, log):
    run("sh", "-c", script, env=ENV | {"S": SECRET}, hide=HIDE)
    assert (tmp_path / "log").read_text() == log


def test_a_secret_is_not_in_what_is_said_of_the_end(run, tmp_path, monkeypatch):
    assert run(f"/bin/{SECRET}", hide=HIDE).text == "could not start `/bin/***`: no such file or directory"
    gone = tmp_path / SECRET
    assert run("true", cwd=gone, hide=HIDE).detail == f"`true`: {tmp_path}/***: no such file or directory"
    monkeypatch.setattr(process, "SUPERVISE", tmp_path / "broken.py")
    process.SUPERVISE.write_text(f"raise ValueError({SECRET!r})")
    assert run("true", hide=HIDE).text == "the supervisor was killed; ValueError: ***"


def test_a_secret_that_is_no_text_is_not_in_the_log(run, tmp_path):
    value = "\udcff\udcfe\u00e9 secret"
    run("sh", "-c", 'printf "<%s>" "$S"', env=ENV | {"S": value}, hide=secrets.forms([value]))
    assert (tmp_path / "log").read_bytes() == b"<***>"


@linux
def test_the_command_is_given_no_descriptor_and_no_signal_of_ours(run, tmp_path):
    with (tmp_path / "lock").open("w") as lock:
        assert run(
            "sh", "-c", "ls -m /proc/self/fd; grep Sig /proc/self/status", keep=(lock.fileno(),)
        ).passed
    descriptors, *lines = (tmp_path / "log").read_text().splitlines()
    assert descriptors == "0, 1, 2, 3"  # the last is for the folder itself
    masks = {name: int(mask, 16) for name, _, mask in (line.partition(":\t") for line in lines[1:])}
    assert (masks["SigBlk"], masks["SigIgn"] & 0x7FFFFFFF) == (0, 0)  # the C library has two for itself above


HARDSHIPS = {
    "no standard streams": "os.closerange(0, 3)",
    "few descriptors": "resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))",
    "no files": "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
    "ignored signals": "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 13, 15, 17)]",
    "blocked signals": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "no directory": "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')",
    "a misleading environment": "os.environ.update(PYTHONHOME='/nowhere', PYTHONSTARTUP='/nowhere', PATH='')",
}


@pytest.mark.parametrize("hardship", HARDSHIPS.values(), ids=HARDSHIPS)
def test_it_works_in_spite_of(tmp_path, hardship):
    script = f"""
import os, resource, signal, sys
from pathlib import Path
from adws import process

here, answer = Path.cwd(), int(sys.argv[1])
{hardship}
for argv, timeout in ((["/bin/sh", "-c", "kill -TERM $$"], 60), (["/bin/sleep", "60"], 0.3)):
    text = process.run(argv, cwd=here, env={{}}, log=here / "log", timeout=timeout).text
    os.write(answer, text.encode() + b"\\n")
"""
    reading, answer = os.pipe()
    subprocess.run(
        [sys.executable, "-c", script, str(answer)], cwd=tmp_path, pass_fds=(answer,), check=True, timeout=60
    )
    os.close(answer)
    assert os.read(reading, 100) == b"killed by SIGTERM\ntimed out after 0.3 s\n"
    os.close(reading)


def test_many_threads_can_run_commands_at_once(tmp_path):
    def count(n: int) -> str:
        script = f"sleep 0.$((9 - {n})); exit {n}"  # the first to start is the last to end
        log = tmp_path / str(n)
        return process.run(["sh", "-c", script], cwd=tmp_path, env=ENV, log=log, timeout=60).text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(count, range(8))) == [f"exit {n}" for n in range(8)]


@linux
def test_a_child_forked_while_a_command_runs_does_not_keep_it_alive(zoo):
    script = """
import os, sys, threading, time
from pathlib import Path
from tests.zoo import Zoo

zoo = Zoo(Path(sys.argv[1]), sys.argv[2])
threading.Thread(target=zoo.run, args=["deaf"], daemon=True).start()
zoo.wait_until_open()
if os.fork() == 0:
    (zoo.folder / "child").write_text(str(os.getpid()))
time.sleep(60)
"""
    caller = subprocess.Popen([sys.executable, "-c", script, zoo.folder, zoo.token], cwd=TOP)
    wait_until(lambda: (zoo.folder / "child").exists() and (zoo.folder / "child").read_text())
    child = int((zoo.folder / "child").read_text())
    caller.kill()
    caller.wait()
    wait_until(lambda: set(zoo.left()) == {child})


def work(zoo: Zoo) -> None:
    process.die_with_parent()
    process.die_with_parent()  # a second task in the same worker
    zoo.run("deaf")


PARENT = """
import multiprocessing, sys, time
from pathlib import Path
from tests.test_process import work
from tests.zoo import Zoo

zoo = Zoo(Path(sys.argv[1]), sys.argv[2])
Process = multiprocessing.get_context(sys.argv[3]).Process
busy = Process(target=work, args=(zoo,))
idle = Process(target=time.sleep, args=(60,))  # being younger, it has a copy of what the other one watches
busy.start()
idle.start()
zoo.wait_until_open()
print(busy.pid, idle.pid, flush=True)
time.sleep(60)
"""


@linux
@pytest.mark.parametrize("method", ["fork", "forkserver"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_dies_with_its_parent_and_takes_its_command_along(zoo, method, number):
    argv = [sys.executable, "-c", PARENT, zoo.folder, zoo.token, method]
    with subprocess.Popen(argv, cwd=TOP, stdout=subprocess.PIPE) as parent:
        busy, idle = map(int, parent.stdout.readline().split())
        kill(parent.pid if number == signal.SIGKILL else busy, number)
        # from Python 3.14 on a forkserver has the arguments of its caller
        others = {parent.pid, idle, *(pid for pid in zoo.left() if b"forkserver" in arguments(pid))}
        wait_until(lambda: set(zoo.left()) <= others and not arguments(busy))
        kill(idle, signal.SIGKILL)
        parent.kill()


def arguments(pid: int) -> bytes:
    """Empty when it is dead."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_die_with_parent_is_nothing_in_a_process_of_its_own():
    handler = signal.getsignal(signal.SIGTERM)
    process.die_with_parent()
    assert signal.getsignal(signal.SIGTERM) == handler
    assert "die-with-parent" not in {thread.name for thread in threading.enumerate()}
