"""Nodes -> plain values. A reader notes what is wrong and returns something harmless: the load will fail."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from adws import agents
from adws.config.document import Node
from adws.model import Pairs

RESERVED = frozenset(
    {
        *("all", "attempt", "base", "issue", "merge", "out", "report"),
        # the commands of doit 0.37
        *("clean", "dumpdb", "forget", "help", "ignore", "info"),
        *("list", "reset-dep", "run", "strace", "tabcompletion"),
    }
)
"""No phase and no workflow has one of these names."""
SYNONYMS = {
    **dict.fromkeys(("depends_on", "depends-on", "dependsOn", "deps", "requires", "after"), "needs"),
    **dict.fromkeys(("cmd", "cmds", "command", "commands", "script"), "run"),
    **dict.fromkeys(("environment", "variables", "vars"), "env"),
    **dict.fromkeys(("timeout-minutes", "timeout_minutes"), "timeout"),
    **dict.fromkeys(("allow_failure", "allow-failure", "soft_fail", "ignore_error"), "continue-on-error"),
    **dict.fromkeys(("jobs", "steps", "tasks", "stages"), "phases"),
    **dict.fromkeys(("retry",), "retries"),
    **dict.fromkeys(("description",), "doc"),
}
"""What other formats call our keys. They are not accepted: one word per thing."""

_DURATION = re.compile("(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")
_LONGEST = 7 * 24 * 3600
_NEVER = re.compile("[\0\ud800-\udfff]")
_T = TypeVar("_T")


def section(node: Node, what: str, keys: Sequence[str]) -> dict[str, Node]:
    """The values of a mapping that knows only `keys`."""
    for key in node.value if isinstance(node.value, dict) else ():
        if key.text not in keys:
            key.wrong(
                f"unknown key `{key.text}` in {what}", word=SYNONYMS.get(key.text, key.text), known=keys
            )
    return {key.text: value for key, value in pairs(node, what) if key.text in keys}


def pairs(node: Node, what: str, *, some: bool = False) -> list[tuple[Node, Node]]:
    """The keys and values of a mapping, without those that have no value; `some` asks for at least one."""
    if not isinstance(node.value, dict):
        node.wrong(f"{what} has to be a mapping (`key: value`), not {node.shown}")
        return []
    if some and not node.value:
        node.wrong(f"{what} has nothing in it; name at least one")
    for key, value in node.value.items():
        if value.empty:
            key.wrong(f"`{key.text}` has no value; give it one or leave it out")
    return [(key, value) for key, value in node.value.items() if not value.empty]


def read(items: Mapping[str, Node], key: str, reader: Callable[[Node, str], _T], default: _T) -> _T:
    """What `reader` makes of the value of `key`, or `default` where there is none."""
    return reader(items[key], key) if key in items else default


def name(key: Node, kind: str, reserved: frozenset[str] = RESERVED) -> str:
    if not re.fullmatch("[a-z][a-z0-9_]{0,62}", key.text):
        key.wrong(
            f"{key.shown} cannot name {kind}: a small letter, then small letters, digits and `_`, 63 at most"
        )
    elif key.text in reserved:
        key.wrong(f"`{key.text}` is reserved; give {kind} another name")
    return key.text


def argument(node: Node, key: str) -> str:
    """Text as it was written: `true` and `4.10` are what they look like. It may be empty."""
    if not isinstance(node.value, str) or node.empty:
        node.wrong(f"`{key}` has to be text, not {node.shown}")
    elif _NEVER.search(node.value):
        node.wrong(f"`{key}` has a character in it that no command and no file name can have")
    else:
        return node.value
    return ""


def text(node: Node, key: str) -> str:
    if node.value == "" or node.text.isspace():
        node.wrong(f"`{key}` has nothing in it; give it a value or leave it out")
        return ""
    return argument(node, key)


def texts(node: Node, key: str) -> tuple[Node, ...]:
    """One text or a list of them, as nodes that hold text."""
    nodes = node.value if isinstance(node.value, list) else [node]
    return tuple(node for node in nodes if text(node, key))


def boolean(node: Node, key: str) -> bool:
    if not node.plain or node.value not in ("true", "false"):
        node.wrong(f"`{key}` has to be `true` or `false`, not {node.shown}")
    return node.value == "true"


def integer(low: int, high: int) -> Callable[[Node, str], int]:
    def reader(node: Node, key: str) -> int:
        if node.plain and re.fullmatch("0|[1-9][0-9]{0,8}", node.text) and low <= int(node.text) <= high:
            return int(node.text)
        node.wrong(f"`{key}` has to be a whole number from {low} to {high}, not {node.shown}")
        return low

    return reader


def duration(node: Node, key: str) -> float:
    """Seconds."""
    written = node.text
    match = _DURATION.fullmatch(written)
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if re.fullmatch("[0-9]{1,9}", written):
        node.wrong(f"`{written}`: seconds or minutes? write `{written}s` or `{written}m`")
    elif not match or not written:
        node.wrong(f"`{key}` has to be a duration such as `90s`, `20m` or `1h30m`, not {node.shown}")
    elif not 0 < total <= _LONGEST:
        node.wrong(f"`{key}` has to be more than `0s` and at most `168h`, not {node.shown}")
    return float(total)


def env(node: Node, key: str) -> Pairs:
    """An environment; every value is the text as it was written."""
    if not isinstance(node.value, dict):
        node.wrong(f"`{key}` has to be a mapping (`NAME: value`), not {node.shown}")
        return ()
    for name, value in node.value.items():
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name.text):
            name.wrong(f"{name.shown} cannot name a variable: letters, digits and `_`, no digit first")
        elif name.text.startswith("ADW_"):
            name.wrong(f"`{name.text}` is set by adws; choose a name that does not begin with `ADW_`")
        if not value.empty:
            argument(value, name.text)
    return tuple(sorted((name.text, value.text) for name, value in node.value.items()))


def command(node: Node, what: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments of a `run` that is a list; what they have in braces is one of `known`."""
    if not isinstance(node.value, list):
        node.wrong(f"the `run` of {what} has to be a list, one argument each, not {node.shown}")
        return ()
    if not node.value:
        node.wrong(f"the `run` of {what} is empty; name a program")
    for item in node.value:
        braces(item, item.text, "placeholder", known)
    # an argument may be empty, a program may not
    return tuple((argument if number else text)(item, "run") for number, item in enumerate(node.value))


