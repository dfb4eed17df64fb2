"""However a run ends, nothing that it started is left, and it says how it ended."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN
from tests.zoo import KINDS, Zoo, kill, wait_until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")

SIGNALS = {"Ctrl-C": signal.SIGINT, "TERM": signal.SIGTERM, "HUP": signal.SIGHUP}
WAYS = ("done", "time-out", *SIGNALS, "kill master", "kill worker", "kill guard", "kill inner")
"""guard and inner are the two processes of the supervisor."""
CASES = [case for case in itertools.product(WAYS, ("process", "thread")) if case != ("kill worker", "thread")]
REPEATS = int(os.environ.get("REPEATS", "20"))

# the animals that are deaf to TERM are worth no ten seconds each
SHORT_GRACE = "import adws.process\n\nadws.process.run.__kwdefaults__['grace'] = 0.3\n"


@pytest.fixture
def zoo(tmp_path: Path):
    with Zoo(tmp_path) as zoo:
        yield zoo


def end(project, zoo: Zoo, kinds: tuple[str, ...], way: str, workers: str) -> None:
    """A run whose phase starts these animals ends in that way."""
    zoo.token = Zoo(zoo.folder).token
    animals = zoo.folder / f"animals-{zoo.token}"
    animals.mkdir()
    argv = ["env", "-C", str(animals), *zoo.argv(*kinds, *(["exit"] if way == "done" else []))]
    limit = "2s" if way == "time-out" else "60s"
    p = project(f"phases: {{zoo: {{run: {json.dumps(argv)}, timeout: {limit}}}}}", name=zoo.token)
    p.write("dodo.py", SHORT_GRACE + (p.path / "dodo.py").read_text())
    run = subprocess.Popen(
        [BIN / "doit", "-n", "2", "-P", workers, "sdlc", "ADW_ID=x"],
        cwd=p.path, env=p.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    wait_until((animals / "ready").exists)
    children = [int(pid) for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
    # one of the two workers has the phase
    worker = next(pid for pid in zoo.left().values() if pid in children) if workers == "process" else run.pid
    if way in SIGNALS:
        os.killpg(run.pid, SIGNALS[way])
    elif way.startswith("kill"):
        guard, inner = zoo.supervisors(worker)
        kill({"master": run.pid, "worker": worker, "guard": guard, "inner": inner}[way[5:]], signal.SIGKILL)
    said, _ = run.communicate(timeout=30)
    wait_until(lambda: not zoo.left(), 12)
    expected = {"done": 0, "kill master": -9, "kill worker": 2}
    assert run.returncode == (128 + SIGNALS[way] if way in SIGNALS else expected.get(way, 1)), said
    words = {
        "time-out": "timed out after 2 s",
        "kill worker": "a worker process died",
        "kill guard": "killed",
        "kill inner": "killed",
    }
    assert words.get(way, "") in said
    assert "Traceback" not in said


@pytest.mark.parametrize(("way", "workers"), CASES)
def test_nothing_is_left_of_all_of_them(project, zoo, way: str, workers: str):
    end(project, zoo, KINDS, way, workers)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("way", "workers"), CASES)
def test_nothing_is_left_of_all_of_them_again_and_again(project, zoo, way: str, workers: str):
    for _ in range(REPEATS):
        end(project, zoo, KINDS, way, workers)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("way", "workers"), CASES)
def test_nothing_is_left_of_one(project, zoo, kind: str, way: str, workers: str):
    end(project, zoo, (kind,), way, workers)


def test_a_survivor_would_be_noticed(zoo):
    (zoo.folder / zoo.token).mkdir()
    started = subprocess.Popen(zoo.argv("daemon", "exit"), cwd=zoo.folder / zoo.token, start_new_session=True)
    assert started.wait(20) == 0
    assert len(zoo.left()) == 1
