"""The pipeline as doit tasks. What stock doit leaves open is closed here, from outside:

- a custom action that never raises, since one exception would end the whole run;
- workers that die with their master, and a master that notices a dead worker;
- TERM and HUP end a run the way Ctrl-C does;
- a reporter that begins the run, always reports, and sets the exit code (doit's own says 2 for every failure
  that something depends on).
"""

from __future__ import annotations

import contextlib
import fnmatch
import multiprocessing
import multiprocessing.connection
import multiprocessing.util
import os
import re
import shlex
import signal
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import doit
from doit.action import BaseAction
from doit.exceptions import BaseFail, TaskError, TaskFailed, UnmetDependency
from doit.reporter import ConsoleReporter

from adws import config, git, merge, phase, process, runs
from adws.errors import UNUSABLE, UserError, suggest
from adws.model import Phase, Pipeline, closure
from adws.report import state as state_view
from adws.report import summary, text
from adws.runs import Run

FAILED, ERROR = 1, 2
VARIABLES = ("ADW_ID", "ISSUE", "REPO", "AGENT")
ISSUE_LIMIT = 1 << 20
"""Bytes; a longer text is no issue, and every phase would be handed it."""

# at the start of each worker, however it is started: an idle one has to die with its master as well
multiprocessing.util.register_after_fork(process.die_with_parent, lambda die_with_parent: die_with_parent())

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GIVEN = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Call:
    """What was asked on the command line and in the environment."""

    adw_id: str
    issue: str
    repo: Path
    agent: str
    words: tuple[str, ...]
    """The arguments that are no variables."""
    cwd: Path

    @property
    def asked_repo(self) -> str:
        return "" if self.repo == Path.cwd() else str(self.repo)


class Session:
    """One call: the pipeline from the start, the run once doit begins to run tasks, which carry it along."""

    def __init__(self, call: Call, pipeline: Pipeline, source: bytes) -> None:
        self.call = call
        self.pipeline = pipeline
        self.source = source
        self.deadline = time.monotonic() + pipeline.timeout
        self.run: Run | None = None

    @property
    def wanted(self) -> tuple[str, ...]:
        """The phases to merge: what the workflows named in the call want, or the first workflow."""
        workflows = dict(self.pipeline.workflows)
        named = [w for w in workflows if any(fnmatch.fnmatchcase(w, word) for word in self.call.words)]
        return tuple(name for w in named or list(workflows)[:1] for name in workflows[w])

    def graph(self) -> Iterator[dict[str, Any]]:
        """The doit tasks: every phase, the merge, every workflow."""
        for each in self.pipeline.phases:
            task = {"actions": [PhaseAction(self, each)], "uptodate": [Current(self, each)]}
            yield task | {"basename": each.name, "doc": each.doc, "task_dep": list(each.needs)}
        needs = [each.name for each in closure(self.pipeline, self.wanted)]
        doc = f"one commit on {self.pipeline.into} with what all phases made"
        yield {"basename": "merge", "doc": doc, "actions": [MergeAction(self)], "task_dep": needs}
        for name, wanted in self.pipeline.workflows:
            doc = f"{', '.join(wanted)}, all that they need, and the merge"
            yield {"basename": name, "doc": doc, "actions": None, "task_dep": [*wanted, "merge"]}

    def doit_config(self) -> dict[str, Any]:
        """What doit has to know. Its database stays in memory: git is the record, another were a second truth."""
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
        self.task: object = None
        self.out, self.err, self.result = "", "", None
        self.values: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "task": None}

    def execute(self, out: object = None, err: object = None) -> BaseFail | None:
        try:
            if self.session.run is None:
                raise UserError("the run has not begun; adws needs its own reporter, leave out --reporter")
            said = self.perform(self.session.run)
        except (UserError, merge.RefusedError) as error:
            said = str(error)
        except Exception as error:  # noqa: BLE001  a bug, or git or the disk at fault: this task's error, not the run's end
            known = isinstance(error, git.GitError | OSError)
            return TaskError(str(error) if known else traceback.format_exc())
        return TaskFailed(said) if said else None

    def perform(self, run: Run) -> str:
        """Do it; what went wrong, empty when nothing did."""
        raise NotImplementedError


class PhaseAction(_Action):
    def __init__(self, session: Session, each: Phase) -> None:
        super().__init__(session)
        self.phase = each

    def perform(self, run: Run) -> str:
        result = phase.perform(run, self.phase)
        summary = str(result.fields.get("summary", ""))
        self.values = {
            "status": str(result.status),
            "said": result.reason or summary,
            "seconds": result.seconds,
        }
        return "" if self.phase.continue_on_error else result.reason


