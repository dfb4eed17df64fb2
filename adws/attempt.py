"""One attempt at a phase in its workspace: its turn, what it is furnished with, its commands, its change."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from adws import (
    agents,
    budget,
    change,
    checkout,
    contract,
    git,
    process,
    provision,
    recording,
    runs,
    sandbox,
    secrets,
    workspace,
)
from adws.agents import follow, verdict
from adws.agents.record import Record, Usage
from adws.errors import told
from adws.model import Caps, Command, Phase, Result
from adws.process import Outcome, Reason
from adws.runs import Run, State
from adws.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Help:
    """What an attempt is given beyond the work itself: of earlier attempts, and what it may use."""

    failed: Result | None = None
    """What went wrong."""
    log: Path | None = None
    """And its log."""
    paths: str = ""
    """The files in conflict, one per line."""
    session: str = ""
    """The agent's session to go on from, if it works in the same slot."""
    slot: int | None = None
    thread: Usage = field(default_factory=Usage)
    """What that session has used so far."""
    caps: Caps = ()
    meter: Callable[[Record], str] = lambda record: ""
    patience: int = verdict.REPEATS
    """Requests that it may repeat."""


_NO = 1
"""What an `if` ends with to say no; a word that the shell does not find ends with 127, and is no answer."""


@dataclass(kw_only=True)
class Attempt:
    """A phase at work. `begin` makes it."""

    run: Run
    phase: Phase
    place: Workspace
    base: str
    base_tree: str
    log: Path
    """The log of its command; those of `if` and `setup` lie beside it."""
    key: str
    """Of what it keeps."""
    help: Help
    apart: list[str] = field(default_factory=list)
    """Paths in the checkout that are not its change."""
    furnished: bool = False
    outcome: Outcome | None = None
    """How its command ended, once it has."""

    @cached_property
    def hide(self) -> dict[str, tuple[bytes, ...]]:
        """Its secrets, each with all the forms in which it may show."""
        return {name: secrets.forms([os.environ[name]]) for name in self.phase.secrets if name in os.environ}

    @property
    def began(self) -> float:
        """In seconds of time.time: when it was handed the last thing that it gets."""
        return (self.place.io / "state.json").stat().st_mtime

    def wanted(self) -> tuple[bool, str]:
        """Whether its `if` says yes; and why that cannot be told."""
        if self.phase.condition is None:
            return True, ""
        outcome = self.call(self.phase.condition, ".if")
        if outcome.reason is Reason.EXITED and outcome.code == _NO:
            return False, ""
        return (
            True,
            "" if outcome.passed else f"`if` said neither yes (exit 0) nor no (exit 1): {outcome.text}",
        )

    def execute(self) -> str:
        """Furnish the workspace and run the command; why it did not pass, empty when it did."""
        phase = self.phase
        if said := self.furnish():
            return said
        stdin = self.place.io / "prompt.md" if phase.agent and agents.reads_prompt(phase.agent) else None
        self.outcome = outcome = self.call(phase.agent.run if phase.agent else phase.run or (), "", stdin)
        return "" if outcome.passed else outcome.text

    def told(self, changed: bool) -> tuple[dict[str, Any], str]:
        """What its agent told of itself, as fields of a Result; what else speaks against it."""
        agent, outcome, follower = self.phase.agent, self.outcome, self._follower
        if not (agent and outcome and follower) or outcome.reason is Reason.COULD_NOT_START:
            return {}, ""
        whole = follower.whole()
        found = whole.after(self._thread)
        self.help.meter(found)
        credits = verdict.credits(agent, self.phase.model, found)
        if "agent" in credits:
            # what a later attempt needs to go on from this one
            thread = asdict(whole.thread(self._thread))
            where = {"slot": self.place.slot, "resumed": bool(self._session)}
            credits["agent"] |= {"name": agent.name, **where, "thread": thread}
        exited = outcome.reason is Reason.EXITED
        unkept = budget.untold(self.help.caps, found) if exited and found.ended else ""
        credits["final"] = bool(unkept) or outcome.reason is Reason.HOPELESS or verdict.for_good(found)
        if outcome.reason is Reason.HOPELESS:
            return credits, ""  # it says it all
        if exited and (at := verdict.again_at(found, datetime.now().astimezone())):
            credits["waits"] = "later" if at == verdict.SOME_DAY else at.isoformat(timespec="seconds")
        left = (self.place.out / "result.json").exists()
        said = verdict.fault(
            agent,
            found,
            passed=outcome.passed,
            stopped=not exited,
            idle=not changed and not (left and self.phase.writes == ()),
            nothing=not changed and not left,
        )
        return credits, "; ".join(filter(None, (said, unkept)))

    def record(self, start: str, result: Result) -> None:
        """Write down what its agent did, from the tree `start` on, where the pipeline wants that."""
        if self.phase.agent and self.outcome and self.run.pipeline.record:
            try:
                recording.write(self.run, self.phase.agent, self.place, self.outcome, start, result, self.log)
            except OSError as error:
                self._note(f"it was not recorded: {told(error)}")

    def _note(self, warning: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"adws: warning: {warning}\n")

    @property
    def _session(self) -> str:
        """The one that it goes on from, if it can."""
        same = self.help.slot == self.place.slot
        return self.help.session if same and agents.resume(self.phase, self.help.session) else ""

    @property
    def _thread(self) -> Usage:
        return self.help.thread if self._session else Usage()

    def furnish(self) -> str:
        """Put in place what git does not have; why that was not possible."""
        phase = self.phase
        self.apart = [*provision.copy(self.run.repo, self.place, phase), *(name for name, _ in phase.keep)]
        checkout.set_apart(self.place.checkout, self.apart)
        made = provision.fetch(self.place, phase, self.key)
        if phase.setup and not made and (said := self._set_up(phase.setup)):
            return said
        self.furnished = True
        return ""

    def leak(self, tree: str) -> str:
        """Which secret the change to `tree` shows, and where; what is in ADW_OUT shows none from now on."""
        secrets.redact_files(self.place.out, secrets.together(self.hide.values()))
        for name, forms in self.hide.items():
            if path := change.shows(self.run.repo, self.base_tree, tree, forms):
                return f"the value of secret `{name}` is in its change, in {secrets.redact_text(path, forms)}"
        return ""

    def capture(self) -> str:
        """The tree that it left. GitError where that is more than a tree can hold."""
        for module in self.place.modules:
            if not checkout.is_as_prepared(module):
                what = f"changes inside of submodule {module.tree.relative_to(self.place.tree)}"
                raise git.GitError("add", 1, f"{what}; they belong into its own repository")
        outputs = self.phase.outputs
        return checkout.capture(self.place.checkout, apart=self.apart, outputs=outputs)

    def warn(self) -> None:
        """Say in the log what its change leaves out."""
        if left := checkout.left_out(self.place.checkout, self.apart):
            what = secrets.redact_text(change.some(left), secrets.together(self.hide.values()))
            self._note(f"git ignores or cannot hold {what}; `outputs` can name what to keep")

    def put_away(self, tree: str) -> None:
        """Keep for the next use what is kept, unless the `tree` that it left has other lock files."""
        if self.furnished and self.key:
            provision.put_away(self.run.repo, self.place, self.phase, self.key, tree)

    def _set_up(self, command: Command) -> str:
        outcome = self.call(command, ".setup")
        if not outcome.passed:
            return f"`setup` did not pass: {outcome.text}"
        # what is kept saves the setup, so a change by it would be there one time and not the next
        tree = checkout.capture(self.place.checkout, apart=self.apart)
        changed = [file.path for file in change.files(self.run.repo, self.base_tree, tree)]
        rule = "it may only make what git ignores or `keep` names"
        if not changed:
            return ""
        what = secrets.redact_text(change.some(changed), secrets.together(self.hide.values()))
        return f"`setup` changed {what}; {rule}"

    def _boxed(self, argv: list[str], env: dict[str, str]) -> tuple[list[str], dict[str, str]]:
        place, phase = self.place, self.phase
        python = (Path(sys.prefix), Path(sys.base_prefix), Path(agents.__file__).parents[1])
        return sandbox.command(
            argv,
            env,
            tree=place.tree,
            out=place.out,
            tmp=place.tmp,
            readable=[Path.home(), place.home, self.run.repo.objects, *python],
            writable=[Path(path).expanduser() for path in phase.writable],
            network=phase.network,
        )

    @property
    def _given(self) -> agents.Given:
        return agents.Given(
            adw_id=self.run.id,
            prompt=self.place.io / "prompt.md",
            out=self.place.out,
            record=runs.recordings(self.run),
            caps=self.help.caps,
            session=self._session,
        )

    @cached_property
    def _follower(self) -> follow.Follower | None:
        """Reads what its agent prints, also what is cut out of a long log later."""

        def meter(record: Record) -> str:
            return self.help.meter(record.after(self._thread))

        agent = self.phase.agent
        return follow.Follower(agent, self.log, self.help.patience, meter) if agent else None

    def call(self, command: Command, suffix: str, stdin: Path | None = None) -> Outcome:
        """Run one of its commands under the supervisor."""
        place, phase, agent = self.place, self.phase, self.phase.agent
        left = max(self.run.deadline - time.monotonic(), 0.0)
        cwd = place.path(phase.dir) if phase.dir else place.tree
        if cwd is None or cwd.is_symlink() or not cwd.is_dir():
            return Outcome(
                reason=Reason.COULD_NOT_START, detail=f"in {phase.dir}: no such directory in its base"
            )
        argv = agents.command(phase, command, self._given)
        env = contract.environment(self.run, phase, place, self.base)
        log = self.log.with_name(self.log.name + suffix)
        follower = self._follower if agent and command is agent.run else None
        boxed = self.run.sandbox(phase) == "bwrap"
        if boxed:
            argv, env = self._boxed(argv, env)
        outcome = process.run(
            argv,
            cwd=cwd,
            env=env,
            log=log,
            timeout=min(phase.timeout, left),
            idle=phase.idle_timeout,
            watch=follower.hopeless if follower else None,
            stdin=stdin,
            keep=place.locks,
            hide=secrets.together(self.hide.values()),
        )
        outcome = sandbox.told(outcome, log) if boxed else outcome
        if outcome.reason is Reason.TIMED_OUT and left < phase.timeout:
            limit = f"the run has reached its time limit of {self.run.pipeline.timeout:g} s"
            return dataclasses.replace(outcome, detail=limit)
        return outcome


