"""The memory of adws itself, without the phase, while a phase prints a gigabyte.

Idle is the same with a phase that sleeps. Counted is the PSS of doit's master, its workers, the supervisor
and what they start, but for what runs under the supervisor.
"""

import itertools
import sys
from pathlib import Path
from statistics import median

import measure
import repositories
from measure import Sample


def main() -> None:
    parser = measure.arguments(__doc__)
    parser.add_argument("--gigabytes", type=float, default=1, metavar="N", help="what the phase prints (1)")
    options = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("there is no PSS here, so nothing to measure")
    gigabytes, rounds = (0.1, 1) if options.quick else (options.gigabytes, 3)
    flood = f"yes 0123456789abcdef | head -c {gigabytes * 1e9:.0f}"
    phases = f'  idle: {{run: "sleep 4"}}\n  flood: {{run: "{flood}", timeout: 2h}}\n'
    pipeline = f"version: 1\ntimeout: 2h\nphases:\n{phases}"
    with measure.home("Memory under a flood of output") as home:
        repo = repositories.commit(home / "repo", {"pipeline.yaml": pipeline, "issue.md": "# Nothing\n"})
        ids = map(str, itertools.count())

        def run(phase: str) -> Sample:
            words = ("-n", 3, phase, f"ADW_ID={phase}{next(ids)}", "ISSUE=issue.md")
            return measure.command(options.adws, *words, cwd=repo, watch=orchestrator)

        ways = {"idle": lambda: run("idle"), "flood": lambda: run("flood")}
        samples = measure.in_turn(ways, rounds, warm_up=0)
        idle = median(median(sample.memory) for sample in samples["idle"])
        peak = max(max(sample.memory) for sample in samples["flood"])
        measure.head(
            "phase prints", "runs", "wall, s", "CPU, s", "idle, MiB", "peak, MiB", "above idle", "target"
        )
        times = (f"{measure.wall(samples['flood']):.1f}", f"{measure.cpu(samples['flood']):.1f}")
        above = f"**{peak - idle:.1f} MiB**"
        measure.row(f"{gigabytes:g} GB", rounds, *times, f"{idle:.1f}", f"{peak:.1f}", above, "≤ 30 MiB")


def orchestrator(root: int) -> float:
    everyone = measure.family(root)
    supervisors = {pid for pid in everyone if supervises(pid)}
    below = set().union(*(measure.family(pid) for pid in supervisors))
    return sum(map(measure.pss, everyone - (below - supervisors)))


def supervises(pid: int) -> bool:
    try:
        return b"supervise.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


if __name__ == "__main__":
    main()