class MergeAction(_Action):
    def perform(self, run: Run) -> str:
        started = time.monotonic()
        merged = merge.perform(run, self.session.wanted)
        if merged.moved:
            said = f"one commit on branch {merged.branch}"
        else:
            said = f"branch {merged.branch} has it all" if merged.commit else "no change, no commit"
        seconds = time.monotonic() - started
        self.values = {
            "status": "passed",
            "said": said,
            "seconds": seconds,
            "commit": merged.commit,
            "branch": merged.branch,
        }
        return ""


@dataclass(frozen=True)
class Current:
    """doit's question whether a phase is up to date, answered from the record. It must never raise."""

    session: Session
    phase: Phase

    def __call__(self) -> bool:
        run = self.session.run
        try:
            return run is not None and phase.is_current(run, runs.load(run), self.phase)
        except (UserError, git.GitError):
            return False  # then the phase itself meets the fault, and says so


class Reporter(ConsoleReporter):  # type: ignore[misc]
    """Begins the run, prints one line per event, and always ends with the table and the right exit code."""

    def __init__(self, session: Session) -> None:
        super().__init__(sys.stdout, {})
        self.session = session
        self.verdicts: dict[str, text.Row] = {}
        self.code = 0
        self.stopped = 0
        self.lost = ""
        self.started = time.monotonic()
        self.watching = False
        self.holding = contextlib.ExitStack()
        self.order: list[str] = []

    def initialize(self, tasks: Mapping[str, Any], selected: Sequence[str]) -> None:
        due = list(selected)
        for name in due:
            due += [need for need in tasks[name].task_dep if need not in due]
        self.order = [name for name, task in tasks.items() if task.actions and name in due]
        with edge():
            for number in _SIGNALS:
                signal.signal(number, self._stop)
            self._begin()

    def _begin(self) -> None:
        session, call = self.session, self.session.call
        repo = git.open_repo(call.repo)
        run = Run(repo=repo, pipeline=session.pipeline, id=call.adw_id, deadline=session.deadline)
        issue = read_issue(call) if call.issue else None
        self.holding.enter_context(runs.lock(repo, run.id))
        runs.begin(run, session.source, issue)
        session.run = run
        self._print(f"run {run.id} in {repo.root}, {session.pipeline.source}")

    def execute_task(self, task: Any) -> None:
        if task.actions:
            self._event(task.name, "started")
            self._watch()

    def add_success(self, task: Any) -> None:
        if task.actions:
            values = task.values
            self._verdict(task.name, values["status"], values["seconds"], values["said"])

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        if isinstance(fail, UnmetDependency):
            self._verdict(task.name, "not run", None, f"needs {fail.message}")
            return
        error = isinstance(fail, TaskError)
        self.code = max(self.code, ERROR if error else FAILED)
        self._verdict(task.name, "error" if error else "failed", None, fail.message)

    def skip_uptodate(self, task: Any) -> None:
        self._verdict(task.name, "up to date", None, "")

    def complete_run(self) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        in_flight = sys.exc_info()[1]
        if self.session.run is None or isinstance(in_flight, Exception):
            return  # it did not begin, or doit itself failed: its exception goes on its way
        self.code = max(self.code, ERROR if self.runtime_errors or self.lost else 0)
        with contextlib.suppress(BrokenPipeError):
            self._report(self.session.run)
        self.holding.close()
        # the only way to set the exit code of a plain `doit`, and the end of a KeyboardInterrupt's traceback
        raise SystemExit(128 + self.stopped if self.stopped and not self.lost else self.code)

    def _report(self, run: Run) -> None:
        state = runs.load(run)
        folder = runs.folder(run.repo, run.id)
        state_view.write(folder, state, run.id)
        rows = [summary.fill(run, state, self._row(name)) for name in self.order]
        self._print("")
        for part in (
            *summary.failures(run, state, rows),
            text.table(rows),
            summary.closing(run, state, rows, self._again()),
        ):
            self._print(part)
        if self.lost:
            self._print(f"{self.lost}; what it was doing was stopped")
        elif self.stopped:
            self._print(f"stopped by {signal.Signals(self.stopped).name}; the same command goes on from here")

    def _row(self, name: str) -> text.Row:
        return self.verdicts.get(name) or text.Row(name=name, verdict="not run", seconds=None, produced="")

    def _again(self) -> str:
        """The command to type to go on."""
        call = self.session.call
        names = {
            *(each.name for each in self.session.pipeline.phases),
            *dict(self.session.pipeline.workflows),
            "merge",
        }
        tasks = [word for word in call.words if word in names] or [self.session.pipeline.workflows[0][0]]
        program = (
            "make" if "MAKELEVEL" in os.environ else "adws" if Path(sys.argv[0]).name == "adws" else "doit"
        )
        variables = {"ADW_ID": call.adw_id, "REPO": call.asked_repo, "AGENT": call.agent}
        return shlex.join(
            [program, *tasks, *(f"{name}={value}" for name, value in variables.items() if value)]
        )

    def _stop(self, number: int, _frame: FrameType | None) -> NoReturn:
        self.stopped = number
        raise KeyboardInterrupt

    def _event(self, name: str, said: str) -> None:
        self._print(f"[{time.monotonic() - self.started:7.1f}s] {name}: {said}")

    def _verdict(self, name: str, verdict: str, seconds: float | None, said: str) -> None:
        self.verdicts[name] = text.Row(name=name, verdict=verdict, seconds=seconds, produced=said)
        self._event(name, f"{verdict}: {text.one_line(said)}" if said else verdict)

    def _print(self, line: str) -> None:
        # flushed, or in a pipe everything would come at the end
        print(line, file=self.outstream, flush=True)

    def _watch(self) -> None:
        """Notice when a worker dies: doit waits for its answer without end.

        A thread that is started only now, when the workers have been forked: a process with threads must
        not fork.
        """
        if not self.watching and (workers := multiprocessing.active_children()):
            self.watching = True
            main = threading.main_thread().ident
            threading.Thread(target=self._wait_for, args=(workers, main), daemon=True).start()

    def _wait_for(self, workers: list[multiprocessing.process.BaseProcess], main: int) -> None:
        while workers:
            multiprocessing.connection.wait([worker.sentinel for worker in workers])
            for worker in [worker for worker in workers if not worker.is_alive()]:
                workers.remove(worker)
                if worker.exitcode and not self.stopped:
                    self.lost = f"a worker process died with exit code {worker.exitcode}"
                    # a real signal to the main thread: nothing else wakes it from the queue it waits at
                    signal.pthread_kill(main, signal.SIGINT)
                    return


