"""The pipeline as doit tasks. What stock doit leaves open is closed here, from outside:

- a custom action that never raises, since one exception would end the whole run;
- workers that die with their master, and a master that notices a dead worker;
- TERM and HUP end a run the way Ctrl-C does;
- a reporter that begins the run, always reports, and sets the exit code (doit's own says 2 for every failure
  that something depends on).
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import io
import multiprocessing
import multiprocessing.process
import multiprocessing.util
import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import doit
from doit.action import BaseAction
from doit.exceptions import BaseFail, TaskError, TaskFailed, UnmetDependency
from doit.reporter import ConsoleReporter

from adws import branch, call, contract, git, merge, phase, process, runs, sandbox, seal
from adws.agents import doctor
from adws.call import Call
from adws.errors import UNUSABLE, UserError, printable, told
from adws.model import Agent, Pairs, Phase, Pipeline, closure, every_worker
from adws.report.console import Console
from adws.runs import Run, State

FAILED, ERROR, WAITING = 1, 2, 4
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK = 0.5
"""Seconds between two looks at the workers."""

# at the start of each worker, since an idle one has to die with its master as well: a forked one runs the
# hook, a spawned one imports this
multiprocessing.util.register_after_fork(process.die_with_parent, lambda die_with_parent: die_with_parent())
process.die_with_parent()


def load(argv: Sequence[str]) -> Session:
    """The session for a command line: everything checked, nothing created yet."""
    open_standard_streams()
    git.clean_environment()
    # doit changes into the folder of dodo.py; the user's paths are relative to where they stand
    asked = call.read(argv, Path(doit.get_initial_workdir() or Path.cwd()))
    return Session(asked, *call.read_pipeline(asked))


def open_standard_streams() -> None:
    """Where the caller closed one of the first three, a lock or a pipe of ours would take its place."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free one
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a path may hold what the terminal's encoding has not


@contextlib.contextmanager
def edge() -> Iterator[None]:
    """The one place where an error for the user becomes a line and an exit code."""
    try:
        yield
    except UserError as error:
        print("\n".join(map(printable, str(error).split("\n"))), file=sys.stderr)
        raise SystemExit(error.code) from None
    except (git.GitError, OSError) as error:
        print(printable(_told(error)), file=sys.stderr)
        raise SystemExit(UNUSABLE) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None


def _told(error: Exception) -> str:
    return told(error) if isinstance(error, OSError) else str(error)


