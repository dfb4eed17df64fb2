"""Fault a run at one event after the other, run the same command again, and let the oracle judge what is there.

    python -m tests.faults.sweep --mode killall --step 7          # every 7th event
    python -m tests.faults.sweep --mode eio --n 143               # one point, as a failure says it
    python -m tests.faults.sweep --mode killall --step 7 --twice  # and fault the resume as well
    python -m tests.faults.sweep                                  # everything; an hour

See `faultlib.c` for what an event is and `faultmap.MODES` for the faults.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import itertools
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.faults import faultmap, oracle
from tests.faults.faultmap import COUNTING, MODES, Event, Map, Mode
from tests.faults.oracle import Undisturbed
from tests.faults.templates import TEMPLATES, Project, Template, scratch

HUNG = 60.0
"""Seconds after which a run counts as hanging; it takes half a second."""
ALIVE = 3.0
"""Seconds that a process of the run may outlive it."""
SEVERAL = 3
"""Second faults for each first one."""
MANY = 5
"""Failures of a row that are told in full."""


@dataclass(frozen=True)
class Point:
    """A fault at one event of the run; with `again`, a second one at an event of its resume."""

    template: str
    mode: str
    n: int
    again: int = 0

    @property
    def replay(self) -> str:
        again = f" --again {self.again}" if self.again else ""
        return (
            f"python -m tests.faults.sweep --template {self.template} --mode {self.mode} --n {self.n}{again}"
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the oracle said of a point."""

    point: Point
    hit: str
    """What did not happen, or did not happen as it should; empty where the run ended before."""
    failures: tuple[str, ...]
    warned: bool
    """Whether fsck had something to say between the fault and the resume."""

    def __str__(self) -> str:
        where = f"  {self.point.mode} at event {self.point.n} of `{self.point.template}` ({self.hit or 'not reached'})"
        return "\n".join(
            [where, *(f"    {said}" for said in self.failures), f"    replay: {self.point.replay}"]
        )


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one command went."""

    status: int
    said: str
    events: list[Event]
    fired: int
    survivors: int

    @property
    def hit(self) -> str:
        return f"{self.events[self.fired - 1]}" if self.fired else ""


@dataclass(frozen=True, kw_only=True)
class Known:
    """A template that was built, and its undisturbed run."""

    start: Project
    events: list[Event]
    undisturbed: Undisturbed


def execute(template: Template, project: Project, mode: Mode = COUNTING, n: int = 0) -> Ended:
    """Run the template's command, with its fault, until none of its processes is left or should be."""
    board = Map(project.root.with_suffix(".map"), project.root, mode, n)
    output = project.root.with_suffix(".out")
    env = project.env | {"LD_PRELOAD": str(faultmap.library()), "FAULTS_MAP": str(board.path)}
    try:
        with output.open("wb") as out:
            command = subprocess.Popen(
                template.argv, cwd=project.repo, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip
            try:
                status = command.wait(HUNG)
            except subprocess.TimeoutExpired:
                status = 0
                out.write(b"\nTraceback: it hangs\n")
                board.kill()
                command.wait()
        until = time.monotonic() + ALIVE
        while (left := board.alive()) and time.monotonic() < until:
            time.sleep(0.01)
        board.kill()
        said, events = output.read_text(errors="replace"), board.events
        return Ended(status=status, said=said, events=events, fired=board.fired, survivors=len(left))
    finally:
        board.close()
        output.unlink()


@functools.cache
def know(folder: Path, name: str) -> Known:
    """Build the template in `folder` and see what an undisturbed run does; once."""
    template, start = TEMPLATES[name], Project(folder / name)
    template.build(start)
    with _copy(start) as ended:
        counted = execute(template, ended)
        assert counted.status == 0, counted.said
        assert not counted.survivors or name == "leaky"
        return Known(
            start=start, events=counted.events, undisturbed=oracle.undisturbed(template, start, ended)
        )


def judge(folder: Path, point: Point) -> Verdict:
    """Make a copy, fault the run there, once or twice, run the command again, and judge."""
    template, known = TEMPLATES[point.template], know(folder, point.template)
    failures, mode = list[str](), MODES[point.mode]
    hits = []
    with _copy(known.start) as project:
        for n in filter(None, (point.n, point.again)):
            run = execute(template, project, mode, n)
            if point.mode == "unsynced" and run.fired:
                faultmap.lose_unsynced(run.events, project.root)
            hits.append(run.hit)
            failures += _of_the_run(template, known, project, mode, run)
            failures += oracle.after_fault(template, known.undisturbed, project)
        warned = bool(oracle.fsck(project))
        failures += _of_the_resume(execute(template, project))
        failures += oracle.after_resume(template, known.undisturbed, project)
    return Verdict(
        point=point,
        hit=", then ".join(filter(None, hits)),
        failures=tuple(dict.fromkeys(failures)),
        warned=warned,
    )


def _of_the_run(template: Template, known: Known, project: Project, mode: Mode, run: Ended) -> Iterator[str]:
    """What the faulted run itself did wrong."""
    yield from _always(run, "the faulted run")
    if run.fired and mode.dies:
        if run.status != -signal.SIGKILL:
            yield f"the harness is at fault: the run ended with {run.status}, not by kill -9"
    elif run.status == 0:
        wrong = oracle.after_resume(template, known.undisturbed, project)
        yield from (f"the faulted run said that all is well, but {fault}" for fault in wrong)
    elif run.status not in (1, 2, 3, -signal.SIGKILL):
        yield f"the faulted run ended with {run.status}:\n{_end(run.said)}"
    elif run.status != -signal.SIGKILL and not run.said.strip():
        yield "the faulted run failed and did not say why"


def _of_the_resume(run: Ended) -> Iterator[str]:
    yield from _always(run, "the resume")
    if run.status:
        yield f"the resume ended with {run.status}:\n{_end(run.said)}"


def _always(run: Ended, what: str) -> Iterator[str]:
    if run.survivors:
        yield f"{run.survivors} processes of {what} were alive {ALIVE:g} s later"
    if "Traceback" in run.said:
        yield f"a traceback in the output of {what}:\n{_end(run.said)}"


def _end(said: str) -> str:
    return "".join(f"      | {line}\n" for line in said.splitlines()[-8:]).rstrip()


@contextlib.contextmanager
def _copy(project: Project) -> Iterator[Project]:
    root = project.root.with_name(f"{os.getpid()}-{next(_numbers)}")
    try:
        yield project.copy(root)
    finally:
        shutil.rmtree(root)


_numbers = itertools.count()


def points(folder: Path, template: str, mode: str) -> list[int]:
    """The events of the undisturbed run at which such a fault can happen."""
    calls = MODES[mode].calls
    # nothing that lasts is in a nameless file; only whether it can be written matters
    lasts = not MODES[mode].error
    return [
        number
        for number, event in enumerate(know(folder, template).events, 1)
        if event.done and (not calls or event.call in calls) and not (lasts and event.path.startswith("tmp/"))
    ]


def spread(choice: Sequence[int], count: int, seed: int = 0) -> list[int]:
    """That many of them, evenly; the seed says where to begin."""
    start, count = random.Random(seed).random(), min(count, len(choice))
    return [choice[int((i + start) * len(choice) / count)] for i in range(count)]


def twice(folder: Path, first: Iterable[Point], several: int, seed: int = 0) -> Iterator[Point]:
    """Each point with a second fault at several events of the resume, which has about as many as were left to do."""
    chance = random.Random(seed)
    for point in first:
        left = len(know(folder, point.template).events) - point.n + 60  # a resume reads and prepares anew
        for part in range(several):
            yield dataclasses.replace(point, again=1 + int((part + chance.random()) * left / several))


def level(events: Iterable[Event]) -> list[tuple[str, str, str]]:
    """The events without what differs from run to run: times make ids, and ids make names."""
    changing = re.compile(r"(?<=objects/)[0-9a-f]{2}/\w+|(?<=cache/adws/)[0-9a-f]{12}|(?<=tmp/).*")
    return [(event.who, event.call, changing.sub("*", event.path)) for event in events]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 1 when a point failed."""
    asked = _parser().parse_args(argv)
    if why := faultmap.why_not():
        sys.exit(f"the sweep cannot be done: {why}")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="adws-faults-", dir=scratch()) as name:
        folder = Path(name)
        print(
            f"{'template':<9} {'mode':<9} {'events':>6} {'points':>6} {'missed':>6} {'fsck':>5} {'failed':>6} {'s':>6}"
        )
        for template, mode in itertools.product(asked.template or ("branch", "main"), asked.mode or MODES):
            chosen, begun = _chosen(folder, asked, template, mode), time.monotonic()
            verdicts = _judge_all(folder, chosen, asked.processes)
            bad = [verdict for verdict in verdicts if verdict.failures]
            missed, warned = sum(not v.hit for v in verdicts), sum(v.warned for v in verdicts)
            row = f"{len(know(folder, template).events):>6} {len(verdicts):>6} {missed:>6} {warned:>5} {len(bad):>6}"
            print(f"{template:<9} {mode:<9} {row} {time.monotonic() - begun:>6.0f}", flush=True)
            for verdict in bad if len(bad) < MANY or asked.verbose else bad[:MANY]:
                print(verdict, flush=True)
            if asked.n and not bad:
                print(f"  {'; '.join(v.hit or 'not reached' for v in verdicts)}")
            failed += len(bad)
    return 1 if failed else 0


def _chosen(folder: Path, asked: argparse.Namespace, template: str, mode: str) -> list[Point]:
    if asked.n:
        return [Point(template, mode, asked.n, asked.again)]
    events = [number for number in points(folder, template, mode) if number >= asked.first]
    first = [Point(template, mode, n) for n in spread(events, -(-len(events) // asked.step), asked.seed)]
    return list(twice(folder, first, SEVERAL, asked.seed)) if asked.twice else first


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.sweep", description="fault, resume, judge")
    parser.add_argument("--template", action="append", choices=TEMPLATES, help="default: branch and main")
    parser.add_argument("--mode", action="append", choices=MODES, help="default: all")
    parser.add_argument("--step", type=int, default=1, help="every how manieth event")
    parser.add_argument("--first", type=int, default=1, help="from this event on")
    parser.add_argument("--n", type=int, default=0, help="only this event")
    parser.add_argument(
        "--again", type=int, default=0, help="with --n: fault the resume too, at this event of it"
    )
    parser.add_argument(
        "--twice", action="store_true", help=f"fault the resume too, at {SEVERAL} events each"
    )
    parser.add_argument("--seed", type=int, default=0, help="where to begin")
    parser.add_argument("--processes", type=int, default=1, help="points at a time")
    parser.add_argument("--verbose", action="store_true", help=f"all failures, not only {MANY} of a row")
    return parser


def _judge_all(folder: Path, chosen: list[Point], processes: int) -> list[Verdict]:
    if processes == 1:
        return [judge(folder, point) for point in chosen]
    # forked, now that all is known that there is to know of the templates
    with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
        return list(pool.map(functools.partial(judge, folder), chosen))


if __name__ == "__main__":
    sys.exit(main())
