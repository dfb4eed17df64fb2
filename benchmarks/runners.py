"""The same seven steps under make, just, go-task, doit, snakemake, luigi and adws, side by side.

Only adws isolates, captures and merges: its seventh step is a real merge. What is not installed comes from an
index into a directory that is thrown away.
"""

import itertools
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import measure
import repositories
from measure import Sample

NEEDS = {
    "scout": [],
    "plan": ["scout"],
    "build": ["plan"],
    "test": ["build"],
    "review": ["build"],
    "document": ["build"],
    "merge": ["test", "review", "document"],
}
PACKAGES = ("rust-just", "go-task-bin", "snakemake", "luigi")
DODO = f"""\
def task_p():
    for name, needs in {NEEDS!r}.items():
        yield {{"name": name, "actions": ["STEP"], "task_dep": [f"p:{{need}}" for need in needs]}}
"""
LUIGI = f"""\
import pathlib, subprocess
import luigi

NEEDS = {NEEDS!r}

class Step(luigi.Task):
    name = luigi.Parameter()

    def requires(self):
        return [Step(name=need) for need in NEEDS[self.name]]

    def output(self):
        return luigi.LocalTarget(f"done/{{self.name}}")

    def run(self):
        subprocess.run("STEP", shell=True, check=True)
        pathlib.Path(self.output().path).touch()
"""


def lines(form: str, first: str = "") -> str:
    """One piece per step; `{name}`, and `{needs}` as words, `{commas}`, `{files}`."""
    return first + "".join(
        form.format(
            name=name,
            needs=" ".join(needs),
            commas=", ".join(needs),
            files=", ".join(f'"done/{need}"' for need in needs),
        )
        for name, needs in NEEDS.items()
    )


FILES = {
    "Makefile": lines("{name}: {needs}\n\t@STEP\n", f".PHONY: {' '.join(NEEDS)}\n"),
    "justfile": lines("[parallel]\n{name}: {needs}\n    @STEP\n"),
    "Taskfile.yml": lines(
        "  {name}: {{deps: [{commas}], run: once, silent: true, cmds: [STEP]}}\n", "version: '3'\ntasks:\n"
    ),
    "Snakefile": lines(
        'rule {name}:\n    input: {files}\n    output: touch("done/{name}")\n    shell: "STEP"\n'
    ),
    "graph.py": LUIGI,
    "dodo.py": DODO,
}
COMMANDS = {
    "make": ["make", "-s", "-j3", "merge"],
    "just": ["just", "merge"],
    "go-task": ["task", "-C", "3", "merge"],
    "doit": ["doit", "-n", "3"],
    "snakemake": ["snakemake", "--quiet", "all", "--cores", "3", "done/merge"],
    "luigi": [
        *("luigi", "--module", "graph", "Step", "--name", "merge"),
        *("--local-scheduler", "--workers", "3", "--log-level", "ERROR"),
    ],
}


def main() -> None:
    parser = measure.arguments(__doc__)
    options = parser.parse_args()
    rounds = 1 if options.quick else 5
    with measure.home("Seven steps under other runners") as home:
        programs = installed(home / "tools")
        for step, critical in (("true", 0.0), ("sleep 0.2", 1.0)):
            samples = measure.in_turn(
                ways(home / step.replace(" ", "-"), step, programs, options.adws), rounds
            )
            print(f"## Each step is `{step}`, {critical:g} s along the longest path; {rounds} runs each\n")
            measure.head("", "wall, ms", "CPU, ms", "CPU : doit")
            base = measure.cpu(samples["doit"])
            for name, each in samples.items():
                wall, cpu = measure.wall(each), measure.cpu(each)
                measure.row(name, f"{1000 * wall:.0f}", f"{1000 * cpu:.0f}", f"{cpu / base:.2f}")
            for name in COMMANDS.keys() - samples.keys():
                measure.row(name, "skipped: not there, and no index within reach", "", "")
            print()


def installed(folder: Path) -> Mapping[str, str]:
    """Where the programs are; the others are looked for in an index first."""
    words = {command[0] for command in COMMANDS.values()}
    path = f"{measure.BIN}:/usr/local/bin:/usr/bin:/bin"
    if not all(shutil.which(word, path=path) for word in words):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for package in PACKAGES:  # one by one: what is missing is missing alone
            pip = [folder / "bin" / "pip", "install", "-q", "--retries", "1", "--timeout", "10", package]
            subprocess.run(pip, check=False, capture_output=True)
    found = {word: shutil.which(word, path=f"{folder / 'bin'}:{path}") for word in words}
    return {word: program for word, program in found.items() if program}


def ways(folder: Path, step: str, programs: Mapping[str, str], adws: Path) -> dict[str, measure.Way]:
    phases = [f'  {name}: {{needs: [{", ".join(needs)}], run: "{step}"}}\n' for name, needs in NEEDS.items()]
    pipeline = f"version: 1\nphases:\n{''.join(phases[:-1])}"
    repo = repositories.commit(folder, {"pipeline.yaml": pipeline, "issue.md": "# Nothing\n"})
    ids = map(str, itertools.count())
    plain = folder / "plain"
    plain.mkdir()
    for name, content in FILES.items():
        (plain / name).write_text(content.replace("STEP", step))

    def ours() -> Sample:
        return measure.command(adws, "-n", 3, f"ADW_ID=run{next(ids)}", "ISSUE=issue.md", cwd=repo)

    def other(words: list[str]) -> Sample:
        shutil.rmtree(plain / "done", ignore_errors=True)
        (plain / "done").mkdir()
        return measure.command(programs[words[0]], *words[1:], cwd=plain, env={"PYTHONPATH": "."})

    others = {
        name: lambda words=words: other(words) for name, words in COMMANDS.items() if words[0] in programs
    }
    return {"adws": ours, **others}


if __name__ == "__main__":
    main()
