"""The same command again does only what is missing, failed or changed; nothing finished is ever lost."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import BIN

CHAIN = """
phases:
  one: {run: "echo 1 > one; echo one >> $HOME/ran"}
  two: {needs: one, run: "echo 2 > two; echo two >> $HOME/ran; test -e $HOME/ok"}
"""


def ran(p) -> list[str]:
    path = p.path.parent / "home/ran"
    return path.read_text().split() if path.exists() else []


def test_a_second_call_does_only_what_failed(project):
    p = project(CHAIN)
    p.doit("sdlc", "ADW_ID=x", status=1)
    (p.path.parent / "home/ok").touch()
    del p.env["ISSUE"]
    said = p.doit("sdlc", "ADW_ID=x")
    assert ran(p) == ["one", "two", "two"]
    assert re.search(r"^one +up to date", said, re.MULTILINE)
    assert set(p.tree("adw/x")) - set(p.tree("main")) == {"one", "two"}


def test_a_finished_run_is_up_to_date_and_its_branch_stays(project):
    p = project("phases: {a: {run: echo a > a; echo a >> $HOME/ran}}")
    p.doit("sdlc", "ADW_ID=x")
    tip = p.git("rev-parse", "adw/x")
    said = p.doit("sdlc", "ADW_ID=x")
    assert ran(p) == ["a"]
    assert "branch adw/x has it all" in said
    assert p.git("rev-parse", "adw/x") == tip


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("issue", ["one", "two"]),
        ("first command", ["one", "two"]),
        ("second command", ["two"]),
        ("comment", []),
    ],
)
def test_what_changed_runs_again_and_what_depends_on_it(project, change, again):
    p = project(CHAIN)
    (p.path.parent / "home/ok").touch()
    p.doit("sdlc", "ADW_ID=x")
    source = (p.path / "pipeline.yaml").read_text()
    if change == "issue":
        (p.path.parent / "issue.md").write_text("# Another\n")
    elif change == "first command":
        source = source.replace("echo 1 > one", "echo 11 > one")
    elif change == "second command":
        source = source.replace("echo 2 > two", "echo 22 > two")
    else:
        source = "# a comment\n" + source
    p.write("pipeline.yaml", source)
    before = ran(p)
    p.doit("sdlc", "ADW_ID=x")
    assert ran(p)[len(before) :] == again
    assert p.tree("adw/x")["two"] == ("22" if change == "second command" else "2")


def test_declared_inputs_decide_what_makes_a_phase_due(project):
    p = project(
        """
phases:
  build: {run: "mkdir docs; cat $HOME/code > code; cat $HOME/doc > docs/d"}
  test: {needs: build, run: "echo test >> $HOME/ran", inputs: ["**", "!docs/**"]}
"""
    )
    home = p.path.parent / "home"
    (home / "code").write_text("1")
    (home / "doc").write_text("1")
    p.doit("sdlc", "ADW_ID=x")
    (home / "doc").write_text("2")
    p.git("update-ref", "-d", "refs/adws/x/build")
    p.doit("sdlc", "ADW_ID=x")
    assert ran(p) == ["test"]
    assert p.tree("adw/x")["docs/d"] == "2"
    (home / "code").write_text("2")
    p.git("update-ref", "-d", "refs/adws/x/build")
    p.doit("sdlc", "ADW_ID=x")
    assert ran(p) == ["test", "test"]


def test_results_survive_the_loss_of_everything_but_git(project):
    p = project(CHAIN)
    (p.path.parent / "home/ok").touch()
    p.doit("two", "ADW_ID=x")
    p.run("rm", "-rf", ".adws", "../home/cache")
    p.doit("sdlc", "ADW_ID=x")
    assert ran(p) == ["one", "two"]


def test_another_machine_goes_on_from_pushed_results(project):
    p = project(CHAIN)
    p.doit("sdlc", "ADW_ID=x", status=1)
    p.git("clone", "-q", ".", "../other")
    p.path = p.path.parent / "other"
    p.git("fetch", "-q", "origin", "refs/adws/*:refs/adws/*")
    (p.path.parent / "home/ok").touch()
    p.doit("sdlc", "ADW_ID=x")
    assert ran(p) == ["one", "two", "two"]


SLOW = """
phases:
  quick: {run: "echo q > quick; echo quick >> $HOME/ran"}
  slow: {needs: quick, run: "echo slow >> $HOME/ran; setsid sleep 9$TOKEN & sleep 8$TOKEN; echo s > slow", env: {TOKEN: token}}
