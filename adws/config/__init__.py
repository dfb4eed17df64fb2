"""pipeline.yaml -> Pipeline: checked as a whole, once, with all that is wrong with it in one message."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from adws.config import document, phases, values
from adws.config.document import List, Map, Node, Text
from adws.config.values import RESERVED
from adws.errors import UserError, suggest
from adws.model import FORMAT, Agent, Pipeline

__all__ = ["RESERVED", "SHIPPED", "load"]

SHIPPED = Path(__file__).parent.parent / "pipeline.yaml"
"""The pipeline of a repository that has none; its prompts lie beside it."""
_INTO = "adw/{adw_id}"
_NO_BRANCH = re.compile(
    r"[\0-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/[.-]|\.lock(/|$)|[./]$|^[-./]|^refs/|^(@|HEAD)$"
)
"""What git takes for no branch, and what a command line or git would take for something else."""


def load(source: bytes, *, name: str, prompt_dirs: Sequence[Path], agent: str | None = None) -> Pipeline:
    """The checked pipeline; messages call the file `name`, its prompts are searched in `prompt_dirs` in turn.

    `agent` works on every prompt, whatever the file says. UserError with all that is wrong, sorted by place.
    """
    root = document.parse(source, name)
    top = values.section(root, "a pipeline", _TOP)
    for key in ("version", "phases"):
        if isinstance(root, Map) and key not in root:
            root.wrong(f"there is no `{key}`; a pipeline has `version: {FORMAT}` and `phases`")
    agents, defaults = top.get("agents", {}), top.get("defaults", {})
    if defaults.get("agent", "") not in ("", *agents):
        unknown = defaults["agent"]
        root.at("defaults").at("agent").wrong(f"unknown agent `{unknown}`", word=unknown, known=agents)
    given = phases.Given(defaults=defaults, agents=agents, instead=agent, folders=prompt_dirs)
    found = phases.read(top.get("phases", []), given)
    pipeline = Pipeline(
        source=name,
        digest=hashlib.sha256(source).hexdigest(),
        phases=tuple(found.values()),
        workflows=tuple((str(key), _wanted(key, node, found)) for key, node in top.get("workflows", []))
        or ((phases.WORKFLOW, tuple(found)),),
        max_parallel=top.get("max_parallel", 3),
        timeout=top.get("timeout", 1800.0),
        into=top.get("merge", {}).get("into", _INTO),
    )
    if root.source.problems:
        raise root.source.error(*root.source.problems)
    if agent and agent not in agents:
        there = f"(agents there: {', '.join(agents) or 'none'})"
        raise UserError(f"{name}: unknown agent `{agent}`{suggest(agent, agents)} {there}")
    return pipeline


def _wanted(key: Text, node: Node, found: Collection[str]) -> tuple[str, ...]:
    wanted = values.texts(node, key)
    if values.name(key, "a workflow") in found:
        key.wrong(f"`{key}` is a phase; give the workflow another name")
    if isinstance(node, List) and not node:
        key.wrong(f"workflow `{key}` wants nothing; name a phase")
    for phase in wanted:
        if phase not in found:
            phase.wrong(f"workflow `{key}` wants unknown phase `{phase}`", word=phase, known=found)
    return tuple(dict.fromkeys(map(str, wanted)))


def _agents(node: Node, key: str) -> dict[str, Agent]:
    return {str(name): phases.read_agent(name, agent) for name, agent in values.entries(node, f"`{key}`")}


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


_TOP: dict[str, values.Reader] = {
    "version": _version,
    "agents": _agents,
    "defaults": lambda node, key: values.section(node, f"`{key}`", phases.DEFAULTS),
    "max-parallel": partial(values.integer, low=1, high=64),
    "timeout": values.duration,
    **dict.fromkeys(("phases", "workflows"), lambda node, key: values.entries(node, f"`{key}`")),
    "merge": lambda node, key: values.section(node, f"`{key}`", {"into": _branch}),
}
