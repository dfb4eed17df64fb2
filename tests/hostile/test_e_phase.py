"""E: what a phase may do to its workspace, to us and to the machine: a program gone wrong, or one with intent.

Further than the list goes:

    154 ADW_OUT deleted, replaced by a file, by a link; links in it
    155 the workspace deleted, moved away, replaced by a link to somebody's files
    156 the whole slot deleted, with our own git directory
    157 directories nested deeper than a path, or Python's stack, may be long
    158 what it takes away the permission for, or makes immutable
    159 a result.json that is huge, endless, deep, no number, no text, a link, a FIFO
    160 bytes in its log that steer a terminal
    161 it kills what watches over it
    162 only modes, only links, a file for a directory, names that differ in capitals only
    163 filters and attributes that would run a program of its own at the capture
    164 secrets in the environment, words on standard input
    165 it goes on in the background and writes after its end
    166 a command that is longer than a system takes
    167 its own .gitignore
    174 our own journal of a half-done merge, by which the user's branch would be moved
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.hostile.conftest import cases, mortal, theirs

Make = Callable[..., Project]

WHO = "git -c user.name=E -c user.email=e@x"


def script(text: str, more: str = "") -> str:
    """A pipeline with the phase `a`, which runs this, and then `b`, in the same slot."""
    lines = "".join(f"      {line}\n" for line in text.strip().splitlines())
    return f"version: 1\nphases:\n  a:\n    run: |\n{lines}{more and f'    {more}{chr(10)}'}  b: {{needs: a, run: 'git status --porcelain > $ADW_OUT/status; echo b > b'}}\n"


def python(code: str) -> str:
    return f"python3 -c '{code}'"


def made(p: Project) -> dict[str, str]:
    tree, before = p.tree("adw/x"), p.tree("main")
    return {name: text for name, text in tree.items() if before.get(name) != text}


# what it does -> what is merged besides b
GREEN: dict[str, tuple[str, dict[str, str]]] = {
    "E104-commits": (f"echo a > a; git add a; {WHO} commit -qm mine", {"a": "a"}),
    "E104-commits-and-goes-back": (f"echo a > a; git add a; {WHO} commit -qm mine; git checkout -q HEAD~1; echo c > c", {"c": "c"}),
    "E104-makes-branches-tags-stashes": (f"git branch x; git tag t; echo z >> README.md; {WHO} stash -q; git checkout -q x; echo a > a", {"a": "a"}),
    "E104-moves-its-head-to-nowhere": ("echo ref: refs/heads/nowhere > .git/HEAD; echo a > a", {"a": "a"}),
    "E104-resets": ("echo a > a; git reset -q --hard; git update-ref -d HEAD; rm -f .git/index", {"a": "a"}),
    "E104-pushes": (f"echo a > a; git add a; {WHO} commit -qm mine; git push -q --all 2>&1 || true", {"a": "a"}),
    "E105-deletes-git": ("rm -rf .git; echo a > a", {"a": "a"}),
    "E105-empties-git": ("find .git -type f -delete; echo a > a", {"a": "a"}),
    "E106-git-is-a-file-that-leads-elsewhere": ('rm -rf .git; echo "gitdir: $HOME/../repo/.git" > .git; echo a > a', {"a": "a"}),
    "E106-git-is-a-link": ('rm -rf .git; ln -s "$HOME/../repo/.git" .git; echo a > a', {"a": "a"}),
    "E106-git-leads-to-itself": ("rm -rf .git; echo gitdir: .git > .git; echo a > a", {"a": "a"}),
    "E106-work-tree-elsewhere": ("git config core.worktree /etc; git config core.bare true; echo a > a", {"a": "a"}),
    "E110-link-loop": ("ln -s a a", {"a": "a"}),
    "E110-link-to-nothing": ("ln -s nowhere a", {"a": "nowhere"}),
    "E112-ignored": ("echo '*.o' > .gitignore; echo o > a.o; echo a > a", {".gitignore": "*.o", "a": "a"}),
    "E113-options": ("echo 1 > ./-x; echo 2 > ./--all", {"-x": "1", "--all": "2"}),
    "E113-magic": ("echo 1 > ':(top)x'; echo 2 > ':!a'", {":(top)x": "1", ":!a": "2"}),
    "E113-spaces": ("echo 1 > 'a  b'", {"a  b": "1"}),
    "E115-hooks": (
        'mkdir -p .git/hooks; for hook in pre-commit post-index-change reference-transaction post-checkout; do printf "#!/bin/sh\\ntouch $HOME/pwned\\n" > .git/hooks/$hook; chmod +x .git/hooks/$hook; done; echo a > a',
        {"a": "a"},
    ),
    "E115-settings": (
        'git config core.fsmonitor "touch $HOME/pwned; false"; git config core.hooksPath .; git config core.sshCommand "touch $HOME/pwned"; git config core.excludesFile /dev/stdin; git config alias.add "!touch $HOME/pwned"; echo a > a',
        {"a": "a"},
    ),
    "E115-index-bits": ("git update-index --assume-unchanged README.md; echo new > README.md", {"README.md": "new"}),
    "E115-excludes": ("echo '*' > .git/info/exclude; echo a > a", {"a": "a"}),
    "E163-filter": (
        'git config filter.evil.clean "touch $HOME/pwned; cat"; echo "* filter=evil diff=evil" > .git/info/attributes; echo a > a',
        {"a": "a"},
    ),
    "E163-attributes-that-change-bytes": ('echo "* text eol=crlf ident" > .git/info/attributes; printf "\\$Id\\$\\r\\n" > a', {"a": "$Id$"}),
    "E162-only-a-mode": ("chmod +x README.md", {}),
    "E162-a-directory-for-a-file": ("rm README.md; mkdir README.md; echo 1 > README.md/x", {"README.md/x": "1"}),
    "E162-a-link-for-a-file": ("ln -sf nowhere README.md", {"README.md": "nowhere"}),
    "E162-empty-directories": ("mkdir -p e/f/g; echo a > a", {"a": "a"}),
    "E162-capitals": ("echo 1 > Name; echo 2 > NAME; echo 3 > name", {"Name": "1", "NAME": "2", "name": "3"}),
    "E154-links-in-out": ('ln -s /etc/passwd "$ADW_OUT/passwd"; ln -s . "$ADW_OUT/loop"; echo a > a', {"a": "a"}),
    "E158-no-permissions": ("mkdir d; echo 1 > d/x; echo a > a; chmod 500 d; chmod 400 a", {"a": "a", "d/x": "1"}),
    "E159-odd-summary": ("""printf '{"summary": ["\\\\ud800", null, {"a": 1e5}], "status": "passed", "commit": 7}' > $ADW_OUT/result.json; echo a > a""", {"a": "a"}),
    "E164-standard-input": ("test -z \"$(cat)\"; echo a > a", {"a": "a"}),
    "E165-writes-later": ("(sleep 3; echo late > late) & echo a > a; exec >/dev/null", {"a": "a"}),
    "E167-ignores-everything": ("echo '*' > .gitignore; echo a > a", {}),
    "E107-a-big-file": ("head -c 20000000 /dev/zero | tr '\\0' x > $ADW_OUT/big; echo a > a", {"a": "a"}),
}  # fmt: skip


@cases(("what", "change"), GREEN)
def test_only_the_tree_that_it_leaves_counts(project: Make, what: str, change: dict[str, str]):
    p = project(script(what))
    before = theirs(p)
    p.adws("sdlc", "ADW_ID=x")
    assert made(p) == change | {"b": "b"}
    assert theirs(p) == before
    assert {path.name for path in Path(p.env["HOME"]).iterdir()} == {"cache"}
    assert p.git("show", "refs/adws/x/b^2:status") == ""  # the next one in the slot sees nothing of it
    p.git("fsck", "--no-dangling", "--no-progress")


RED: dict[str, tuple[str, str]] = {
    **{f"E103-exit-{n}": (f"exit {n}", f"exit {n}") for n in (1, 2, 126, 127, 128, 130, 255)},
    **{f"E103-{name}": (f"kill -{name} $$", f"killed by SIG{name}") for name in ("SEGV", "KILL", "TERM", "PIPE", "XCPU")},
    "E103-core": ("ulimit -c unlimited || true; kill -ABRT $$", "killed by SIGABRT"),
    "E103-real-time-signal": ("kill -40 $$", "killed by signal 40"),
    "E103-a-line-in-the-middle": ("false\ntrue", "exit 1"),
    "E103-no-such-program": ("no-such-program", "exit 127"),
    "E111-nested-with-commits": (
        f"git init -q n; cd n; echo 1 > f; git add f; {WHO} commit -qm x",
        "left a git repository in n; its files would be lost: remove its .git",
    ),
    "E111-nested-without-commits": ("git init -q n; echo 1 > n/f", "left what cannot be captured: .*'n/' does not have a commit checked out"),
    "E111-nested-in-nested": (
        f"mkdir -p n/m; git init -q n/m; cd n/m; {WHO} commit -q --allow-empty -m x",
        "left a git repository in n/m; its files would be lost: remove its .git",
    ),
    "E111-a-gitlink-by-hand": (
        "mkdir m; printf 'gitdir: %s/.git' \"$PWD\" > m/.git; echo 1 > m/f",
        "left (a git repository in m|what cannot be captured)",
    ),
    "E110-link-out": ("ln -s /etc/passwd x", "left a link out of the repository: x; link to a relative path inside"),
    "E110-link-up": ("mkdir d; ln -s ../../x d/x", "left a link out of the repository: d/x; link to a relative path inside"),
    "E110-link-into-git": ("ln -s .git/config x", "left a link out of the repository: x; link to a relative path inside"),
    "E107-a-large-file": ("truncate -s 101M big", "left big of more than 100 MiB; put it into ADW_OUT, or name it in `writes`"),
    "E113-GIT": ("mkdir .GIT; echo 1 > .GIT/config", "left what cannot be captured: .*\\.GIT"),
    "E113-git-in-a-folder": ("mkdir -p n/.Git; echo 1 > n/.Git/config", "left what cannot be captured: .*\\.Git"),
    "E119-says-passed": ("echo '15 passed'; echo '{\"summary\": \"all passed\"}' > $ADW_OUT/result.json; exit 1", "exit 1"),
    "E159-result-cut-off": ("printf '{\"summary\": ' > $ADW_OUT/result.json", "left a result.json that cannot be read"),
    "E159-result-a-list": ("echo [] > $ADW_OUT/result.json", "left a result.json that is no JSON object"),
    "E159-result-latin-1": ("printf '{\"summary\": \"caf\\351\"}' > $ADW_OUT/result.json", "left a result.json that cannot be read"),
    "E159-result-2-MB": ("head -c 2000000 /dev/zero > $ADW_OUT/result.json", "left a result.json of more than 1048576 bytes"),
    "E159-result-deep": ("(yes '[' | head -n 100000) > $ADW_OUT/result.json", "left a result.json"),
    "E159-result-digits": ("(printf '{\"a\": '; yes 9 | head -n 9999 | tr -d '\\n'; printf '}') > $ADW_OUT/result.json", "left a result.json that cannot be read"),
    "E161-kills-its-supervisor": ("kill -9 $PPID; sleep 5", "the supervisor was killed"),
    "E115-attributes-in-the-tree": ("echo '* filter=evil' > .gitattributes", "changed .gitattributes, which is protected"),
    "E115-modules-in-the-tree": ("printf '[submodule \"x\"]\\n\\tpath = -x\\n\\turl = -x\\n' > .gitmodules", "changed .gitmodules, which is protected"),
    "E115-ci-in-the-tree": ("mkdir -p .github/workflows; echo 1 > .github/workflows/x.yml", "changed .github/workflows/x.yml, which is protected"),
}  # fmt: skip


@cases(("what", "said"), RED)
def test_it_has_failed_for_a_reason_and_nothing_is_merged(project: Make, what: str, said: str):
    p = project(script(what))
    before = theirs(p)
    out = p.adws("sdlc", "ADW_ID=x", status=1)
    assert re.search(f"^FAILED a: {said}", out, re.MULTILINE)
    assert "Traceback" not in out
    assert re.search("^b +not run", out, re.MULTILINE)
    assert theirs(p) == before
    assert p.git("for-each-ref", "refs/heads/adw") == ""
    if not what.startswith(("exit", "kill -")):
        slot_is_sound(p)


def slot_is_sound(p: Project) -> None:
    p.write("pipeline.yaml", script("git status --porcelain > $ADW_OUT/status"))
    p.adws("sdlc", "ADW_ID=after")
    assert p.git("show", "refs/adws/after/b^2:status", "--") == ""
    assert "refs/adws/after/a^2" not in p.git("for-each-ref")


def test_e108_fifos_and_sockets_are_dropped_and_cost_nothing(project: Make):
    p = project(
        script(
            "mkfifo fifo $ADW_OUT/fifo; "
            + python('import socket; socket.socket(1).bind("sock")')
            + "; echo a > a"
        )
    )
    p.adws("sdlc", "ADW_ID=x")
    assert made(p) == {"a": "a", "b": "b"}


def test_e108_what_no_tree_can_hold_is_told(project: Make):
    p = project(script("mkfifo channel; echo a > a"))
    p.adws("sdlc", "ADW_ID=x")
    assert "adws: warning: git ignores or cannot hold channel;" in p.log("x", "a")


@pytest.mark.parametrize("name", ["result.json", "junit.xml"])
def test_e159_a_fifo_in_place_of_a_report_does_not_block(project: Make, name: str):
    p = project(script(f"mkfifo $ADW_OUT/{name}; echo a > a", "evidence: junit.xml"))
    assert "FAILED a: left no test report" in p.adws("sdlc", "ADW_ID=x", status=1)


def test_e109_what_is_in_an_unreadable_directory_is_not_lost_in_silence(project: Make):
    p = project(script("mkdir d; echo 1 > d/x; echo a > a; chmod 0 d"))
    said = mortal(p)("sdlc", "ADW_ID=x", status=1)
    assert re.search("^FAILED a: left what cannot be captured: .*d", said, re.MULTILINE)


@pytest.mark.parametrize(
    "what",
    [
        "echo 1 > x; chmod 0 x",
        "mkdir d; echo 1 > d/x; chmod 0 d",
        "echo 1 > x; chmod 0 x .",
        "chmod 0 $ADW_OUT",
    ],
)
def test_e109_what_cannot_be_read_is_told_and_the_slot_is_sound_again(project: Make, what: str):
    p = project(script(what))
    before = theirs(p)
    adws = mortal(p)
    said = adws("sdlc", "ADW_ID=x", status=None)
    assert "Traceback" not in said
    assert theirs(p) == before
    p.adws = adws  # type: ignore[method-assign]
    slot_is_sound(p)


def test_e109_an_unreadable_directory_is_the_phases_failure(project: Make):
    p = project(script("chmod 0 $ADW_OUT"))
    assert "FAILED a: " in mortal(p)("sdlc", "ADW_ID=x", status=1)


def test_e109_an_unreadable_file_is_the_phases_failure(project: Make):
    p = project(script("echo 1 > x; chmod 0 x"))
    assert re.search(
        "^FAILED a: left what cannot be captured: .*x", mortal(p)("sdlc", "ADW_ID=x", status=1), re.MULTILINE
    )


OUTS = {
    "E154-out-deleted": 'rm -rf "$ADW_OUT"',
    "E154-out-a-file": 'rm -rf "$ADW_OUT"; echo 1 > "$ADW_OUT"',
    "E154-out-a-link-to-nothing": 'rm -rf "$ADW_OUT"; ln -s /nowhere "$ADW_OUT"',
}


@cases("what", OUTS)
def test_an_out_directory_that_is_gone_is_the_phases_failure(project: Make, what: str):
    p = project(script(what, "retries: 1"))
    assert re.search("^FAILED a: .*ADW_OUT", p.adws("sdlc", "ADW_ID=x", status=1), re.MULTILINE)
    assert p.git("for-each-ref", "refs/adws/x/attempt/a").count("\n") == 1


@cases("what", OUTS | {"E154-io-deleted": 'rm -rf "$ADW_OUT/.."'})
def test_an_out_directory_that_is_gone_breaks_neither_run_nor_slot(project: Make, what: str):
    p = project(script(what))
    said = p.adws("sdlc", "ADW_ID=x", status=None)
    assert "Traceback" not in said
    assert "merge  passed" not in said
    slot_is_sound(p)


def test_e154_a_link_in_place_of_out_is_not_followed(project: Make):
    p = project(script('rm -rf "$ADW_OUT"; ln -s "$HOME/private" "$ADW_OUT"'))
    private = Path(p.env["HOME"]) / "private"
    private.mkdir()
    (private / "key").write_text("secret")
    p.adws("sdlc", "ADW_ID=x", status=1)
    assert p.git("rev-parse", "--verify", "--quiet", "refs/adws/x/a") == "" or "key" not in p.git(
        "log", "-p", "--all", "--format="
    )


def test_e154_what_a_link_in_place_of_out_leads_to_is_left_alone(project: Make):
    p = project(script('rm -rf "$ADW_OUT"; ln -s "$HOME/private" "$ADW_OUT"'))
    private = Path(p.env["HOME"]) / "private"
    private.mkdir()
    (private / "key").write_text("secret")
    p.adws("sdlc", "ADW_ID=x", status=None)
    assert (private / "key").read_text() == "secret"
    slot_is_sound(p)
    assert (private / "key").read_text() == "secret"


TREES = {
    "E155-deleted": 'rm -rf "$PWD"',
    "E155-moved": 'mv "$PWD" "$HOME/moved"',
    "E155-a-file": 'cd /; rm -rf "$OLDPWD"; echo 1 > "$OLDPWD"',
    "E155-a-link-to-private-files": 'cd "$HOME"; rm -rf "$OLDPWD"; ln -s "$HOME/private" "$OLDPWD"',
    "E155-a-link-to-the-users-checkout": 'cd "$HOME"; rm -rf "$OLDPWD"; ln -s "$HOME/../repo" "$OLDPWD"',
    "E156-the-slot": 'rm -rf "$ADW_OUT/../.."',
    "E156-our-git": 'rm -rf "$ADW_OUT/../../git"',
    "E156-our-index": 'echo junk > "$ADW_OUT/../../git/index"',
    "E156-our-head": 'echo junk > "$ADW_OUT/../../git/HEAD"',
    "E156-the-pool": 'rm -rf "$ADW_OUT/../../.."',
}


@cases("what", TREES)
def test_a_workspace_that_is_gone_costs_a_phase_and_nothing_else(project: Make, what: str):
    p = project(script(what))
    private = Path(p.env["HOME"]) / "private"
    private.mkdir()
    (private / "key").write_text("secret")
    p.write("untracked.txt", "mine")
    before = theirs(p)
    said = p.adws("sdlc", "ADW_ID=x", status=None)
    assert "Traceback" not in said
    assert theirs(p) == before
    assert (private / "key").read_text() == "secret"
    slot_is_sound(p)
    assert theirs(p) | {"pipeline.yaml": 0} == before | {"pipeline.yaml": 0}
    assert (private / "key").read_text() == "secret"


@pytest.mark.parametrize("target", ["private", "../repo"])
def test_e155_what_a_link_in_place_of_the_workspace_leads_to_is_not_captured(project: Make, target: str):
    p = project(script(f'cd "$HOME"; rm -rf "$OLDPWD"; ln -s "$HOME/{target}" "$OLDPWD"'))
    private = Path(p.env["HOME"]) / "private"
    private.mkdir()
    (private / "key").write_text("secret")
    p.write("untracked.txt", "mine")
    assert "FAILED a: " in p.adws("sdlc", "ADW_ID=x", status=1)
    assert not {"key", "untracked.txt"} & set(p.git("log", "--all", "--format=", "--name-only").split())


DIG = """
import os, sys
levels, top = sys.argv[1:]
os.chdir(top)
for _ in range(int(levels)):
    os.mkdir("d")
    os.chdir("d")
