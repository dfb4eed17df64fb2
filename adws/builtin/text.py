"""A text file as lines that remember their ends, so that an edit changes what it names and nothing else."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

BOM = "\ufeff"
WIDTH = 70
"""Characters of a line that a message shows."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """The lines of a file and what ended each: `\\n`, `\\r\\n`, or nothing for a bare last line."""

    lines: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    end: str = "\n"
    """What ends a new line: what ends most lines of the file."""
    bom: str = ""

    def splice(self, at: int, count: int, new: Sequence[str]) -> Text:
        """Put `new` in the place of `count` lines from index `at`; lines that stay keep their ends."""
        old, most = self.lines[at : at + count], min(count, len(new))
        head = next((n for n in range(most) if old[n] != new[n]), most)
        tail = next((n for n in range(most - head) if old[-1 - n] != new[-1 - n]), most - head)
        fresh = [self.end] * (len(new) - head - tail)
        ends = (*self.ends[: at + head], *fresh, *self.ends[at + count - tail :])
        lines = (*self.lines[:at], *new, *self.lines[at + count :])
        return replace(self, lines=lines, ends=ends).ended(self.is_ended())

    def ended(self, wanted: bool) -> Text:
        """The same text with or without an end of its last line; every other line has one."""
        ends = [end or self.end for end in self.ends]
        if ends and not wanted:
            ends[-1] = ""
        return replace(self, ends=tuple(ends))

    def is_ended(self) -> bool:
        return not self.ends or self.ends[-1] != ""

    def rewritten(self, lines: Sequence[str]) -> Text:
        """Other lines in the same manner: line ends, byte order mark, end of the last line."""
        ends = (self.end,) * len(lines)
        return replace(self, lines=tuple(lines), ends=ends).ended(self.is_ended())

    def encode(self) -> bytes:
        whole = self.bom + "".join(line + end for line, end in zip(self.lines, self.ends, strict=True))
        return whole.encode("utf-8", "surrogateescape")

    def find(self, wanted: Sequence[str]) -> list[int]:
        """Every index at which the wanted lines stand, exactly."""
        size, key = len(wanted), tuple(wanted)
        return [at for at in range(len(self.lines) - size + 1) if self.lines[at : at + size] == key]


def decode(data: bytes) -> Text:
    """Any bytes; what is not UTF-8 comes back from `encode` as it was."""
    whole = data.decode("utf-8", "surrogateescape")
    bom = BOM if whole.startswith(BOM) else ""
    parts = whole.removeprefix(bom).split("\n")
    ends = ["\r\n" if part.endswith("\r") else "\n" for part in parts[:-1]]
    lines = [part.removesuffix("\r") for part in parts[:-1]]
    if parts[-1]:
        lines.append(parts[-1])
        ends.append("")
    end = "\r\n" if ends.count("\r\n") > ends.count("\n") else "\n"
    return Text(lines=tuple(lines), ends=tuple(ends), end=end, bom=bom)


def is_binary(data: bytes) -> bool:
    return b"\0" in data[:8192]


def closest(lines: Sequence[str], wanted: Sequence[str]) -> str:
    """Where the file comes closest to the wanted lines, and the first line that differs there."""
    at = _closest(lines, wanted)
    if at is None:
        return "nothing in the file looks like it"
    window = lines[at : at + len(wanted)]
    where = f"line {at + 1}" if len(wanted) == 1 else f"lines {at + 1}-{at + len(window)}"
    for number, want in enumerate(wanted):
        if number >= len(window):
            return f"closest is {where}, the end of the file, where `{shown(want)}` is missing"
        have = window[number]
        if have != want:
            how = "in white space" if have.split() == want.split() else "first"
            said = f"the file has `{shown(have)}`, the edit `{shown(want)}`"
            return f"closest is {where}; line {at + 1 + number} differs {how}: {said}"
    return f"closest is {where}"


def shown(line: str) -> str:
    """One line for a message: its control characters spelled out, cut to `WIDTH`."""
    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    return plain if len(plain) <= WIDTH else plain[: WIDTH - 1] + "…"


def numbers(indexes: Sequence[int]) -> str:
    """`3 and 17`, `3, 17 and 2 more`: indexes as line numbers."""
    said = [str(index + 1) for index in indexes]
    if len(said) > 4:
        return f"{', '.join(said[:3])} and {len(said) - 3} more"
    return f"{', '.join(said[:-1])} and {said[-1]}"


def _closest(lines: Sequence[str], wanted: Sequence[str]) -> int | None:
    """The index where most of the wanted lines stand in their places, else where one looks alike."""
    places: Counter[int] = Counter()
    known: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        known.setdefault(line.strip(), []).append(number)
    for number, want in enumerate(wanted):
        if want.strip():
            places.update(at - number for at in known.get(want.strip(), ()) if at >= number)
    if places:
        return min(places, key=lambda at: (-places[at], at))
    for number, want in enumerate(wanted):
        alike = difflib.get_close_matches(want.strip(), known, n=1) if want.strip() else []
        if alike and known[alike[0]][0] >= number:
            return known[alike[0]][0] - number
    return None
