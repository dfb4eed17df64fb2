"""Runs a command under the supervisor and says how it ended. Nothing else starts a process, except git."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import multiprocessing.connection
import multiprocessing.process
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from adws import secrets

SUPERVISE = Path(__file__).with_name("supervise.py")
SLACK = 2.0
"""Seconds that the supervisor may take beyond the grace period."""


LOOK = 1.0
"""Seconds between two looks at what a command prints, where somebody looks."""


class Reason(StrEnum):
    """Why a command is not running any more."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed_out"
    STALLED = "stalled"
    STOPPED = "stopped"
    HOPELESS = "hopeless"
    """`watch` said so."""
    COULD_NOT_START = "could_not_start"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended, and whether it took all its processes along."""

    reason: Reason
    code: int | None = None
    """Its exit code, if it exited."""
    signal: str | None = None
    """The name of what killed it (`SIGSEGV`) or stopped the supervisor (`SIGTERM`)."""
    seconds: float = 0.0
    """Until it ended or had to; ending what it left behind is not counted."""
    leftovers: int = 0
    """Processes that it left running when it ended by itself, and that had to be ended."""
    detail: str = ""
    """What else went wrong."""

    @property
    def passed(self) -> bool:
        return self.reason is Reason.EXITED and self.code == 0

    @property
    def text(self) -> str:
        """The outcome in one line for people."""
        if self.reason is Reason.COULD_NOT_START:
            return f"could not start {self.detail}"
        words = {
            Reason.EXITED: f"exit {self.code}",
            Reason.SIGNALLED: f"killed by {self.signal}",
            Reason.TIMED_OUT: f"timed out after {self.seconds:g} s",
            Reason.HOPELESS: f"stopped after {self.seconds:.0f} s",
            Reason.STALLED: f"stalled; it was stopped after {self.seconds:.0f} s, silent for too long",
            Reason.STOPPED: f"stopped by {self.signal or 'its caller'}",
            Reason.LOST: "the supervisor was killed",
        }[self.reason]
        return f"{words}; {self.detail}" if self.detail else words


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    timeout: float,
    idle: float | None = None,
    stdin: Path | None = None,
    grace: float = 10.0,
    keep: Sequence[int] = (),
    hide: Sequence[bytes] = (),
    watch: Callable[[], str] | None = None,
) -> Outcome:
    """Run a command, with exactly this environment, until nothing of it is left.

    `timeout`, `idle` (without any output) and `grace` (between TERM and KILL) are seconds; its output goes
    to `log`, see `supervise.Log`.
    The supervisor holds the descriptors in `keep` (above 2) until nothing is left, even if this process is
    killed: so a file locked with flock stays locked. Unlock it by closing it; LOCK_UN would unlock both.
    `watch` is asked every LOOK seconds whether it is no use to wait any longer, and why.
    `hide` are the forms of secrets, see `secrets.forms`: neither the log nor the outcome shows them.
    """
    options = {
        "argv": list(argv),
        "cwd": str(cwd.absolute()),
        "env": dict(env),
        "stdin": str(stdin.absolute()) if stdin else os.devnull,
        "timeout": timeout,
        "idle": idle,
        "grace": grace,
        "keep": list(keep),
        "hide": [form.decode("latin-1") for form in hide],
    }
    started = time.monotonic()
    try:
        with _supervisor(log, keep, grace) as lifeline:
            said, hopeless = _talk(lifeline, json.dumps(options).encode() + b"\n", watch)
    except OSError as error:
        return Outcome(reason=Reason.COULD_NOT_START, detail=f"the supervisor: {str(error.strerror).lower()}")
    last = said.strip().rpartition("\n")[2]
    if not last.startswith("{"):
        detail = secrets.redact_text(last, hide)
        return Outcome(reason=Reason.LOST, seconds=time.monotonic() - started, detail=detail)
    fields = json.loads(last)
    detail = secrets.redact_text(fields["detail"], hide)
    if hopeless and fields["reason"] == Reason.STOPPED:
        return Outcome(reason=Reason.HOPELESS, seconds=fields["seconds"], detail=hopeless)
    return Outcome(**fields | {"reason": Reason(fields["reason"]), "detail": detail})


@contextlib.contextmanager
def _supervisor(log: Path, keep: Sequence[int], grace: float) -> Iterator[socket.socket]:
    """The lifeline of a new supervisor. Closing it, as Ctrl-C does, ends whatever the supervisor runs."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        _lifelines.update((ours, theirs))
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SUPERVISE), str(log.absolute())],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=theirs.fileno(),  # a traceback ends up in `Outcome.detail`
            pass_fds=keep,
            start_new_session=True,  # Ctrl-C is for us alone; the lifeline tells the supervisor
        )
        theirs.close()
        try:
            yield ours
        finally:
            ours.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                supervisor.wait(grace + SLACK)