"""


def dig(project: Make, levels: int, where: str) -> Project:
    """A phase that makes directories in directories."""
    return project(script(f'python3 dig.py {levels} "{where}"; echo a > a'), **{"dig.py": DIG})


@pytest.fixture
def fill_in(tmp_path: Path):
    """pytest's own way to delete a folder ends at Python's stack as well."""
    yield
    for folder in (tmp_path / "home/cache", tmp_path / "repo/.adws"):
        os.system(f"rm -rf '{folder}'")  # noqa: S605


@pytest.mark.parametrize("where", ["$PWD", "$ADW_OUT"])
@pytest.mark.usefixtures("fill_in")
def test_e157_nested_deep_but_not_too_deep(project: Make, where: str):
    p = dig(project, 300, where)
    p.adws("sdlc", "ADW_ID=x")
    assert {"a", "b"} <= set(made(p))
    slot_is_sound(p)


@pytest.mark.usefixtures("fill_in")
def test_e157_nested_deeper_than_a_stack_does_not_block_the_slot(project: Make):
    p = dig(project, 1100, "$ADW_OUT")
    assert "Traceback" not in p.adws("sdlc", "ADW_ID=x", status=None)
    slot_is_sound(p)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["$PWD", "$HOME/cache"])
@pytest.mark.usefixtures("fill_in")
def test_e157_nested_deeper_than_a_path_may_be_does_not_block_the_slot(project: Make, where: str):
    p = dig(project, 3000, where)
    assert "Traceback" not in p.adws("sdlc", "ADW_ID=x", status=None)
    slot_is_sound(p)


def test_e158_what_is_immutable_does_not_block_the_slot(project: Make):
    p = project(
        script(
            'echo 1 > "$HOME/probe"; chattr +i "$HOME/probe" 2>/dev/null || exit 9; chattr -i "$HOME/probe"; echo 1 > x; chattr +i x'
        )
    )
    try:
        said = p.adws("sdlc", "ADW_ID=x", status=None)
        if "exit 9" in said:
            pytest.skip("nothing can be made immutable here")
        p.write("pipeline.yaml", script("echo c > c"))
        said = p.adws("sdlc", "ADW_ID=y", status=None)
        assert "Traceback" not in said
        assert re.search("not permitted|permission", said, re.IGNORECASE) or "passed" in said
    finally:
        os.system(f"chattr -R -i '{p.env['HOME']}'")  # noqa: S605


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity"])
def test_e159_the_state_file_is_json_whatever_a_phase_says(project: Make, number: str):
    p = project(script(f"printf '{{\"n\": {number}}}' > $ADW_OUT/result.json; echo a > a"))
    p.adws("sdlc", "ADW_ID=x", status=None)
    state = (p.path / ".adws/runs/x/adw_state.json").read_text()

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    json.loads(state, parse_constant=refuse)


def test_e159_a_result_through_a_link_is_not_read(project: Make):
    p = project(
        script(
            'echo \'{"summary": "outside"}\' > "$HOME/r.json"; ln -s "$HOME/r.json" "$ADW_OUT/result.json"; echo a > a'
        )
    )
    assert "outside" not in p.adws("sdlc", "ADW_ID=x")


@pytest.mark.parametrize("code", [0, 1])
def test_e160_nothing_that_a_phase_says_steers_a_terminal(project: Make, code: int):
    evil = r"\033[2J\033]0;title\007 \033]8;;http://evil\033\\ \r\b\b \342\200\256 \377\376 \0 \233 \302\233 \t \v\f"
    summary = r'{"summary": "\\u001b[2J\\u202e\\u0007\\u0085\\u2028::error::x"}'
    p = project(
        script(
            f"printf '{evil}'\necho a > \"$(printf 'a\\033[2J\\n::x')\"\nprintf '{summary}' > $ADW_OUT/result.json\nexit {code}"
        )
    )
    said = p.adws("sdlc", "ADW_ID=x", status=code)
    assert not {char for char in said if not char.isprintable()} - {"\n"}
    assert not [line for line in said.splitlines() if line.lstrip().startswith("::")]
    message = p.git("cat-file", "commit", "refs/adws/x/a" if code else "adw/x")
    assert not {char for char in message if not char.isprintable()} - {"\n"}


def test_e112_what_is_ignored_and_declared_is_captured_and_has_to_be_there(project: Make):
    ignored = {".gitignore": "dist\n"}
    p = project(script("mkdir dist; echo 1 > dist/x", "outputs: 'dist/**'"), **ignored)
    p.adws("sdlc", "ADW_ID=x")
    assert made(p) == {"dist/x": "1", "b": "b"}
    p.write("pipeline.yaml", script("echo a > a", "outputs: 'dist/**'"))
    assert "FAILED a: left no dist/**, which its `outputs` names" in p.adws("sdlc", "ADW_ID=y", status=1)


def test_e113_names_that_are_no_text(project: Make):
    p = project(
        script(r"""