def load(argv: Sequence[str]) -> Session:
    """The session for a command line: variables checked, pipeline found and checked, nothing created yet."""
    git.clean_environment()
    call = _call(argv)
    path, name, root = _find_pipeline(call.repo)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}") from None
    folders = [*([root] if root else []), config.SHIPPED.parent]
    return Session(
        call, config.load(source, name=name, prompt_dirs=folders, agent=call.agent or None), source
    )


@contextlib.contextmanager
def edge() -> Iterator[None]:
    """The one place where an error for the user becomes a line and an exit code."""
    try:
        yield
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.code) from None
    except (git.GitError, OSError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(UNUSABLE) from None


def _call(argv: Sequence[str]) -> Call:
    matches = [match for word in argv if (match := _GIVEN.fullmatch(word))]
    given = {match[1]: match[2] for match in matches}
    for name in given:
        if name not in VARIABLES:
            raise UserError(
                f"unknown variable `{name}`{suggest(name, VARIABLES)}; there are {', '.join(VARIABLES)}"
            )
    value = {name: given.get(name) or os.environ.get(name, "") for name in VARIABLES}
    if "ADW_ID" in given and not given["ADW_ID"]:
        runs.check_id("")
    # doit changes into the folder of dodo.py; the user's paths are relative to where they stand
    cwd = Path(doit.get_initial_workdir() or Path.cwd())
    return Call(
        adw_id=runs.check_id(value["ADW_ID"]) if value["ADW_ID"] else uuid.uuid4().hex[:8],
        issue=value["ISSUE"],
        repo=cwd / value["REPO"] if value["REPO"] else Path.cwd(),
        agent=value["AGENT"],
        words=tuple(word for word in argv if not _GIVEN.fullmatch(word)),
        cwd=cwd,
    )


def _find_pipeline(start: Path) -> tuple[Path, str, Path | None]:
    """The repository's pipeline or the shipped one, what to call it, and the repository's root.

    Looks for `.git` itself: git is slower to ask than all that `doit list` does otherwise.
    """
    root = next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), None)
    if root and ((root / "pipeline.yaml").exists() or (root / "pipeline.yaml").is_symlink()):
        return root / "pipeline.yaml", "pipeline.yaml", root
    return config.SHIPPED, "the shipped pipeline.yaml (the repository has none)", root


def read_issue(call: Call) -> bytes:
    """The issue's text, refused where a phase could do nothing with it. UserError says why."""
    if call.issue == "-":
        name, content = "standard input", sys.stdin.buffer.read(ISSUE_LIMIT + 1)
    else:
        name, path = call.issue, call.cwd / call.issue
        if not path.is_file():
            raise UserError(
                f"issue {name} is not a file" if path.exists() else f"issue {name} does not exist"
            )
        with path.open("rb") as file:
            content = file.read(ISSUE_LIMIT + 1)
    if len(content) > ISSUE_LIMIT:
        raise UserError(f"issue {name} is longer than 1 MiB; give the phases the part that matters")
    if b"\0" in content:
        raise UserError(f"issue {name} is a binary file; an issue is text")
    try:
        if not content.decode().strip():
            raise UserError(f"issue {name} is empty; write down what is to be done")
    except UnicodeDecodeError as error:
        raise UserError(f"issue {name} is not UTF-8 at byte {error.start}; save it as UTF-8") from None
    return content
