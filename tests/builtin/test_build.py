"""build: applies exactly what the issue spells out, all of it or nothing."""

from __future__ import annotations

import json
import random
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builtin.conftest import Repo

NUMBERS = "".join(f"line {n}\n" for n in range(1, 41))
BINARY = b"\x89PNG\r\n\x1a\n\0\0"


@pytest.fixture
def build(repo: Repo, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`build(issue)`: what the phase said; where it failed, that nothing at all has changed."""

    def run(issue: str, *, status: int = 0) -> str:
        before = snapshot(repo.root)
        assert repo.phase("build", issue=issue) == status
        if status:
            assert snapshot(repo.root) == before
        said = capsys.readouterr()
        return (said.err if status else said.out).removeprefix("builtin build: ").rstrip("\n")

    return run


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of everything in a checkout but .git and .adws."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.split("/")[0] not in (".git", ".adws") and not path.is_dir():
            found[name] = (
                stat.S_IMODE(path.lstat().st_mode),
                b"" if path.is_symlink() else path.read_bytes(),
            )
    return found


def diff(path: str, *hunks: str) -> str:
    return f"```diff\n--- a/{path}\n+++ b/{path}\n{''.join(hunks)}```\n"


def block(path: str, search: str, replace: str) -> str:
    return f"{path}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


def test_every_form_in_one_issue_is_applied_in_order(repo, build):
    repo.commit(**{"a.py": "one\ntwo\n", "old.py": "x\n"})
    issue = "# T\n" + diff("a.py", "@@ -1,2 +1,2 @@\n one\n-two\n+2\n") + block("a.py", "2\n", "zwei\n")
    issue += "```diff\ndiff --git a/old.py b/old.py\ndeleted file mode 100644\n--- a/old.py\n+++ /dev/null\n"
    issue += "@@ -1 +0,0 @@\n-x\n```\nNew file: `new/b.py`\n```python\nb = 1\n```\n"
    assert build(issue) == "applied 4 edits to 3 files: a.py, new/b.py, old.py"
    assert repo.git("status", "--porcelain", "-uall") == "M a.py\n D old.py\n?? new/b.py"
    assert (repo.read("a.py"), repo.read("new/b.py")) == ("one\nzwei\n", "b = 1\n")
    result = json.loads((repo.root / ".adws/local/build/result.json").read_bytes())
    assert result == {
        "summary": "applied 4 edits to 3 files: a.py, new/b.py, old.py",
        "files": ["a.py", "new/b.py", "old.py"],
    }


def test_an_issue_without_an_edit_needs_an_agent(repo, build):
    repo.commit(**{"a.py": "x\n"})
    assert build("# It crashes\n\n```python\nx = 1\n```\n", status=1) == (
        "the issue spells out no edit; it needs an agent: AGENT=claude, or put a diff into the issue"
    )


CHANGE = " line 19\n-line 20\n+LINE 20\n line 21\n"


@pytest.mark.parametrize(
    "hunk",
    [
        pytest.param(f"@@ -19,3 +19,3 @@\n{CHANGE}", id="as git writes it"),
        pytest.param(f"@@ -1,3 +1,3 @@\n{CHANGE}", id="wrong line number"),
        pytest.param(f"@@ -19,9 +19,1 @@\n{CHANGE}", id="wrong counts"),
        pytest.param(f"@@ -919,3 +919,3 @@ def f\n{CHANGE}", id="behind the end"),
        pytest.param(f"@@ ... @@\n{CHANGE}", id="no numbers"),
        pytest.param(f"@@\n{CHANGE}", id="nothing but the mark"),
        pytest.param("@@ -19,2 +19,2 @@\n line 19\n-line 20\n+LINE 20\n", id="no context behind"),
        pytest.param("@@ -20 +20 @@\n-line 20\n+LINE 20\n", id="no context at all"),
        pytest.param(f"@@ -19,3 +19,3 @@\n{CHANGE}\n\n", id="empty lines behind"),
        pytest.param(f"@@ -19,3 +19,3 @@\n{CHANGE}-- \n2.39.5\n", id="a mail's signature"),
    ],
)
def test_a_hunk_is_placed_by_its_context(repo, build, hunk):
    repo.commit(f=NUMBERS)
    build(diff("f", hunk))
    assert repo.read("f") == NUMBERS.replace("line 20", "LINE 20")


def test_an_empty_context_line_may_have_lost_its_blank(repo, build):
    repo.commit(f="a\n\nb\n\nc\n")
    build(diff("f", "@@ -1,5 +1,5 @@\n a\n\n-b\n+B\n\n c\n"))
    assert repo.read("f") == "a\n\nB\n\nc\n"


def test_later_hunks_follow_what_the_earlier_ones_moved(repo, build):
    repo.commit(f="new\n" * 7 + "top\nx\n" + "a\nx\n" * 5)
    # both were written for a file without the first seven lines; the second one's context is there five times
    build(diff("f", "@@ -1,2 +1,3 @@\n top\n+first\n x\n", "@@ -4,3 +5,4 @@\n x\n a\n+second\n x\n"))
    assert repo.read("f") == "new\n" * 7 + "top\nfirst\nx\na\nx\na\nsecond\nx\n" + "a\nx\n" * 3


@pytest.mark.parametrize(
    ("hunk", "said"),
    [
        (
            "@@ -1,3 +1,3 @@\n line 19\n-line 2O\n+x\n line 21\n",
            "does not fit: closest is lines 19-21; "
            "line 20 differs first: the file has `line 20`, the edit `line 2O`",
        ),
        (
            "@@ -1 +1 @@\n-line  20\n+x\n",
            "does not fit: closest is line 20; "
            "line 20 differs in white space: the file has `line 20`, the edit `line  20`",
        ),
        (
            "@@ -39,3 +39,3 @@\n line 39\n-line 40\n+x\n line 41\n",
            "does not fit: closest is lines 39-40, the end of the file, where `line 41` is missing",
        ),
        ("@@ -1 +1 @@\n-%%%%%%%%%%\n+x\n", "does not fit: nothing in the file looks like it"),
        ("@@ -1,0 +2 @@\n+x\n", "adds lines without any context, so where they go is a guess"),
        ("@@ -1,2 +1,2 @@\n line 1\n line 2\n", "changes nothing"),
    ],
)
def test_a_hunk_that_does_not_apply_is_named_with_the_closest_match(repo, build, hunk, said):
    repo.commit(f=NUMBERS)
    first = "@@ -5 +5 @@\n-line 5\n+LINE 5\n"
    assert build(diff("f", first, hunk), status=1) == (
        f"edit 1 of 1 (diff, line 2 of the issue): f: hunk 2 of 2 (line 7) {said}\nnothing was changed"
    )


def test_a_hunk_that_fits_in_two_places_is_not_guessed(repo, build):
    repo.commit(f="same\nx\n" * 3)
    said = build(diff("f", "@@ -2,2 +2,3 @@\n same\n+new\n x\n"), status=1)
    assert "hunk 1 of 1 (line 4) fits at lines 1, 3 and 5 and not where it says; give it more context" in said
    build(diff("f", "@@ -3,2 +3,3 @@\n same\n+new\n x\n"))
    assert repo.read("f") == "same\nx\nsame\nnew\nx\nsame\nx\n"


def test_a_rename_a_copy_and_a_mode_are_more_than_text(repo, build):
    repo.commit(**{"a.sh": "echo a\n", "pic": BINARY, "c.py": "c\n"})
    build(
        "```diff\n"
        "diff --git a/a.sh b/bin/a\nold mode 100644\nnew mode 100755\nsimilarity index 90%\n"
        "rename from a.sh\nrename to bin/a\n--- a/a.sh\n+++ b/bin/a\n@@ -1 +1 @@\n-echo a\n+echo A\n"
        "diff --git a/pic b/logo.png\nsimilarity index 100%\nrename from pic\nrename to logo.png\n"
        "diff --git a/c.py b/d.py\nsimilarity index 100%\ncopy from c.py\ncopy to d.py\n"
        "diff --git a/e.py b/e.py\nnew file mode 100755\nindex 0000000..e69de29\n"
        "```\n"
    )
    assert {name: (oct(mode), data) for name, (mode, data) in snapshot(repo.root).items()} == {
        "bin/a": ("0o755", b"echo A\n"),
        "c.py": ("0o644", b"c\n"),
        "d.py": ("0o644", b"c\n"),
        "e.py": ("0o755", b""),
        "logo.png": ("0o644", BINARY),
    }


def test_a_new_file_may_be_known_by_its_counts_alone(repo, build):
    repo.commit(a="a\n")
    build(diff("b/c.txt", "@@ -0,0 +1,2 @@\n+one\n+two\n\\ No newline at end of file\n"))
    assert repo.read("b/c.txt") == "one\ntwo"


def test_a_folder_goes_with_its_last_file_and_gives_way_to_a_file(repo, build):
    repo.commit(**{"d/e/x": "x\n", "f": "f\n"})
    build(
        "```diff\ndiff --git a/d/e/x b/y\nsimilarity index 100%\nrename from d/e/x\nrename to y\n"
        "diff --git a/f b/f/g\nsimilarity index 100%\nrename from f\nrename to f/g\n```\n"
    )
    assert sorted(snapshot(repo.root)) == ["f/g", "y"]
    assert not (repo.root / "d").exists()


@pytest.mark.parametrize("form", ["diff", "block", "file"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"one\r\ntwo\r\n", b"one\r\nTWO\r\nmore\r\n", id="CRLF"),
        pytest.param(b"one\ntwo", b"one\nTWO\nmore", id="no final newline"),
        pytest.param(b"\xef\xbb\xbfone\r\ntwo", b"\xef\xbb\xbfone\r\nTWO\r\nmore", id="BOM"),
    ],
)
def test_a_file_keeps_its_line_ends_its_mark_and_its_mode(repo, build, form, old, new):
    repo.write("f", old).chmod(0o755)
    repo.commit()
    issue = {
        "diff": diff("f", "@@ -1,2 +1,3 @@\n one\n-two\n+TWO\n+more\n"),
        "block": block("f", "two\n", "TWO\nmore\n"),
        "file": "```text path=f\none\nTWO\nmore\n```\n",
    }[form]
    build(issue)
    assert snapshot(repo.root) == {"f": (0o755, new)}


def test_lines_that_stay_keep_their_own_ends_and_bytes(repo, build):
    repo.commit(f=b"a\r\n\xff\xfe\nb\r\nc\r\nd\x0ce\n")
    build(diff("f", "@@ -3,2 +3,3 @@\n b\n+new\n c\n"))
    assert (repo.root / "f").read_bytes() == b"a\r\n\xff\xfe\nb\r\nnew\r\nc\r\nd\x0ce\n"


def test_a_diff_says_when_the_end_of_the_last_line_changes(repo, build):
    repo.commit(f="a\nb", g="a\nb\n")
    note = "\\ No newline at end of file\n"
    build(
        diff("f", f"@@ -1,2 +1,2 @@\n a\n-b\n{note}+b\n") + diff("g", f"@@ -1,2 +1,2 @@\n a\n-b\n+b\n{note}")
    )
    assert (repo.read("f"), repo.read("g")) == ("a\nb\n", "a\nb")


def test_an_issue_from_windows_edits_a_file_from_linux(repo, build):
    repo.commit(f="a\nb\n")
    build((diff("f", "@@ -1,2 +1,2 @@\n a\n-b\n+B\n") + "New file: n\n```\nn\n```\n").replace("\n", "\r\n"))
    assert (repo.read("f"), repo.read("n")) == ("a\nB\n", "n\n")


def test_a_search_that_fits_twice_or_not_at_all_is_named(repo, build):
    repo.commit(**{"src/a.py": "def f():\n    return 1\n\n\ndef g():\n    return 1\n"})
    issue = block("src/a.py", "    return 1\n", "    return 2\n")
    assert build(issue, status=1) == (
        "edit 1 of 1 (SEARCH/REPLACE, line 2 of the issue): "
        "its SEARCH is in src/a.py at lines 2 and 6; add lines that make it unique\nnothing was changed"
    )
    issue = block("src/a.py", "def g():\n  return 1\n", "") + block("a.py", "x\n", "y\n")
    assert build(issue, status=1) == (
        "edit 1 of 2 (SEARCH/REPLACE, line 2 of the issue): its SEARCH is not in src/a.py: "
        "closest is lines 5-6; line 6 differs in white space: the file has `    return 1`, the edit `  return 1`\n"
        "edit 2 of 2 (SEARCH/REPLACE, line 8 of the issue): a.py does not exist; did you mean `src/a.py`?\n"
        "nothing was changed"
    )


def test_an_empty_search_makes_a_file_and_fills_an_empty_one(repo, build):
    repo.commit(empty="", full="x\n")
    build(block("empty", "", "a\n") + block("n/ew", "", "b\n"))
    assert (repo.read("empty"), repo.read("n/ew")) == ("a\n", "b\n")
    assert "full exists already; an empty SEARCH creates a file" in build(block("full", "", "b\n"), status=1)


def test_an_empty_replace_removes_lines(repo, build):
    repo.commit(f="a\nb\nc\n")
    build(block("f", "a\nb\n", ""))
    assert repo.read("f") == "c\n"


def test_a_divider_may_be_a_line_of_the_text(repo, build):
    repo.commit(**{"d.rst": "Title\n=======\nold\n\nMore\n=======\nold\n"})
    build(block("d.rst", "Title\n=======\nold\n", "New\n=======\nnew\n"))
    assert repo.read("d.rst") == "New\n=======\nnew\n\nMore\n=======\nold\n"
    build(block("d.rst", "new\n", "new\n\nThird\n=======\n"))
    assert repo.read("d.rst") == "New\n=======\nnew\n\nThird\n=======\n\nMore\n=======\nold\n"


def test_edits_that_are_there_already_are_a_failure(repo, build):
    repo.commit(f="a\nB\n", n="n\n")
    done = diff("f", "@@ -1,2 +1,2 @@\n a\n-b\n+B\n")
    issue = done + block("f", "x\n", "B\n") + "```text path=n\nn\n```\n"
    assert build(issue, status=1) == "the issue's edits are already in place"
    assert build(done + "```text path=n\nnew\n```\n", status=1) == (
        "edit 1 of 2 (diff, line 2 of the issue): f has this edit already\nnothing was changed"
    )


PLAIN = "@@ -1 +1 @@\n-x\n+y\n"
FRESH = "--- /dev/null\n+++ b/{}\n@@ -0,0 +1 @@\n+y\n"


@pytest.mark.parametrize(
    ("issue", "said"),
    [
        (
            diff("/etc/passwd", PLAIN),
            "/etc/passwd may not be edited: the path is not relative to the checkout",
        ),
        (block("C:\\x.txt", "x\n", "y\n"), "C:\\x.txt may not be edited: the path is not relative"),
        (diff("../x", PLAIN), "../x may not be edited: the path has `..` in it"),
        (block("..\\x.txt", "x\n", "y\n"), "..\\x.txt may not be edited: the path has `..` in it"),
        ("```text path=d/../../x\ny\n```\n", "d/../../x may not be edited: the path has `..` in it"),
        (diff(".git/config", PLAIN), ".git/config may not be edited: it is git's own"),
        ("```text path=d/.GIT/hooks/x\ny\n```\n", "d/.GIT/hooks/x may not be edited: it is git's own"),
        ("```text path=.g\u200dit/x\ny\n```\n", "may not be edited: it is git's own"),
        ("```text path=git~1/x\ny\n```\n", "git~1/x may not be edited: it is git's own"),
        ("```text path=d/\ny\n```\n", "`d/` is no path of a file"),
        (diff("link", PLAIN), "link may not be edited: it is a symlink"),
        (diff("out/x", PLAIN), "out/x may not be edited: out is a symlink, not a folder"),
        ("```text path=f/x\ny\n```\n", "f/x may not be edited: f is a file, not a folder"),
        ("```text path=d\ny\n```\n", "d may not be edited: it is a folder"),
        ("```text path=sub/x\ny\n```\n", "sub/x may not be edited: sub is a git repository of its own"),
        (f"```text path={'n' * 300}\ny\n```\n", "File name too long"),
        ("```text path=n\ny\n```\n```text path=n/m\ny\n```\n", "n/m may not be edited: another edit makes n"),
        (
            f"```diff\ndiff --git a/l b/l\nnew file mode 120000\n{FRESH.format('l')}```\n",
            "l is not touched: it is about a symlink, and only files are edited",
        ),
        (
            f"```diff\ndiff --git a/l b/l\nindex 123..456 120000\n--- a/l\n+++ b/l\n{PLAIN}```\n",
            "l is not touched: it is about a symlink",
        ),
        (
            f"```diff\ndiff --git a/s b/s\nnew file mode 160000\n{FRESH.format('s')}```\n",
            "s is not touched: it is about a submodule",
        ),
        (
            "```diff\ndiff --git a/p b/p\nindex 123..456\nGIT binary patch\nliteral 3\nKcmZQzU|?ckU\n\n```\n",
            "p is not touched: it is a binary change, and only text is edited",
        ),
        (
            "```diff\ndiff --git a/pic b/pic\nBinary files a/pic and b/pic differ\n```\n",
            "it is a binary change",
        ),
        (diff("pic", PLAIN), "pic is a binary file, and only text is edited"),
        (block("pic", "x\n", "y\n"), "pic is a binary file, and only text is edited"),
        (f"```diff\n{FRESH.format('f')}```\n", "f exists already; the diff would create it"),
        ("New file: f\n```\ny\n```\n", "f exists already; say `Write file:` to replace it whole"),
        (
            "```diff\n--- a/two\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n```\n",
            "two has 1 more lines than the diff deletes",
        ),
        (
            "```diff\ndiff --git a/f b/two\nsimilarity index 100%\nrename from f\nrename to two\n```\n",
            "two exists already; the diff would rename f to it",
        ),
        ("```diff\ndiff --git a/f b/f\nindex 1..2 100644\n```\n", "f: the diff has no hunk"),
        ("```text path=f\n\ufffd\n```\n", "it holds U+FFFD, which stands for text that was not UTF-8"),
        ("```text path=x.log\ny\n```\n", "x.log is ignored by git, so the commit would lack it"),
    ],
)
def test_what_may_not_be_edited_is_refused_and_nothing_is_touched(repo, build, issue, said):
    outside = repo.root.parent / "outside"
    outside.mkdir()
    (outside / "x").write_text("x\n")
    repo.commit(**{"f": "x\n", "d/g": "x\n", "two": "x\ny\n", "pic": b"x\n\0", ".gitignore": "*.log\n"})
    (repo.root / "link").symlink_to("f")
    (repo.root / "out").symlink_to(outside)
    (repo.root / "sub").mkdir()
    repo.git("init", "-q", "sub")
    good = diff("f", PLAIN) if "f exists" not in said else ""
    assert said in build(good + issue, status=1)
    assert (outside / "x").read_text() == "x\n"


def test_all_that_is_wrong_is_said_at_once(repo, build):
    repo.commit(f="x\n", g="x\n")
    issue = (
        block("f", "no\n", "y\n")
        + block("f", "x\n", "y\n")
        + block("g", "x\n", "y\n")
        + block("h", "x\n", "y\n")
    )
    said = build(issue, status=1).splitlines()
    assert [line.split(" (")[0] for line in said] == ["edit 1 of 4", "edit 4 of 4", "nothing was changed"]


WORDS = [
    "alpha",
    "beta",
    "",
    "-- x",
    "++ y",
    "    in",
    "\ttab",
    "é",
    "```",
    "@@ -1 +1 @@",
    "=======",
    "--- a/z",
    "+++ b/z",
]


def mutated(rnd: random.Random, text: str) -> str:
    lines = text.splitlines()
    for _ in range(rnd.randint(1, 4)):
        at = rnd.randint(0, len(lines))
        lines[at : at + rnd.randint(0, 1)] = [f"{rnd.choice(WORDS)}{n}" for n in range(rnd.randint(0, 2))]
    return "\n".join(lines) + ("\n" if lines and rnd.random() < 0.8 else "")


@pytest.mark.parametrize("seed", range(25))
def test_what_git_diff_writes_gives_back_exactly_what_it_was_made_of(repo, build, seed):
    rnd = random.Random(seed)
    names = rnd.sample(["a.py", "d/b c.txt", "é.md", "x/y/z", 'q"uote', "-dash", "b/x", "a/x"], 5)
    for name in names:
        repo.write(name, "".join(f"{rnd.choice(WORDS)}\n" for _ in range(rnd.choice([0, 1, 9, 40]))))
    before = repo.commit()
    moved = repo.root / "moved"
    (repo.root / names[0]).unlink()
    (repo.root / names[1]).rename(moved)
    for name in (*names[2:4], "moved", "new"):
        file = repo.write(name, mutated(rnd, repo.read(name) if name != "new" else ""))
        file.chmod(rnd.choice([0o644, 0o755]))
    repo.commit()
    wanted = snapshot(repo.root)
    prefix = rnd.choice([[], ["--no-prefix"], ["--src-prefix=i/", "--dst-prefix=w/"]])
    raw = repo.git("diff", "-M", *prefix, rnd.choice(["-U3", "-U1", "-U9"]), before, "HEAD")
    repo.git("reset", "-q", "--hard", before)
    build(
        rnd.choice(["Do it\n\n````diff\n{}\n````\n\nThanks\n", "Do it:\n\n{}\n\nThanks\n\n- all\n"]).format(
            raw
        )
    )
    assert snapshot(repo.root) == wanted
