"""Nodes -> plain values. A reader notes what is wrong and returns something harmless: the load will fail."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adws import agents
from adws.config.document import List, Map, Node, Text
from adws.errors import told
from adws.model import Pairs

Reader = Callable[[Node, str], Any]
"""Takes the value and its key."""

RESERVED = frozenset(
    {
        *("all", "attempt", "base", "issue", "merge", "out", "report"),
        # the commands of doit 0.37
        *("clean", "dumpdb", "forget", "help", "ignore", "info", "list"),
        *("reset-dep", "run", "strace", "tabcompletion"),
    }
)
"""No phase and no workflow has one of these names."""
SYNONYMS = {
    "needs": ("depends_on", "depends-on", "dependsOn", "deps", "requires", "after"),
    "run": ("cmd", "cmds", "command", "commands", "script"),
    "env": ("environment", "variables", "vars"),
    "timeout": ("timeout-minutes", "timeout_minutes"),
    "idle-timeout": ("idle_timeout", "no-output-timeout", "no_output_timeout", "stall-timeout"),
    "retries": ("retry",),
    "continue-on-error": ("allow_failure", "allow-failure", "soft_fail", "ignore_error"),
    "phases": ("jobs", "steps", "tasks", "stages"),
    "include": ("includes", "imports", "extends", "uses"),
    "matrix": ("strategy",),
    "if": ("when", "condition", "only"),
    "dir": ("working-directory", "working_directory", "workdir", "cwd"),
    "lock": ("concurrency", "mutex", "resource_group"),
    "outputs": ("artifacts", "generates", "targets"),
    "secrets": ("pass_env", "passenv"),
    "writable": ("allow-write", "allow_write", "additionalDirectories"),
    "network": ("internet", "allow_net"),
    "copy": ("files",),
    "keep": ("cache", "caches"),
    "setup": ("before_script", "install"),
    "repair": ("fix", "heal", "on_failure", "on-failure"),
    "escalate": ("fallback",),
    "attempts": ("max-attempts", "max_attempts", "times"),
    "leaves": ("produces", "results", "schema"),
    "max-cost": ("budget", "max_cost", "max-budget-usd", "max_budget_usd"),
    "max-turns": ("max_turns", "max_iterations", "max-session-turns"),
    "max-tokens": ("max_tokens",),
    "tested": ("requires-version", "min-version"),
    "record": ("recording", "recordings"),
}
"""What other formats call our keys. They are not accepted: one word per thing."""

NO_GLOB = "!*?[\\"
"""What a path must not have where it is not to be a glob."""
_LONGEST = 7 * 24 * 3600


def section(node: Node, what: str, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """What the readers make of a mapping's values, by key, with `_` for `-`."""
    found = {}
    for key, value in entries(node, what):
        if key in readers:
            found[key.replace("-", "_")] = readers[key](value, key)
        else:
            word = next((ours for ours, theirs in SYNONYMS.items() if key in theirs), key)
            key.wrong(f"unknown key `{key}` in {what}", word=word, known=readers)
    return found


def entries(node: Node, what: str) -> list[tuple[Text, Node]]:
    """The keys and values of a mapping, without those that have no value."""
    if not isinstance(node, Map) or not node:
        node.wrong(f"{what} has to be a mapping (`key: value`), not {node.shown}")
        return []
    for key, value in node.items():
        if value.empty:
            key.wrong(f"`{key}` has no value; give it one or leave it out")
    return [(key, value) for key, value in node.items() if not value.empty]


def name(key: Text, kind: str, reserved: frozenset[str] = RESERVED) -> str:
    if not re.fullmatch("[a-z][a-z0-9_]{0,62}", key):
        key.wrong(f"{key.shown} cannot name {kind}: at most 63 small letters, digits and `_`, a letter first")
    elif key in reserved:
        key.wrong(f"`{key}` is reserved; give {kind} another name")
    return key[:63]


def text(node: Node, key: str, *, blank: bool = False) -> str:
    """Text as it was written: `true` and `4.10` are what they look like."""
    if isinstance(node, Text) and not node.empty and (blank or node.strip()):
        return str(node)
    node.wrong(f"`{key}` has to be text, not {node.shown}")
    return ""


