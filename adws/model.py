"""The nouns: what a pipeline is once it is checked, and what a phase left behind. Frozen data."""

from __future__ import annotations

from collections.abc import Iterable
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
    env: Pairs = ()
    secrets: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()


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
    sandbox: str = "none"
    """What kept it in its workspace."""
    agent: dict[str, Any] = field(default_factory=dict)
    """What its agent's output told, see `agents.record.Record.fields`; empty where nothing was told."""
    fields: dict[str, Any] = field(default_factory=dict)
    """What its `result.json` says: `summary`, `findings`, ..."""
    commit: str = ""
    """The hidden commit that holds all this, once it is recorded."""
