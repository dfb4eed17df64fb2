"""What a command in the sandbox cannot do, and all that it still can. The real bwrap, no stubs."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from adws import git, process, sandbox, workspace
from adws.checkout import remove
from adws.git import Repo
from adws.process import Outcome, Reason
from adws.workspace import Workspace
from tests.conftest import Project
from tests.zoo import KINDS, Zoo, wait_until

TOP = Path(__file__).parent.parent
FAULT = sandbox.fault()
pytestmark = pytest.mark.skipif(bool(FAULT), reason=f"needs bubblewrap: make install-bubblewrap ({FAULT})")


@dataclass(frozen=True, kw_only=True)
class Box:
    """A workspace of a real repository, and a command in it, with the sandbox or without."""

    repo: Repo
    place: Workspace
    home: Path
    log: Path

    @property
    def tmp(self) -> Path:
        return self.place.home / "tmp"

    def run(self, *argv: str, timeout: float = 60.0, grace: float = 5.0, **options) -> Outcome:
        env = self.env | options.pop("env", {})
        # pytest's own folder lies below /tmp, and so may Python and adws
        prefixes = map(Path, (sys.prefix, sys.base_prefix))
        readable = (self.home, self.place.io, self.repo.root, self.repo.git_dir, TOP, *prefixes)
        given = {"tree": self.place.tree, "out": self.place.out, "tmp": self.tmp, "readable": readable}
        given |= {"hidden": [workspace.cache_dir()], **options}
        argv, env = sandbox.command(argv, env, **given)
        outcome = process.run(argv, cwd=self.place.tree, env=env, log=self.log, timeout=timeout, grace=grace)
        return sandbox.told(outcome, self.log)

    def sh(self, script: str, **options) -> Outcome:
        return self.run("/bin/sh", "-e", "-c", script, **options)

    def python(self, script: str, **options) -> Outcome:
        return self.run(sys.executable, "-c", script, **options)

    def unprotected(self, script: str, **env: str) -> Outcome:
        argv = ["/bin/sh", "-e", "-c", script]
        return process.run(argv, cwd=self.place.tree, env=self.env | env, log=self.log, timeout=60)

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "REPO": str(self.repo.root),
            "SLOT": str(self.place.home),
            "OTHER": str(self.place.home.with_name("7")),
            "ADW_OUT": str(self.place.out),
        }

    def world(self) -> dict[str, tuple[int, bytes]]:
        """Mode and content of everything that is not the phase's own."""
        own = (self.place.tree, self.place.out, self.tmp)
        return {
            str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
            for path in self.home.parent.rglob("*")
            if path != self.log and not any(path.is_relative_to(mine) for mine in own)
        }


