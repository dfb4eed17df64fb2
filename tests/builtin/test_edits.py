"""What in an issue is an edit, and what only looks like one."""

from __future__ import annotations

import pytest

from adws.builtin import edits
from adws.errors import UserError

DIFF = """\
diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -1,2 +1,2 @@
 one
-two
+TWO
"""
BLOCK = """\
<<<<<<< SEARCH
two
=======
TWO
>>>>>>> REPLACE
"""


def found(issue: str) -> list[tuple[str, str, int]]:
    return [(str(edit.kind), edit.path, edit.line) for edit in edits.parse(issue)]


def refused(issue: str) -> str:
    with pytest.raises(UserError) as error:
        edits.parse(issue)
    return str(error.value)


def indented(text: str, by: str) -> str:
    return "".join(by + line if line.strip() else line for line in text.splitlines(keepends=True))


@pytest.mark.parametrize(
    ("issue", "line"),
    [
        pytest.param(f"# T\n\n```diff\n{DIFF}```\n", 4, id="diff"),
        pytest.param(f"```patch\n{DIFF}```\n", 2, id="patch"),
        pytest.param(f"```\n\n{DIFF}```\n", 3, id="unmarked"),
        pytest.param(f"~~~~ diff\n{DIFF}~~~~\n", 2, id="tildes"),
        pytest.param(f"Please:\n{DIFF}\nThank you.\n\n- a list\n", 2, id="in the open"),
        pytest.param(DIFF.split("\n", 1)[1], 1, id="without its git line"),
        pytest.param(
            f"1. do\n   - this:\n\n     ```diff\n{indented(DIFF, '     ')}     ```\n", 5, id="in a list"
        ),
        pytest.param(f"- do\n\t```diff\n{indented(DIFF, chr(9))}\t```\n", 3, id="behind a tab"),
        pytest.param(f"# T\n```diff\n{DIFF}```\n".replace("\n", "\r\n"), 3, id="from Windows"),
    ],
)
def test_a_diff_is_found_however_it_is_put(issue, line):
    assert [(edit.kind, edit.path, edit.line) for edit in edits.parse(issue)] == [("diff", "a.py", line)]
    assert edits.parse(issue)[0].body.rstrip("\n").endswith(" one\n-two\n+TWO")


@pytest.mark.parametrize(
    "issue",
    [
        pytest.param(f"src/a.py\n```python\n{BLOCK}```\n", id="path before the fence"),
        pytest.param(f"**`src/a.py`:**\n\n```\n{BLOCK}```\n", id="with ornaments"),
        pytest.param(f"File: src/a.py\n```\n{BLOCK}```\n", id="said to be a file"),
        pytest.param(f"```python\nsrc/a.py\n{BLOCK}```\n", id="path in the fence"),
        pytest.param(f"```python\n# src/a.py\n{BLOCK}```\n", id="as a comment in the fence"),
        pytest.param(f"```python path=src/a.py\n{BLOCK}```\n", id="path in the info"),
        pytest.param(f"### src/a.py\n\n{BLOCK}", id="in the open"),
        pytest.param(f"* src/a.py\n\n  ```\n{indented(BLOCK, '  ')}  ```\n", id="in a list"),
    ],
)
def test_a_search_replace_block_is_found_with_its_path(issue):
    (edit,) = edits.parse(issue)
    assert (edit.kind, edit.path, edit.body) == ("SEARCH/REPLACE", "src/a.py", "two\n=======\nTWO")


def test_blocks_that_follow_each_other_share_the_path():
    assert found(f"```\na.py\n{BLOCK}\n{BLOCK}b.py\n{BLOCK}```\n\n`c d.py`\n{BLOCK}\n{BLOCK}") == [
        ("SEARCH/REPLACE", "a.py", 3),
        ("SEARCH/REPLACE", "a.py", 9),
        ("SEARCH/REPLACE", "b.py", 15),
        ("SEARCH/REPLACE", "c d.py", 23),
        ("SEARCH/REPLACE", "c d.py", 29),
    ]


def test_a_block_may_hold_fences_and_need_not_count_them():
    body = "```python\ntwo\n```\n=======\n```python\nTWO\n```"
    (edit,) = edits.parse(f"README.md\n```\n<<<<<<< SEARCH\n{body}\n>>>>>>> REPLACE\n```\n")
    assert edit.body == body


@pytest.mark.parametrize(
    ("issue", "kind"),
    [
        ("```python path=src/x.py\nx = 1\n```\n", "whole file"),
        ('```python {path="src/x.py" .numbered}\nx = 1\n```\n', "whole file"),
        ("Write file: src/x.py\n\n```python\nx = 1\n```\n", "whole file"),
        ("**Write file:** `src/x.py`:\n~~~\nx = 1\n~~~\n", "whole file"),
        ("1. New file: `src/x.py`\n\n   ```python\n   x = 1\n   ```\n", "new file"),
    ],
)
def test_a_whole_file_is_one_that_is_ordered(issue, kind):
    (edit,) = edits.parse(issue)
    assert (edit.kind, edit.path, edit.body) == (kind, "src/x.py", "x = 1\n")


def test_a_longer_fence_keeps_the_fences_inside():
    (edit,) = edits.parse("````markdown path=README.md\n```sh\nmake\n```\n````\n")
    assert edit.body == "```sh\nmake\n```\n"