"""


def slow(project):
    """A project whose phase `slow` sleeps for ever in two processes that can be told from all others."""
    token = str(random.randrange(10**8, 10**9))
    p = project(SLOW.replace("token", f"'{token}'"))
    p.token = token
    return p


def survivors(p) -> list[str]:
    done = subprocess.run(["pgrep", "-f", f"^sleep [89]{p.token}"], capture_output=True, text=True)
    return done.stdout.split()


def start(p, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BIN / "doit", *args, "sdlc", "ADW_ID=x"],
        cwd=p.path, env=p.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until(condition, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("par_type", ["process", pytest.param("thread", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
)
def test_however_it_is_stopped_nothing_survives_and_the_same_command_goes_on(project, par_type, number, code):
    p = slow(project)
    running = start(p, "-P", par_type)
    wait_until(lambda: ran(p) == ["quick", "slow"] and len(survivors(p)) == 2)
    os.kill(running.pid, number)
    said, _ = running.communicate(timeout=20)
    assert running.returncode == code
    wait_until(lambda: not survivors(p), 12)
    assert "Traceback" not in said
    if number != signal.SIGKILL:
        assert f"stopped by {number.name}; the same command goes on from here" in said
    p.write("pipeline.yaml", (p.path / "pipeline.yaml").read_text().replace("sleep 8$TOKEN", "true"))
    p.doit("sdlc", "ADW_ID=x")
    assert ran(p) == ["quick", "slow", "slow"]
    assert set(p.tree("adw/x")) - set(p.tree("main")) == {"quick", "slow"}


def test_ctrl_c_at_the_terminal_ends_all(project):
    p = slow(project)
    running = start(p)
    wait_until(lambda: len(survivors(p)) == 2)
    os.killpg(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=20)
    assert running.returncode == 130
    wait_until(lambda: not survivors(p), 12)
    assert "Traceback" not in said


def test_a_killed_worker_does_not_hang_the_run(project):
    p = slow(project)
    running = start(p)
    wait_until(lambda: len(survivors(p)) == 2)
    busy = next(pid for pid in children(running.pid) if children(pid))
    os.kill(busy, signal.SIGKILL)
    said, _ = running.communicate(timeout=20)
    assert running.returncode == 2, said
    assert "a worker process died with exit code" in said
    wait_until(lambda: not survivors(p), 12)


def test_the_same_run_twice_at_once_is_told_who_has_it(project):
    p = slow(project)
    running = start(p)
    wait_until(lambda: len(survivors(p)) == 2)
    said = p.doit("sdlc", "ADW_ID=x", status=3)
    assert said == f"run x is in progress (process {running.pid}); wait for it, or stop it\n"
    running.terminate()
    running.communicate(timeout=20)


def test_a_lock_that_a_killed_git_left_on_a_ref_of_the_run_is_no_obstacle(project):
    p = project(CHAIN)
    p.doit("sdlc", "ADW_ID=x", status=1)
    (p.path.parent / "home/ok").touch()
    (p.path / ".git/refs/adws/x/two.lock").touch()
    p.doit("sdlc", "ADW_ID=x")


def test_impatience_at_the_terminal_does_not_hang_it(project):
    p = slow(project)
    running = start(p)
    wait_until(lambda: len(survivors(p)) == 2)
    for _ in range(5):
        os.killpg(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "Traceback" not in said
    wait_until(lambda: not survivors(p), 12)


LATE = """

class Late:
    def __del__(self, send=__import__("signal").raise_signal):
        send(2)

