"""The names in the head of a file's part of a diff: with prefixes, quoted, with blanks in them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from adws.builtin import text
from adws.errors import UserError

NULL = "/dev/null"
ESCAPE = re.compile(r"\\([0-7]{3}|.)")
ESCAPED = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11}


def of(head: Mapping[str, str]) -> tuple[str, str]:
    """The old and the new path, without the prefixes `a/` and `b/` where the diff has them."""
    for kind in ("rename", "copy"):
        if f"{kind} from" in head and f"{kind} to" in head:
            return _unquoted(head[f"{kind} from"]), _unquoted(head[f"{kind} to"])
    pair = _halves(head.get("git", ""))
    if pair is None and "---" in head:
        pair = _unquoted(head["---"].split("\t")[0]), _unquoted(head["+++"].split("\t")[0])
    if pair is None:
        raise UserError(f"`diff --git {text.shown(head['git'])}` names no file")
    old, new = pair
    if NULL in pair:
        name = (new if old == NULL else old).removeprefix("b/" if old == NULL else "a/")
        return name, name
    if old != new and old[1:2] == new[1:2] == "/":
        old, new = old[2:], new[2:]
    if old in (new, f"{new}.orig"):
        return new, new
    raise UserError(f"the diff names two files, `{old}` and `{new}`, and no `rename from` and `rename to`")


def _halves(names: str) -> tuple[str, str] | None:
    """`a/x y b/x y` -> (`a/x y`, `b/x y`): names may hold blanks, so only equal halves can be told apart."""
    if names.startswith('"'):
        cut = re.match(r'"(?:[^"\\]|\\.)*"', names)
        old, new = (cut[0], names[cut.end() + 1 :]) if cut else ("", "")
    else:
        old, new = names[: len(names) // 2], names[len(names) // 2 + 1 :]
    old, new = _unquoted(old), _unquoted(new)
    return (old, new) if old and (old == new or (old[1:] == new[1:] and old[1:2] == "/")) else None


def _unquoted(name: str) -> str:
    """git quotes odd names the way C does, byte by byte."""
    if len(name) < 2 or not (name.startswith('"') and name.endswith('"')):
        return name
    pieces, at, raw = name[1:-1], 0, bytearray()
    for escape in ESCAPE.finditer(pieces):
        raw += pieces[at : escape.start()].encode("utf-8", "surrogateescape")
        code = escape[1]
        raw.append(int(code, 8) & 255 if len(code) == 3 else ESCAPED.get(code, ord(code) & 255))
        at = escape.end()
    return (raw + pieces[at:].encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
