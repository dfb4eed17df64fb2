"""Faults at the state-changing calls of a run, and what they cost: nothing. And whether that would be noticed."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.faults import faultmap, sweep
from tests.faults.faultmap import MODES
from tests.faults.sweep import Point
from tests.faults.templates import scratch

pytestmark = pytest.mark.skipif(bool(faultmap.why_not()), reason=faultmap.why_not())

POINTS = 5
"""Of each mode and template in the quick tests."""
ALL = list(itertools.product(("branch", "main"), MODES))


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory):
    """Where the projects are made: in memory where there is such a place."""
    import tempfile

    with tempfile.TemporaryDirectory(
        prefix="adws-faults-", dir=scratch() or tmp_path_factory.mktemp("faults")
    ) as name:
        yield Path(name)


def failures(folder: Path, points: list[Point]) -> str:
    verdicts = [sweep.judge(folder, point) for point in points]
    assert any(verdict.hit for verdict in verdicts), "no fault happened"
    return "\n".join(str(verdict) for verdict in verdicts if verdict.failures)


@pytest.mark.parametrize(("template", "mode"), ALL)
def test_a_fault_costs_nothing(folder, template: str, mode: str):
    chosen = sweep.spread(sweep.points(folder, template, mode), POINTS)
    assert failures(folder, [Point(template, mode, n) for n in chosen]) == ""


@pytest.mark.parametrize("mode", ["killall", "eio"])
def test_a_second_fault_while_it_goes_on_costs_nothing_either(folder, mode: str):
    chosen = sweep.spread(sweep.points(folder, "main", mode), 3)
    points = list(sweep.twice(folder, [Point("main", mode, n) for n in chosen], 2))
    assert failures(folder, points) == ""


def test_a_lock_that_git_could_not_remove_does_not_stay(folder):
    events = enumerate(sweep.know(folder, "main").events, 1)
    points = [n for n, event in events if event.call == "unlink" and event.path.endswith("HEAD.lock")]
    assert len(points) == 2
    assert failures(folder, [Point("main", "eio", n) for n in points]) == ""


def test_the_order_of_parallel_phases_is_no_matter(folder):
    chosen = sweep.spread(sweep.points(folder, "parallel", "killall"), 6)
    assert failures(folder, [Point("parallel", "killall", n) for n in chosen]) == ""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("template", "mode"), ALL)
def test_a_fault_at_any_call_costs_nothing(folder, template: str, mode: str):
    assert failures(folder, [Point(template, mode, n) for n in sweep.points(folder, template, mode)]) == ""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("template", "mode"), ALL)
def test_two_faults_at_any_calls_cost_nothing(folder, template: str, mode: str):
    chosen = sweep.points(folder, template, mode)[::7]
    points = list(sweep.twice(folder, [Point(template, mode, n) for n in chosen], sweep.SEVERAL))
    assert failures(folder, points) == ""


def test_the_oracle_is_not_content_with_a_naive_runner(folder):
    chosen = sweep.spread(sweep.points(folder, "naive", "killall"), 12)
    assert "replay: python -m tests.faults.sweep" in failures(
        folder, [Point("naive", "killall", n) for n in chosen]
    )


def test_the_oracle_notices_a_process_that_is_left_alive(folder):
    last = len(sweep.know(folder, "leaky").events)
    assert "were alive" in failures(folder, [Point("leaky", "eio", last)])
