"""The nouns: what a pipeline is once it is checked, and what a phase left behind. Frozen data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
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
    model: str | None = None
    env: Pairs = ()


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One unit of work, with every default already resolved. Exactly one of `run` and `agent` is set."""

    name: str
    doc: str
    needs: tuple[str, ...] = ()
    run: str | tuple[str, ...] | None = None
    """A string goes to `/bin/sh -c`, a tuple is the command itself."""
    agent: Agent | None = None
    prompt: str | None = None
    """The text of the prompt file (not its path); set together with `agent`."""
    model: str | None = None
    """The phase's model, or its agent's, or None."""
    env: Pairs = ()
    timeout: float
    """Seconds."""
    retries: int = 0
    """Extra attempts after a failed one."""
    writes: tuple[str, ...] | None = None
    """Globs of what it may change; None = everything but the protected paths, () = nothing."""
    frozen: tuple[str, ...] = ()
    """Globs it may not change, whatever `writes` says."""
    evidence: tuple[str, ...] = ()
    """JUnit reports, as paths below `ADW_OUT`, that have to be there, parse, and be green."""
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
    """sha256 of the file's bytes, in hex."""
    phases: tuple[Phase, ...]
    workflows: tuple[tuple[str, tuple[str, ...]], ...]
    """(name, the phases it wants), in declared order; the first one is the default."""
    max_parallel: int
    timeout: float
    """Seconds for the whole run."""
    into: str
    """The branch to merge into; `{adw_id}` is filled in per run."""


def closure(pipeline: Pipeline, wanted: Iterable[str]) -> tuple[Phase, ...]:
    """The wanted phases and all that they need, near and far, in declared order."""
    names = set(wanted)
    for phase in reversed(pipeline.phases):
        if phase.name in names:
            names.update(phase.needs)
    return tuple(phase for phase in pipeline.phases if phase.name in names)


class Status(StrEnum):
    """The two verdicts there are."""

    PASSED = "passed"
    FAILED = "failed"


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
    fields: dict[str, Any] = field(default_factory=dict)
    """What its `result.json` says: `summary`, `findings`, ..."""
    commit: str = ""
    """The hidden commit that holds all this, once it is recorded."""