def texts(node: Node, key: str, *, some: bool = False) -> tuple[Text, ...]:
    """One text or a list of them, or `some`, which is no empty list; they still know their places."""
    found = node if isinstance(node, List) else [node]
    if some and not found:
        node.wrong(f"`{key}` is an empty list; it has to name one at least")
    return tuple(each for each in found if text(each, key) and isinstance(each, Text))


def boolean(node: Node, key: str) -> bool:
    if not node.plain or str(node) not in ("true", "false"):
        node.wrong(f"`{key}` has to be `true` or `false`, not {node.shown}")
    return str(node) == "true"


def choice(node: Node, key: str, *, of: tuple[str, ...]) -> str:
    if not isinstance(node, Text) or node not in of:
        node.wrong(f"`{key}` has to be {' or '.join(f'`{each}`' for each in of)}, not {node.shown}")
    return str(node)


def integer(node: Node, key: str, *, low: int, high: int) -> int:
    number = int(str(node)) if node.plain and re.fullmatch("0|[1-9][0-9]{0,8}", str(node)) else -1
    if not low <= number <= high:
        node.wrong(f"`{key}` has to be a whole number from {low} to {high}, not {node.shown}")
    return number


def amount(node: Node, key: str) -> float:
    """US dollars."""
    number = float(str(node)) if node.plain and re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,4})?", str(node)) else 0.0
    if not number:
        node.wrong(f"`{key}` has to be US dollars, such as `2.50`, not {node.shown}")
    return number


def lock(node: Node, key: str, *, variables: Iterable[str] = ()) -> str:
    written = text(node, key)
    filled = agents.fill(written, dict.fromkeys(variables, "x"))
    if written and not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", filled):
        allowed = "at most 64 letters, digits, `_` and `-`, a letter or digit first"
        node.wrong(f"{node.shown} cannot name a lock: {allowed}")
    return written


def duration(node: Node, key: str) -> float:
    """Seconds."""
    parts = re.fullmatch("(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?", str(node))
    hours, minutes, seconds = (int(part or 0) for part in parts.groups()) if parts else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if re.fullmatch("[0-9]{1,9}", str(node)):
        node.wrong(f"`{node}`: seconds or minutes? write `{node}s` or `{node}m`")
    elif not 0 < total <= _LONGEST:
        node.wrong(f"`{key}` has to be `90s`, `20m`, `1h30m` or the like, at most `168h`, not {node.shown}")
    return float(total)


def env(node: Node, key: str) -> Pairs:
    """An environment; every value is the text as it was written, be it `NO`, `3.10` or nothing."""
    found = node if isinstance(node, Map) else Map()
    if found is not node:
        node.wrong(f"`{key}` has to be a mapping (`NAME: value`), not {node.shown}")
    for name, value in found.items():
        _variable(name)
        if not isinstance(value, Text):
            value.wrong(f"`{name}` has to be text, not {value.shown}")
    return tuple(sorted((str(name), str(value)) for name, value in found.items()))


def secrets(node: Node, key: str) -> tuple[str, ...]:
    """Names of variables."""
    return tuple(_variable(each) for each in texts(node, key))


def _variable(name: Text) -> str:
    if not re.fullmatch("(?!ADW_)[A-Za-z_][A-Za-z0-9_]*", name):
        name.wrong(f"{name.shown} cannot be a variable: letters, digits, `_`; no digit first, no `ADW_`")
    return str(name)


def command(node: Node, key: str, *, known: tuple[str, ...], like: str = "") -> tuple[str, ...]:
    """A list of arguments with nothing in braces but what is `known`; all but the first may be blank.

    It begins with a program, or is part of a command, `like` that one.
    """
    if not isinstance(node, List) or not node:
        what = f"a list of arguments, such as `{like}`" if like else "a list that begins with a program"
        node.wrong(f"`{key}` has to be {what}, not {node.shown}")
        return ()
    found = (text(node[0], key), *(text(each, key, blank=True) for each in node[1:]))
    for each, written in zip(node, found, strict=True):
        braces(each, written, "placeholder", known)
    return found