@pytest.fixture
def box(project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    user, home = project(), tmp_path / "home"
    (home / ".profile").write_text("mine\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    repo = git.open_repo(user.path)
    with workspace.acquire(repo, repo.head, deadline=time.monotonic() + 10) as place:
        made = Box(repo=repo, place=place, home=home, log=tmp_path / "log")
        (place.io / "issue.md").write_text("# Do it\n")
        other = place.home.with_name("7") / "tree/f"
        other.parent.mkdir(parents=True)
        other.write_text("another phase's")
        yield made


ATTACKS = {
    "write in the checkout": "echo x > $REPO/README.md",
    "add to the checkout": "echo x > $REPO/new",
    "delete the checkout": "rm -rf $REPO",
    "stage": "echo x > f; git --git-dir $REPO/.git --work-tree . add f",
    "configure": "git -C $REPO config user.name Eve",
    "plant a hook": "printf '#!/bin/sh' > $REPO/.git/hooks/post-commit",
    "make a branch": "git -C $REPO branch stolen",
    "move the branch": "git -C $REPO update-ref -d refs/heads/main",
    "forge a result": "git -C $REPO update-ref refs/adws/1c8b6f0e/test HEAD",
    "write an object": "echo x | git -C $REPO hash-object -w --stdin",
    "write at home": "echo x > $HOME/x",
    "configure all repositories": "git config --global core.hooksPath .",
    "change permissions": "chmod 777 $HOME/.profile",
    "write in another slot": "echo x > $OTHER/tree/f",
    "write in our git directory": "echo x > $SLOT/git/config",
    "change the issue": "echo x > $SLOT/io/issue.md",
    "write through a symbolic link": "ln -sf $HOME/.profile link; echo x > link",
    "write through a hard link": "ln -f $HOME/.profile link; echo x > link",
    "move out": "echo x > f; mv f $HOME/f",
    "move in": "mv $HOME/.profile .",
    "write through /proc": "echo x > /proc/self/root$HOME/x",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_nothing_outside_can_be_changed(box, attack):
    identity = {f"GIT_{who}_{what}": "e" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    before = box.world()
    assert not box.sh(attack, env=identity).passed
    assert box.world() == before
    assert box.unprotected(attack, **identity).passed
    assert box.world() != before  # it would have worked


def test_other_slots_are_not_even_seen(box):
    assert box.sh("cat $OTHER/tree/f").code == 1
    assert box.sh('test "$(ls $SLOT)" = "io\ntree"').passed


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern"]
)
def test_no_file_of_the_system_can_be_opened_for_writing(box, path):
    assert box.python(f"import os; os.open('{path}', os.O_WRONLY)").code == 1
    assert "Read-only file system" in box.said or "Permission denied" in box.said


def test_a_command_has_no_capabilities_and_cannot_get_any(box):
    assert box.sh("grep -E 'Cap|NoNew' /proc/self/status").passed
    assert {line.split()[1].strip("0") for line in box.said.splitlines()} == {"", "1"}
    assert "NoNewPrivs:\t1" in box.said
    assert not box.sh("mount -o remount,rw,bind / || umount /run || umount /tmp").passed


def test_in_a_user_namespace_of_its_own_it_can_do_no_more(box):
    script = "mount -o remount,rw,bind / || umount /run || umount $HOME || echo x > $HOME/x"
    before = box.world()
    assert not box.sh(f"unshare --user --map-root-user --mount sh -c '{script}'").passed
    assert box.world() == before


@pytest.fixture
def outsider() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a secret in its environment."""
    with subprocess.Popen(["sleep", "60"], env=os.environ | {"TOKEN": "s3cr3t"}) as popen:
        yield popen
        popen.kill()


def test_a_process_outside_gets_no_signal(box, outsider):
    assert not box.sh(f"kill -KILL {outsider.pid}").passed
    assert outsider.poll() is None
    assert box.unprotected(f"kill -KILL {outsider.pid}").passed
    assert outsider.wait(5) == -9


def test_no_environment_of_another_process_can_be_read(box, outsider):
    look = "cat /proc/[0-9]*/environ || true"
    assert box.sh(look).passed
    assert "s3cr3t" not in box.said
    assert f"HOME={box.home}" in box.said
    wait_until(lambda: box.unprotected(look).passed and "s3cr3t" in box.said)


def test_a_message_queue_outside_is_out_of_reach(box):
    made = subprocess.run(["ipcmk", "--queue"], capture_output=True, text=True, check=True)
    remove_it = f"ipcrm --queue-id {made.stdout.split()[-1]}"
    assert not box.sh(remove_it).passed
    assert box.unprotected(remove_it).passed


@contextlib.contextmanager
def listening(family: socket.AddressFamily, address: str | tuple[str, int]) -> Iterator[str]:
    """A server that answers; the Python that asks it."""
    with socket.socket(family) as server:
        server.bind(address)
        server.listen()

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].sendall(b"hello")

        thread = threading.Thread(target=answer)
        thread.start()
        kind = "AF_INET" if family == socket.AF_INET else "AF_UNIX"
        try:
            yield f"""
import socket
s = socket.socket(socket.{kind})
s.connect({server.getsockname()!r})
assert s.recv(5) == b"hello"
"""
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


NAMES = {
    "localhost": (socket.AF_INET, ("127.0.0.1", 0)),
    "abstract": (socket.AF_UNIX, f"\0adws-{os.getpid()}"),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_network_is_there_only_where_it_is_said(box, name):
    with listening(*NAMES[name]) as ask:
        assert box.python(ask, network=False).code == 1
        assert "ConnectionRefusedError" in box.said
        assert box.python(ask, network=True).passed


def test_a_server_of_its_own_needs_no_network(box):
    assert box.python(
        "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
    ).passed


@pytest.fixture(params=["/run", "/tmp", "home"])
def folder(request: pytest.FixtureRequest, box: Box) -> Iterator[Path]:
    """Where services have their sockets."""
    parent = box.home if request.param == "home" else Path(request.param)
    if not os.access(parent, os.W_OK):
        pytest.skip(f"may not write to {parent}")
    with tempfile.TemporaryDirectory(dir=parent) as name:
        yield Path(name)


def test_a_service_cannot_be_reached_by_its_socket(box, folder):
    with listening(socket.AF_UNIX, str(folder / "docker.sock")) as ask:
        assert box.python(ask, network=True).code == 1
        assert "ConnectionRefusedError" in box.said or "FileNotFoundError" in box.said
        assert box.python(ask, network=True, writable=[folder]).passed  # unless it is named


def test_of_run_there_is_nothing_for_a_service_that_starts_later(box):
    assert box.sh("ls -A /run").passed
    assert set(box.said.split()) <= {*Path("/etc/resolv.conf").resolve().parts, "current-system"}


def test_tmp_is_the_phase_s_own_and_lies_on_disk(box):
    name = f"adws-{os.getpid()}"
    assert box.sh(f"echo 1 > /tmp/{name}; cat /var/tmp/{name}; echo $TMPDIR", env={"TMPDIR": "/x"}).passed
    assert box.said == "1\n/tmp\n"
    assert (box.tmp / name).read_text() == "1\n"
    assert not Path("/tmp", name).exists()
    assert box.python("import tempfile; print(tempfile.mkdtemp())").passed
    assert box.said.startswith("/tmp/tmp")


WORK = {
    "write": "echo x > f; mkdir d; echo x > $ADW_OUT/result.json; cat $SLOT/io/issue.md",
    "git": "git status; echo x >> README.md; git diff --exit-code && exit 9; git add -A; git -c user.name=e -c "
    "user.email=e commit -qm x; git log --stat; git show HEAD~:README.md; git status --porcelain | grep . && exit 9 || :",
    "look into the repository": "git -C $REPO status; git -C $REPO log; cat $REPO/README.md",
    "devices": "echo x > /dev/null; head -c 9 /dev/urandom > /dev/stdout; echo x > /dev/stderr; test ! -e /dev/sda",
    "shared memory": "echo x > /dev/shm/x",
    "pipes": "mkfifo p; echo x > p & cat p; echo x | cat | cat",
    "users": 'test "$(id -u)" = "$(stat -c %u .)"; test -O "$HOME"',
    "names": "getent hosts localhost",
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_what_phases_do_still_works(box, work):
    assert box.sh(work).passed, box.said


PYTHON = {
    "locks and queues": """
import multiprocessing
lock, queue = multiprocessing.Lock(), multiprocessing.Queue()
queue.put(1)
with lock: assert queue.get() == 1""",
    "workers": """
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2) as pool: assert list(pool.map(abs, [-1, -2])) == [1, 2]""",
    "a terminal": """
import os, pty
pid, fd = pty.fork()
if pid == 0: os.execvp("tty", ["tty"])
assert os.read(fd, 100).startswith(b"/dev/pts/")""",
    "sockets": """
import socket
s = socket.socket(socket.AF_UNIX); s.bind("/tmp/s"); s.listen(); socket.socket(socket.AF_UNIX).connect("/tmp/s")""",
    "adws": "import adws.model, yaml",
}


@pytest.mark.parametrize("script", PYTHON.values(), ids=PYTHON)
def test_what_tests_do_still_works(box, script):
    assert box.python(script, env={"PYTHONPATH": str(TOP)}).passed, box.said


def test_further_paths_can_be_given(box):
    given, link = box.home / ".claude", box.home / ".agent"
    given.mkdir()
    link.symlink_to(given)
    assert box.sh("echo x > ~/.agent/x", writable=[link, box.home / "gone"]).passed
    assert (given / "x").read_text() == "x\n"
    assert not box.sh("echo x > ~/x", writable=[link]).passed


def test_a_path_inside_of_another_has_the_last_word(box):
    before = box.world()
    top = box.home.parent
    assert not box.sh("echo x > $REPO/x", writable=[top]).passed
    assert not box.sh("echo x > $OTHER/tree/f", writable=[top]).passed
    assert not box.sh("echo x > $SLOT/io/issue.md", writable=[top]).passed
    assert box.world() == before
    assert (
        box.sh("echo x > ../../../../../x", writable=[top]).code == 2
    )  # up is another folder there, and read-only


def test_a_device_can_be_given(box):
    device = next((d for d in ("/dev/kvm", "/dev/fuse", "/dev/loop-control") if os.access(d, os.R_OK)), None)
    if device is None:
        pytest.skip("there is none but the usual ones")
    look = f"import os; os.open('{device}', os.O_RDONLY)"
    assert not box.python(look).passed
    assert box.python(look, writable=[Path(device)]).passed


@pytest.mark.parametrize("code", [0, 1, 3, 127, 255])
def test_the_exit_code_is_the_command_s_own(box, code):
    assert (box.sh(f"exit {code}").reason, box.sh(f"exit {code}").code) == (Reason.EXITED, code)


def test_death_by_a_signal_is_an_exit_code_as_in_a_shell(box):
    assert box.sh("kill -SEGV $$").text == "exit 139"


def test_what_did_not_start_is_told_from_an_exit_1(box):
    assert box.run("nope").text == "could not start in the sandbox: execvp nope: No such file or directory"
    assert box.run("/").text == "could not start in the sandbox: execvp /: Permission denied"
    remove(box.tmp)
    gone = f"could not start in the sandbox: Can't find source path {box.tmp}: No such file or directory"
    assert box.run("true").text == gone


def test_a_command_that_says_no_is_no_failure_of_ours(box):
    assert box.sh("exit 1").text == "exit 1"
    assert box.sh("echo 'no bwrap: here'; exit 1").text == "exit 1"


def test_it_works_where_the_caller_stands(box):
    (box.place.tree / "sub").mkdir()
    argv, env = sandbox.command(["pwd"], box.env, tree=box.place.tree, out=box.place.out, tmp=box.tmp)
    assert process.run(argv, cwd=box.place.tree / "sub", env=env, log=box.log, timeout=60).passed
    assert box.said == f"{box.place.tree}/sub\n"


def test_what_the_environment_does_to_the_loader_is_for_the_command_alone(box):
    assert box.sh("exit 0", env={"LD_PRELOAD": "./nope.so"}).passed
    assert box.said.count("./nope.so") == 1


def test_a_bwrap_in_the_checkout_is_not_the_sandbox(box):
    fake = box.place.tree / "bin/bwrap"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho mine")
    fake.chmod(0o755)
    assert box.run("bwrap", env={"PATH": f"bin:{os.environ['PATH']}"}).passed
    assert box.said == "mine\n"
    assert box.sh("echo x > $HOME/x", env={"PATH": f"bin:{os.environ['PATH']}"}).code == 2


def test_term_leaves_it_time_to_clean_up(box):
    script = "trap 'echo cleaning; sleep 0.3; echo cleaned; exit 0' TERM; sleep 60 & wait"
    assert box.sh(script, timeout=5).text == "timed out after 5 s"
    assert box.said == "cleaning\ncleaned\n"


def test_what_ends_shortly_after_the_command_is_waited_for(box):
    outcome = box.sh("(sleep 0.1; echo the end) & exit 3")
    assert (outcome.text, outcome.leftovers, box.said) == ("exit 3", 0, "the end\n")


def animals(box: Box, zoo: Zoo, *kinds: str, timeout: float) -> Outcome:
    return box.run(*zoo.argv(*kinds), timeout=timeout, grace=0.3)


@pytest.mark.parametrize("how", ["time-out", "exit"])
def test_nothing_survives(box, how):
    with Zoo(box.place.tree) as zoo:
        kinds = [kind for kind in KINDS if how == "time-out" or kind != "chaser"]
        outcome = animals(
            box, zoo, *kinds, *(["exit"] if how == "exit" else []), timeout=20 if how == "exit" else 4
        )
        assert outcome.reason == (Reason.EXITED if how == "exit" else Reason.TIMED_OUT), box.said
        assert box.said == "ready\n"
        assert (outcome.leftovers > 0) == (how == "exit")
        wait_until(lambda: not zoo.left())


def test_orphans_are_no_zombies(box):
    script = """
import os, pathlib, time
for _ in range(20):
    if os.fork() == 0:
        if os.fork(): os._exit(0)
        os._exit(0)
    os.wait()
time.sleep(0.2)
states = [p.read_text().rpartition(")")[2].split()[0] for p in pathlib.Path("/proc").glob("[0-9]*/stat")]
assert "Z" not in states and len(states) < 5, states
"""
    assert box.python(script).passed, box.said


def without(monkeypatch: pytest.MonkeyPatch, folder: Path, *lines: str) -> None:
    if lines:
        (folder / "bwrap").write_text("\n".join(("#!/bin/sh", *lines)))
        (folder / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_a_fault_says_what_now(monkeypatch, tmp_path):
    assert sandbox.fault() == ""
    without(monkeypatch, tmp_path)
    assert sandbox.fault() == "bwrap is not installed; on Debian and Ubuntu: sudo apt install bubblewrap"
    what_now = "user namespaces have to be allowed, by the system and by a container around it"
    said = "bwrap: setting up uid map: Permission denied"
    without(monkeypatch, tmp_path, f"echo '{said}' >&2", "exit 1")
    assert sandbox.fault() == f"{said}; {what_now}"
    without(monkeypatch, tmp_path, "kill -KILL $$")
    assert sandbox.fault() == f"bwrap: killed by SIGKILL; {what_now}"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert sandbox.fault() == "bubblewrap needs Linux"
