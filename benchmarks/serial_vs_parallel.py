"""How much faster are phases side by side than one after the other? Run by `make bench`; prints Markdown.

The phases only sleep, in the proportions of a real run, so what is measured is the tool: what it adds to the
work, and whether what could overlap does. After one run that does not count, serial and parallel runs take
turns, each with an ADW_ID of its own, and all of them have to end in the same tree.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import measure
import repositories

UNITS = {"plan": 2.5, "build": 6.0, "test": 3.5, "review": 2.5, "document": 2.5}
NEEDS = {"build": "plan", "test": "build", "review": "build", "document": "build"}
WORKFLOWS = {"sdlc": ("test", "review", "document"), "plan_build_test_review": ("test", "review")}
REMARKS = {
    "sdlc": "The aim is 1.40.",
    "plan_build_test_review": "A ratio of 1.3 is out of reach here, whatever runs it: 14.5 units against 12.",
}
WAYS = {"serial": 1, "parallel": 3}
MEMORY = {
    "linux": "the highest sum of PSS over all processes of a run, looked at every 0.1 s",
    "other": "the largest resident set of any one process of a run, as there is no PSS here",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run, measured."""

    sample: measure.Sample
    tree: str
    """The tree that the run ended in."""

    @property
    def peak(self) -> float:
        """MiB, as MEMORY says."""
        return max(self.sample.memory, default=self.sample.largest)


def main() -> None:
    options = arguments()
    unit = 0.1 if options.quick else options.unit
    count = 1 if options.quick else options.runs
    with measure.home("Serial against parallel") as home:
        print(f"One unit of work is {unit:g} s.\n", flush=True)
        one(options.adws, repository(home / "warm-up", 0.05), "sdlc", 3, "warm-up")
        repo = repository(home / "repo", unit)
        if options.critical_path:
            critical_path(options.adws, repo, unit, count)
        else:
            compare(options.adws, repo, unit, count)


def arguments() -> argparse.Namespace:
    parser = measure.arguments(__doc__)
    parser.add_argument(
        "--unit", type=float, default=2, metavar="SECONDS", help="length of one unit of work (2)"
    )
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of each kind (5)")
    parser.add_argument(
        "--critical-path", action="store_true", help="only what sdlc in parallel adds to its longest path"
    )
    return parser.parse_args()


def critical_path(adws: Path, repo: Path, unit: float, count: int) -> None:
    work = least("sdlc", WAYS["parallel"]) * unit
    runs = [one(adws, repo, "sdlc", WAYS["parallel"], f"longest-{number}") for number in range(count)]
    seconds = measure.wall([run.sample for run in runs])
    measure.head("sdlc, parallel", "runs", "longest path, s", "run, s", "ratio", "target")
    measure.row(
        f"units of {unit:g} s", count, f"{work:g}", f"{seconds:.2f}", f"**{seconds / work:.4f}**", "≤ 1.03"
    )


def compare(adws: Path, repo: Path, unit: float, count: int) -> None:
    for workflow in WORKFLOWS:
        runs: dict[str, list[Run]] = {way: [] for way in WAYS}
        for number in range(count):
            for way, jobs in WAYS.items():
                runs[way].append(one(adws, repo, workflow, jobs, f"{workflow}-{way}-{number}"))
        print(report(workflow, unit, runs), flush=True)
    print(f"Peak memory is {MEMORY.get(sys.platform, MEMORY['other'])}; CPU use is of one core.")


def repository(root: Path, unit: float) -> Path:
    """A repository with a pipeline in which every phase sleeps and then writes a file of its own."""
    phases = "".join(
        f"  {name}: {{{f'needs: {NEEDS[name]}, ' if name in NEEDS else ''}"
        f'run: "sleep {units * unit:g}; echo {name} > {name}.txt"}}\n'
        for name, units in UNITS.items()
    )
    workflows = "".join(f"  {name}: [{', '.join(wanted)}]\n" for name, wanted in WORKFLOWS.items())
    pipeline = f"version: 1\nmax-parallel: 3\nphases:\n{phases}workflows:\n{workflows}"
    return repositories.commit(root, {"pipeline.yaml": pipeline, "issue.md": "# Sleep\n"})


def one(adws: Path, repo: Path, workflow: str, jobs: int, adw_id: str) -> Run:
    words = ("-n", jobs, workflow, f"ADW_ID={adw_id}", "ISSUE=issue.md")
    sample = measure.command(adws, *words, cwd=repo, watch=memory)
    return Run(sample=sample, tree=measure.ask("git", "rev-parse", f"adw/{adw_id}^{{tree}}", cwd=repo))


def memory(root: int) -> float:
    return sum(map(measure.pss, measure.family(root)))


def report(workflow: str, unit: float, runs: dict[str, list[Run]]) -> str:
    trees = {run.tree for each in runs.values() for run in each}
    if len(trees) > 1:
        sys.exit(f"`{workflow}` ended in different trees, so there is no ratio: {', '.join(sorted(trees))}")
    work = {way: least(workflow, jobs) * unit for way, jobs in WAYS.items()}
    serial, parallel = (mean(run.sample.seconds for run in runs[way]) for way in WAYS)
    alone = work["serial"] / work["parallel"]
    lines = [
        f"## `{workflow}`: plan, build, then {', '.join(WORKFLOWS[workflow])}\n",
        "| | seconds | added to the work | CPU seconds | CPU use | peak memory |",
        "|---|---|---|---|---|---|",
        *(row(way, runs[way], work[way]) for way in WAYS),
        f"\nSerial takes {serial / parallel:.3f} times as long as parallel; the work alone {alone:.3f}.",
        REMARKS[workflow],
        f"All {sum(map(len, runs.values()))} runs ended in tree {trees.pop()[:12]}.\n",
    ]
    return "\n".join(lines)


def least(workflow: str, jobs: int) -> float:
    """Units of work that nothing can go below: all of them for one job, the longest way for enough jobs."""
    last = [UNITS[name] for name in WORKFLOWS[workflow]]
    return UNITS["plan"] + UNITS["build"] + (sum(last) if jobs == 1 else max(last))


def row(way: str, runs: list[Run], work: float) -> str:
    seconds, cpu = [run.sample.seconds for run in runs], [run.sample.cpu for run in runs]
    cells = [
        f"{way}, `-n {WAYS[way]}`",
        spread(seconds),
        f"{mean(seconds) - work:.2f} s to {work:g} s",
        spread(cpu),
        f"{100 * sum(cpu) / sum(seconds):.1f} %",
        f"{max(run.peak for run in runs):.0f} MiB",
    ]
    return f"| {' | '.join(cells)} |"


def spread(values: list[float]) -> str:
    return f"{mean(values):.2f} ± {stdev(values) if len(values) > 1 else 0:.2f}"


if __name__ == "__main__":
    main()
