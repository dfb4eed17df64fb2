"""pipeline.yaml -> Pipeline: checked as a whole, once, with all that is wrong with it in one message."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from adws.config import document, graph, phases, values
from adws.config.document import Node
from adws.errors import UserError, suggest
from adws.model import FORMAT, Agent, Phase, Pipeline

SHIPPED = Path(__file__).parent.parent / "pipeline.yaml"
"""The pipeline of a repository that has none; its prompts lie beside it."""

_KEYS = ("version", "agents", "defaults", "max-parallel", "timeout", "phases", "workflows", "merge")
_SDLC = "sdlc"
_INTO = "adw/{adw_id}"
_NO_BRANCH = re.compile(
    r"[\0-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/[.-]|\.lock(/|$)|[./]$|^[-./]|^refs/|^(@|HEAD|)$"
)
"""What git takes for no branch, and what a command line or git would take for something else."""


def load(source: bytes, *, name: str, prompt_dirs: Sequence[Path], agent: str | None = None) -> Pipeline:
    """The checked pipeline; messages call the file `name`, its prompts are searched in `prompt_dirs` in turn.

    `agent` does the work of every phase that has a prompt, whatever the file says. UserError with all that
    is wrong, sorted by place.
    """
    root = document.parse(source, name)
    _check_version(root)
    top = values.section(root, "a pipeline", _KEYS)
    known = _agents(top)
    found = _phases(root, top, _defaults(top, known, agent, prompt_dirs))
    pipeline = Pipeline(
        source=name,
        digest=hashlib.sha256(source).hexdigest(),
        phases=tuple(found.values()),
        workflows=_workflows(top, found),
        max_parallel=values.read(top, "max-parallel", values.integer(1, 64), 3),
        timeout=values.read(top, "timeout", values.duration, 1800.0),
        into=values.read(top, "merge", _merge, _INTO),
    )
    root.document.check()
    if agent and agent not in known:
        there = ", ".join(f"`{each}`" for each in known) or "none"
        raise UserError(f"{name}: unknown agent `{agent}`{suggest(agent, known)} (agents there: {there})")
    return pipeline


def _check_version(root: Node) -> None:
    """First of all: what a newer format means cannot be known here."""
    if not isinstance(root.value, dict):
        root.wrong(f"a pipeline has to be a mapping (`key: value`), not {root.shown}")
        root.document.check()
        return
    version = next((value for key, value in root.value.items() if key.text == "version"), None)
    if version is None:
        root.wrong(f"there is no `version`; begin with `version: {FORMAT}`")
    elif version.plain and re.fullmatch("[1-9][0-9]{0,8}", version.text) and int(version.text) > FORMAT:
        version.wrong(
            f"written for a newer adws: format {version.text}, and this one reads {FORMAT}; update adws"
        )
        root.document.check()
    elif not version.empty and version.shown != f"`{FORMAT}`":
        version.wrong(f"`version` has to be {FORMAT}, not {version.shown}")


def _agents(top: Mapping[str, Node]) -> dict[str, Agent]:
    pairs = values.pairs(top["agents"], "`agents`") if "agents" in top else ()
    return {key.text: phases.read_agent(key, node) for key, node in pairs}


def _defaults(
    top: Mapping[str, Node], agents: Mapping[str, Agent], instead: str | None, prompt_dirs: Sequence[Path]
) -> phases.Defaults:
    keys = ("agent", "timeout", "retries", "env")
    items = values.section(top["defaults"], "`defaults`", keys) if "defaults" in top else {}
    agent = values.read(items, "agent", values.text, "")
    if agent and agent not in agents:
        items["agent"].wrong(f"unknown agent `{agent}` in `defaults`", word=agent, known=agents)
    return phases.Defaults(
        agents=agents,
        agent=agent,
        instead=instead if instead in agents else None,
        env=values.read(items, "env", values.env, ()),
        timeout=values.read(items, "timeout", values.duration, 600.0),
        retries=values.read(items, "retries", values.integer(0, 10), 0),
        prompt_dirs=prompt_dirs,
    )


def _phases(root: Node, top: Mapping[str, Node], defaults: phases.Defaults) -> dict[str, Phase]:
    """By name, each after those it needs."""
    if "phases" not in top:
        root.wrong("there are no `phases`; a pipeline has at least one")
        return {}
    pairs = values.pairs(top["phases"], "`phases`", some=True)
    found = {key.text: phases.read_phase(key, node, defaults) for key, node in pairs}
    order = graph.order({name: needs for name, (_, needs) in found.items()})
    return {name: found[name][0] for name in order}


def _workflows(
    top: Mapping[str, Node], found: Mapping[str, Phase]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Without any, there is one that wants every phase."""
    if "workflows" not in top:
        if _SDLC in found:
            top["phases"].wrong(
                f"phase `{_SDLC}` has the name of the workflow; rename it or write `workflows`"
            )
        return ((_SDLC, tuple(found)),)
    pairs = values.pairs(top["workflows"], "`workflows`", some=True)
    return tuple((key.text, _wanted(key, node, found)) for key, node in pairs)


def _wanted(key: Node, node: Node, found: Mapping[str, Phase]) -> tuple[str, ...]:
    name = values.name(key, "a workflow")
    if name in found:
        key.wrong(f"`{name}` is a phase; give the workflow another name")
    wanted = values.texts(node, name)
    if node.value == []:
        key.wrong(f"workflow `{name}` wants nothing; name a phase")
    for phase in wanted:
        if phase.text not in found:
            phase.wrong(f"workflow `{name}` wants unknown phase `{phase.text}`", word=phase.text, known=found)
    return tuple(dict.fromkeys(phase.text for phase in wanted))


def _merge(node: Node, key: str) -> str:
    return values.read(values.section(node, f"`{key}`", ("into",)), "into", _branch, _INTO)


def _branch(node: Node, key: str) -> str:
    branch = values.text(node, key)
    values.braces(node, branch, "placeholder", ("adw_id",))
    if _NO_BRANCH.search(branch) and isinstance(node.value, str):
        node.wrong(f"{node.shown} cannot be a branch; write a name such as `{_INTO}`")
    return branch
