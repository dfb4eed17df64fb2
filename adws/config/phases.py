"""The phases and the agents of a pipeline, with every default resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adws import agents
from adws.config import values
from adws.config.document import MAX_BYTES, Node
from adws.model import Agent, Pairs, Phase

_KEYS = (
    *("doc", "needs", "run", "prompt", "agent", "model", "env", "timeout", "retries"),
    *("writes", "frozen", "inputs", "evidence", "must-change", "continue-on-error"),
)
_BELONGS = {"agent": "prompt", "model": "prompt", "evidence": "run"}
"""Keys that mean something only beside another one."""
_FOR_AGENTS = ("model", "prompt")
"""Placeholders that mean nothing in a phase's own command."""


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What holds for a phase that says nothing else."""

    agents: Mapping[str, Agent]
    agent: str
    instead: str | None
    """The agent of this run, whatever the file says."""
    env: Pairs
    timeout: float
    retries: int
    prompt_dirs: Sequence[Path]


def read_agent(key: Node, node: Node) -> Agent:
    what = f"agent `{values.name(key, 'an agent', frozenset())}`"
    items = values.section(node, what, ("run", "model", "env"))
    if "run" not in items:
        key.wrong(f"{what} has no `run`; give it the command that starts it")
    return Agent(
        name=key.text,
        run=values.command(items["run"], what, agents.PLACEHOLDERS) if "run" in items else (),
        model=values.read(items, "model", values.text, "") or None,
        env=values.read(items, "env", values.env, ()),
    )


def read_phase(key: Node, node: Node, defaults: Defaults) -> tuple[Phase, dict[str, Node]]:
    """The phase, and the node that names each phase it needs."""
    what = f"phase `{values.name(key, 'a phase')}`"
    items = values.section(node, what, _KEYS)
    _check_work(key, what, items)
    agent, model = _agent(items, what, defaults) if "prompt" in items else (None, None)
    run = values.read(items, "run", lambda node, _: _run(node, what), None)
    own: Pairs = values.read(items, "env", values.env, ())
    needs: tuple[Node, ...] = values.read(items, "needs", values.texts, ())
    phase = Phase(
        name=key.text,
        doc=values.read(items, "doc", _line, "") or _derived_doc(items, run),
        needs=tuple(dict.fromkeys(need.text for need in needs)),
        run=run,
        agent=agent,
        prompt=_prompt(items["prompt"], defaults.prompt_dirs) if "prompt" in items else None,
        model=model,
        env=tuple(sorted(dict([*defaults.env, *(agent.env if agent else ()), *own]).items())),
        timeout=values.read(items, "timeout", values.duration, defaults.timeout),
        retries=values.read(items, "retries", values.integer(0, 10), defaults.retries),
        writes=values.read(items, "writes", values.globs, None),
        frozen=values.read(items, "frozen", values.globs, ()),
        evidence=values.read(items, "evidence", values.paths, ()),
        inputs=values.read(items, "inputs", values.globs, None),
        must_change=values.read(items, "must-change", values.boolean, False),
        continue_on_error=values.read(items, "continue-on-error", values.boolean, False),
    )
    return phase, {need.text: need for need in needs}


def _check_work(key: Node, what: str, items: Mapping[str, Node]) -> None:
    if ("run" in items) == ("prompt" in items):
        has = (
            "both `run` and `prompt`; keep one"
            if "run" in items
            else "neither `run` nor `prompt`; give it one"
        )
        key.wrong(f"{what} has {has}")
        return
    for odd, home in _BELONGS.items():
        if odd in items and home not in items:
            why = (
                "an agent's own report is not evidence; put the tests into a phase with `run`"
                if odd == "evidence"
                else f"`{odd}` goes with `prompt`, and {what} has `run`; remove it"
            )
            items[odd].wrong(why)


def _agent(items: Mapping[str, Node], what: str, defaults: Defaults) -> tuple[Agent | None, str | None]:
    """Who does the prompt, and with which model. A phase's model is for the agent it was written for."""
    written = values.read(items, "agent", values.text, defaults.agent)
    model = values.read(items, "model", values.text, "")
    if not written and not defaults.instead:
        items["prompt"].wrong(f"{what} has no agent; name one with `agent`, there or in `defaults`")
    elif "agent" in items and written not in defaults.agents:
        known = defaults.agents
        items["agent"].wrong(f"{what} has unknown agent `{written}`", word=written, known=known)
    agent = defaults.agents.get(defaults.instead or written)
    if agent is None:
        return None, None
    model = (model if agent.name == written else "") or agent.model or ""
    if not model and any("{model}" in argument for argument in agent.run):
        place = items.get("agent", items["prompt"])
        place.wrong(f"agent `{agent.name}` is called with a `{{model}}`; give it, or {what}, a `model`")
    return agent, model or None


def _run(node: Node, what: str) -> str | tuple[str, ...]:
    if isinstance(node.value, str):
        return values.text(node, "run")
    return values.command(node, what, tuple(each for each in agents.PLACEHOLDERS if each not in _FOR_AGENTS))


def _line(node: Node, key: str) -> str:
    line = values.text(node, key).strip()
    if len(line.splitlines()) > 1:
        node.wrong(f"`{key}` has to be one line; put more into a comment")
    return line


def _derived_doc(items: Mapping[str, Node], run: str | tuple[str, ...] | None) -> str:
    words = run if isinstance(run, str) else " ".join(run or ())
    return items["prompt"].text if "prompt" in items else (words.strip().splitlines() or [""])[0]


def _prompt(node: Node, folders: Sequence[Path]) -> str:
    """The text of the first file of that name in the folders."""
    name, text = values.path(node, "prompt"), ""
    try:
        file = next((file for folder in folders if name and (file := folder / name).is_file()), None)
        if file and file.stat().st_size <= MAX_BYTES:
            text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        node.wrong(f"prompt `{name}` cannot be read: {error}")
        return ""
    if name and not file:
        node.wrong(f"there is no prompt `{name}` in {' or '.join(map(str, folders))}")
    elif name and not text.strip():
        node.wrong(f"prompt `{name}` has to be text of at most {MAX_BYTES} bytes; it is empty or longer")
    values.braces(node, text, "variable", agents.VARIABLES)
    return text