@pytest.mark.parametrize(
    "issue",
    [
        pytest.param("It prints `-1`.\n\n---\n\n+++\n", id="rules"),
        pytest.param("src/x.py\n```python\nx = 1\n```\n", id="an excerpt under its path"),
        pytest.param("**File:** `src/x.py`\n```python\nx = 1\n```\n", id="an excerpt under its name"),
        pytest.param('```python title="src/x.py"\nx = 1\n```\n', id="a title"),
        pytest.param("```diff\n- expected 1\n+ got 2\n```\n", id="a picture of a difference"),
        pytest.param(f"```console\n$ git diff\n{DIFF}```\n", id="a session"),
        pytest.param(f"```python\n{DIFF}```\n", id="in another language"),
        pytest.param(f"````markdown\n```diff\n{DIFF}```\n````\n", id="an example of a diff"),
        pytest.param(f"````\nwrite it so:\n{BLOCK}````\n", id="an example of a block"),
        pytest.param(f"<!--\n```diff\n{DIFF}```\n-->\n", id="hidden in a comment"),
        pytest.param(indented(f"```diff\n{DIFF}```\n", "> "), id="quoted"),
        pytest.param("<<<<<<< HEAD\na\n=======\nb\n>>>>>>> main\n", id="a conflict"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_only_looks_like_an_edit_is_none(issue):
    assert found(issue) == []


def test_edits_come_in_the_order_of_the_issue():
    both = DIFF + DIFF.replace("a.py", "b.py")
    issue = f"Write file: z.py\n```\nz\n```\n{DIFF}\ny.py\n{BLOCK}\n```diff\n{both}```\n"
    assert found(issue) == [
        ("whole file", "z.py", 2),
        ("diff", "a.py", 5),
        ("SEARCH/REPLACE", "y.py", 14),
        ("diff", "a.py", 21),
        ("diff", "b.py", 28),
    ]


def test_a_mail_is_read_without_its_head_and_its_signature():
    mail = f"From 1234\nSubject: x\n\n- a word\n---\n a.py | 2 +-\n\n{DIFF}-- \n2.39.5\n"
    assert found(f"```patch\n{mail}\n{mail}```\n") == [("diff", "a.py", 9), ("diff", "a.py", 26)]


def test_text_that_looks_like_the_head_of_a_file_is_text_where_the_counts_say_so():
    diff = "--- a/q.sql\n+++ b/q.sql\n@@ -1,2 +1,2 @@\n one\n--- two\n+++ TWO\n@@ -9 +9 @@\n-x\n+y\n"
    (edit,) = edits.parse(f"```diff\n{diff}```\n")
    assert edit.body == diff.rstrip("\n")


@pytest.mark.parametrize(
    ("issue", "said"),
    [
        (f"# T\n```diff\n{DIFF}", "line 2 of the issue: the fence that opens here is never closed"),
        (
            "a.py\n<<<<<<< SEARCH\na\n=======\nb\n",
            "line 2 of the issue: the SEARCH/REPLACE block is never closed with `>>>>>>> REPLACE`",
        ),
        (
            "a.py\n<<<<<<< SEARCH\na\n>>>>>>> REPLACE\n",
            "line 2 of the issue: the SEARCH/REPLACE block has no `=======` between its halves",
        ),
        (
            f"Change it like this:\n```\n{BLOCK}```\n",
            "line 3 of the issue: the SEARCH/REPLACE block names no file; "
            "put the path alone on the line before it",
        ),
        (
            "```diff\n@@ -1 +1 @@\n-a\n+b\n```\n",
            "line 2 of the issue: the diff names no file; put `--- a/x` and `+++ b/x` before it",
        ),
        (
            f"```diff\n{DIFF} three\nlost its blank\n-four\n```\n",
            "line 11 of the issue belongs to no hunk; a line before it is no line of a diff",
        ),
        (
            DIFF.replace("@@ -1,2 +1,2 @@", "@@ -1,3 +1,3 @@") + "lost its blank\n",
            "line 8 of the issue is no line of a diff: `lost its blank`",
        ),
        (
            "```diff\ndiff --cc a.py\n--- a/a.py\n+++ b/a.py\n@@@ -1,1 -1,1 +1,1 @@@\n--a\n++b\n```\n",
            "line 5 of the issue: a combined diff, of a merge, cannot be applied",
        ),
        (
            "```diff\n--- a/x.py\n+++ b/y.py\n@@ -1 +1 @@\n-a\n+b\n```\n",
            "the diff names two files, `x.py` and `y.py`, and no `rename from` and `rename to`",
        ),
        (
            "Write file: the one below\n```\nx\n```\n",
            "line 1 of the issue: `Write file:` takes one path, in backticks if it has blanks in it",
        ),
    ],
)
def test_an_edit_that_is_begun_and_cannot_be_read_is_an_error(issue, said):
    assert refused(issue) == said


@pytest.mark.parametrize(
    ("head", "path"),
    [
        ("--- a/src/x.py\n+++ b/src/x.py\n", "src/x.py"),
        ("--- src/x.py\n+++ src/x.py\n", "src/x.py"),
        ("--- i/x.py\n+++ w/x.py\n", "x.py"),
        ("--- a/x.py\n+++ a/x.py\n", "a/x.py"),
        ("--- x.py.orig\t2024-01-01 10:00:00\n+++ x.py\t2024-01-01 10:00:01\n", "x.py"),
        ("--- /dev/null\n+++ b/x.py\n", "x.py"),
        ("--- a/x.py\n+++ /dev/null\n", "x.py"),
        ("diff --git b/x.py b/x.py\nnew file mode 100644\n--- /dev/null\n+++ b/x.py\n", "b/x.py"),
        ("diff --git a/a b/c d b/a b/c d\n--- a/a b/c d\t\n+++ b/a b/c d\t\n", "a b/c d"),
        ('--- "a/\\303\\251\\".py"\n+++ "b/\\303\\251\\".py"\n', 'é".py'),
    ],
)
def test_the_path_of_a_diff_is_told_with_and_without_prefixes(head, path):
    assert edits.parse(f"```diff\n{head}@@ -1 +1 @@\n-a\n+b\n```\n")[0].path == path
