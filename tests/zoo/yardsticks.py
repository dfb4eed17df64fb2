"""How many of the animals survive the usual ways to end a command, and ours: `python -m tests.zoo.yardsticks`.

One animal at a time. It counts as a survivor when it is alive two seconds after the way has ended, and the way
as hanging when it has not ended after HUNG seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.zoo import KINDS, Zoo, wait_until

LIMIT, HUNG, LATER = 1.0, 15.0, 2.0


def timeout(zoo: Zoo, kind: str) -> None:
    """The idiom of Python's documentation: `timeout` with captured output."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(zoo.argv(kind), cwd=zoo.folder, capture_output=True, timeout=LIMIT)


def killpg(zoo: Zoo, kind: str) -> None:
    with subprocess.Popen(zoo.argv(kind), cwd=zoo.folder, start_new_session=True) as command:
        wait_until((zoo.folder / "ready").exists)
        os.killpg(command.pid, signal.SIGKILL)


def tree(zoo: Zoo, kind: str) -> None:
    """The recipe of psutil's documentation: TERM to all children, KILL to what is left of them."""
    with subprocess.Popen(zoo.argv(kind), cwd=zoo.folder) as command:
        wait_until((zoo.folder / "ready").exists)
        parent = psutil.Process(command.pid)
        everyone = [*parent.children(recursive=True), parent]
        for each in everyone:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.terminate()
        for each in psutil.wait_procs(everyone, timeout=0.3)[1]:
            each.kill()


def supervisor(zoo: Zoo, kind: str) -> None:
    zoo.run(kind, timeout=LIMIT)


WAYS: dict[str, Callable[[Zoo, str], None]] = {
    "subprocess.run(timeout=)": timeout,
    "os.killpg(SIGKILL)": killpg,
    "psutil, children(recursive=True)": tree,
    "adws.process.run": supervisor,
}


def survives(way: Callable[[Zoo, str], None], kind: str) -> str:
    """`hangs`, `survives`, or nothing."""
    with tempfile.TemporaryDirectory() as name, Zoo(Path(name)) as zoo:
        at_work = threading.Thread(target=way, args=(zoo, kind), daemon=True)
        at_work.start()
        at_work.join(HUNG)
        if at_work.is_alive():
            return "hangs"
        time.sleep(LATER)
        return "survives" if zoo.left() else ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.zoo.yardsticks")
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    print(f"| way to end it | {' | '.join(KINDS)} | survivors of {repeats * len(KINDS)} |")
    for name, way in WAYS.items():
        found = {kind: [survives(way, kind) for _ in range(repeats)] for kind in KINDS}
        cells = [next(filter(None, found[kind]), "-") for kind in KINDS]
        count = sum(1 for each in found.values() for said in each if said)
        print(f"| `{name}` | {' | '.join(cells)} | **{count}** |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