def braces(node: Node, text: str, kind: str, known: tuple[str, ...]) -> None:
    """Note every `{name}` in `text` that nothing will fill in."""
    names = [f"{{{name}}}" for name in known]
    for found in dict.fromkeys(match[0] for match in agents.BRACES.finditer(text)):
        if found not in names:
            node.wrong(f"unknown {kind} `{found}` (known: {' '.join(names)})", word=found, known=names)


def globs(
    node: Node, key: str, *, refused: str = "", like: str = "`docs/**` or `!docs/old/**`", some: bool = False
) -> tuple[str, ...]:
    """Paths or globs inside of something; those in `refused` are characters they cannot have."""
    found = texts(node, key, some=some)
    for each in found:
        if not is_inside(each.removeprefix("!")) or set(refused) & set(each):
            rule = f"no `..`, no `.git`{f', no `{refused}`' if refused else ''}"
            each.wrong(f"`{key}` has to be relative with {rule}, such as {like}, not {each.shown}")
    return tuple(map(str, found))


def outside(node: Node, key: str) -> tuple[str, ...]:
    """Paths that are not in the workspace."""
    found = texts(node, key)
    for each in found:
        if not re.match("~?/.", each) or ".." in each.split("/"):
            each.wrong(f"`{key}` has to be absolute or below home, such as `~/.claude`, not {each.shown}")
    return tuple(map(str, found))


def folder(node: Node, key: str) -> str:
    """Any folder; of homes only one's own is known."""
    written = text(node, key)
    if re.match("~(?!/)", written):
        node.wrong(f"`{key}` has to be a folder, absolute, relative or below `~/`, not {node.shown}")
    return written


def path(node: Node, key: str, *, like: str) -> str:
    """The path of one directory."""
    return globs(node, key, refused=NO_GLOB, like=like)[0].removesuffix("/") if text(node, key) else ""


def keep(node: Node, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Directories, each with the files that say what has to be in it; `{}` is none."""
    found = []
    for name, locks in entries(node, f"`{key}`") if node or not isinstance(node, Map) else []:
        directory = path(name, key, like="`node_modules`").split("/")
        found.append((directory, name, globs(locks, name, refused="!", like="`uv.lock`", some=True)))
    for (outer, _, _), (inner, name, _) in itertools.pairwise(sorted(found)):
        if inner[: len(outer)] == outer:
            name.wrong(f"`{name}` is part of `{'/'.join(outer)}`, which is kept as a whole; remove one")
    return tuple(sorted(("/".join(directory), locks) for directory, _, locks in found))


def leaves(node: Node, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """JSON files, each with the keys that it has to have; `{}` is none."""
    found = []
    for name, keys in entries(node, f"`{key}`") if node or not isinstance(node, Map) else []:
        globs(name, key, refused=NO_GLOB, like="`result.json`")
        if not name.endswith(".json"):
            name.wrong(f"`{name}` in `{key}` has to be a JSON file, such as `result.json`")
        found.append((str(name), tuple(map(str, texts(keys, name)))))
    return tuple(found)


def file(node: Node, kind: str, folders: Sequence[Path]) -> tuple[bytes, Path] | None:
    """The first text file of that name in the folders, and its folder."""
    try:
        for folder in folders:
            if is_inside(f"{node}/") and (folder / str(node)).is_file():
                content = (folder / str(node)).read_bytes()
                content.decode()
                return content, folder
        node.wrong(f"there is no {kind} `{node}` in {' or '.join(map(str, folders))}")
    except UnicodeDecodeError as error:
        node.wrong(f"{kind} `{node}` is not UTF-8 at byte {error.start}; save it as UTF-8")
    except OSError as error:
        node.wrong(f"{kind} `{node}` cannot be read: {told(error)}")
    return None


def is_inside(path: str) -> bool:
    """Relative, no way up, not git's own, and no magic for git (`:(top)x`)."""
    parts = path.lower().removesuffix("/").split("/")
    return not path.startswith((":", "/")) and not {"", ".", "..", ".git"} & {*parts}
