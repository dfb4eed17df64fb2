"""The phases and the agents of a pipeline, with every default resolved, in an order that fits their needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from adws import agents
from adws.agents import record
from adws.config import matrix, values
from adws.config.document import Map, Node, Text
from adws.model import Agent, Command, Phase

WORKFLOW = "sdlc"
"""The one workflow of a pipeline that names none; it wants every phase."""
_RESERVED = values.RESERVED | {WORKFLOW}


def _command(node: Node, key: str, *, variables: Iterable[str] = ()) -> Command:
    if isinstance(node, Text):
        return values.text(node, key)
    return values.command(node, key, known=("python", "phase", "adw_id", "out", *variables))


AGENT: dict[str, values.Reader] = {
    "run": partial(values.command, known=agents.PLACEHOLDERS),
    "format": partial(values.choice, of=tuple(record.FORMATS)),
    "model": values.text,
    "env": values.env,
    "secrets": values.secrets,
    "writable": values.outside,
}
DEFAULTS: dict[str, values.Reader] = {
    "agent": lambda node, key: values.text(node, key) and node,  # which still knows its place
    "env": values.env,
    "timeout": values.duration,
    "idle-timeout": values.duration,
    "retries": partial(values.integer, low=0, high=10),
    "copy": partial(values.globs, refused="!", like="`.env`"),
    "keep": values.keep,
    "setup": _command,
    "sandbox": partial(values.choice, of=("auto", "bwrap", "none")),
    "network": values.boolean,
    "writable": values.outside,
}
_FILLED: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("run", "setup", "proves"), _command),
    "lock": values.lock,
}
"""What has to know the variables of the phase's matrix."""
PHASE: dict[str, values.Reader] = {
    **dict.fromkeys(("doc", "if", "prompt", "model"), values.text),
    "baseline": lambda node, key: values.text(node, key) and node,
    "needs": values.texts,
    "matrix": matrix.read,
    **DEFAULTS,
    **_FILLED,
    "dir": partial(values.path, like="`frontend`"),
    "secrets": values.secrets,
    **dict.fromkeys(("writes", "frozen", "inputs"), values.globs),
    "outputs": partial(values.globs, refused="!", like="`dist/**`"),
    "evidence": partial(values.globs, refused=values.NO_GLOB, like="`junit.xml`"),
    **dict.fromkeys(("must-change", "continue-on-error"), values.boolean),
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


def read_agent(key: Text, node: Node) -> Agent:
    what = f"agent `{values.name(key, 'an agent', frozenset())}`"
    own = values.section(node, what, AGENT)
    if "run" not in own:
        key.wrong(f"{what} has no `run`; give it the command that starts it")
    return Agent(**{"run": (), **own, "name": str(key)})


def read(entries: Mapping[Text, Node], given: Given) -> dict[str, tuple[Phase, ...]]:
    """The phases by name, those with a matrix as their shards, in declared order but after what they need."""
    found, needs = dict[str, list[Phase]](), dict[str, Sequence[Text]]()
    baselines = dict[str, Text | None]()
    for key, node in entries.items():
        table = node.at("matrix")
        variables = tuple(map(str, table)) if isinstance(table, Map) and table is not node else ()
        what = f"phase `{values.name(key, 'a phase', _RESERVED)}`"
        readers = {name: partial(reader, variables=variables) for name, reader in _FILLED.items()}
        own = values.section(node, what, PHASE | readers)
        needs[str(key)], shards = own.pop("needs", ()), own.pop("matrix", ())
        baselines[str(key)] = own.pop("baseline", None)
        phase = _phase(key, node, own, given, variables)
        found[str(key)] = [matrix.shard(phase, each) for each in shards] or [phase]
    phases = dict[str, tuple[Phase, ...]]()
    for name in _order(needs):
        before = tuple(dict.fromkeys(each.name for need in needs[name] for each in phases.get(need, ())))
        named = baselines[name]
        if named is not None and named not in needs[name]:
            named.wrong(f"`{named}`, the `baseline` of `{name}`, is not among its `needs`; add it there")
        phases[name] = tuple(
            replace(each, needs=before, baseline=_baseline(each.name, named, phases)) for each in found[name]
        )
    return phases


def _baseline(name: str, named: Text | None, phases: Mapping[str, Sequence[Phase]]) -> str | None:
    """The phase to compare with; of one with a matrix, the shard with the same values."""
    there = [each.name for each in phases.get(named or "", ())]
    same = [each for each in there if each == named or each.partition(":")[2] == name.partition(":")[2]]
    if named is not None and there and not same:
        named.wrong(f"`{named}` has no shard with the values of `{name}`; give both the same `matrix`")
    return same[0] if same else None


def _phase(key: Text, node: Node, own: dict[str, Any], given: Given, variables: Sequence[str]) -> Phase:
    _check_work(key, node, own)
    agent, model = _agent(key, node, own, given) if "prompt" in own else (None, None)
    fields = {"timeout": 600.0, **given.defaults, **own, "name": str(key), "agent": agent, "model": model}
    if own.get("prompt"):
        fields["prompt"] = _prompt(node.at("prompt"), given, variables)
    env = given.defaults.get("env", ()) + (agent.env if agent else ()) + own.get("env", ())
    secrets = {*(agent.secrets if agent else ()), *own.get("secrets", ())}
    fields |= {"env": tuple(sorted(dict(env).items())), "secrets": tuple(sorted(secrets))}
    fields["writable"] = (agent.writable if agent else ()) + fields.get("writable", ())
    _check_variables(key, node, own, fields, variables)
    fields |= {"condition": fields.pop("if", None), "frozen": own.get("frozen", ()) + given.frozen}
    about = own.get("doc") or own.get("prompt") or own.get("run") or ""
    fields["doc"] = (about if isinstance(about, str) else " ".join(about)).strip().partition("\n")[0]
    return Phase(**fields)


def _check_variables(
    key: Text, node: Node, own: Mapping[str, Any], fields: Mapping[str, Any], variables: Iterable[str]
) -> None:
    """One name has one value, wherever it comes from; and text for the shell is left to the shell."""
    for name in sorted({*fields["secrets"]} & {*dict(fields["env"]), *variables}):
        whose = f"of phase `{key}`, its agent or the defaults"
        node.at("secrets").wrong(f"`{name}` is in `secrets` and in the variables {whose}; remove one")
    for name in sorted({*dict(own.get("env", ()))} & {*variables}):
        node.at("env").wrong(f"`{name}` is in `env` and in `matrix` of phase `{key}`; rename one")
    for work in ("if", "setup", "run", "proves"):
        braces = agents.BRACES.findall(text) if isinstance(text := fields.get(work), str) else ()
        for name in sorted({*braces} & {*variables}):
            node.at(work).wrong(f"`{work}` is for the shell, where `{{{name}}}` is `${name}`; write that")


def _check_work(key: Text, node: Node, own: Mapping[str, Any]) -> None:
    if ("run" in own) == ("prompt" in own):
        has = "both `run` and `prompt`; keep one" if "run" in own else "no `run` and no `prompt`; give it one"
        key.wrong(f"phase `{key}` has {has}")
    if "evidence" in own and "prompt" in own:
        said = "an agent's own report is not evidence; put the tests into a phase with `run`"
        node.at("evidence").wrong(said)
    if "baseline" in own and "evidence" not in own:
        node.at("baseline").wrong(f"phase `{key}` has no `evidence` to compare with its `baseline`; name it")
    for odd in ("agent", "model"):
        if odd in own and "run" in own:
            node.at(odd).wrong(f"`{odd}` is for a phase with a `prompt`, and `{key}` has `run`; remove it")


def _agent(key: Text, node: Node, own: Mapping[str, Any], given: Given) -> tuple[Agent | None, str | None]:
    """Who works on the prompt, with which model. A phase's model is for the agent it was written for."""
    written = own.get("agent", given.defaults.get("agent"))
    place = node.at("agent" if "agent" in own else "prompt")
    instead = given.instead.get(key) or given.instead.get("")
    if not written and not instead:
        place.wrong(f"phase `{key}` has no agent; name one with `agent`, there or in `defaults`")
    elif "agent" in own and written not in given.agents:
        place.wrong(f"phase `{key}` has unknown agent `{written}`", word=written, known=given.agents)
    agent = given.agents.get(instead or written or "")
    if agent is None:
        return None, None
    model = (own.get("model") if agent.name == written else None) or agent.model
    if not model and "{model}" in "".join(agent.run):
        place.wrong(f"agent `{agent.name}` is called with `{{model}}`; give it or phase `{key}` a `model`")
    return agent, model


def _prompt(node: Node, given: Given, variables: Iterable[str]) -> str:
    """The text of the first file of that name in the folders."""
    found = values.file(node, "prompt", given.folders)
    text = found[0].decode("utf-8-sig") if found else ""
    values.braces(node, text, "variable", (*agents.VARIABLES, *variables))
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
