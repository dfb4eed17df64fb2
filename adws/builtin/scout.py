"""scout: rank the files that matter to the issue, by its words and by the symbols and paths it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from adws.builtin import bm25, context, files, issue, ranking, symbols
from adws.builtin.markdown import literal
from adws.builtin.ranking import Ranked, Sketch

METHOD = "bm25+symbols"
MOST = 20
"""Files in the answer."""
FINALISTS = 60
"""Files that are read again, closely: to parse all would take three times as long as all the rest."""
TERMS = 256
TITLE = 3
"""What a word of the title weighs against one of the text."""
SAID = 2.0
"""How soon saying a word once more stops to weigh more."""
IN_SYMBOLS, IN_PATH = 0.5, 0.5
"""What the match with the names a file defines, and with its path, weighs against that with its text."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The best files, the issue's telling terms, and how many files were looked at."""

    files: Sequence[Ranked]
    terms: Sequence[str]
    seen: int


def run(ctx: context.Context, args: Sequence[str]) -> int:
    answer = rank(ctx.root, ctx.issue)
    listed = [{"path": file.path, "score": file.score, "reasons": file.reasons} for file in answer.files]
    found = {"method": METHOD, "issue_terms": answer.terms, "files": listed}
    context.write_json(ctx.out / "scout.json", found)
    context.write_result(ctx, summary=_summary(answer), files=[file.path for file in answer.files])
    print(_summary(answer))
    return 0


def _summary(answer: Answer) -> str:
    if not answer.files:
        return f"ranked 0 of {answer.seen} files: none holds a word of the issue"
    first = answer.files[0]
    begin = f"ranked {len(answer.files)} of {answer.seen} files"
    return f"{begin}; first: {literal(first.path)} ({first.reasons[0]})"


def rank(root: Path, text: str) -> Answer:
    text = text[: issue.READ]
    weights = _weights(text)
    sketches = list(_sketches(root, text, weights))
    gains = _gains(sketches, weights)
    best: dict[str, float] = {}
    for gain in gains:
        for term, value in gain.items():
            best[term] = max(best.get(term, 0.0), round(value, 6))
    terms = sorted(best, key=lambda term: (-best[term], term))
    title = issue.title(text)
    finalists = {file.path for file in ranking.ranked(title, sketches, gains)[:FINALISTS]}
    closer = [_closer(root, sketch) if sketch.path in finalists else sketch for sketch in sketches]
    ranked = ranking.ranked(title, closer, gains)
    return Answer(files=ranked[:MOST], terms=terms[:15], seen=len(sketches))


def _gains(sketches: Sequence[Sketch], weights: Mapping[str, float]) -> list[dict[str, float]]:
    """Per file what each word of the issue gives to its score, over all three fields."""
    total: list[dict[str, float]] = [{} for _ in sketches]
    for field, share in enumerate((1.0, IN_SYMBOLS, IN_PATH)):
        counts = [sketch.fields[field] for sketch in sketches]
        for sums, gain in zip(total, bm25.match(counts, weights), strict=True):
            for term, value in gain.items():
                sums[term] = sums.get(term, 0.0) + share * value
    return total


def _weights(text: str) -> dict[str, float]:
    """What each word of the issue weighs: often said is more, the more so in the title, with an end to it."""
    said = bm25.words(text)
    for term, times in bm25.words(issue.title(text)).items():
        said[term] += (TITLE - 1) * times
    often = sorted(said, key=lambda term: (-said[term], term))[:TERMS]
    return {term: (SAID + 1) * said[term] / (SAID + said[term]) for term in often}


def _sketches(root: Path, text: str, weights: Mapping[str, float]) -> Iterator[Sketch]:
    vocabulary = bm25.Vocabulary(weights)
    named, paths, modules = issue.names(text), issue.paths(text), issue.modules(text)
    for path, content in files.texts(root):
        names = symbols.roughly(path, content)
        yield Sketch(
            path=path,
            fields=tuple(map(vocabulary.count, (content, " ".join(names), path))),
            meant=_meant(path, paths) | _module(path, modules),
            defines=_defined(path, names, named),
        )


def _closer(root: Path, sketch: Sketch) -> Sketch:
    """The same file with the definitions that are really there, where the language can be parsed."""
    content = files.text_of(root / sketch.path) if sketch.defines else None
    if content is None:
        return sketch
    known = symbols.exactly(sketch.path, content)
    return replace(sketch, defines=_defined(sketch.path, known, sketch.defines))


def _defined(path: str, known: set[str], named: Iterable[str]) -> frozenset[str]:
    """Those of the names that the file defines; dates.py with `parse` in it defines `dates.parse` too."""
    where = {*PurePosixPath(path).with_suffix("").parts}
    found = set()
    for name in named:
        *owners, last = name.split(".")
        if last in known and (not owners or owners[-1] in where or owners[-1] in known):
            found.add(name)
    return frozenset(found)


def _meant(path: str, said: frozenset[tuple[str, ...]]) -> frozenset[tuple[str, ...]]:
    """The paths in the issue that mean this file: one ends as the other does, or both end in a/b.py."""
    parts = PurePosixPath(path).parts
    found = set()
    for other in said:
        pairs = enumerate(zip(reversed(parts), reversed(other), strict=False))
        same = next((number for number, (one, two) in pairs if one != two), None)
        if same is None or same >= 2:
            found.add(other)
    return frozenset(found)


def _module(path: str, said: frozenset[tuple[str, ...]]) -> frozenset[tuple[str, ...]]:
    """The modules in the issue that are this file: `shop.dates` is src/shop/dates.py."""
    if not symbols.is_source(path):
        return frozenset()
    parts = PurePosixPath(path).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return said & {parts[start:] for start in range(len(parts))}
