"""The nouns: what a pipeline is once it is checked, and what a phase left behind. Frozen data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

FORMAT = 1
"""Version of pipeline.yaml and of the records under refs/adws/; part of every key."""

Pairs = tuple[tuple[str, str], ...]
"""An environment as sorted (name, value) pairs, so that it is hashable and pickles the same everywhere."""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """How one coding agent is called."""

    name: str
    run: tuple[str, ...]
    """The command, one argument each; `{python}`, `{phase}`, `{model}`, `{prompt}` are filled in per phase.
    Without `{prompt}` (the path of the rendered prompt) the prompt is the command's standard input."""
    format: str = "text"
    """What its output is, one of `agents.record.FORMATS`."""
    model: str | None = None
    limits: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(cap, the arguments by which the program keeps it itself): they stand for `{limits}` in `run`."""
    resume: tuple[str, ...] = ()
    """The arguments for `{resume}` in `run`, where it goes on from its session `{session}`."""
    tested: str = ""
    """The versions of the program that it was tried with, as in `>=2.1,<3` (PEP 440)."""
    login: tuple[str, ...] = ()
    """Files where it keeps its login; one of them or of `secrets` has to be there. Empty = nobody looks."""
    env: Pairs = ()
    secrets: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()


Caps = tuple[tuple[str, float], ...]
"""What may be used at most: (`max-cost`, US dollars), (`max-turns`, n), (`max-tokens`, n, in and out)."""

REPAIR, RESOLVE = "repair", "resolve"
"""The roles of work that is no phase; see `Phase.role`."""

Command = str | tuple[str, ...]
"""A string goes to `/bin/sh -e -c`, a tuple is the command itself."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One unit of work, with every default already resolved. Exactly one of `run` and `agent` is set."""

    name: str
    """`test`, or `test:py311` where the pipeline has a matrix and this is one shard of it."""
    doc: str
    needs: tuple[str, ...] = ()
    condition: str | None = None
    """The key `if`: a shell command; exit 0 = do the phase, 1 = skip it, everything else is a failure."""
    dir: str = ""
    """Where in the workspace its commands run, as a relative path; empty = at the top."""
    lock: str | None = None
    """Name of a lock over all runs of the repository; who holds it works alone."""
    copy: tuple[str, ...] = ()
    """Globs of files that git does not have, copied in from the user's checkout where they are there."""
    keep: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(directory, globs of the lock files it was made from): kept between uses while those are the same."""
    setup: Command | None = None
    """Makes what is kept; run when something of that is not there."""
    run: Command | None = None
    agent: Agent | None = None
    prompt: str | None = None
    """The text of the prompt file (not its path); set together with `agent`."""
    model: str | None = None
    """The phase's model, or its agent's, or None."""
    caps: Caps = ()
    """For all attempts at it in one run together."""
    escalate: Phase | None = None
    """The same work by another agent or model, for the last attempt, after all others have failed."""
    repair: Phase | None = None
    """Who mends the tree when it has failed, before it is judged again; `role` is set there."""
    repairs: int = 0
    """How often in one call."""
    role: str = ""
    """REPAIR or RESOLVE, where it is not the phase itself but what is done for it."""
    env: Pairs = ()
    """Without what comes from the caller; a shard's matrix values are in it."""
    secrets: tuple[str, ...] = ()
    """Names of variables that it gets from the caller's environment, where they are set there."""
    sandbox: str = "none"
    """`bwrap`, `none`, or `auto`: the best there is."""
    network: bool = True
    """Whether a sandbox lets it reach the network."""
    writable: tuple[str, ...] = ()
    """Paths outside of its workspace that it may write to all the same, absolute or below `~`."""
    timeout: float
    """Seconds."""
    idle_timeout: float | None = None
    """Seconds without any output after which it counts as stalled; None = as long as it likes."""
    retries: int = 0
    """Extra attempts after a failed one."""
    writes: tuple[str, ...] | None = None
    """Globs of what it may change; None = everything but the protected paths, () = nothing."""
    frozen: tuple[str, ...] = ()
    """Globs it may not change, whatever `writes` says."""
    evidence: tuple[str, ...] = ()
    """JUnit reports, as paths below `ADW_OUT`, that have to be there, parse, and be green."""
    baseline: str | None = None
    """Name of a phase it needs: each test that passed in the reports there has to pass in its own."""
    proves: Command | None = None
    """Has to fail before its change, with the tests of the change, and to pass after it."""
    leaves: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(a file below `ADW_OUT`, the keys that the JSON object in it has to have)."""
    outputs: tuple[str, ...] = ()
    """Globs of files it has to leave in its workspace; captured even where git ignores them."""
    inputs: tuple[str, ...] | None = None
    """Globs of the files its outcome depends on; None = all."""
    must_change: bool = False
    """An empty change is a failure."""
    continue_on_error: bool = False
    """Its failure does not keep the others from being merged."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A checked pipeline.yaml. Phases are in declared order, with what a phase needs before it."""

    source: str
    """What messages call it: the path as the user would type it."""
    digest: str
    """sha256 of the bytes of all its files, in hex."""
    phases: tuple[Phase, ...]
    workflows: tuple[tuple[str, tuple[str, ...]], ...]
    """(name, the phases it wants), in declared order; the first one is the default."""
    max_parallel: int
    timeout: float
    """Seconds for the whole run."""
    into: str
    """The branch to merge into; `{adw_id}` is filled in per run."""
    sign: bool
    """Whether the commit is signed with the user's key."""
    resolve: Phase | None = None
    """Who resolves conflicts of the merge; None = nobody, they are told."""
    caps: Caps = ()
    """For all attempts of a run together."""
    record: str = ""
    """The folder for recordings of agents, relative to the repository; empty = none are made."""

    @cached_property
    def places(self) -> dict[str, int]:
        """Where in `phases` each one is."""
        return {phase.name: place for place, phase in enumerate(self.phases)}


