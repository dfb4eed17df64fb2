"""An empty phase, a workspace, a capture and a merge against the plain git commands for the same.

The phase on 5,000 files (40 MB), the others on 50,000. All in a pool that is warm, as from the second run on.
"""

import contextlib
import itertools
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import measure
import repositories
from measure import Sample

from adws import checkout, combine, config, git, phase, runs, workspace
from adws.git import Repo
from adws.model import Result, Status
from adws.runs import Run, State

MANY = 9
PIPELINE = (
    "version: 1\nphases:\n"
    + "".join(f'  p{number}: {{run: "true"}}\n' for number in range(MANY))
    + f"workflows:\n  one: p0\n  many: [{', '.join(f'p{number}' for number in range(MANY))}]\n"
)
FILES = {"pipeline.yaml": PIPELINE, "issue.md": "# Nothing\n"}
BY_HAND = """\
set -e
git worktree add -q --detach "$1" HEAD
cd "$1"
sh -c true
git add -A
tree=$(git write-tree)
commit=$(git commit-tree "$tree" -p HEAD -m "by hand")
git update-ref refs/by/hand "$commit"
cd ..
git -C "$2" worktree remove "$1"
"""
COLD = 'export GIT_INDEX_FILE="$1"; rm -f "$1"; git read-tree HEAD && git add -A && git write-tree'
MERGE = (
    f"git checkout -q --detach main && for b in {' '.join(repositories.BRANCHES)}; do git merge -q $b; done"
)


def main() -> None:
    parser = measure.arguments(__doc__)
    options = parser.parse_args()
    few, many = (200, 500) if options.quick else (5_000, 50_000)
    rounds = 1 if options.quick else 3
    with measure.home("Against git") as home:
        print(f"An empty phase on {few} files; workspace, capture and merge on {many}.\n")
        empty_phase(home, few, options.adws, 1 if options.quick else 9)
        repo = git.open_repo(repositories.generate(home / "large", many, FILES))
        measure.versus()
        warm_workspace(repo, home, rounds)
        captured(repo, home, rounds)
        merged(repo, home, rounds)


def empty_phase(home: Path, count: int, adws: Path, rounds: int) -> None:
    root = repositories.generate(home / "small", count, FILES)
    ids = map(str, itertools.count())
    pipeline, _ = config.load(PIPELINE.encode(), name="pipeline.yaml", prompt_dirs=[])
    run = Run(repo=git.open_repo(root), pipeline=pipeline, id="inside", deadline=time.monotonic() + 3600)
    runs.begin(run, PIPELINE.encode(), b"# Nothing\n")

    def whole(workflow: str) -> Sample:
        words = (adws, "-n", 1, workflow, f"ADW_ID={workflow}{next(ids)}", "ISSUE=issue.md")
        return measure.command(*words, cwd=root)

    ways = {
        "`adws.phase.perform`, in one process": lambda: measure.inside(
            lambda: phase.perform(run, pipeline.phases[0])
        ),
        "one": lambda: whole("one"),
        "many": lambda: whole("many"),
        "by hand": lambda: measure.command("bash", "-c", BY_HAND, "-", home / "by-hand", root, cwd=root),
    }
    samples = measure.in_turn(ways, rounds)
    one, more = samples.pop("one"), samples.pop("many")
    samples[f"`adws`, (run of {MANY} phases - run of 1) / {MANY - 1}"] = [
        Sample(seconds=(b.seconds - a.seconds) / (MANY - 1), cpu=(b.cpu - a.cpu) / (MANY - 1))
        for a, b in zip(one, more, strict=True)
    ]
    hand = samples.pop("by hand")
    measure.head("an empty phase", "runs", "wall, ms", "CPU, ms", "CPU ratio to by hand", "target")
    for name, each in {"by hand, in bash": hand, **samples}.items():
        milliseconds = (f"{1000 * measure.wall(each):.0f}", f"{1000 * measure.cpu(each):.0f}")
        ratio = measure.cpu(each) / measure.cpu(hand)
        measure.row(name, rounds, *milliseconds, f"**{ratio:.3f}**", "" if each is hand else "CPU ≤ 1")
    print(
        f"\nA whole run of one phase: {1000 * measure.cpu(one):.0f} ms CPU, the start of `adws` included.\n"
    )


