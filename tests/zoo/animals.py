"""Processes that are hard to get rid of, one function each: `python -I -S animals.py TOKEN KIND...`.

TOKEN only makes them all findable. The keeper starts one animal of each kind, creates the file `ready` when
all are there, and sleeps, or exits if the last kind is `exit`. Each animal ends by itself after a minute.
"""

import os
import signal
import sys
import time
from pathlib import Path

TOKEN, *KINDS = sys.argv[1:]
LIFE = 60


def plain() -> None:
    pass


def deaf() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def session() -> None:
    os.setsid()


def daemon() -> None:
    """The full ceremony: two forks, a session of its own, no descriptors, no directory."""
    os.setsid()
    if os.fork():
        os._exit(0)
    deaf()
    os.chdir("/")
    os.closerange(0, 3)


def stripped() -> None:
    """A daemon that not even its environment gives away."""
    daemon()
    os.execve(sys.executable, [sys.executable, "-I", "-S", __file__, TOKEN], {})  # noqa: S606


def holder() -> None:
    """Keeps the output pipe open after its parent, in a session of its own."""
    os.setsid()
    if os.fork():
        os._exit(0)
    deaf()


def stopped() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def subreaper() -> None:
    """Collects orphans itself, and has one."""
    import ctypes

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    os.setsid()
    deaf()
    if os.fork() == 0 and os.fork():
        os._exit(0)


def chaser() -> None:
    """Is a new process every other millisecond."""
    deaf()
    end = time.monotonic() + LIFE
    while time.monotonic() < end:
        os.setsid()
        time.sleep(0.002)
        if os.fork():
            os._exit(0)


def keep() -> None:
    here = Path.cwd()
    for kind in KINDS:
        if kind != "exit" and os.fork() == 0:
            (here / kind).touch()
            globals()[kind]()
            time.sleep(LIFE)
            os._exit(0)
    while not all((here / kind).exists() for kind in KINDS if kind != "exit"):
        time.sleep(0.005)
    time.sleep(0.1)  # the file comes first, since after it some of them can not write any more
    print("ready", flush=True)
    (here / "ready").touch()
    if "exit" not in KINDS:
        time.sleep(LIFE)


if KINDS:
    keep()
else:
    time.sleep(LIFE)
