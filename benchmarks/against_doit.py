"""A thousand empty phases against the same graph in a dodo.py written by hand, with the same number of jobs.

The dodo.py only runs `true`; adws also gives each phase a workspace, captures it and records the verdict.
"""

import itertools
from pathlib import Path

import measure
import repositories
from measure import Sample

JOBS = 3
DODO = """\
from doit.tools import run_once

GRAPH = {graph!r}

def task_p():
    for name, needs in GRAPH.items():
        tasks = [f"p:{{need}}" for need in needs]
        yield {{"name": name, "actions": ["true"], "task_dep": tasks, "uptodate": [run_once]}}
"""


def main() -> None:
    parser = measure.arguments(__doc__)
    parser.add_argument("--phases", type=int, default=1_000, metavar="N", help="how many (1000)")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="runs of each graph (1)")
    options = parser.parse_args()
    count = 20 if options.quick else options.phases
    with measure.home("Against plain doit") as home:
        print(f"{count} empty phases, `-n {JOBS}`; the rerun finds everything up to date.\n")
        measure.versus()
        compare("warm-up", home, side_by_side(20), options.adws, 1)
        compare("in parallel", home, side_by_side(count), options.adws, options.runs)
        compare("in three layers", home, layers(count), options.adws, options.runs)


def side_by_side(count: int) -> dict[str, list[str]]:
    return {f"p{number:04}": [] for number in range(count)}


def layers(count: int) -> dict[str, list[str]]:
    """Each phase needs three of the layer before."""
    names, third = list(side_by_side(count)), -(-count // 3)
    return {
        name: [names[number - third + (number + more) % third - number % third] for more in range(3)]
        if number >= third
        else []
        for number, name in enumerate(names)
    }


def compare(what: str, home: Path, graph: dict[str, list[str]], adws: Path, runs: int) -> None:
    lines = [f'  {name}: {{run: "true", needs: [{", ".join(needs)}]}}\n' for name, needs in graph.items()]
    pipeline = f"version: 1\ntimeout: 2h\nphases:\n{''.join(lines)}"
    slug = what.replace(" ", "-")
    ours = repositories.commit(home / slug, {"pipeline.yaml": pipeline, "issue.md": "# Nothing\n"})
    theirs = home / f"{slug}-doit"
    theirs.mkdir()
    (theirs / "dodo.py").write_text(DODO.format(graph=graph))
    ids = map(str, itertools.count())
    current = ""

    def first() -> Sample:
        nonlocal current
        current = f"ADW_ID=run{next(ids)}"
        return measure.command(adws, "-n", JOBS, current, "ISSUE=issue.md", cwd=ours)

    def first_doit() -> Sample:
        for file in theirs.glob(".doit.db*"):
            file.unlink()
        return again_doit()

    def again() -> Sample:
        return measure.command(adws, "-n", JOBS, current, cwd=ours)

    def again_doit() -> Sample:
        return measure.command(measure.BIN / "doit", "-n", JOBS, cwd=theirs)

    def listed() -> Sample:
        return measure.command(adws, "list", cwd=ours)

    def listed_doit() -> Sample:
        return measure.command(measure.BIN / "doit", "list", "--all", cwd=theirs)

    if what == "warm-up":
        measure.in_turn({"adws": first, "doit": first_doit}, 1, warm_up=0)
        return
    measure.pair(f"run, {what}", first, first_doit, rounds=runs, warm_up=0, target=1.5, by="wall")
    measure.pair(f"no-op rerun, {what}", again, again_doit, rounds=runs, warm_up=0, target=2, by="wall")
    measure.pair(f"list, {what}", listed, listed_doit, rounds=7, target=1.3, by="CPU")


if __name__ == "__main__":
    main()