def warm_workspace(repo: Repo, home: Path, rounds: int) -> None:
    """From the base to the commit next to it and back again."""
    near = measure.ask("git", "rev-parse", "near", cwd=repo.root)
    commits = itertools.cycle([repo.head, near])
    target = home / "fresh"

    def warm() -> Sample:
        commit = next(commits)
        with contextlib.ExitStack() as stack:
            return measure.inside(lambda: stack.enter_context(acquire(repo, commit)))

    def fresh() -> Sample:
        sample = measure.command("git", "worktree", "add", "-q", "--detach", target, near, cwd=repo.root)
        shutil.rmtree(target)
        measure.ask("git", "worktree", "prune", cwd=repo.root)
        return sample

    name = "warm workspace, 1 % away : `git worktree add`"
    measure.pair(name, warm, fresh, rounds=rounds, warm_up=2, target=0.1, by="CPU")


def captured(repo: Repo, home: Path, rounds: int) -> None:
    """After 20 edits and 10 new files, other ones each time."""
    turns = itertools.count()

    def edited(take: Callable[[workspace.Workspace], Sample]) -> Sample:
        with acquire(repo, repo.head) as place:
            turn = next(turns)
            for number in range(0, 400, 20):
                with (place.tree / repositories.path(number)).open("a") as file:
                    file.write(f"edited {turn}\n")
            for number in range(10):
                (place.tree / f"new{number}.txt").write_text(f"new {turn}\n")
            return take(place)

    def warm() -> Sample:
        return edited(lambda place: measure.inside(lambda: checkout.capture(place.checkout)))

    def cold() -> Sample:
        index = home / "cold.index"
        return edited(lambda place: measure.command("sh", "-c", COLD, "-", index, cwd=place.tree))

    measure.pair("capture : cold temporary index", warm, cold, rounds=rounds, target=0.15, by="CPU")


def merged(repo: Repo, home: Path, rounds: int) -> None:
    """Three results, each of 100 edited and 10 renamed files."""
    place = home / "merge"
    measure.ask("git", "worktree", "add", "-q", "--detach", str(place), "main", cwd=repo.root)
    phases = [f"  {name}: {{run: 'true'}}\n" for name in repositories.BRANCHES]
    source = f"version: 1\nphases:\n{''.join(phases)}".encode()
    pipeline, _ = config.load(source, name="pipeline.yaml", prompt_dirs=[])
    run = Run(repo=repo, pipeline=pipeline, id="merge", deadline=time.monotonic() + 3600)
    runs.begin(run, source, b"# Merge\n")
    state = runs.load(run)
    results = {name: result(repo, state, name) for name in repositories.BRANCHES}
    state = State(**{**vars(state), "results": results})
    tree = combine.fold(run, state, pipeline.phases)

    def fold() -> Sample:
        return measure.inside(lambda: combine.fold(run, state, pipeline.phases))

    def merge() -> Sample:
        return measure.command("sh", "-ec", MERGE, cwd=place)

    name = "merge of three results : `git checkout`, three `git merge`"
    measure.pair(name, fold, merge, rounds=2 * rounds, target=0.1, by="CPU")
    if measure.ask("git", "rev-parse", "HEAD^{tree}", cwd=place) != tree:
        raise SystemExit("the two merges ended in different trees, so there is no ratio")


def result(repo: Repo, state: State, name: str) -> Result:
    return Result(
        phase=name, attempt=1, status=Status.PASSED, reason="", key="", seconds=0, by="command", out="",
        base=state.base, base_tree=state.base_tree, tree=runs.tree_of(repo, name),
    )  # fmt: skip


def acquire(repo: Repo, commit: str) -> contextlib.AbstractContextManager[workspace.Workspace]:
    return workspace.acquire(repo, commit, deadline=time.monotonic() + 600)


if __name__ == "__main__":
    main()
