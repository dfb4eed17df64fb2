"""`adws verify` makes a merged commit again from its records; what was edited anywhere does not fit."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.conftest import BIN, maker

PIPELINE = """
phases:
  build: {run: "echo b > b"}
  test: {needs: build, writes: [], evidence: r.xml, run: cp report.xml $ADW_OUT/r.xml}
  lint: {needs: build, if: "false", run: "false"}
  document: {needs: build, run: "echo d > d; echo left > $ADW_OUT/left"}
"""
GREEN = '<testsuite><testcase name="t"/></testsuite>\n'


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    p = maker(tmp_path_factory.mktemp("merged"))(PIPELINE, **{"report.xml": GREEN})
    p.doit("sdlc", "ADW_ID=x")
    return p


@pytest.fixture
def merged(once, tmp_path):
    return once.copy(tmp_path)


def verify(p, rev: str = "adw/x") -> list[str]:
    """The lines that it says, without the commit that each begins with; empty when all fits."""
    commit = p.git("rev-parse", "--short=12", rev)
    done = subprocess.run(
        [BIN / "adws", "verify", rev], cwd=p.path, env=p.env, capture_output=True, text=True
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert all(line.startswith(f"{commit}: ") for line in lines), lines
    said = [line.partition(": ")[2] for line in lines]
    fits = said == ["is what the records of run x make; not signed"]
    assert done.returncode == (0 if fits else 1)
    return [] if fits else said


def commit(p, tree: str, parents: list[str], message: str) -> str:
    args = [arg for parent in parents for arg in ("-p", parent)]
    return p.run("git", "commit-tree", tree, *args, stdin=message).strip()


def again(p, rev: str, edit=lambda text: text, tree: str = "", parents: list[str] | None = None) -> str:
    """The commit made again, with this edit of its message."""
    if parents is None:
        parents = p.git("log", "-1", "--format=%P", rev).split()
    message = p.git("log", "-1", "--format=%B", rev) + "\n"
    return commit(p, tree or p.git("rev-parse", f"{rev}^{{tree}}"), parents, edit(message))


def forge(p, phase: str, edit=lambda facts: facts, **kwargs) -> None:
    """A record, its refs and the merged commit, all made again around an edit of one verdict."""
    head, _, facts = p.git("log", "-1", "--format=%B", f"refs/adws/x/{phase}").partition("\n\n")
    old = p.git("rev-parse", f"refs/adws/x/{phase}")
    new = again(p, old, lambda _: f"{head}\n\n{json.dumps(edit(json.loads(facts)))}\n", **kwargs)
    for ref in (phase, f"attempt/{phase}/1"):
        p.git("update-ref", f"refs/adws/x/{ref}", new)
    publish(p, again(p, "adw/x", lambda text: text.replace(old, new)))


def publish(p, commit: str) -> None:
    for ref in ("refs/heads/adw/x", "refs/adws/x/merge"):
        p.git("update-ref", ref, commit)


def tree_with(p, tree: str, **files: str) -> str:
    listing = p.git("ls-tree", tree)
    for name, content in files.items():
        oid = p.run("git", "hash-object", "-w", "--stdin", stdin=content).strip()
        name = name.replace("_", ".")
        kept = [line for line in listing.splitlines() if not line.endswith(f"\t{name}")]
        listing = "\n".join([*kept, f"100644 blob {oid}\t{name}"])
    return p.run("git", "mktree", stdin=f"{listing}\n").strip()


def test_what_was_merged_fits(merged):
    assert verify(merged) == []
    assert verify(merged, merged.git("rev-parse", "adw/x")) == []


def test_it_fits_after_another_issue_and_a_second_merge(merged):
    p = merged
    first = p.git("rev-parse", "adw/x")
    (p.path.parent / "issue.md").write_text("# Do more\n")
    p.write("pipeline.yaml", p.tree("main")["pipeline.yaml"].replace("echo b >", "echo more >"))
    p.doit("sdlc", "ADW_ID=x")
    assert p.git("rev-list", "--count", "main..adw/x") == "2"
    assert verify(p) == []
    assert verify(p, first) == []


def test_the_record_is_not_made_again_where_nothing_was_asked_anew(merged):
    record = merged.git("rev-parse", "refs/adws/x/run")
    merged.doit("sdlc", "ADW_ID=x")
    assert merged.git("rev-parse", "refs/adws/x/run") == record


def test_it_fits_between_the_users_own_commits(project):
    p = project(f"{PIPELINE}merge: {{into: main}}\n", **{"report.xml": GREEN})
    p.git("checkout", "--quiet", "-b", "work")
    p.doit("test", "ADW_ID=x")
    p.git("checkout", "--quiet", "main")
    p.write("mine", "mine\n")
    p.commit("mine")
    p.git("checkout", "--quiet", "work")
    p.doit("sdlc", "ADW_ID=x")
    assert verify(p, "main") == []
    p.git("checkout", "--quiet", "main")
    p.write("later", "later\n")
    p.commit("later")
    assert verify(p, "main~1") == []


def test_it_fits_in_a_clone_that_has_the_refs(merged):
    where = merged.path.parent / "clone"
    merged.git("clone", "--quiet", "--no-local", ".", str(where))
    lines = merged.adws("verify", "origin/adw/x", cwd=where, status=1)
    assert lines.endswith("the record of run x that it names is not here\n")
    merged.run("git", "fetch", "--quiet", "origin", "refs/adws/*:refs/adws/*", cwd=where)
    assert "is what the records of run x make" in merged.adws("verify", "origin/adw/x", cwd=where)


def test_it_fits_while_git_still_has_a_removed_run(merged):
    merged.adws("clean", "ADW_ID=x", "--unmerged")
    assert verify(merged) == []
    merged.git("reflog", "expire", "--expire=all", "--all")
    merged.git("gc", "--quiet", "--prune=now")
    assert verify(merged) == ["the record of run x that it names is not here"]


def test_it_fits_where_a_failure_was_tolerated_and_for_every_attempt(project):
    p = project(
        "phases:\n"
        '  flaky: {run: "test -e $HOME/ok || { touch $HOME/ok; exit 1; }; echo f > f", retries: 1}\n'
        '  lint: {needs: flaky, run: "false", continue-on-error: true}\n'
    )
    p.doit("sdlc", "ADW_ID=x")
    assert verify(p) == []
    p.git("update-ref", "refs/adws/x/flaky", "refs/adws/x/attempt/flaky/1")
    assert verify(p) == []  # whoever goes back to another attempt hides nothing


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("test: passed", "test: failed, not merged", "its message and the records differ: test: passed in"),
        ("lint: skipped", "lint: passed", "its message and the records differ: lint: skipped in"),
        ("Adws-Phase: test passed", "Adws-Phase: test skipped", "its message and the records differ: Adws-Phase: test passed"),
        ("Adws-Pipeline: sha256:", "Adws-Pipeline: sha256:0", "its message and the records differ: Adws-Pipeline"),
        ("Adws-Base: ", "Adws-Base: 0", "its message and the records differ: Adws-Base"),
        ("Adws-Tree: ", "Adws-Note: x\nAdws-Tree: ", "its message and the records differ: Adws-Note: x"),
        ("Adws-Run: x", "Adws-Run: y", "the result of phase `build` is not for these inputs"),
        ("Adws-Record: ", "Adws-Record: 0", "the record of run x that it names is not here"),
        ("Adws-Phase: build ", "Adws-Phase: bulid ", "the result of phase `bulid` that it names is not here"),
    ],
)  # fmt: skip
def test_an_edited_message_is_found(merged, old, new, said):
    made = again(merged, "adw/x", lambda text: text.replace(old, new))
    publish(merged, made)
    lines = merged.adws("verify", "adw/x", status=1)
    assert said in lines


def test_a_result_left_out_of_the_message_is_found(merged):
    def without(text: str) -> str:
        return "".join(line for line in text.splitlines(keepends=True) if "build" not in line)

    publish(merged, again(merged, "adw/x", without))
    assert verify(merged) == ["the results that it names are not those of its pipeline's phases"]


def test_an_edited_title_and_a_sign_off_are_the_users_own(merged):
    publish(merged, again(merged, "adw/x", lambda text: f"Better title{text[5:]}Signed-off-by: Ada <a@b>\n"))
    assert verify(merged) == []


def test_an_edited_tree_is_found(merged):
    tree = tree_with(merged, "adw/x^{tree}", d="other\n")
    publish(merged, again(merged, "adw/x", tree=tree))
    assert verify(merged) == ["its tree is not what the run's change makes of its one parent"]


def test_another_parent_is_found(merged):
    parents = [merged.git("rev-parse", "main"), merged.git("rev-parse", "refs/adws/x/build")]
    publish(merged, again(merged, "adw/x", parents=parents))
    assert verify(merged) == ["its tree is not what the run's change makes of its one parent"]


def test_a_forged_tree_of_the_whole_is_found(merged):
    tree = tree_with(merged, "adw/x^{tree}", d="other\n")
    old = merged.git("rev-parse", "adw/x^{tree}")
    publish(merged, again(merged, "adw/x", lambda text: text.replace(old, tree), tree=tree))
    assert verify(merged) == ["its Adws-Tree is not what the results make together"]


@pytest.mark.parametrize(
    ("fact", "value", "said"),
    [
        ("key", "0" * 64, "the result of phase `test` is not for these inputs; run it again"),
        ("base_tree", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "the record of phase `test` is inconsistent"),
        ("out", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "the record of phase `test` is inconsistent"),
        ("status", "failed", "phase `test` failed: "),
        ("phase", "build", "the result of phase `test` that it names is not here"),
        ("seconds", 99.0, "its message and the records differ: test: passed in 99.0 s, by command"),
        ("by", "claude", "its message and the records differ: test: passed in"),
    ],
)  # fmt: skip
def test_an_edited_verdict_is_found(merged, fact, value, said):
    forge(merged, "test", lambda facts: {**facts, fact: value})
    lines = verify(merged)
    assert any(line.startswith(said) for line in lines), lines


def test_a_red_report_under_a_green_verdict_is_found(merged):
    red = GREEN.replace("/>", "><failure/></testcase>", 1)
    out = tree_with(merged, "refs/adws/x/test^2^{tree}", r_xml=red)
    base, artifacts = merged.git("log", "-1", "--format=%P", "refs/adws/x/test").split()
    parents = [base, again(merged, artifacts, tree=out)]
    forge(merged, "test", lambda facts: {**facts, "out": out}, parents=parents)
    assert verify(merged) == ["phase `test` passed, but has failing tests: t, of 1"]


def test_exchanged_artifacts_are_found_by_verify_and_by_the_merge(merged):
    out = tree_with(merged, "refs/adws/x/document^2^{tree}", left="other\n")
    base, artifacts = merged.git("log", "-1", "--format=%P", "refs/adws/x/document").split()
    forge(merged, "document", parents=[base, again(merged, artifacts, tree=out)])
    said = "the record of phase `document` is inconsistent; run it again"
    assert verify(merged) == [said]
    assert said in merged.doit("merge", "ADW_ID=x", status=1)


def test_a_change_beyond_what_was_allowed_is_found(merged):
    tree = tree_with(merged, "refs/adws/x/test^{tree}", extra="extra\n")
    forge(merged, "test", tree=tree)
    assert verify(merged)[0].startswith("phase `test` changed extra")


def test_an_exchanged_pipeline_is_found(merged):
    tree = tree_with(merged, "refs/adws/x/run^{tree}", pipeline_yaml="version: 1\nphases: {a: {run: x}}\n")
    old = merged.git("rev-parse", "refs/adws/x/run")
    new = again(merged, old, tree=tree)
    merged.git("update-ref", "refs/adws/x/run", new)
    publish(merged, again(merged, "adw/x", lambda text: text.replace(old, new)))
    assert verify(merged) == ["the recorded pipeline is not the one that its digest is of"]


@pytest.mark.parametrize(
    ("ref", "target", "said"),
    [
        ("test", "refs/adws/x/build", "refs/adws/x/test is none of its attempts"),
        ("test", "main", "refs/adws/x/test is none of its attempts"),
        ("test", "", "refs/adws/x/test is none of its attempts"),
        ("attempt/test/1", "main", "refs/adws/x/attempt/test/1 is not the attempt that was merged"),
        ("attempt/test/1", "", "refs/adws/x/attempt/test/1 is not the attempt that was merged"),
        ("run", "main", "refs/adws/x/run does not lead back to the record that was merged"),
        ("run", "", "refs/adws/x/run does not lead back to the record that was merged"),
        ("merge", "main", "refs/adws/x/merge is no commit of the run"),
        ("merge", "", "refs/adws/x/merge is no commit of the run"),
    ],
)
def test_a_moved_ref_is_found(merged, ref, target, said):
    merged.git("update-ref", *([f"refs/adws/x/{ref}", target] if target else ["-d", f"refs/adws/x/{ref}"]))
    assert said in verify(merged)


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen: apt-get install openssh-client")
def test_a_signature_is_checked(project):
    p = project(f"{PIPELINE}merge: {{sign: true}}\n", **{"report.xml": GREEN})
    key = p.path.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (p.path.parent / "allowed").write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    p.git("config", "gpg.format", "ssh")
    p.git("config", "gpg.ssh.allowedSignersFile", str(p.path.parent / "allowed"))
    assert "the commit was not made: " in p.doit("sdlc", "ADW_ID=x", status=1)  # there is no key yet
    p.git("config", "user.signingkey", str(key))
    p.doit("sdlc", "ADW_ID=x")
    assert p.adws("verify", "adw/x").endswith("is what the records of run x make; signed\n")
    p.git("verify-commit", "adw/x")
    signed = p.run("git", "cat-file", "commit", "adw/x")
    changed = p.run(
        "git", "hash-object", "-t", "commit", "-w", "--stdin", stdin=signed.replace("Do it", "Do evil")
    )
    publish(p, changed.strip())
    assert "its signature does not hold: " in p.adws("verify", "adw/x", status=1)
    publish(p, again(p, "adw/x"))
    assert "it is not signed, as `merge.sign` asks" in p.adws("verify", "adw/x", status=1)


def test_what_cannot_be_verified_is_one_line(merged):
    assert merged.adws("verify", status=3) == "name one commit: adws verify HEAD\n"
    said = merged.adws("verify", "nosuch", status=3)
    assert said == f"there is no commit `nosuch` in {merged.path}\n"
    said = merged.adws("verify", "main", status=3)
    assert "was not made by adws: its message names no Adws-Run" in said
    assert merged.adws("verify", "--help").startswith("usage: adws verify COMMIT")
    assert merged.adws("help", "verify") == merged.adws("verify", "-h")
