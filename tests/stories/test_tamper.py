"""A phase that goes looking for the repository it works for: prevented, or found and not merged."""

from __future__ import annotations

import pytest

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
        "pipeline.yaml", f"version: 1\nphases: {{a: {{run: 'echo a > a; {deed}'}}, b: {{run: sleep 1}}}}\n"
    )
    p.commit("second")
    p.git("branch", "old")
    printed = p.doit("ADW_ID=x", status=1)
    assert TAMPERED in printed
    assert said in printed
    assert not p.git("branch", "--list", "adw/x")
