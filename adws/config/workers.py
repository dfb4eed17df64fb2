"""The agents of a pipeline, and who of them works on which prompt, with which model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adws import agents
from adws.agents import doctor, record
from adws.config import values
from adws.config.document import Map, Node, Text
from adws.model import Agent

CAPS: dict[str, values.Reader] = {
    "max-cost": values.amount,
    "max-turns": partial(values.integer, low=1, high=10**6),
    "max-tokens": partial(values.integer, low=1, high=10**9 - 1),
}
"""What may be used at most; see `model.Caps`."""


def named(node: Node, key: str) -> Text | None:
    """A name, which still knows its place."""
    return node if values.text(node, key) and isinstance(node, Text) else None


def models(node: Node, key: str) -> str | dict[Text, str]:
    """A model, or one for each of several agents."""
    if not isinstance(node, Map):
        return values.text(node, key)
    return {name: values.text(model, name) for name, model in values.entries(node, f"`{key}`")}


def _limits(node: Node, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """By cap, the arguments that tell it to the program."""
    readers = {
        cap: partial(
            values.command, known=(cap.replace("-", "_"),), like=f"[--{cap}, '{{{cap.replace('-', '_')}}}']"
        )
        for cap in CAPS
    }
    return tuple(
        (cap.replace("_", "-"), said) for cap, said in values.section(node, f"`{key}`", readers).items()
    )


def _versions(node: Node, key: str) -> str:
    said = values.text(node, key)
    if said and not doctor.is_range(said):
        node.wrong(f"`{key}` has to be a range of versions, such as `>=2.1,<3`, not {node.shown}")
    return said


AGENT: dict[str, values.Reader] = {
    "run": partial(values.command, known=agents.PLACEHOLDERS),
    "format": partial(values.choice, of=tuple(record.FORMATS)),
    "model": values.text,
    "limits": _limits,
    "resume": partial(values.command, known=("session",), like="[--resume, '{session}']"),
    "tested": _versions,
    "login": values.outside,
    "env": values.env,
    "secrets": values.secrets,
    "writable": values.outside,
}


@dataclass(frozen=True)
class Given:
    """What the phases are read with."""

    defaults: Mapping[str, Any]
    agents: Mapping[str, Agent]
    instead: Mapping[str, str]
    """The agents of this run, whatever the file says: by phase, and under `` for all others."""
    folders: Sequence[Path]
    frozen: tuple[str, ...]
    """What no phase may change."""


def read(key: Text, node: Node) -> Agent:
    what = f"agent `{values.name(key, 'an agent', frozenset())}`"
    own = values.section(node, what, AGENT)
    if "run" not in own:
        key.wrong(f"{what} has no `run`; give it the command that starts it")
    for several in ("limits", "resume"):
        places = [each for each in own.get("run", ()) if f"{{{several}}}" in each]
        if (several in own) != (places == [f"{{{several}}}"]):
            rule = f"`{several}` and an argument `{{{several}}}` in `run`, alone and once, belong together"
            node.at(several if several in own else "run").wrong(f"{what}: {rule}")
    return Agent(**{"run": (), **own, "name": str(key)})


def choose(key: Text, node: Node, own: dict[str, Any], given: Given) -> tuple[Agent | None, str | None]:
    """Who works on the prompt, with which model. A phase's model is for the agent it was written for."""
    written = own.get("agent", given.defaults.get("agent"))
    place = node.at("agent" if "agent" in own else "prompt")
    instead = given.instead.get(key) or given.instead.get("")
    if not written and not instead:
        place.wrong(f"phase `{key}` has no agent; name one with `agent`, there or in `defaults`")
    elif "agent" in own and written not in given.agents:
        place.wrong(f"phase `{key}` has unknown agent `{written}`", word=str(written), known=given.agents)
    agent = given.agents.get(instead or written or "")
    if agent is None:
        return None, None
    model = _model(own.get("model"), agent, str(written), given) or agent.model
    if not model and "{model}" in "".join(agent.run):
        place.wrong(f"agent `{agent.name}` is called with `{{model}}`; give it or phase `{key}` a `model`")
    return agent, model


def _model(said: str | dict[Text, str] | None, agent: Agent, written: str, given: Given) -> str | None:
    if not isinstance(said, dict):
        return said if agent.name == written else None
    for name in said:
        if name not in given.agents:
            name.wrong(f"there is no agent `{name}` for this `model`", word=name, known=given.agents)
    return {str(name): model for name, model in said.items()}.get(agent.name)


def prompt(node: Node, given: Given, variables: Iterable[str]) -> str:
    """The text of the first file of that name in the folders."""
    found = values.file(node, "prompt", given.folders)
    text = found[0].decode("utf-8-sig") if found else ""
    values.braces(node, text, "variable", (*agents.VARIABLES, *variables))
    return text
