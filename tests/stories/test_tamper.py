"""A phase that goes looking for the repository it works for: prevented, or found and not merged."""

from __future__ import annotations

import json
import shutil

import pytest

from adws import sandbox
from tests.stories.test_resume import start
from tests.zoo import wait_until

TAMPERED = "the repository was tampered with: "


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("git -C $REPO config core.fsmonitor evil", "`core.fsmonitor` in git's configuration"),
        ("git -C $REPO config filter.x.clean evil", "`filter.x.clean` in git's configuration"),
        ("git config --global alias.st evil", "`alias.st` in git's configuration"),
        (
            "echo evil > $REPO/.git/hooks/pre-push; chmod +x $REPO/.git/hooks/pre-push",
            "/.git/hooks/pre-push` in ",
        ),
        ("ln -s /tmp/adws-nowhere $REPO/.git/hooks/pre-push", "/.git/hooks/pre-push` in "),
        ("mkdir -p $REPO/.git/info; echo hello > $REPO/.git/info/attributes", "/.git/info/attributes` in "),
        ("git -C $REPO branch -f old HEAD^", "refs/heads/old"),
        ("git -C $REPO branch new", "refs/heads/new"),
        ("git -C $REPO branch -D old", "refs/heads/old, which is gone"),
        ("git -C $REPO update-ref refs/heads/main HEAD^", "refs/heads/main"),
        ("git -C $REPO commit -q --allow-empty -m evil", "refs/heads/main"),
        ("git -C $REPO reset -q --hard HEAD^", "refs/heads/main"),
        ("old=$(git -C $REPO rev-parse HEAD^); echo $old > $REPO/.git/refs/heads/main", "refs/heads/main"),
        ("git -C $REPO checkout -q old", "HEAD"),
        ("echo x >> $REPO/README.md; git -C $REPO stash -q", "refs/stash"),
    ],
)
def test_what_decides_about_the_users_git_is_watched(project, deed: str, said: str):
    p = project()
    deed = deed.replace("$REPO", str(p.path))
    p.write(
        "pipeline.yaml", f"version: 1\nphases: {{a: {{run: 'echo a > a; {deed}'}}, b: {{run: sleep 0.3}}}}\n"
    )
    p.commit("second")
    p.git("branch", "old")
    printed = p.doit("ADW_ID=x", status=1)
    assert TAMPERED in printed
    assert said in printed
    assert not p.git("branch", "--list", "adw/x")


def test_the_user_may_go_on_working_meanwhile(project):
    p = project("phases: {a: {run: 'echo a > a; sleep 1.5'}}")
    p.git("branch", "old")
    run = start(p, "ADW_ID=x")
    wait_until((p.path / ".adws/runs/x/a/attempt-1/log").exists)
    p.write("mine", "mine\n")
    p.commit("mine")
    p.git("commit", "--quiet", "--amend", "--message", "mine, reworded")
    p.git("branch", "new")
    p.git("checkout", "--quiet", "new")
    p.git("push", "--quiet", "--set-upstream", ".", "new")
    printed = run.communicate(timeout=60)[0]
    assert run.returncode == 0, printed
    assert p.git("show", "adw/x:a") == "a"


def test_a_forged_record_of_another_phase_is_found_and_undone(project):
    p = project()
    forge = f"""cd {p.path}; old=$(git rev-parse refs/adws/x/a);
      tree=$(git rev-parse HEAD:) base=$(git rev-parse $old^);
      git log -1 --format=%B $old | git commit-tree $tree -p $base | xargs git update-ref refs/adws/x/a"""
    p.write(
        "pipeline.yaml",
        f'version: 1\nphases: {{a: {{run: echo a > a}}, b: {{needs: a, run: "{forge}"}}}}\n',
    )
    p.commit("second")
    said = p.doit("ADW_ID=x", status=1)
    assert "the record of phase `a` is not the one that was made; it was put back, start again" in said
    assert p.git("show", "refs/adws/x/a:a") == "a"


