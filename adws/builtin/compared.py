"""Test files before and after a change, and which test is which: also renamed, also moved to another file."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from adws.builtin import counted, languages, pytests
from adws.builtin.delta import File
from adws.builtin.tested import Unit

ALIKE = 0.6
"""From this ratio on two bodies are one test that was renamed."""
FEW = 40
"""Among more new tests than that, a renamed one is known by an equal body alone."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What there was and what became of it."""

    old: Unit
    new: Unit
    path: str
    """Where it is now."""

    @property
    def comparable(self) -> bool:
        """Both are run a known number of times, or neither is."""
        return (self.old.cases is None) == (self.new.cases is None)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A test file before and after; the lists change while its tests are looked for."""

    file: File
    pairs: list[Pair] = field(default_factory=list)
    lost: list[Unit] = field(default_factory=list)
    fresh: list[Unit] = field(default_factory=list)


def compare(files: Sequence[File]) -> list[Compared]:
    """The test files of a change; what is lost is looked for by its name, its body, a similar body."""
    found = list(_read(files))
    for key in (_name, _body):
        _match(found, key)
    for one in found:
        for unit in list(one.lost):
            _find_alike(unit, one, found)
    return found


def _name(unit: Unit) -> str:
    return unit.own


def _body(unit: Unit) -> str:
    return unit.body


def _match(found: Sequence[Compared], key: Callable[[Unit], str]) -> None:
    """Pair what is lost with what is new where the key is the same, in the same file if possible."""
    known: dict[str, list[tuple[Compared, Unit]]] = {}
    for one in found:
        for unit in one.fresh:
            known.setdefault(key(unit), []).append((one, unit))
    for one in found:
        still_lost = []
        for unit in one.lost:
            places = known.get(key(unit), [])
            at = next((n for n, (place, _) in enumerate(places) if place is one), 0)
            if places:
                _pair(unit, one, *places.pop(at))
            else:
                still_lost.append(unit)
        one.lost[:] = still_lost


def _read(files: Sequence[File]) -> Iterator[Compared]:
    python = [file for file in files if _is_python(file)]
    helped = frozenset(name for file in python for name in pytests.helpers(file.old))
    helps = frozenset(name for file in python for name in pytests.helpers(file.new))
    for file in files:
        if _is_python(file):
            old = pytests.units(file.old, helped) if languages.is_test(file.was) else {}
            new = pytests.units(file.new, helps) if languages.is_test(file.path) and not file.gone else {}
        elif known := languages.family(file.was) or languages.family(file.path):
            old = counted.units(file.old, known)
            new = counted.units(file.new, known) if languages.family(file.path) else {}
        else:
            continue
        if old is not None and new is not None:  # what does not parse is the linter's to say
            yield _compared(file, old, new)


def _is_python(file: File) -> bool:
    return bool(languages.PYTHON.search(file.path) or languages.PYTHON.search(file.was))


def _compared(file: File, old: Mapping[str, Unit], new: Mapping[str, Unit]) -> Compared:
    found = Compared(file=file)
    for name, unit in old.items():
        now = new.get(name)
        if unit.is_test and not (now and now.is_test):
            found.lost.append(unit)
        elif now and not (name == pytests.MODULE and file.path.endswith("conftest.py")):
            # a conftest prepares; what it calls by itself is no check
            found.pairs.append(Pair(old=unit, new=now, path=file.path))
    found.fresh.extend(unit for name, unit in new.items() if unit.is_test and name not in old)
    return found


def _find_alike(unit: Unit, home: Compared, everywhere: Sequence[Compared]) -> None:
    fresh = [(place, other) for place in (home, *everywhere) for other in place.fresh]
    alike = [pair for pair in fresh if _alike(unit.body, pair[1].body)] if len(fresh) <= FEW else []
    if alike:
        home.lost.remove(unit)
        _pair(unit, home, *alike[0])


def _pair(unit: Unit, home: Compared, place: Compared, other: Unit) -> None:
    place.fresh[:] = [known for known in place.fresh if known is not other]
    home.pairs.append(Pair(old=unit, new=other, path=place.file.path))


def _alike(one: str, two: str) -> bool:
    compared = difflib.SequenceMatcher(None, one.split("\n"), two.split("\n"), autojunk=False)
    return compared.quick_ratio() >= ALIKE and compared.ratio() >= ALIKE
