"""How much faster are phases side by side than one after the other? Run by `make bench`; prints Markdown.

The phases only sleep, in the proportions of a real run, so what is measured is the tool: what it adds to the
work, and whether what could overlap does. After one run that does not count, serial and parallel runs take
turns, each with an ADW_ID of its own, and all of them have to end in the same tree.
"""

import argparse
import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from subprocess import DEVNULL, STDOUT

UNITS = {"plan": 2.5, "build": 6.0, "test": 3.5, "review": 2.5, "document": 2.5}
NEEDS = {"build": "plan", "test": "build", "review": "build", "document": "build"}
WORKFLOWS = {"sdlc": ("test", "review", "document"), "plan_build_test_review": ("test", "review")}
REMARKS = {
    "sdlc": "The aim is 1.40.",
    "plan_build_test_review": "A ratio of 1.3 is out of reach here, whatever runs it: 14.5 units against 12.",
}
WAYS = {"serial": 1, "parallel": 3}
GIVEN = ("ADW_ID", "ISSUE", "REPO", "AGENT")
MEMORY = {
    "linux": "the highest sum of PSS over all processes of a run, looked at every 0.1 s",
    "other": "the largest resident set of any one process of a run, as there is no PSS here",
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run, measured."""

    seconds: float
    cpu: float
    """Seconds of user and system time, of all processes."""
    peak: float
    """MiB, as MEMORY says."""
    tree: str
    """The tree that the run ended in."""


def main() -> None:
    options = arguments()
    print(f"# Serial against parallel\n\n{machine()}; one unit of work is {options.unit:g} s.\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="adws-benchmark-") as home:
        repo = repository(Path(home) / "repo", options.unit)
        measure(options.adws, repo, "sdlc", 3, "warm-up")
        for workflow in WORKFLOWS:
            samples: dict[str, list[Sample]] = {way: [] for way in WAYS}
            for number in range(options.runs):
                for way, jobs in WAYS.items():
                    sample = measure(options.adws, repo, workflow, jobs, f"{workflow}-{way}-{number}")
                    samples[way].append(sample)
            print(report(workflow, options.unit, samples), flush=True)
    print(f"Peak memory is {MEMORY.get(sys.platform, MEMORY['other'])}; CPU use is of one core.")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--unit", type=float, default=2, metavar="SECONDS", help="length of one unit of work (2)"
    )
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of each kind (5)")
    parser.add_argument(
        "--adws", default=Path(sys.executable).with_name("adws"), help="the program to measure"
    )
    return parser.parse_args()


def machine() -> str:
    git = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout.split()[2]
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load {load}"
    return f"{system}, Python {platform.python_version()}, git {git}"


def repository(root: Path, unit: float) -> Path:
    """A repository with a pipeline in which every phase sleeps and then writes a file of its own."""
    phases = "".join(
        f"  {name}: {{{f'needs: {NEEDS[name]}, ' if name in NEEDS else ''}"
        f'run: "sleep {units * unit:g}; echo {name} > {name}.txt"}}\n'
        for name, units in UNITS.items()
    )
    workflows = "".join(f"  {name}: [{', '.join(wanted)}]\n" for name, wanted in WORKFLOWS.items())
    root.mkdir()
    (root / "pipeline.yaml").write_text(
        f"version: 1\nmax-parallel: 3\nphases:\n{phases}workflows:\n{workflows}"
    )
    (root / "issue.md").write_text("# Sleep\n")
    ask("git", "init", "-q", "-b", "main", cwd=root)
    ask("git", "add", "-A", cwd=root)
    who = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost", "-c", "commit.gpgsign=false")
    ask("git", *who, "commit", "-q", "--no-verify", "-m", "start", cwd=root)
    return root


def measure(adws: Path, repo: Path, workflow: str, jobs: int, adw_id: str) -> Sample:
    """Run it once, with a cache of its own, so that nothing is left in the user's."""
    command = [str(adws), "-n", str(jobs), workflow, f"ADW_ID={adw_id}", "ISSUE=issue.md"]
    environment = {name: value for name, value in os.environ.items() if name not in GIVEN}
    environment["XDG_CACHE_HOME"] = str(repo.parent)
    with repo.with_name("log").open("w+") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=repo, env=environment, stdin=DEVNULL, stdout=log, stderr=STDOUT
        )
        with peak_of(process.pid) as peaks:
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{log.read()}\n`{' '.join(command)}` ended with {process.returncode}")
    return Sample(
        seconds=seconds,
        cpu=usage.ru_utime + usage.ru_stime,
        peak=max(peaks, default=usage.ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)),
        tree=ask("git", "rev-parse", f"adw/{adw_id}^{{tree}}", cwd=repo),
    )


@contextlib.contextmanager
def peak_of(root: int) -> Iterator[list[float]]:
    """Gathers the memory of a process and all below it, in MiB; nothing where there is no PSS."""
    sums: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            if kib := sum(map(pss, family(root))):
                sums.append(kib / 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield sums
    finally:
        ended.set()
        watcher.join()


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


def pss(pid: int) -> int:
    """KiB, with what several processes share counted once; 0 once it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def report(workflow: str, unit: float, samples: dict[str, list[Sample]]) -> str:
    trees = {sample.tree for each in samples.values() for sample in each}
    if len(trees) > 1:
        sys.exit(f"`{workflow}` ended in different trees, so there is no ratio: {', '.join(sorted(trees))}")
    work = {way: least(workflow, jobs) * unit for way, jobs in WAYS.items()}
    serial, parallel = (mean(sample.seconds for sample in samples[way]) for way in WAYS)
    alone = work["serial"] / work["parallel"]
    lines = [
        f"## `{workflow}`: plan, build, then {', '.join(WORKFLOWS[workflow])}\n",
        "| | seconds | added to the work | CPU seconds | CPU use | peak memory |",
        "|---|---|---|---|---|---|",
        *(row(way, samples[way], work[way]) for way in WAYS),
        f"\nSerial takes {serial / parallel:.3f} times as long as parallel; the work alone {alone:.3f}.",
        REMARKS[workflow],
        f"All {sum(map(len, samples.values()))} runs ended in tree {trees.pop()[:12]}.\n",
    ]
    return "\n".join(lines)


def least(workflow: str, jobs: int) -> float:
    """Units of work that nothing can go below: all of them for one job, the longest way for enough jobs."""
    last = [UNITS[name] for name in WORKFLOWS[workflow]]
    return UNITS["plan"] + UNITS["build"] + (sum(last) if jobs == 1 else max(last))


def row(way: str, samples: list[Sample], work: float) -> str:
    seconds, cpu = [sample.seconds for sample in samples], [sample.cpu for sample in samples]
    cells = [
        f"{way}, `-n {WAYS[way]}`",
        spread(seconds),
        f"{mean(seconds) - work:.2f} s to {work:g} s",
        spread(cpu),
        f"{100 * sum(cpu) / sum(seconds):.1f} %",
        f"{max(sample.peak for sample in samples):.0f} MiB",
    ]
    return f"| {' | '.join(cells)} |"


def spread(values: list[float]) -> str:
    return f"{mean(values):.2f} ± {stdev(values) if len(values) > 1 else 0:.2f}"


def ask(*command: str, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
