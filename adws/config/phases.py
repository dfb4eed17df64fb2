"""The phases of a pipeline, with every default resolved, in an order that fits their needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from adws import agents
from adws.config import matrix, values, workers
from adws.config.document import Map, Node, Text
from adws.config.workers import Given
from adws.model import REPAIR, RESOLVE, Command, Phase

WORKFLOW = "sdlc"
"""The one workflow of a pipeline that names none; it wants every phase."""
_RESERVED = values.RESERVED | {WORKFLOW}
_SHARED = (
    *("env", "secrets", "dir", "lock", "copy", "keep", "setup", "sandbox", "network", "writable"),
    *(cap.replace("-", "_") for cap in workers.CAPS),
)
"""What holds for the repair of a phase as well."""


def _command(node: Node, key: str, *, variables: Iterable[str] = ()) -> Command:
    if isinstance(node, Text):
        return values.text(node, key)
    return values.command(node, key, known=("python", "phase", "adw_id", "out", *variables))


DEFAULTS: dict[str, values.Reader] = {
    "agent": workers.named,
    "env": values.env,
    "timeout": values.duration,
    "idle-timeout": values.duration,
    "retries": partial(values.integer, low=0, high=10),
    **workers.CAPS,
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
_WORK: dict[str, values.Reader] = {
    "prompt": values.text,
    "agent": workers.named,
    "model": workers.models,
    **{name: DEFAULTS[name] for name in ("timeout", "idle-timeout", *workers.CAPS)},
    **dict.fromkeys(("writes", "frozen"), values.globs),
}
"""Who works on a prompt, and within which bounds."""
_REPAIR = _WORK | {"attempts": partial(values.integer, low=1, high=10)}
RESOLVING = {name: reader for name, reader in _WORK.items() if name not in ("writes", "frozen")}
_ESCALATE = {name: _WORK[name] for name in ("agent", "model")}
PHASE: dict[str, values.Reader] = {
    **dict.fromkeys(("doc", "if"), values.text),
    "baseline": workers.named,
    "needs": values.texts,
    "matrix": matrix.read,
    **DEFAULTS,
    **_FILLED,
    **_WORK,
    "repair": lambda node, key: values.section(node, f"`{key}`", _REPAIR),
    "escalate": lambda node, key: values.section(node, f"`{key}`", _ESCALATE),
    "dir": partial(values.path, like="`frontend`"),
    "secrets": values.secrets,
    "inputs": values.globs,
    "leaves": values.leaves,
    "outputs": partial(values.globs, refused="!", like="`dist/**`"),
    "evidence": partial(values.globs, refused=values.NO_GLOB, like="`junit.xml`"),
    **dict.fromkeys(("must-change", "continue-on-error"), values.boolean),
}


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
            replace(_needing(each, before), baseline=_baseline(each.name, named, phases))
            for each in found[name]
        )
    return phases


def _needing(phase: Phase, needs: tuple[str, ...]) -> Phase:
    """The phase with what it needs, which those who help it out are handed as well."""
    escalate = phase.escalate and replace(phase.escalate, needs=needs)
    return replace(
        phase, needs=needs, escalate=escalate, repair=phase.repair and replace(phase.repair, needs=needs)
    )


def _baseline(name: str, named: Text | None, phases: Mapping[str, Sequence[Phase]]) -> str | None:
    """The phase to compare with; of one with a matrix, the shard with the same values."""
    there = [each.name for each in phases.get(named or "", ())]
    same = [each for each in there if each == named or each.partition(":")[2] == name.partition(":")[2]]
    if named is not None and there and not same:
        named.wrong(f"`{named}` has no shard with the values of `{name}`; give both the same `matrix`")
    return same[0] if same else None


def _phase(key: Text, node: Node, own: dict[str, Any], given: Given, variables: Sequence[str]) -> Phase:
    _check_work(key, node, own)
    repair, escalate = own.pop("repair", None), own.pop("escalate", None)
    phase = _work(key, node, own, given, variables)
    if escalate and phase.agent:
        swap = {"": given.instead[""]} if "" in given.instead else {}
        other = replace(given, instead=swap) if "agent" in escalate else given
        found = _work(key, node, own | escalate, other, variables)
        phase = replace(
            phase, escalate=found if (found.agent, found.model) != (phase.agent, phase.model) else None
        )
    if repair:
        shared = {name: own[name] for name in _SHARED if name in own}
        times = repair.pop("attempts", 1)
        mends = helper(key, node.at("repair"), shared | repair, given, variables, role=REPAIR)
        phase = replace(phase, repair=mends, repairs=times if mends else 0)
    return phase


def helper(
    key: Text, node: Node, own: dict[str, Any], given: Given, variables: Sequence[str] = (), *, role: str
) -> Phase | None:
    """Who helps out where something failed; None where that would be `builtin`, which cannot."""
    if "prompt" not in own:
        node.wrong(f"`{role}` has no `prompt`; give it one, such as `prompts/{role}.md`")
    found = _work(key, node, own, given, variables)
    if found.agent and found.agent.format == "builtin":
        return None
    found = replace(found, role=role, retries=0, must_change=role == REPAIR)
    # a tree with conflict markers is nothing to set anything up on
    return replace(found, copy=(), keep=(), setup=None) if role == RESOLVE else found


def _work(key: Text, node: Node, own: dict[str, Any], given: Given, variables: Sequence[str]) -> Phase:
    """What is done, with every default resolved."""
    agent, model = workers.choose(key, node, own, given) if "prompt" in own else (None, None)
    fields = {"timeout": 600.0, **given.defaults, **own, "name": str(key), "agent": agent, "model": model}
    caps = {name: fields.pop(name.replace("-", "_"), 0.0) for name in workers.CAPS}
    fields["caps"] = tuple((name, most) for name, most in caps.items() if most and agent)
    if own.get("prompt"):
        fields["prompt"] = workers.prompt(node.at("prompt"), given, variables)
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
    for odd in ("agent", "model", "escalate", *workers.CAPS):
        if odd.replace("-", "_") in own and "run" in own:
            node.at(odd).wrong(f"`{odd}` is for a phase with a `prompt`, and `{key}` has `run`; remove it")


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