def _talk(lifeline: socket.socket, options: bytes, watch: Callable[[], str] | None) -> tuple[str, str]:
    """Say what to run; what the supervisor says until both its processes are gone, and what `watch` said.

    The options are not its arguments: each of those is limited to 128 KiB, and anybody on the machine may
    read them, while an environment holds secrets.
    """
    said, hopeless = b"", ""
    with contextlib.suppress(ConnectionError):  # it was killed, but may have said why
        lifeline.sendall(options)
    with contextlib.suppress(ConnectionError):
        lifeline.settimeout(LOOK if watch else None)
        while True:
            try:
                piece = lifeline.recv(1 << 16)
            except TimeoutError:
                if watch and not hopeless and (hopeless := watch()):
                    lifeline.shutdown(socket.SHUT_WR)
                continue
            if not piece:
                break
            said += piece
    return said.decode(errors="replace"), hopeless


def stop() -> None:
    """Stop every command that other threads of this process run; each `run` returns as soon as it is done."""
    for lifeline in list(_lifelines):
        with contextlib.suppress(OSError):  # it is being closed
            lifeline.shutdown(socket.SHUT_WR)


_lifelines: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def _drop_lifelines() -> None:
    """In a forked child: our death has to end every lifeline, so no child may hold a copy of one.

    exec closes them by itself. doit forks its workers from a master that runs no phase, so there is nothing
    to copy; but with thread workers, what forks while a phase runs would keep that phase alive after us.
    """
    for lifeline in _lifelines:
        lifeline.close()


os.register_at_fork(after_in_child=_drop_lifelines)


def die_with_parent() -> None:
    """In a multiprocessing worker: end when the parent does, even by `kill -9`; elsewhere nothing.

    The lifelines do the rest. Without it doit's workers outlive doit, end their phases and wait for ever.
    So does one that has not called it yet: call it when a worker starts, not with its first task.
    """
    if any(thread.name == "die-with-parent" for thread in threading.enumerate()) or not _is_worker():
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Python runs handlers in the main thread: while that is in a system call, and another thread (the
        # feeder of a multiprocessing queue) takes the signals, a worker with handlers does not end
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, name="die-with-parent", daemon=True).start()


def _is_worker() -> bool:
    """Also while a spawned worker is being put together: it imports us before it knows its parent.

    A forkserver imports us too, and is none: a thread in it would make each of its forks unsafe.
    """
    return multiprocessing.parent_process() is not None or "--multiprocessing-fork" in sys.orig_argv


def _die_with_parent() -> None:
    while (parent := multiprocessing.parent_process()) is None:
        time.sleep(0.01)
    watched = [parent.sentinel]
    if hasattr(os, "pidfd_open"):
        # a forked worker holds the other end of its older siblings' sentinels, and watches nothing while idle
        try:
            watched.append(os.pidfd_open(parent.pid or 0))
        except ProcessLookupError:
            os._exit(1)
        except OSError:
            pass  # the kernel does not have it
    multiprocessing.connection.wait(watched)
    os._exit(1)