late = Late()
"""


def test_a_signal_to_the_interpreter_at_its_end_does_not_change_the_exit_code(project):
    p = project("phases: {a: {run: touch a}, b: {needs: a, run: test -e $HOME/ok}}")
    p.write("dodo.py", (p.path / "dodo.py").read_text() + LATE)
    p.doit("sdlc", "ADW_ID=x", status=1)
    (p.path.parent / "home/ok").touch()
    p.doit("sdlc", "ADW_ID=x")


def test_an_interrupt_that_python_drops_comes_again(project, tmp_path):
    """What a hook of fork raises is only printed, and the run would go on with its signals ignored."""
    p = project("phases: {a: {run: sleep 50}}")
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "def strike():\n"
        "    if 'adws.tasks' in sys.modules and signal.getsignal(signal.SIGALRM) != signal.SIG_DFL:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "os.register_at_fork(after_in_parent=strike)\n"
    )
    begun = time.monotonic()
    said = p.doit("-n", "2", "sdlc", "ADW_ID=x", status=130, PYTHONPATH=str(tmp_path))
    assert time.monotonic() - begun < 30
    assert "stopped by SIGINT; the same command goes on from here" in said
    assert "Traceback" not in said


def test_a_worker_that_had_just_been_started_is_not_waited_for(project):
    """doit notes its workers once it has started all of them, and ends those that it has noted."""
    p = project("phases: {a: {run: sleep 50}, b: {run: sleep 50}}")
    strike = (
        "import multiprocessing.process, os, signal\n\n"
        "start = multiprocessing.process.BaseProcess.start\n\n\n"
        "def start_and_strike(worker):\n"
        "    start(worker)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n\n\n"
        "multiprocessing.process.BaseProcess.start = start_and_strike\n"
    )
    p.write("dodo.py", strike + (p.path / "dodo.py").read_text())
    begun = time.monotonic()
    said = p.doit("-n", "2", "sdlc", "ADW_ID=x", status=130)
    assert time.monotonic() - begun < 30
    assert "stopped by SIGINT; the same command goes on from here" in said


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_that_are_not_forked_run_it_too_and_die_with_their_master(project, method):
    p = slow(project)
    source = (p.path / "dodo.py").read_text()
    choose = f"import multiprocessing\n\nif not multiprocessing.parent_process():\n    multiprocessing.set_start_method('{method}')\n"
    p.write("dodo.py", source.replace("import sys\n", f"import sys\n{choose}"))
    running = start(p)
    wait_until(lambda: len(survivors(p)) == 2)
    workers = children(running.pid)
    running.kill()
    running.wait()
    wait_until(lambda: not survivors(p), 12)
    wait_until(lambda: not any(Path(f"/proc/{worker}/cmdline").exists() for worker in workers), 12)


def test_what_a_failed_phase_told_makes_a_later_one_due(project):
    p = project(
        """
phases:
  lint: {run: test -e $HOME/ok, continue-on-error: true}
  fix: {needs: lint, run: "if grep status $ADW_STATE | grep -q failed; then echo failed > told; else echo passed > told; fi"}
"""
    )
    p.doit("sdlc", "ADW_ID=x")
    (p.path.parent / "home/ok").touch()
    p.doit("sdlc", "ADW_ID=x")
    assert p.tree("adw/x")["told"] == "passed"


def test_a_result_that_no_longer_fits_what_it_needs_is_made_again(project):
    p = project(
        'phases: {build: {run: echo v1 > out.txt}, gen: {needs: build, inputs: "src/**", run: echo gen >> out.txt}}'
    )
    p.doit("sdlc", "ADW_ID=x")
    p.write("pipeline.yaml", (p.path / "pipeline.yaml").read_text().replace("v1", "v2"))
    p.doit("sdlc", "ADW_ID=x")
    assert p.tree("adw/x")["out.txt"] == "v2\ngen"


def test_list_and_info_say_what_is_up_to_date_without_running_anything(project):
    p = project("phases: {a: {run: touch a}, b: {needs: a, run: test -e $HOME/ok}}")
    p.adws("sdlc", "ADW_ID=x", status=1)
    listed = p.adws("list", "--status", "ADW_ID=x").splitlines()
    assert [line[:3] for line in listed] == ["U a", "R b", "R m", "R s"]
    assert "b has no result for these inputs" in p.adws("info", "b", "ADW_ID=x", status=1)
    assert "R a" in p.adws("list", "--status", "ADW_ID=other")