def closure(pipeline: Pipeline, wanted: Iterable[str]) -> tuple[Phase, ...]:
    """The wanted phases and all that they need, near and far, in declared order."""
    found, new = set[int](), {pipeline.places[name] for name in wanted}
    while new:
        found |= new
        new = {pipeline.places[need] for place in new for need in pipeline.phases[place].needs} - found
    return tuple(pipeline.phases[place] for place in sorted(found))


class Status(StrEnum):
    """The verdicts there are."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Its `if` said no: it changed nothing, and what needs it goes on."""
    REPAIRED = "repaired"
    """What it failed on was changed, and nobody has judged that yet."""


DONE = (Status.PASSED, Status.SKIPPED)
"""The verdicts with which a run goes on."""


def every_worker(pipeline: Pipeline) -> Iterator[tuple[str, Phase]]:
    """Everybody who may have work in it: (the phase, or `merge`; who works for it)."""
    for phase in pipeline.phases:
        yield from ((phase.name, each) for each in (phase, phase.escalate, phase.repair) if each)
    if pipeline.resolve:
        yield "merge", pipeline.resolve


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one attempt at a phase left behind: the captured change and the verdict."""

    phase: str
    attempt: int
    status: Status
    reason: str
    """Why it failed, in one line for the user; empty when it passed."""
    key: str
    """Hash of everything the outcome depends on; the same key again means: up to date."""
    base: str
    """The commit it started from."""
    base_tree: str
    tree: str
    """Object ids of the tree it started from and of the tree it left; the change is the difference."""
    out: str
    """Object id of the tree of `ADW_OUT`."""
    seconds: float
    by: str
    """Who did it: `command`, or the agent and its model."""
    role: str = ""
    """As in `Phase`: an attempt at a repair is one of the phase."""
    repaired: str = ""
    """The commit of the repair that it started from; its change has the repair in it."""
    repaired_by: str = ""
    """Whose repair that was, as in `credit`."""
    escalated: str = ""
    """Why another agent or model than usual did it."""
    waits: str = ""
    """When its vendor, who said no for now, is worth another try: an ISO 8601 time, or `later`."""
    final: bool = False
    """Whether another attempt would fare no better."""
    sandbox: str = "none"
    """What kept it in its workspace."""
    agent: dict[str, Any] = field(default_factory=dict)
    """What its agent's output told, see `agents.record.Record.fields`; empty where nothing was told."""
    fields: dict[str, Any] = field(default_factory=dict)
    """What its `result.json` says: `summary`, `findings`, ..."""
    commit: str = ""
    """The hidden commit that holds all this, once it is recorded."""

    @property
    def credit(self) -> str:
        """Who did it, and for how much where that is known."""
        cost = self.agent.get("cost")
        return f"{self.by} for ${cost:.2f}" if isinstance(cost, float) else self.by
