"""BM25 over words and identifiers: the words of a text, what they weigh, how well a document matches."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

K1, B = 1.2, 0.75
WORD = re.compile(r"[^\W\d]\w*")
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\dA-Za-z_]+|\d+")
_STOP = """
    a an and any are as at be been but by can could did do does for from had has have how if in into is
    it its just me more my no not of off on one only or our out over should so some still such than that
    the their them then there these they this those through to too under up use used using very was we
    were what when where which while who why will with would you your
"""
STOP = frozenset(_STOP.split())


def split(word: str) -> tuple[str, ...]:
    """`parseDate` and `parse_date` -> (`parsedate` or `parse_date`, `parse`, `date`), all lower-case."""
    parts = [_stem(part.lower()) for part in PART.findall(word)]
    whole = word.lower()
    return tuple(dict.fromkeys((whole, *parts) if len(parts) > 1 else parts))


def words(text: str) -> Counter[str]:
    """How often each term stands in the text."""
    found: Counter[str] = Counter()
    for word, times in Counter(WORD.findall(text)).items():
        for term in split(word):
            if len(term) > 1 and term not in STOP:
                found[term] += times
    return found


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How often each asked term stands in a text, and the number of all its words."""

    terms: Mapping[str, int]
    length: int


class Vocabulary:
    """The terms that are asked for. It remembers which of them a word holds, as most words come again."""

    def __init__(self, terms: Iterable[str]) -> None:
        self._terms = frozenset(terms)
        self._seen: dict[str, tuple[str, ...]] = {}

    def count(self, text: str) -> Tally:
        found: Counter[str] = Counter()
        tally = Counter(WORD.findall(text))
        for word, times in tally.items():
            for term in self._asked(word):
                found[term] += times
        return Tally(terms=found, length=tally.total())

    def _asked(self, word: str) -> tuple[str, ...]:
        known = self._seen.get(word)
        if known is None:
            known = tuple(term for term in split(word) if term in self._terms)
            if len(self._seen) < 200_000:
                self._seen[word] = known
        return known


def match(tallies: Sequence[Tally], weights: Mapping[str, float]) -> list[dict[str, float]]:
    """Per text what each term gives to its score."""
    holding = Counter(term for tally in tallies for term in tally.terms)
    total = len(tallies)
    worth = {term: weights[term] * math.log(1 + (total - n + 0.5) / (n + 0.5)) for term, n in holding.items()}
    mean = sum(tally.length for tally in tallies) / total if total else 0
    found = []
    for tally in tallies:
        damp = K1 * (1 - B + B * tally.length / (mean or 1))
        found.append({term: worth[term] * n * (K1 + 1) / (n + damp) for term, n in tally.terms.items()})
    return found


def _stem(word: str) -> str:
    """Plural and singular are one word; no more than that, as identifiers are not prose."""
    plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if plural else word
