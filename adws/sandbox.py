"""Shuts a command in with bubblewrap: it may read what we may, and write only where it is told.

No process outside is in its reach, and no socket in the file system: a read-only mount keeps nobody from
connecting, and whoever talks to Docker is root outside. With the network on it does reach what listens on
localhost, and abstract sockets, as X11 has one. Nothing here bounds memory, CPU or disk.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from adws import process
from adws.process import Outcome, Reason

_FLAGS = ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL")
"""Said, because for root bwrap makes no user namespace and leaves all capabilities: `mount -o remount,rw /`.

Without --die-with-parent: TERM ends bwrap's outer process at once, and with it all would die, with no grace
and uncounted. As it is, they become the supervisor's, which ends them like those of any other command.
"""
_TMP = ("/tmp", "/var/tmp")  # noqa: S108
_FAILED = 1
"""What bwrap ends with when it could not start the command, as many a command does to say no."""

_Mounts = dict[Path, tuple[str, ...]]


def command(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    tree: Path,
    out: Path,
    tmp: Path,
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    hidden: Sequence[Path] = (),
    network: bool = False,
) -> tuple[list[str], dict[str, str]]:
    """What to start instead of `argv`, in the same directory, and with which environment.

    `tree`, `out` and `writable` can be written; the folder `tmp` is its /tmp, and TMPDIR; `hidden` folders
    are empty, as /run is; `readable` gives back what lies in one of all these, or protects it. Of two paths,
    one in the other, the inner counts. What is not there is left out.
    """
    mounts = _mounts(tree, out, tmp, readable, writable, hidden)
    mounts |= dict.fromkeys(list(_sockets(mounts)), ("--ro-bind", os.devnull))
    flags = [part for path, how in sorted(mounts.items()) for part in (*how, str(path))]
    if os.geteuid() == 0:
        flags += ["--remount-ro", "/proc"]  # /proc/sys asks who one is, not for capabilities
    if not network:
        flags.append("--unshare-net")
    # meant for the command: from an LD_LIBRARY_PATH into the checkout, bwrap would load its own libraries
    loader = {name: value for name, value in env.items() if name.startswith("LD_")}
    for name, value in {**loader, "TMPDIR": _TMP[0]}.items():
        flags += ["--setenv", name, value]
    # absolute, because it is looked up in the PATH of `env`, which may name a folder in the checkout
    bwrap = Path(shutil.which("bwrap") or "/usr/bin/bwrap").absolute()
    outer = {name: value for name, value in env.items() if name not in loader}
    return [str(bwrap), *_FLAGS, *flags, "--", *argv], outer


def fault() -> str:
    """Why it cannot be used here and what now, empty when it can. It tries, which takes some 50 ms."""
    if sys.platform != "linux":
        return "bubblewrap needs Linux"
    if not shutil.which("bwrap"):
        return "bwrap is not installed; on Debian and Ubuntu: sudo apt install bubblewrap"
    with tempfile.TemporaryDirectory() as name:
        place, log = Path(name), Path(name, "log")
        argv, env = command(["/bin/sh", "-c", ":"], {}, tree=place, out=place, tmp=place)
        outcome = process.run(argv, cwd=place, env=env, log=log, timeout=30)
        said = log.read_text(errors="replace").partition("\n")[0] if log.exists() else ""
    what_now = "user namespaces have to be allowed, by the system and by a container around it"
    return "" if outcome.passed else f"{said or f'bwrap: {outcome.text}'}; {what_now}"


def told(outcome: Outcome, log: Path) -> Outcome:
    """How the command ended: an exit 1 of bwrap itself is none of the command's, which did not start."""
    if outcome.reason is not Reason.EXITED or outcome.code != _FAILED:
        return outcome
    with log.open(errors="replace") as file:
        who, _, why = file.readline(1000).strip().partition(": ")
    if who != "bwrap":
        return outcome
    detail = f"in the sandbox: {why}"
    return dataclasses.replace(outcome, reason=Reason.COULD_NOT_START, code=None, detail=detail)


def _mounts(
    tree: Path,
    out: Path,
    tmp: Path,
    readable: Sequence[Path],
    writable: Sequence[Path],
    hidden: Sequence[Path],
) -> _Mounts:
    """How each path is mounted; a later line replaces an earlier one. In order, parents come first."""
    # of /run: how names are resolved, often a link to there, and on NixOS all programs
    needed = (Path("/etc/resolv.conf").resolve(), Path("/run/current-system"))
    return {
        Path("/"): ("--ro-bind", "/"),
        Path("/dev"): ("--dev",),
        Path("/proc"): ("--proc",),
        **dict.fromkeys(_real(Path("/run"), *hidden), ("--tmpfs",)),
        **{path: ("--ro-bind", str(path)) for path in (*filter(_is_there, needed), *_real(*readable))},
        **{path: ("--dev-bind", str(path)) for path in _real(*writable)},  # so that it may be /dev/kvm
        **{path: ("--bind", str(path)) for path in _real(tree, out)},
        **{path: ("--bind", str(tmp)) for path in _real(*map(Path, _TMP))},
    }


def _real(*paths: Path) -> Iterator[Path]:
    """bwrap can not mount on a link."""
    return (path.resolve() for path in paths if _is_there(path))


def _is_there(path: Path) -> bool:
    return os.access(path, os.F_OK)  # unlike Path.exists, no where we may not look


def _sockets(mounts: _Mounts) -> Iterator[Path]:
    """Sockets that the command could connect to, since it sees where they are, but was not given them."""
    for line in Path("/proc/net/unix").read_text(errors="surrogateescape").split("\n"):
        path = Path(*line.split(maxsplit=7)[7:]).resolve()  # of no name, or one with @, nothing that is there
        inner = next(each for each in (path, *path.parents) if each in mounts)
        if mounts[inner] == ("--ro-bind", str(inner)) and _is_open(path):
            yield path


def _is_open(path: Path) -> bool:
    """Whether it may connect. As root it, and so bwrap, does not get into everybody's folders as we do."""
    if not os.access(path, os.W_OK) or not path.is_socket():
        return False
    return os.geteuid() != 0 or all(p.stat().st_uid == 0 or p.stat().st_mode & 1 for p in path.parents)