@contextlib.contextmanager
def begin(
    run: Run, state: State, phase: Phase, base: str, tree: str, log: Path, help: Help | None = None
) -> Iterator[Attempt]:
    """An attempt on the commit `base` with that tree, once it is the phase's turn.

    Raises TimeoutError at the run's deadline, and MissingError where lock files that it names are not there.
    """
    help = help or Help()
    key = provision.key_of(run.repo, phase, tree)
    prefer = provision.shelf(phase, key) if key else None
    with contextlib.ExitStack() as stack:
        late = f"lock `{phase.lock}` was held until the run's time limit"
        turn = runs.exclusive(run.repo, f"phase-{phase.lock}", run.deadline, late)
        locks = [stack.enter_context(turn)] if phase.lock else []
        acquired = workspace.acquire(
            run.repo, base, deadline=run.deadline, prefer=prefer, first=help.slot, locks=locks
        )
        place = stack.enter_context(acquired)
        contract.hand_over(run, state, phase, place, _told(run, place, help))
        yield Attempt(
            run=run, phase=phase, place=place, base=base, base_tree=tree, log=log, key=key, help=help
        )


def _told(run: Run, place: Workspace, help: Help) -> dict[str, str]:
    """The variables of a prompt that say what went wrong; its artifacts and log are put beside the tree."""
    if help.paths:
        return {"paths": help.paths}
    if help.failed is None:
        return {}
    folder = place.io / "failed"
    workspace.export(run.repo, place, help.failed.out, folder)
    if help.log and help.log.is_file():
        shutil.copyfile(help.log, folder / "log")
    return {"failure": help.failed.reason, "failed": str(folder)}
