"""From what was found in each file to an order of the files, and the reasons for it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adws.builtin.bm25 import Tally

DEFINES, MEANT = 1.0, 1.0
"""What a named symbol and a named path add, as shares of the best score by words."""
ASIDE = 0.35
"""What a test or a document weighs against a source file, unless the title is about documents."""
ABOUT_PAPERS = re.compile(r"\b(docs|documentation|readme|changelog)\b", re.IGNORECASE)
TESTS = re.compile(
    r"(^|/)(tests?|testing|spec|__tests__|fixtures)/|(^|/)(test_[^/]*|conftest\.py|[^/]*[._-](test|spec)s?\.\w+)$"
)
PAPERS = re.compile(
    r"(^|/)(docs?|examples?|changelog|specs)/|\.(md|rst|txt|adoc)$|(^|/)(changes|changelog|news)[^/]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """What is kept of a file once it is read."""

    path: str
    fields: Sequence[Tally]
    """The words of its text, of the names it defines, and of its path."""
    meant: frozenset[tuple[str, ...]]
    """The paths in the issue that mean this file."""
    defines: frozenset[str]
    """The symbols in the issue that this file defines."""


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """One file of the answer."""

    path: str
    score: float
    reasons: tuple[str, ...]


def ranked(title: str, sketches: Sequence[Sketch], gains: Sequence[Mapping[str, float]]) -> list[Ranked]:
    """The best first, a tie by path; `gains` is what each term gives each file."""
    defining = Counter(name for sketch in sketches for name in sketch.defines)
    meaning = Counter(path for sketch in sketches for path in sketch.meant)
    weights = [ASIDE if _is_aside(sketch.path, title) else 1.0 for sketch in sketches]
    # fsum: the order of a set must not show in the last digit
    by_words = [weight * math.fsum(gain.values()) for weight, gain in zip(weights, gains, strict=True)]
    top = max(by_words, default=0.0) or 1.0
    found = []
    for sketch, gain, weight, score in zip(sketches, gains, weights, by_words, strict=True):
        # a name that many files define, or a path that fits many, tells little of each
        defines = math.fsum(1 / (1 + math.log(defining[name])) for name in sketch.defines)
        meant = max((1 / meaning[path] for path in sketch.meant), default=0.0)
        score += top * (weight * DEFINES * min(defines, 2.0) + MEANT * meant)
        if score > 0:
            found.append(Ranked(path=sketch.path, score=round(score, 4), reasons=_reasons(sketch, gain)))
    return sorted(found, key=lambda file: (-file.score, file.path))


def _is_aside(path: str, title: str) -> bool:
    return bool(TESTS.search(path) or (PAPERS.search(path) and not ABOUT_PAPERS.search(title)))


def _reasons(sketch: Sketch, gain: Mapping[str, float]) -> tuple[str, ...]:
    whole = {name for name in sketch.defines if not any(o.endswith(f".{name}") for o in sketch.defines)}
    found = [f"defines `{name}`" for name in sorted(whole)[:3]]
    if sketch.meant:
        found.append("named in the issue")
    terms = sorted(gain, key=lambda term: (-round(gain[term], 6), term))[:5]
    return (*found, "matches: " + ", ".join(terms)) if terms else tuple(found)