def braces(node: Node, text: str, kind: str, known: tuple[str, ...]) -> None:
    """Note every `{name}` in `text` that nothing will fill in."""
    names = tuple(f"{{{name}}}" for name in known)
    for match in agents.BRACES.finditer(text):
        if match[1] not in known:
            listed = ", ".join(f"`{name}`" for name in names)
            node.wrong(f"unknown {kind} `{match[0]}`; there are {listed}", word=match[0], known=names)


def globs(node: Node, key: str) -> tuple[str, ...]:
    found = texts(node, key)
    for item in found:
        if not _is_inside(item.text.removeprefix("!")):
            item.wrong(
                f"{item.shown} in `{key}` has to be a path or glob inside the repository, such as `docs/**`"
            )
    return tuple(item.text for item in found)


def path(node: Node, key: str) -> str:
    written = text(node, key)
    if written and (not _is_inside(written) or set("!*?[") & set(written)):
        node.wrong(f"`{key}` has to be a relative path with no `..` and no wildcard, not {node.shown}")
        return ""
    return written


def paths(node: Node, key: str) -> tuple[str, ...]:
    return tuple(path(item, key) for item in (node.value if isinstance(node.value, list) else [node]))


def _is_inside(path: str) -> bool:
    """Relative, no way up, and no magic for git (`:(top)x`)."""
    return not path.startswith((":", "/")) and not {"", ".", ".."} & set(path.removesuffix("/").split("/"))