TO_ITS_OWN = [
    "git config core.fsmonitor ./evil; git config filter.x.clean ./evil; echo '* filter=x' > .git/info/attributes",
    "for hook in post-index-change reference-transaction pre-commit; do cp evil .git/hooks/$hook; done",
    "git config include.path ../evil.inc; git config core.worktree /; git config core.bare true",
    "rm -rf .git",
    "rm -rf .git; git init -q .; git config core.fsmonitor ./evil",
    "rm -rf .git; echo gitdir: /nowhere > .git",
    "git stash -uq; git stash pop -q; git gc -q --prune=now; git checkout -qb x; git commit -qam evil",
    "git update-index --assume-unchanged README.md; git update-index --skip-worktree a",
    "echo /dev/null > .git/objects/info/alternates",
    "touch .git/index.lock .git/HEAD.lock",
    "git config core.excludesFile ./evil; echo '*' > .git/info/exclude",
]


def test_nothing_that_a_phase_does_to_its_own_git_directory_reaches_ours(project):
    """Each of them ran the attacker's program, or lost the change, in a linked worktree."""
    attacks = {f"attack{number}": f"mkdir -p .git/hooks\n{deed}\n" for number, deed in enumerate(TO_ITS_OWN)}
    p = project(a="old\n", **attacks)
    p.write("evil", f"#!/bin/sh\ntouch {p.path}/PWNED\ncat\n")
    (p.path / "evil").chmod(0o755)
    phases = [
        f"  p{number}: {{run: 'sh ./attack{number} || true; echo a > a; echo b > b{number}'}}\n"
        f"  then{number}: {{needs: p{number}, run: echo c > c{number}}}\n"
        for number in range(len(TO_ITS_OWN))
    ]
    p.write("pipeline.yaml", f"version: 1\nphases:\n{''.join(phases)}")
    p.commit("second")
    p.doit("ADW_ID=x")
    merged = p.tree("adw/x")
    assert merged["a"] == "a"
    for number, deed in enumerate(TO_ITS_OWN):
        assert (merged.get(f"b{number}"), merged.get(f"c{number}")) == ("b", "c"), deed
    assert not (p.path / "PWNED").exists()
    assert p.git("status", "--porcelain") == ""


boxed = pytest.mark.skipif(bool(sandbox.fault()), reason=f"needs bubblewrap: {sandbox.fault()}")


@boxed
@pytest.mark.parametrize("kind", ["bwrap", "auto"])
def test_in_the_sandbox_it_cannot_even_try(project, kind: str):
    p = project()
    deeds = f"! git -C {p.path} branch evil; ! touch {p.path}/f; ! touch ~/f; touch /tmp/f $ADW_OUT/f; git add -A; git log -1 > log"
    p.write(
        "pipeline.yaml",
        f"version: 1\ndefaults: {{sandbox: {kind}}}\nphases: {{a: {{run: '{deeds}'}}, b: {{needs: a, sandbox: none, run: test ! -e /tmp/f}}}}\n",
    )
    p.commit("second")
    p.doit("ADW_ID=x")
    assert p.git("branch", "--list", "evil") == ""
    assert "a: passed in" in p.git("log", "-1", "--format=%B", "adw/x")
    assert "by command in bwrap" in p.git("log", "-1", "--format=%B", "adw/x")
    assert json.loads(p.git("log", "-1", "--format=%b", "refs/adws/x/a"))["sandbox"] == "bwrap"
    assert json.loads(p.git("log", "-1", "--format=%b", "refs/adws/x/b"))["sandbox"] == "none"


@boxed
def test_the_network_is_off_where_it_is_not_wanted(project):
    look = "grep -c : /proc/net/dev > n || true"
    p = project(f"defaults: {{sandbox: bwrap}}\nphases: {{a: {{run: '{look}', network: false}}}}")
    p.doit("ADW_ID=x")
    assert p.git("show", "adw/x:n") == "1"


def test_a_sandbox_that_is_not_there_is_never_weaker(project):
    p = project("phases: {a: {run: echo a > a, sandbox: bwrap}}")
    bare = p.path.parent / "bare"
    bare.mkdir()
    for name in ("git", "sh"):
        (bare / name).symlink_to(shutil.which(name))
    said = "phase `a` has `sandbox: bwrap`, which cannot be used here: bwrap is not installed; on Debian and Ubuntu: sudo apt install bubblewrap\n"
    assert p.doit("ADW_ID=x", status=3, PATH=str(bare)) == said
    p.write("pipeline.yaml", (p.path / "pipeline.yaml").read_text().replace("bwrap", "auto"))
    p.doit("ADW_ID=x", PATH=str(bare))
    assert json.loads(p.git("log", "-1", "--format=%b", "refs/adws/x/a"))["sandbox"] == "none"