class Session:
    """One call: the pipeline from the start, the run once doit begins to run tasks, which carry it along."""

    def __init__(self, call: Call, pipeline: Pipeline, source: bytes) -> None:
        self.call = call
        self.pipeline = pipeline
        self.source = source
        self.deadline = time.monotonic() + pipeline.timeout
        self.run: Run | None = None
        self.state: State | None = None
        self.told: dict[str, str] = {}
        """The commits of results, by phase, as they were when the run began or as the workers told since."""
        self.done: set[str] = set()
        """Tasks that ended since `state` was read."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The phases to merge: what the workflows named in the call want, or the first workflow."""
        workflows = dict(self.pipeline.workflows)
        named = [w for w in workflows if any(fnmatch.fnmatchcase(w, word) for word in self.call.words)]
        return tuple(name for w in named or list(workflows)[:1] for name in workflows[w])

    def is_current(self, each: Phase) -> bool:
        """Whether a phase is up to date."""
        run = self.run or self.asked
        return run is not None and phase.is_current(run, self.record(run), each)

    @cached_property
    def asked(self) -> Run | None:
        """The run that the call names, where doit only asks about it: `list -s`, `info`."""
        try:
            run = self.open(git.open_repo(self.call.repo))
            issue = call.read_issue(self.call)
            state = self.record(run)
            self.state = dataclasses.replace(state, issue=issue or state.issue)
        except (UserError, git.GitError):
            return None
        return run

    def open(self, repo: git.Repo) -> Run:
        return Run(
            repo=repo,
            pipeline=self.pipeline,
            id=self.call.adw_id,
            deadline=self.deadline,
            seal=seal.take(repo),
            bwrap=self._bwrap(),
        )

    def _bwrap(self) -> bool:
        """UserError where a phase insists on what is not to be had: nothing is weaker than it says."""
        wanted = {phase.sandbox: phase.name for phase in self.pipeline.phases}
        if wanted.keys() <= {"none"}:
            return False
        fault = sandbox.fault()
        if fault and "bwrap" in wanted:
            what = f"phase `{wanted['bwrap']}` has `sandbox: bwrap`, which cannot be used here"
            raise UserError(f"{what}: {fault}")
        return not fault

    def record(self, run: Run) -> State:
        """The run as recorded: read once, and then only what was done since."""
        old = self.state.results if self.state else {}
        if self.state is None or self.done:
            new = runs.load(run, self.done & self.pipeline.places.keys() if self.state else None)
            kept = {name: result for name, result in old.items() if name not in self.done}
            self.state, self.done = dataclasses.replace(new, results=kept | new.results), set()
        return self.state

    def check_agents(self, due: Sequence[str]) -> None:
        """UserError with a line for each agent that cannot work, but has to for what is due."""
        asked: dict[tuple[Agent, Pairs], list[str]] = {}
        phases = [each for each in self.pipeline.phases if each.name in due]
        current = {each.name for each in phases if (each.agent or each.repair) and Current(self, each)()}
        for name, worker in every_worker(self.pipeline):
            if worker.agent and name in due and name not in current:
                asked.setdefault((worker.agent, tuple(contract.passed(worker).items())), []).append(
                    f"`{name}`"
                )
        self.state = None  # as it was before the run has begun
        faults = {
            f"agent `{agent.name}`: {said} (for {', '.join(dict.fromkeys(names))})": None
            for (agent, env), names in asked.items()
            if (said := doctor.fault(agent, dict(env)))
        }
        if faults:
            raise UserError("\n".join([*faults, "or name another one: AGENT=builtin"]))

    def graph(self) -> Iterator[dict[str, Any]]:
        """The doit tasks: every phase, the merge, every workflow."""
        for each in self.pipeline.phases:
            task = {"actions": [PhaseAction(self, each)], "uptodate": [Current(self, each)]}
            name, _, shard = each.name.partition(":")
            if shard:
                yield {"basename": name, "name": None, "doc": each.doc}
            yield (
                task
                | ({"basename": name, "name": shard} if shard else {"basename": name})
                | {
                    "doc": each.doc,
                    "task_dep": list(each.needs),
                }
            )
        needs = [each.name for each in closure(self.pipeline, self.wanted)]
        doc = f"one commit on {self.pipeline.into} with what all phases made"
        yield {"basename": "merge", "doc": doc, "actions": [MergeAction(self)], "task_dep": needs}
        for name, wanted in self.pipeline.workflows:
            doc = f"{', '.join(wanted)}, all that they need, and the merge"
            yield {"basename": name, "doc": doc, "actions": None, "task_dep": [*wanted, "merge"]}

    def doit_config(self) -> dict[str, Any]:
        """What doit has to know. Its database stays in memory: git is the record, no second one."""
        return {
            "default_tasks": [self.pipeline.workflows[0][0]],
            "num_process": self.pipeline.max_parallel,
            "par_type": "process",
            "continue": True,
            "verbosity": 0,
            "backend": "sqlite3",
            "dep_file": ":memory:",
            "reporter": Reporter(self),
        }


