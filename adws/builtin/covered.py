"""Changed lines that no test runs, where a coverage report was left: Cobertura's XML, or lcov's format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from adws.builtin import languages
from adws.builtin.context import Context
from adws.builtin.delta import File
from adws.builtin.findings import Finding, Severity

REPORTS = ("coverage.xml", "lcov.info")
RULE = "not-covered"
NAMED = 10
"""Spans of lines that a message names."""
Hits = Counter[int]
"""Per line that can be run, how often it was."""


def check(ctx: Context, files: Sequence[File]) -> Iterator[Finding]:
    found: dict[str, Hits] = {}
    for report in _reports(ctx, files):
        try:
            told = [(path, hits) for names, hits in _read(report) if (path := _place(ctx.root, names))]
            why = "" if told else "tells of no file here; is it Cobertura's or lcov's?"
        except (OSError, ElementTree.ParseError, ValueError) as error:
            told, why = [], f"cannot be read: {error}"
        for path, hits in told:
            found.setdefault(path, Counter()).update(hits)
        if why:
            yield _finding(f"{report.parent.name}/{report.name}", 1, f"the coverage report {why}")
    for file in files:
        if file.path in found and not languages.is_test(file.path):
            yield from _missed(file, found[file.path])


def _reports(ctx: Context, files: Sequence[File]) -> Iterator[Path]:
    """Those of the phases before; by hand also the checkout's own, and none that is older than the change."""
    by_hand = ctx.base == "HEAD"
    places = [Path(str(result["out"])) for result in ctx.state.values() if "out" in result]
    changed = [path.stat().st_mtime for file in files if (path := ctx.root / file.path).is_file()]
    oldest = max(changed, default=0.0) if by_hand else 0.0
    for report in (place / name for place in [*places, *[ctx.root] * by_hand] for name in REPORTS):
        if report.is_file() and report.stat().st_mtime >= oldest:
            yield report


def _read(report: Path) -> Iterator[tuple[Sequence[str], Hits]]:
    """(the names that a file may have, the lines in it)."""
    if report.suffix == ".xml":
        root = ElementTree.parse(report).getroot()  # noqa: S314 - it was left by the project's own tests
        sources = [source.text.strip() for source in root.iterfind("sources/source") if source.text]
        for each in root.iter("class"):
            lines = each.iterfind("lines/line")
            hits = Counter({int(line.get("number", "")): int(line.get("hits", "")) for line in lines})
            yield [f"{source}/{each.get('filename')}" for source in sources or ["."]], hits
        return
    name, hits = "", Hits()
    for line in report.read_text("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        if key == "SF":
            name, hits = value, Hits()
        elif key == "DA":
            number, count, *_ = value.split(",")
            hits[int(number)] += int(count)
        elif key == "end_of_record":
            yield [name], hits


def _place(root: Path, names: Sequence[str]) -> str:
    """Its path in the checkout: the longest end of a name that is there, as the tests' own is gone."""
    paths = [PurePosixPath(name).parts for name in names]
    ends = [PurePosixPath(*parts[at:]) for parts in paths for at in range(len(parts))]
    ours = [end for end in ends if not end.is_absolute() and ".." not in end.parts]
    return max((str(end) for end in ours if (root / end).is_file()), key=len, default="")


def _missed(file: File, hits: Hits) -> Iterator[Finding]:
    changed = file.added & hits.keys()
    missed = {line for line in changed if not hits[line]}
    runs = [list(run) for is_missed, run in groupby(sorted(hits), key=missed.__contains__) if is_missed]
    spans = [f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    if spans:
        more = f" and {len(spans) - NAMED} more" if len(spans) > NAMED else ""
        which = f"{', '.join(spans[:NAMED])}{more}"
        message = f"{len(missed)} of {len(changed)} changed lines are run by no test: {which}"
        yield _finding(file.path, min(missed), message)


def _finding(path: str, line: int, message: str) -> Finding:
    return Finding(severity=Severity.MINOR, rule=RULE, path=path, line=line, message=message)