for name in "$(printf 'a\nb')" "$(printf '\377')" "$(printf 'c\033[2J')" '"' '\'; do echo 1 > "$name"; done
""")
    )
    said = p.adws("sdlc", "ADW_ID=x")
    assert "\x1b" not in said
    names = p.git("-c", "core.quotePath=true", "ls-tree", "--name-only", "adw/x").splitlines()
    assert {r'"a\nb"', r'"\377"', r'"c\033[2J"', r'"\""', r'"\\"'} <= set(names)


@pytest.mark.slow
def test_e114_20000_files(project: Make):
    p = project(script("mkdir d; cd d; seq 20000 | split -l 1 -a 5"))
    p.adws("sdlc", "ADW_ID=x")
    assert len(p.git("ls-tree", "-r", "--name-only", "adw/x", "d/").splitlines()) == 20_000


@pytest.mark.slow
def test_e107_two_gigabytes(project: Make):
    if shutil.disk_usage("/tmp").free < 8 << 30:
        pytest.skip("needs 8 GB of disk")
    p = project(script("truncate -s 2G big; truncate -s 2G $ADW_OUT/big", "timeout: 5m"))
    assert "FAILED a: left big of more than 100 MiB" in p.adws("sdlc", "ADW_ID=x", status=1)
    slot_is_sound(p)


def running(token: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if token.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text())
        except OSError:
            continue
    return found


DAEMONS = {
    "E116-background": "sleep 300 &",
    "E116-nohup": "nohup sleep 300 >/dev/null 2>&1 &",
    "E116-session": "setsid sleep 300 >/dev/null 2>&1 </dev/null &",
    "E116-daemon": "(setsid sh -c 'sleep 300 & sleep 300 &' >/dev/null 2>&1 </dev/null &)",
    "E116-holds-the-output": "sh -c 'trap \"\" TERM HUP INT; sleep 300' &",
    "E116-stopped": "sleep 300 & kill -STOP $!",
}


@cases("what", DAEMONS)
def test_nothing_that_it_leaves_running_is_left(project: Make, what: str):
    token = uuid.uuid4().hex
    p = project(script(f"{what}\necho a > a", f"env: {{TOKEN: '{token}'}}"))
    started = time.monotonic()
    p.adws("sdlc", "ADW_ID=x")
    assert time.monotonic() - started < 30
    assert made(p) == {"a": "a", "b": "b"}
    assert not running(token)


def test_e117_a_flood_is_cut_and_ends_are_kept(project: Make):
    p = project(script("echo first; head -c 60000000 /dev/zero | tr '\\0' x; echo; echo last; exit 1"))
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    log = p.log("x", "a")
    assert len(log) < 10_000_000
    assert log.startswith("first\n")
    assert log.endswith("\nlast\n")
    assert "bytes left out ...]" in log
    assert len(said) < 200_000


@pytest.mark.slow
def test_e118_what_ignores_term_is_killed(project: Make):
    token = uuid.uuid4().hex
    p = project(
        script(
            "trap '' TERM INT HUP; while :; do sleep 300; done", f"timeout: 1s\n    env: {{TOKEN: '{token}'}}"
        )
    )
    started = time.monotonic()
    assert "FAILED a: timed out after 1 s" in p.adws("sdlc", "ADW_ID=x", status=1)
    assert time.monotonic() - started < 30
    assert not running(token)


def test_e118_what_sleeps_for_ever_is_stopped(project: Make):
    p = project(script("sleep 300", "timeout: 1s"))
    assert "FAILED a: timed out after 1 s" in p.adws("sdlc", "ADW_ID=x", status=1)


def test_e119_to_do_nothing_is_to_fail_where_a_change_is_due(project: Make):
    p = project(script("echo all done", "must-change: true"))
    assert "FAILED a: changed nothing, and a change is due" in p.adws("sdlc", "ADW_ID=x", status=1)


def test_e119_what_happens_to_be_there_is_no_evidence(project: Make):
    p = project(
        script("echo ok", "evidence: junit.xml"),
        **{"junit.xml": '<testsuite><testcase name="t"/></testsuite>'},
    )
    assert "FAILED a: left no test report: junit.xml is not in ADW_OUT" in p.adws(
        "sdlc", "ADW_ID=x", status=1
    )


OTHERS = {
    "E120-deletes-the-logs": 'rm -rf "$REPO_/.adws"',
    "E120-fills-the-logs": 'for f in $(find "$REPO_/.adws/runs/other" -type f); do chmod u+w $f; echo evil > $f; done',
    "E120-deletes-a-result": 'git --git-dir="$REPO_/.git" update-ref -d refs/adws/other/a',
    "E120-moves-a-result": 'git --git-dir="$REPO_/.git" update-ref refs/adws/other/a main',
    "E120-moves-a-run": 'git --git-dir="$REPO_/.git" update-ref refs/adws/other/run main',
    "E120-deletes-locks": 'rm -rf "$REPO_/.git/adws"',
}


@cases("what", OTHERS)
def test_another_run_is_not_led_astray(project: Make, what: str):
    p = project("phases: {a: {run: echo good > good}}")
    p.adws("a", "ADW_ID=other")
    source = (p.path / "pipeline.yaml").read_text()
    p.write("pipeline.yaml", script(f'REPO_="$HOME/../repo"; {what}; echo a > a'))
    said = p.adws("sdlc", "ADW_ID=x", status=None)
    assert "Traceback" not in said
    p.write("pipeline.yaml", source)
    p.adws("sdlc", "ADW_ID=other")
    assert p.git("diff", "--name-only", "main", "adw/other") == "good"
    assert p.git("show", "adw/other:good") == "good"


TAMPERING = {
    "E120-a-branch": 'git --git-dir="$REPO_/.git" branch evil; echo a > a',
    "E120-the-users-settings": 'git config --global core.excludesFile "$HOME/all"; echo a > a',
    "E120-the-repositorys-settings": 'git --git-dir="$REPO_/.git" config core.fsmonitor "touch $HOME/pwned"; echo a > a',
    "E120-a-hook": 'mkdir -p "$REPO_/.git/hooks"; echo "touch $HOME/pwned" > "$REPO_/.git/hooks/pre-commit"; chmod +x "$REPO_/.git/hooks/pre-commit"; echo a > a',
}


@cases("what", TAMPERING)
def test_who_goes_looking_for_the_repository_is_found_out(project: Make, what: str):
    p = project(script(f'REPO_="$HOME/../repo"; {what}'))
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert re.search("^FAILED a: .*tampered with", said, re.MULTILINE)
    assert p.git("for-each-ref", "refs/heads/adw") == ""
    assert not (Path(p.env["HOME"]) / "pwned").exists()


JOURNAL = """
cd "$HOME/../repo"
evil=$(echo evil | git commit-tree HEAD^{tree} -p HEAD)
printf '{"checkout": "%s", "ref": "refs/heads/main", "commit": "%s"}' "$PWD" $evil > .git/adws/.merge.journal
cd "$OLDPWD"; echo a > a
"""


def test_e174_a_journal_that_a_phase_wrote_moves_nothing(project: Make):
    p = project(script(JOURNAL))
    before = p.git("rev-parse", "main")
    p.adws("sdlc", "ADW_ID=x", status=None)
    assert p.git("rev-parse", "main") == before
    p.write("pipeline.yaml", script("echo c > c"))
    p.adws("sdlc", "ADW_ID=y", status=None)
    assert p.git("rev-parse", "main") == before


def test_e164_the_environment_has_what_is_declared_and_nothing_else(project: Make):
    p = project(script("env > $ADW_OUT/env; cat >> $ADW_OUT/env; echo a > a"))
    secrets = {
        "AWS_SECRET_ACCESS_KEY": "s3cr3t",
        "GITHUB_TOKEN": "s3cr3t",
        "ADW_TOKEN": "s3cr3t",
        "LD_PRELOAD": "",
        "GIT_DIR": "/nowhere",
    }
    p.adws("sdlc", "ADW_ID=x", stdin="s3cr3t", **secrets)
    seen = p.git("show", "refs/adws/x/a^2:env")
    assert "s3cr3t" not in seen
    names = {line.partition("=")[0] for line in seen.splitlines()}
    allowed = {
        "GIT_COMMITTER_EMAIL",
        "PATH",
        "HOME",
        "LANG",
        "TERM",
        "TMPDIR",
        "VIRTUAL_ENV",
        "COMPOSE_PROJECT_NAME",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
    }
    assert names - allowed == {
        f"ADW_{name}" for name in ("ID", "PHASE", "BASE", "OUT", "ISSUE", "STATE", "SLOT", "PORT")
    }


def test_e166_a_command_that_is_too_long_for_the_system_is_told(project: Make):
    p = project(script("#" * 200_000))
    assert "FAILED a: could not start `/bin/sh`: argument list too long" in p.adws(
        "sdlc", "ADW_ID=x", status=1
    )


def test_e161_whoever_kills_its_worker_ends_only_the_run(project: Make):
    what = 'pid=$PPID; for n in 1 2; do pid=$(sed "s/.*) //" /proc/$pid/stat | cut -d" " -f2); done; kill -9 $pid; sleep 5'
    p = project(script(what))
    before = theirs(p)
    said = p.adws("-n", "2", "sdlc", "ADW_ID=x", status=2)
    assert "a worker process died with exit code" in said
    assert "Traceback" not in said
    assert theirs(p) == before
    slot_is_sound(p)