class _Action(BaseAction):  # type: ignore[misc]
    """Runs in a worker. An exception that left it would end the whole run, so none does."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.task: Any = None
        self.out, self.err, self.result = "", "", None
        self.values: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "task": None}

    def execute(self, out: object = None, err: object = None) -> BaseFail | None:
        try:
            if self.session.run is None:
                raise UserError("the run has not begun; adws needs its own reporter, leave out --reporter")
            return self.perform(self.session.run)
        except (UserError, merge.RefusedError) as error:
            waits = isinstance(error, merge.RefusedError) and error.waits
            return TaskWaits(str(error)) if waits else TaskFailed(str(error))
        except Exception as error:  # noqa: BLE001  a bug, or git or the disk at fault: this task's error, not the run's end
            known = isinstance(error, git.GitError | OSError)
            return TaskError(_told(error) if known else traceback.format_exc())

    def perform(self, run: Run) -> BaseFail | None:
        """Do it; how it failed, if it did."""
        raise NotImplementedError


class TaskWaits(TaskFailed):  # type: ignore[misc]
    """It could not be done for now."""


_KINDS: dict[type[BaseFail], tuple[int, str]] = {
    TaskError: (ERROR, "error"),
    TaskFailed: (FAILED, "failed"),
    TaskWaits: (WAITING, "waiting"),
}
_WORST_FIRST = (UNUSABLE, ERROR, FAILED, WAITING)
"""Of several kinds of failure, the exit code says the one that most needs somebody to look."""


class PhaseAction(_Action):
    def __init__(self, session: Session, each: Phase) -> None:
        super().__init__(session)
        self.phase = each

    def perform(self, run: Run) -> BaseFail | None:
        result = phase.perform(run, self.phase)
        said = result.reason or str(result.fields.get("summary", ""))
        self.values = {"verdict": str(result.status), "said": said, "commit": result.commit}
        if not result.reason or self.phase.continue_on_error:
            return None
        return TaskWaits(phase.waiting(result)) if result.waits else TaskFailed(result.reason)


class MergeAction(_Action):
    def perform(self, run: Run) -> None:
        merged = merge.perform(run, self.session.wanted, self.task.values["told"])
        said = f"branch {merged.branch} has it all" if merged.commit else "no change, no commit"
        self.values = {
            "verdict": "passed",
            "said": f"one commit on branch {merged.branch}" if merged.moved else said,
        }


@dataclass(frozen=True, repr=False)
class Current:
    """doit's question whether a phase is up to date, answered from the record. It must never raise."""

    session: Session
    phase: Phase

    def __call__(self) -> bool:
        try:
            return self.session.is_current(self.phase)
        except (UserError, git.GitError, OSError):
            return False  # then the phase itself meets the fault, and says so

    def __str__(self) -> str:
        return f"{self.phase.name} has no result for these inputs"  # what `info` shows


