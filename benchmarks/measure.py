"""What the benchmarks share: a command timed with all its processes, two ways in turn, a table."""

import argparse
import contextlib
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import DEVNULL, STDOUT
from types import MappingProxyType

BIN = Path(sys.executable).parent
GIVEN = ("ADW_ID", "ISSUE", "REPO", "AGENT")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One way, gone once."""

    seconds: float
    cpu: float
    """Seconds of user and system time, of all its processes."""
    largest: float = 0
    """MiB, the resident set of the largest of them."""
    memory: tuple[float, ...] = ()
    """What `watch` saw, every 0.1 s."""


Way = Callable[[], Sample]
Watch = Callable[[int], float]
"""From a process to what is to be known of it and of all below it."""


@contextlib.contextmanager
def home(title: str) -> Iterator[Path]:
    """A directory for everything that a benchmark makes; no caches and no git settings of the user's."""
    print(f"# {title}\n\n{machine()}.\n", flush=True)
    for name in [name for name in os.environ if name.startswith("GIT_") or name in GIVEN]:
        del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every start compiles what is measured
    with tempfile.TemporaryDirectory(prefix="adws-benchmark-") as folder:
        os.environ |= {"XDG_CACHE_HOME": folder, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        os.environ |= {f"GIT_{who}_NAME": "benchmark" for who in ("AUTHOR", "COMMITTER")}
        os.environ |= {f"GIT_{who}_EMAIL": "benchmark@localhost" for who in ("AUTHOR", "COMMITTER")}
        yield Path(folder)


def arguments(text: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(text or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and once, to see whether it works")
    parser.add_argument("--adws", default=BIN / "adws", help="the program to measure")
    return parser


def machine() -> str:
    git = ask("git", "--version", cwd=Path.cwd()).split()[2]
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load {load}"
    return f"{system}, Python {platform.python_version()}, git {git}"


def command(
    *words: object, cwd: Path, env: Mapping[str, str] = MappingProxyType({}), watch: Watch | None = None
) -> Sample:
    """Run it to its end; whatever is not 0 ends the benchmark."""
    argv = [str(word) for word in words]
    with tempfile.TemporaryFile("w+") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            argv, cwd=cwd, env={**os.environ, **env}, stdin=DEVNULL, stdout=log, stderr=STDOUT
        )
        with _watching(process.pid, watch) as memory:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{log.read()}\n`{' '.join(argv)}` ended with {process.returncode}")
    largest = usage.ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
    return Sample(seconds=seconds, cpu=usage.ru_utime + usage.ru_stime, largest=largest, memory=tuple(memory))


@contextlib.contextmanager
def _watching(pid: int, watch: Watch | None) -> Iterator[list[float]]:
    seen: list[float] = []
    ended = threading.Event()

    def look() -> None:
        while watch and not ended.wait(0.1):
            if value := watch(pid):
                seen.append(value)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def inside(work: Callable[[], object]) -> Sample:
    """Do it in this process; its children have to be gone when it returns."""
    began, before = time.monotonic(), _cpu()
    work()
    return Sample(seconds=time.monotonic() - began, cpu=_cpu() - before)


def _cpu() -> float:
    each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in each)


def in_turn(ways: Mapping[str, Way], rounds: int, warm_up: int = 1) -> dict[str, list[Sample]]:
    """A B A B ..., after rounds that do not count."""
    samples: dict[str, list[Sample]] = {name: [] for name in ways}
    for number in range(warm_up + rounds):
        for name, way in ways.items():
            sample = way()
            if number >= warm_up:
                samples[name].append(sample)
    return samples


def row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def head(*cells: str) -> None:
    row(*cells)
    row(*["---"] * len(cells))


def pair(what: str, ours: Way, theirs: Way, *, rounds: int, target: float, by: str, warm_up: int = 1) -> None:
    """A row of a `versus` table: medians of wall and CPU; `by` is what the target is for."""
    samples = in_turn({"ours": ours, "theirs": theirs}, rounds, warm_up)
    us, them = (Sample(seconds=wall(each), cpu=cpu(each)) for each in samples.values())
    ratios = {"wall": us.seconds / them.seconds, "CPU": us.cpu / them.cpu}
    shown = [f"**{value:.3f}**" if name == by else f"{value:.3f}" for name, value in ratios.items()]
    seconds = [f"{value:.3f}" for value in (us.seconds, them.seconds, us.cpu, them.cpu)]
    row(what, rounds, *seconds, *shown, f"{by} ≤ {target:g}")


def versus() -> None:
    walls = ("adws wall, s", "other wall, s", "adws CPU, s", "other CPU, s", "wall ratio", "CPU ratio")
    head("adws : other", "runs", *walls, "target")


def wall(samples: list[Sample]) -> float:
    return median(sample.seconds for sample in samples)


def cpu(samples: list[Sample]) -> float:
    return median(sample.cpu for sample in samples)


def family(root: int) -> set[int]:
    """A process and all below it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(
                stat.read_text(errors="replace").rpartition(")")[2].split()[1]
            )
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def pss(pid: int) -> float:
    """MiB, with what several processes share counted once; 0 once it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0


def ask(*words: str, cwd: Path) -> str:
    return subprocess.run(words, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()
