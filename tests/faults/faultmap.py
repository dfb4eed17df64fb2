"""The other side of `faultlib.c`: builds it, says what it shall do, reads what happened."""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from errno import EIO, ENOSPC
from pathlib import Path

SOURCE = Path(__file__).with_name("faultlib.c")
GROWS = frozenset({"create", "write", "rename", "link", "symlink", "mkdir"})
"""The calls that a full disk refuses."""

# the same as in faultlib.c
_PROCESSES, _EVENTS = 2048, 16384
_HEAD, _PROCESS, _EVENT = struct.Struct("8I4064s"), struct.Struct("IIQ"), struct.Struct("IIQ16s16s208s")
_COUNT, _KILL_ALL, _KILL_SELF, _TORN, _FAIL_ONCE, _FAIL_ON = range(6)


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A kind of fault."""

    what: int
    error: int = 0
    calls: frozenset[str] = frozenset()
    """What it can happen to; empty for every call."""
    dies: bool = True
    """Whether the whole run is killed, so that nothing can be asked of how it ends."""


MODES = {
    "killall": Mode(what=_KILL_ALL),
    "killself": Mode(what=_KILL_SELF, dies=False),
    "torn": Mode(what=_TORN, calls=frozenset({"write"})),
    "unsynced": Mode(what=_KILL_ALL),
    "enospc": Mode(what=_FAIL_ONCE, error=ENOSPC, calls=GROWS, dies=False),
    "eio": Mode(what=_FAIL_ONCE, error=EIO, dies=False),
    "full": Mode(what=_FAIL_ON, error=ENOSPC, calls=GROWS, dies=False),
    "broken": Mode(what=_FAIL_ON, error=EIO, dies=False),
}
"""killall, killself: kill -9 of all processes or of the one that makes the call. torn: half of a write, then
killall. unsynced: killall, then `lose_unsynced`. enospc, eio: the call fails once; full, broken: from there on."""
COUNTING = Mode(what=_COUNT, dies=False)


@dataclass(frozen=True)
class Event:
    """One state-changing call."""

    pid: int
    done: bool
    inode: int
    """Of the regular file that it opened, wrote or synced; else 0."""
    who: str
    call: str
    path: str

    def __str__(self) -> str:
        return f"{self.who}: {self.call} {self.path}"


class Map:
    """What the processes of one run share."""

    def __init__(self, path: Path, root: Path, mode: Mode = COUNTING, target: int = 0) -> None:
        self.path = path
        with path.open("w+b") as file:
            file.truncate(_HEAD.size + _PROCESSES * _PROCESS.size + _EVENTS * _EVENT.size)
            self.map = mmap.mmap(file.fileno(), 0)
        self.map[: _HEAD.size] = _HEAD.pack(mode.what, target, mode.error, 0, 0, 0, 0, 0, os.fsencode(root))

    def close(self) -> None:
        self.map.close()
        self.path.unlink()

    @property
    def count(self) -> int:
        return int(self._head()[3])

    @property
    def fired(self) -> int:
        """The event that was hit; 0 where the run ended before."""
        return int(self._head()[4])

    @property
    def events(self) -> list[Event]:
        """In order; the first is number 1."""
        assert self.count < _EVENTS, "the run is too long for the map"
        return [self.event(number) for number in range(1, self.count + 1)]

    def event(self, number: int) -> Event:
        start = _HEAD.size + _PROCESSES * _PROCESS.size
        pid, done, inode, *texts = _EVENT.unpack_from(self.map, start + number * _EVENT.size)
        return Event(pid, bool(done), inode, *(os.fsdecode(t.partition(b"\0")[0]) for t in texts))

    def alive(self) -> set[int]:
        """Its processes that are not gone: those that came by, and what else carries our name."""
        count = min(int(self._head()[6]), _PROCESSES)
        known = (_PROCESS.unpack_from(self.map, _HEAD.size + i * _PROCESS.size) for i in range(count))
        return {pid for pid, _, start in known if _started(pid) == start} | self._marked()

    def kill(self) -> None:
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)

    def _marked(self) -> set[int]:
        mark = b"FAULTS_MAP=" + os.fsencode(self.path)
        found = set()
        for name in filter(str.isdigit, (path.name for path in Path("/proc").iterdir())):
            try:
                if mark in Path("/proc", name, "environ").read_bytes().split(b"\0"):
                    found.add(int(name))
            except OSError:
                continue  # it has ended, or is somebody else's
        return {pid for pid in found if _started(pid)}

    def _head(self) -> tuple[int, ...]:
        return _HEAD.unpack_from(self.map)


def _started(pid: int) -> int | None:
    """When a process that is no zombie began, in ticks; None where there is none."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(fields[18])


def lose_unsynced(events: list[Event], root: Path) -> list[Path]:
    """Empty every file that was written since it was last synced: the worst that POSIX allows for its content.

    Names stay: a rename, link or removal counts as on the disk at once. That is kinder than POSIX, which lets a
    name get lost too; but a file that is there and empty is what misleads, a missing one is a kill further on.
    """
    dirty = set[int]()
    for event in events:
        if event.done and event.inode and event.call in ("write", "truncate"):
            dirty.add(event.inode)
        elif event.done and event.call == "fsync":
            dirty.discard(event.inode)
    lost = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            stat = path.lstat()
            if stat.st_ino in dirty and stat.st_size and not path.is_symlink():
                os.truncate(path, 0)
                lost.append(path)
    return lost


def why_not() -> str:
    """Why no fault can be made here; empty where it can."""
    if sys.platform != "linux":
        return "needs Linux"
    return "" if shutil.which("cc") else "needs a C compiler: apt install gcc"


def library() -> Path:
    """The compiled library, made once for each state of its source."""
    name = f"adws-faultlib-{os.getuid()}-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}.so"
    made = Path(tempfile.gettempdir(), name)
    if not made.exists():
        with tempfile.TemporaryDirectory() as folder:
            new = Path(folder, name)
            flags = (
                "-shared",
                "-fPIC",
                "-O2",
                "-Wall",
                "-Werror",
                "-o",
                str(new),
                str(SOURCE),
                "-ldl",
                "-pthread",
            )
            subprocess.run(["cc", *flags], check=True, timeout=60)
            ctypes.CDLL(str(new))  # a library that cannot be loaded would leave every run undisturbed
            shutil.copy(new, made.with_suffix(f".{os.getpid()}"))
            made.with_suffix(f".{os.getpid()}").replace(made)
    return made
