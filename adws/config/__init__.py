"""pipeline.yaml -> Pipeline: checked as a whole, once, with all that is wrong with it in one message."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from adws import git
from adws.agents.record import TELLS
from adws.config import document, phases, values, workers
from adws.config.document import Map, Node, Text
from adws.config.values import RESERVED
from adws.errors import UserError, suggest
from adws.model import FORMAT, RESOLVE, Agent, Phase, Pipeline, every_worker

__all__ = ["RESERVED", "SHIPPED", "load"]

SHIPPED = Path(__file__).parent.parent / "sdlc.yaml"
"""The pipeline of a repository that has none; its prompts lie beside it."""
_INTO = "adw/{adw_id}"
_NO_BRANCH = re.compile(
    r"[\0-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/[.-]|\.lock(/|$)|[./]$|^[-./]|^refs/|^(@|HEAD)$"
)
"""What git takes for no branch, and what a command line or git would take for something else."""


def load(source: bytes, *, name: str, prompt_dirs: Sequence[Path], agent: str = "") -> tuple[Pipeline, bytes]:
    """The checked pipeline, and the text of all its files, for the record.

    Messages call the file `name`; what it includes and its prompts are searched in `prompt_dirs` in turn.
    `agent` works on every prompt, or, as `review=codex,build=claude`, on those of these phases,
    whatever a file says. UserError with all that is wrong, per file and sorted
    by place, or with what keeps a file from being read at all.
    """
    roots, top, record, frozen = _read(source, name, prompt_dirs)
    agents, defaults = top.get("agents", {}), top.get("defaults", {})
    if (unknown := defaults.get("agent")) and unknown not in agents:
        unknown.wrong(f"unknown agent `{unknown}`", word=unknown, known=agents)
    instead = {phase: name for phase, _, name in (each.rpartition("=") for each in agent.split(",") if each)}
    given = workers.Given(defaults, agents, instead, prompt_dirs, frozen)
    found = phases.read(top.get("phases", {}), given)
    every = tuple(itertools.chain.from_iterable(found.values()))
    pipeline = Pipeline(
        source=name,
        digest=hashlib.sha256(record).hexdigest(),
        phases=every,
        workflows=tuple(
            (str(key), _wanted(key, node, found)) for key, node in top.get("workflows", {}).items()
        )
        or ((phases.WORKFLOW, tuple(phase.name for phase in every)),),
        max_parallel=top.get("max_parallel", 3),
        timeout=top.get("timeout", 1800.0),
        into=top.get("merge", {}).get("into", _INTO),
        sign=top.get("merge", {}).get("sign", False),
        resolve=_resolve(roots, top.get("merge", {}), given),
        caps=tuple((cap, top[key]) for cap in workers.CAPS if (key := cap.replace("-", "_")) in top),
        record=top.get("record", ""),
    )
    if told := [str(root.source.error(*root.source.problems)) for root in roots if root.source.problems]:
        raise UserError("\n".join(told))
    nodes = top.get("phases", {}).items()
    prompts = {
        str(key) for key, node in nodes if isinstance(node, Map) and {"prompt", "repair"} & node.keys()
    }
    for phase, swapped in instead.items():
        if swapped not in agents:
            there = f"(agents there: {', '.join(agents) or 'none'})"
            raise UserError(f"{name}: unknown agent `{swapped}`{suggest(swapped, agents)} {there}")
        if phase and phase not in prompts:
            there = f"(phases with a prompt: {', '.join(sorted(prompts)) or 'none'})"
            raise UserError(f"{name}: no agent works on `{phase}`{suggest(phase, prompts)} {there}")
    if told := [*_unkept(pipeline), *_unrecorded(pipeline)]:
        raise UserError("\n".join(f"{name}: {said}" for said in told))
    return pipeline, record


def _resolve(roots: Sequence[Node], merge: Mapping[str, Any], given: workers.Given) -> Phase | None:
    """Who resolves conflicts of the merge."""
    if not merge.get("resolve"):
        return None
    places = (
        entry for root in roots if isinstance(root, Map) for entry in root.items() if entry[0] == "merge"
    )
    key, node = next((key, node.at("resolve")) for key, node in places if node.at("resolve") is not node)
    return phases.helper(key, node, merge["resolve"], given, role=RESOLVE)


def _unkept(pipeline: Pipeline) -> Iterator[str]:
    """The caps that nobody could keep, since the agent neither takes them nor tells what it uses."""
    for name, worker in every_worker(pipeline):
        agent = worker.agent
        for cap in dict(worker.caps + pipeline.caps) if agent else ():
            if agent and cap not in {*dict(agent.limits), *TELLS[agent.format]}:
                tells = ", ".join(f"`{each}`" for each in TELLS[agent.format]) or "none"
                why = f"agent `{agent.name}` does not tell what it uses of it (it tells: {tells})"
                what = f"`{cap}` cannot be kept in phase `{name}`: {why}"
                yield f"{what}; leave it out, or give the agent `limits`"


def _unrecorded(pipeline: Pipeline) -> Iterator[str]:
    """The agents that ask for recordings, and nobody says where they are."""
    agents = (worker.agent for _, worker in every_worker(pipeline))
    players = {agent.name for agent in agents if agent and "{record}" in agent.run}
    for player in sorted(players) if not pipeline.record else ():
        yield f"agent `{player}` plays recordings; name their folder with `record: folder` at the top level"


def _read(
    source: bytes, name: str, folders: Sequence[Path]
) -> tuple[list[Node], dict[str, Any], bytes, tuple[str, ...]]:
    """The file and those it includes: nodes, what they say together, text, what nobody may change.

    Of what is said twice the first counts: the file itself, then what it includes, in that order.
    """
    roots, record, frozen = [document.parse(source, name)], source, []
    top = values.section(roots[0], "a pipeline", TOP)
    for each in top.get("include", ()):
        if any(each == root.source.name for root in roots):
            each.wrong(f"`{each}` is part of this pipeline already; remove it here")
        elif found := values.file(each, "file", folders):
            roots.append(document.parse(found[0], str(each)))
            record += f"\n# include: {each}\n".encode() + found[0]
            # like the file itself it decides what runs; the package is out of reach
            frozen += [git.literally(each)] if found[1] != SHIPPED.parent else []
            for key, value in values.section(roots[-1], "a pipeline", _INCLUDED).items():
                there = top.setdefault(key, value)
                top[key] = {**there, **value, **there} if isinstance(there, dict) else there
    for root in roots:
        if isinstance(root, Map) and "version" not in root:
            root.wrong(f"there is no `version`; a pipeline begins with `version: {FORMAT}`")
    if isinstance(roots[0], Map) and not any("phases" in root for root in roots if isinstance(root, Map)):
        roots[0].wrong("there is no `phases`; a pipeline has one at least")
    return roots, top, record, tuple(frozen)


def _wanted(key: Text, node: Node, found: Mapping[str, Sequence[Phase]]) -> tuple[str, ...]:
    wanted = values.texts(node, key, some=True)
    if values.name(key, "a workflow") in found:
        key.wrong(f"`{key}` is a phase; give the workflow another name")
    for phase in wanted:
        if phase not in found:
            phase.wrong(f"workflow `{key}` wants unknown phase `{phase}`", word=phase, known=found)
    return tuple(dict.fromkeys(each.name for phase in wanted for each in found.get(phase, ())))


def _agents(node: Node, key: str) -> dict[str, Agent]:
    return {str(name): workers.read(name, agent) for name, agent in values.entries(node, f"`{key}`")}


def _branch(node: Node, key: str) -> str:
    branch = values.text(node, key)
    values.braces(node, branch, "placeholder", ("adw_id",))
    if _NO_BRANCH.search(branch):
        node.wrong(f"{node.shown} cannot be a branch; write a name such as `{_INTO}`")
    return branch


def _version(node: Node, key: str) -> None:
    if node.plain and re.fullmatch("[1-9][0-9]{0,8}", str(node)) and int(str(node)) > FORMAT:
        # what else is wrong with it cannot be known here
        said = f"written for a newer adws: format {node}, this one reads {FORMAT}; update adws"
        raise node.source.error((node.line, node.column, said))
    if not node.plain or str(node) != str(FORMAT):
        node.wrong(f"`{key}` has to be {FORMAT}, not {node.shown}")


def _no_include(node: Node, key: str) -> None:
    node.wrong(f"an included file cannot `{key}`; name all files in the pipeline itself")


_MERGE: dict[str, values.Reader] = {
    "into": _branch,
    "sign": values.boolean,
    "resolve": lambda node, key: values.section(node, f"`{key}`", phases.RESOLVING),
}
TOP: dict[str, values.Reader] = {
    "version": _version,
    "agents": _agents,
    "defaults": lambda node, key: values.section(node, f"`{key}`", phases.DEFAULTS),
    "max-parallel": partial(values.integer, low=1, high=64),
    "timeout": values.duration,
    "include": values.texts,
    **dict.fromkeys(("phases", "workflows"), lambda node, key: dict(values.entries(node, f"`{key}`"))),
    "merge": lambda node, key: values.section(node, f"`{key}`", _MERGE),
    **workers.CAPS,
    "record": values.folder,
}
_INCLUDED = TOP | {"include": _no_include}
