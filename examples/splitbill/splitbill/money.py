"""Money is whole cents everywhere; only here it is read from text and shown as text."""

import re

AMOUNT = re.compile(r"(\d+)(?:\.(\d\d))?")


def parse(text: str) -> int:
    """The cents in `12.50` or `12`; ValueError for anything else."""
    found = AMOUNT.fullmatch(text.strip())
    if not found:
        raise ValueError(f"`{text}` is not an amount; write it like 12.50")
    whole, cents = found.groups()
    return int(whole) * 100 + int(cents or 0)


def show(cents: int) -> str:
    """1250 as `12.50`."""
    return f"{cents // 100}.{cents % 100:02}"
