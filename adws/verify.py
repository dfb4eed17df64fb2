"""`adws verify`: whether a merged commit is what the records of its run make.

Everything is made again from the objects of the repository: keys, bases, the merge itself and its message. So
an edit that does not fit the rest is found; who forges all of it anew is not, for that there is `merge.sign`.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from adws import branch, call, combine, evidence, git, merge, runs, trial
from adws.combine import Resolved
from adws.errors import UserError, printable
from adws.git import Repo
from adws.model import Phase, Result, Status, closure
from adws.runs import Object, Run, State

_HELP = """\
usage: adws verify COMMIT [REPO=path]

Whether a commit that adws made is what the records of its run make: the pipeline, each phase's base, key,
verdict and test reports, the merged tree, the message, and a signature where there is one. Needs nothing but
the repository with its refs/adws/. Exit code 0 when all of it fits, 1 with a line for each thing that does
not.
"""


def main(argv: Sequence[str]) -> int:
    """Do what the words behind `adws verify` ask for; the exit code."""
    if {"-h", "--help"} & {*argv}:
        print(_HELP, end="")
        return 0
    git.clean_environment()
    asked = call.read(argv, Path.cwd())
    if len(asked.words) != 1:
        raise UserError("name one commit: adws verify HEAD")
    repo = git.open_repo(asked.repo)
    commit = branch.tip(repo, asked.words[0])
    if not commit:
        raise UserError(f"there is no commit `{asked.words[0]}` in {repo.root}")
    (found,) = runs.objects(repo, [commit])
    if not found or not _said(found).get("Adws-Run"):
        raise UserError(f"commit {commit[:12]} was not made by adws: its message names no Adws-Run")
    faults = list(_faults(repo, found))
    for said in faults:
        print(f"{commit[:12]}: {said}")
    if not faults:
        signed = "signed" if _signature(found) else "not signed"
        print(f"{commit[:12]}: is what the records of run {_said(found)['Adws-Run']} make; {signed}")
    return 1 if faults else 0


def _lines(commit: Object) -> list[str]:
    message = commit.content.partition(b"\n\n")[2].decode(errors="replace")
    return message.splitlines()[1:]  # without the title, which may say anything


def _said(commit: Object) -> dict[str, str]:
    pairs = (line.partition(": ") for line in _lines(commit) if line.startswith("Adws-"))
    return {key: value for key, _, value in pairs}


def _signature(commit: Object) -> list[str]:
    return commit.header("gpgsig") + commit.header("gpgsig-sha256")


def _faults(repo: Repo, commit: Object) -> Iterator[str]:
    said = _said(commit)
    words = [line.split() for line in _lines(commit) if line.startswith("Adws-Phase: ")]
    results = {word[1]: word[-1] for word in words if len(word) > 2}
    found = runs.at(repo, said["Adws-Run"], said.get("Adws-Record", ""), results)
    if not found:
        yield f"the record of run {said['Adws-Run']} that it names is not here"
        return
    run, state = found
    yield from (
        f"the result of phase `{name}` that it names is not here"
        for name in results.keys() - state.results.keys()
    )
    known = [name for name in results if name in run.pipeline.places and name in state.results]
    phases = closure(run.pipeline, known)
    if known != list(results) or len(phases) != len(known):
        yield "the results that it names are not those of its pipeline's phases"
        return
    names = [line.split()[-1] for line in _lines(commit) if line.startswith("Adws-Resolve: ")]
    resolved = [each for name in names if (each := runs.result(repo, "merge", name))]
    if len(resolved) != len(names):
        yield "a resolution of a conflict that it names is not here"
        return
    yield from _records(run, state, phases)
    yield from _commit(run, state, phases, commit, said.get("Adws-Tree", ""), resolved)


def _records(run: Run, state: State, phases: Sequence[Phase]) -> Iterator[str]:
    """What does not fit in the records, whatever the commit says."""
    source, *_ = runs.objects(run.repo, [f"{state.record}:pipeline.yaml"])
    if not source or hashlib.sha256(source.content).hexdigest() != run.pipeline.digest:
        yield "the recorded pipeline is not the one that its digest is of"
    if said := merge.forged(run, state, phases, {}):
        yield said
    for phase in phases:
        if said := merge.fault(run, state, phase) or _reports(run, state, phase):
            yield said
    yield from _refs(run, state)


def _reports(run: Run, state: State, phase: Phase) -> str:
    result = state.results[phase.name]
    if result.status is not Status.PASSED or not phase.evidence:
        return ""
    with tempfile.TemporaryDirectory(prefix="adws-verify-") as folder:
        ours = _export(run.repo, result, phase, Path(folder, "ours"))
        said = evidence.fault(ours, phase.evidence, 0.0)
        if not said and phase.baseline:
            before = _export(run.repo, state.results[phase.baseline], phase, Path(folder, "before"))
            said = evidence.lost(ours, before, phase.evidence)
        tried = trial.history(run, state, phase) if result.repaired and not said else ()
        if red := trial.Before(earlier=tuple(tried)).unmended:
            before = _export(run.repo, red, phase, Path(folder, "red"))
            said = evidence.lost(ours, before, phase.evidence, unrun=True)
    return f"phase `{phase.name}` passed, but {said}" if said else ""


def _export(repo: Repo, result: Result, phase: Phase, folder: Path) -> Path:
    for name, found in zip(
        phase.evidence, runs.objects(repo, [f"{result.out}:{name}" for name in phase.evidence]), strict=True
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if found:
            (folder / name).write_bytes(found.content)
    return folder


def _refs(run: Run, state: State) -> Iterator[str]:
    """Of a run that was removed there are none, and its objects may be here all the same."""
    shape = "--format=%(refname) %(objectname)"
    lines = git.text("for-each-ref", shape, f"{run.ref}/", git_dir=run.repo.git_dir).splitlines()
    refs = dict(line.removeprefix(f"{run.ref}/").split(" ") for line in lines)
    if not refs:
        return
    for result in state.results.values():
        name = runs.entry(result.phase)
        if refs.get(f"attempt/{name}/{result.attempt}") != result.commit:
            yield f"{run.ref}/attempt/{name}/{result.attempt} is not the attempt that was merged"
        mine = {oid for ref, oid in refs.items() if ref.startswith(f"attempt/{name}/")}
        if result.repaired and result.repaired not in mine:
            yield f"the repair that phase `{result.phase}` started from is none of its attempts"
        if refs.get(name) not in mine:
            yield f"{run.ref}/{name} is none of its attempts"
    asked = ("merge-base", "--is-ancestor", state.record, refs.get("run", ""))
    if git.call(*asked, git_dir=run.repo.git_dir, ok=(0, 1, 128))[0]:
        yield f"{run.ref}/run does not lead back to the record that was merged"
    (merged,) = runs.objects(run.repo, [refs.get("merge", "")])
    if not merged or _said(merged).get("Adws-Run") != run.id:
        yield f"{run.ref}/merge is no commit of the run"


def _commit(
    run: Run, state: State, phases: Sequence[Phase], commit: Object, tree: str, resolved: Sequence[Result]
) -> Iterator[str]:
    """What does not fit in the commit, given the records."""
    lines, trees = _lines(commit), {each.base_tree: each.tree for each in resolved}
    due = merge.message(run, state, phases, tree, resolved).splitlines()[1:]
    wrong = [line for line in due if line not in lines]
    wrong += [line for line in lines if line.startswith("Adws-") and line not in due]
    if wrong:
        yield f"its message and the records differ: {printable(wrong[0])}"
    try:
        if combine.fold(run, state, phases, trees) != tree:
            yield "its Adws-Tree is not what the results make together"
        made = [_expected(run, state, parent, tree, trees) for parent in commit.header("parent")]
        if made != commit.header("tree"):
            yield "its tree is not what the run's change makes of its one parent"
    except combine.ConflictError as conflict:
        yield str(conflict)
    if run.pipeline.sign and not _signature(commit):
        yield "it is not signed, as `merge.sign` asks"
    if _signature(commit):
        try:
            git.call("verify-commit", commit.oid, git_dir=run.repo.git_dir, config=run.repo.signing)
        except git.GitError as error:
            yield f"its signature does not hold: {error}"


def _expected(run: Run, state: State, parent: str, tree: str, resolved: Resolved) -> str:
    """The tree of a commit that brings the change onto `parent`, as `merge` makes it."""
    before = merge.before(run, state, parent)
    return combine.onto(run.repo, "its branch", before, runs.tree_of(run.repo, parent), tree, resolved)
