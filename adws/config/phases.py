"""The phases and the agents of a pipeline, with every default resolved, in an order that fits their needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from adws import agents
from adws.config import values
from adws.config.document import Node, Text
from adws.model import Agent, Phase

WORKFLOW = "sdlc"
"""The one workflow of a pipeline that names none; it wants every phase."""
_RESERVED = values.RESERVED | {WORKFLOW}
_list = partial(values.command, known=("python", "phase", "adw_id", "out"))
_AGENT: dict[str, values.Reader] = {
    "run": partial(values.command, known=agents.PLACEHOLDERS),
    "model": values.text,
    "env": values.env,
}
DEFAULTS: dict[str, values.Reader] = {
    "agent": values.text,
    "env": values.env,
    "timeout": values.duration,
    "retries": partial(values.integer, low=0, high=10),
}
_PHASE: dict[str, values.Reader] = {
    **dict.fromkeys(("doc", "prompt", "model"), values.text),
    "needs": values.texts,
    "run": lambda node, key: (values.text if isinstance(node, Text) else _list)(node, key),
    **DEFAULTS,
    **dict.fromkeys(("writes", "frozen", "inputs"), values.globs),
    "evidence": partial(values.globs, refused="!*?["),
    **dict.fromkeys(("must-change", "continue-on-error"), values.boolean),
}


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the phases are read with."""

    defaults: Mapping[str, Any]
    agents: Mapping[str, Agent]
    instead: str | None
    """The agent of this run, whatever the file says."""
    folders: Sequence[Path]


def read_agent(key: Text, node: Node) -> Agent:
    what = f"agent `{values.name(key, 'an agent', frozenset())}`"
    own = values.section(node, what, _AGENT)
    if "run" not in own:
        key.wrong(f"{what} has no `run`; give it the command that starts it")
    return Agent(**{"run": (), **own, "name": str(key)})


def read(entries: Sequence[tuple[Text, Node]], given: Given) -> dict[str, Phase]:
    """The phases by name, in declared order but each after those it needs."""
    found, needs = {}, {}
    for key, node in entries:
        own = values.section(node, f"phase `{values.name(key, 'a phase', _RESERVED)}`", _PHASE)
        needs[str(key)] = own.pop("needs", ())
        found[str(key)] = _phase(key, node, own, given)
    return {
        name: replace(found[name], needs=tuple(dict.fromkeys(map(str, needs[name]))))
        for name in _order(needs)
    }


def _phase(key: Text, node: Node, own: Mapping[str, Any], given: Given) -> Phase:
    fields = {"timeout": 600.0, **given.defaults, **own, "name": str(key), "agent": None}
    env = given.defaults.get("env", ())
    _check_work(key, node, own)
    if "prompt" in own:
        agent, fields["model"] = _agent(key, node, own, given)
        env += agent.env if agent else ()
        fields |= {"agent": agent, "prompt": _prompt(node.at("prompt"), own["prompt"], given.folders)}
    fields["env"] = tuple(sorted(dict(env + own.get("env", ())).items()))
    about = own.get("doc") or own.get("prompt") or own.get("run") or ""
    fields["doc"] = (about if isinstance(about, str) else " ".join(about)).strip().partition("\n")[0]
    return Phase(**fields)


def _check_work(key: Text, node: Node, own: Mapping[str, Any]) -> None:
    if ("run" in own) == ("prompt" in own):
        has = "both `run` and `prompt`; keep one" if "run" in own else "no `run` and no `prompt`; give it one"
        key.wrong(f"phase `{key}` has {has}")
    if "evidence" in own and "prompt" in own:
        said = "an agent's own report is not evidence; put the tests into a phase with `run`"
        node.at("evidence").wrong(said)
    for odd in ("agent", "model"):
        if odd in own and "run" in own:
            node.at(odd).wrong(f"`{odd}` is for a phase with a `prompt`, and `{key}` has `run`; remove it")


def _agent(key: Text, node: Node, own: Mapping[str, Any], given: Given) -> tuple[Agent | None, str | None]:
    """Who works on the prompt, with which model. A phase's model is for the agent it was written for."""
    written = own.get("agent", given.defaults.get("agent"))
    place = node.at("agent" if "agent" in own else "prompt")
    if not written and not given.instead:
        place.wrong(f"phase `{key}` has no agent; name one with `agent`, there or in `defaults`")
    elif "agent" in own and written not in given.agents:
        place.wrong(f"phase `{key}` has unknown agent `{written}`", word=written, known=given.agents)
    agent = given.agents.get(given.instead or written or "")
    if agent is None:
        return None, None
    model = (own.get("model") if agent.name == written else None) or agent.model
    if not model and "{model}" in "".join(agent.run):
        place.wrong(f"agent `{agent.name}` is called with `{{model}}`; give it or phase `{key}` a `model`")
    return agent, model


def _prompt(node: Node, name: str, folders: Sequence[Path]) -> str:
    """The text of the first file of that name in the folders."""
    text = ""
    try:
        files = (folder / name for folder in folders if values.is_inside(name))
        text = next(file for file in files if file.is_file()).read_bytes().decode("utf-8-sig")
    except StopIteration:
        node.wrong(f"there is no prompt `{name}` in {' or '.join(map(str, folders))}")
    except (OSError, UnicodeDecodeError) as error:
        node.wrong(f"prompt `{name}` cannot be read: {error}")
    values.braces(node, text, "variable", agents.VARIABLES)
    return text


def _order(needs: Mapping[str, Sequence[Text]]) -> list[str]:
    """No recursion: a chain is as long as it likes. Of what hangs together only the first cycle is noted."""
    done: dict[str, None] = {}
    for start in needs:
        path = {} if start in done else {start: iter(needs[start])}
        sound = True
        while path:
            name = next(reversed(path))
            need = next(path[name], None)
            if need is None:
                done[name] = None
                del path[name]
            elif need not in needs:
                need.wrong(f"phase `{name}` needs unknown phase `{need}`", word=need, known=needs)
            elif need in path and sound:
                names = [*path, need]
                cycle = " -> ".join(names[names.index(need) :])
                need.wrong(f"phase `{need}` needs itself: `{cycle}`; remove one of these needs")
                sound = False
            elif need not in done and need not in path:
                path[str(need)] = iter(needs[need])
    return list(done)