class Reporter(ConsoleReporter):  # type: ignore[misc]
    """Begins the run when doit begins, hands events on, ends with the report and the right exit code."""

    def __init__(self, session: Session) -> None:
        super().__init__(sys.stdout, {})
        self.session = session
        self.console = Console()
        self.order: list[str] = []
        self.codes = set[int]()
        self.stopped = 0
        self.lost = ""
        self.holding = contextlib.ExitStack()
        self.master = os.getpid()

    def initialize(self, tasks: Mapping[str, Any], selected: Sequence[str]) -> None:
        due, new = set[str](), set(selected)
        while new:
            due |= new
            new = {need for name in new for need in tasks[name].task_dep} - due
        self.order = [name for name, task in tasks.items() if task.actions and name in due]
        # of all that changes after the workers were forked, doit hands them only what a task itself holds
        tasks["merge"].values["told"] = self.session.told
        sys.unraisablehook = _unraisable
        for number in _STOPS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGALRM, self._look_after_workers)
        signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)
        with edge():
            self._begin()

    def _begin(self) -> None:
        session = self.session
        repo = git.open_repo(session.call.repo)
        run = dataclasses.replace(session.open(repo), due=tuple(self.order))
        issue = call.read_issue(session.call)
        session.check_agents(self.order)
        self.holding.enter_context(runs.lock(repo, run.id))
        branch.recover(repo)
        runs.begin(run, session.source, issue)
        session.run = run
        session.told.update({name: known.commit for name, known in session.record(run).results.items()})
        self.console.begin(run, session.record(run))

    def execute_task(self, task: Any) -> None:
        # whoever is stopped before they can tell may have recorded something all the same
        self.session.told.pop(task.name, None)
        if task.actions:
            self.console.started(task.name)

    def add_success(self, task: Any) -> None:
        self.session.done.add(task.name)
        if commit := task.values.get("commit"):
            self.session.told[task.name] = commit
        if task.actions:
            self.console.ended(task.name, task.values["verdict"], task.values["said"])

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        self.session.done.add(task.name)
        if not task.actions:
            return  # a workflow: its phases have said it
        if isinstance(fail, UnmetDependency):
            self.console.ended(task.name, "not run", f"needs {fail.message}")
        else:
            code, word = _KINDS[type(fail)]
            self.codes.add(code)
            self.console.ended(task.name, word, fail.message)

    def skip_uptodate(self, task: Any) -> None:
        self.console.ended(task.name, "up to date")

    def complete_run(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _ignore((*_STOPS, signal.SIGALRM))
        if self.stopped and self.session.run is None:
            raise SystemExit(128 + self.stopped)
        if self.session.run is None or isinstance(sys.exc_info()[1], Exception):
            return  # it did not begin, or doit itself failed: the exception goes on its way
        why = ""
        if self.lost:
            why = f"{self.lost}; what it was doing was stopped"
        elif self.stopped:
            why = f"stopped by {signal.Signals(self.stopped).name}; the same command goes on from here"
        if self.stopped:
            _end_workers()
            process.stop()  # what thread workers run; process workers are dead, and theirs with them
            self.session.state = None  # nobody told us of what they still recorded
        try:
            runs.put_back(self.session.run, self.session.told)
            run, state = self.session.run, self.session.record(self.session.run)
            self.console.finish(run, state, self.order, self._again(), why)
        except (OSError, git.GitError, UserError) as error:
            print(f"the report cannot be made: {_told(error)}", file=sys.stderr)
            self.codes.add(ERROR)
        self.holding.close()
        if self.runtime_errors or self.lost:
            self.codes.add(ERROR)
        if not self.codes and not self.stopped and not set(self.order) & set(self.console.rows):
            print("nothing was run; name a phase or a workflow, and at least one process", file=sys.stderr)
            self.codes.add(UNUSABLE)
        # at its end Python puts back what a signal does by default, but leaves alone what is ignored
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)
        # the only way to set the exit code of a plain `doit`, and the end of a KeyboardInterrupt's traceback
        code = next((code for code in _WORST_FIRST if code in self.codes), 0)
        raise SystemExit(128 + self.stopped if self.stopped and not self.lost else code)

    def _again(self) -> str:
        """The command to type to go on."""
        names = [task["basename"] for task in self.session.graph()]
        tasks = [word for word in self.session.call.words if word in names] or [
            self.session.pipeline.workflows[0][0]
        ]
        program = "make" if "MAKELEVEL" in os.environ else Path(sys.argv[0]).name
        return shlex.join([program, *tasks, *(f"{name}={value}" for name, value in self.session.call.given)])

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self.master:
            os._exit(128 + number)  # a worker that was just forked and has not put its own handlers yet
        self._interrupt(stopped=number)

    def _look_after_workers(self, _number: int, _frame: FrameType | None) -> None:
        """Notice when a worker dies: doit waits for its answer without end.

        By a timer, not by SIGCHLD: the workers of a forkserver are not our children. multiprocessing has no
        public way to ask: `active_children` leaves out the dead.
        """
        if os.getpid() != self.master:
            return
        if self.stopped:
            if not _is_unwinding():
                raise KeyboardInterrupt  # a hook of fork or a destructor met the first one: Python dropped it
            return
        for worker in list(multiprocessing.process._children):  # type: ignore[attr-defined]
            if worker.exitcode:
                self.lost = f"a worker process died with exit code {worker.exitcode}"
                self._interrupt(stopped=signal.SIGINT)

    def _interrupt(self, stopped: int) -> NoReturn:
        self.stopped = stopped
        # a second one would break off what ends the workers, and then we would wait for them for ever
        _ignore(_STOPS)
        raise KeyboardInterrupt


def _unraisable(
    dropped: sys.UnraisableHookArgs, /, say: Callable[[sys.UnraisableHookArgs], Any] = sys.__unraisablehook__
) -> None:
    """Say nothing of an interrupt that met a destructor or a hook of fork and was dropped: it comes again."""
    if dropped.exc_type is not KeyboardInterrupt:
        say(dropped)


def _end_workers() -> None:
    """doit ends those that it has noted; one that was just started it has not, and exit would wait for it."""
    for worker in multiprocessing.active_children():
        worker.terminate()
        worker.join(_LOOK)
        worker.kill()


def _is_unwinding() -> bool:
    """Whether a KeyboardInterrupt is on its way out, through whatever else is being handled."""
    error = sys.exc_info()[1]
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _ignore(signals: Sequence[signal.Signals]) -> None:
    # not SIG_IGN: Python complains of a signal that came just before it
    for number in signals:
        signal.signal(number, lambda *_: None)
