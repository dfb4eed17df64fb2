"""scout: the files that matter come first, each with its reasons."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from adws.builtin import bm25, issue, scout, symbols


def ranked(repo, text: str) -> list[str]:
    return [file.path for file in scout.rank(repo.root, text).files]


def test_the_file_that_defines_what_the_issue_names_comes_first(repo):
    repo.commit(
        **{
            "src/shop/dates.py": "def parse_date(text):\n    return text\n",
            "src/shop/pay.py": "from shop.dates import parse_date\n" + "parse_date(1)\n" * 30,
            "tests/test_dates.py": "from shop.dates import parse_date\ndef test_parse_date(): parse_date('')\n",
        }
    )
    assert repo.phase("scout", issue="# `parse_date` loses the zone\n") == 0
    found = json.loads(repo.read(".adws/local/scout/scout.json"))
    assert found["method"] == "bm25+symbols"
    assert sorted(found["issue_terms"]) == ["date", "parse", "parse_date"]
    assert [file["path"] for file in found["files"]] == [
        "src/shop/dates.py",
        "src/shop/pay.py",
        "tests/test_dates.py",
    ]
    assert found["files"][0]["reasons"] == ["defines `parse_date`", "matches: date, parse_date, parse"]
    assert json.loads(repo.read(".adws/local/scout/result.json")) == {
        "files": ["src/shop/dates.py", "src/shop/pay.py", "tests/test_dates.py"],
        "summary": "ranked 3 of 3 files; first: src/shop/dates.py (defines `parse_date`)",
    }


def test_two_runs_leave_the_same_bytes(repo):
    repo.commit(**{f"m{n}.py": f"def run_{n}(): return parse\n" for n in range(30)})
    answers = []
    for seed in ("1", "2"):
        (repo.root.parent / "issue.md").write_text("parse and `run_3` or run_7()")
        command = [sys.executable, "-P", "-m", "adws.builtin", "scout", "../issue.md"]
        subprocess.run(command, cwd=repo.root, env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        answers.append(repo.read(".adws/local/scout/scout.json"))
    assert answers[0] == answers[1]
    assert len(json.loads(answers[0])["files"]) == 20


def test_nothing_matching_is_an_honest_empty_answer(repo, capsys):
    repo.commit(**{"a.py": "x = 1\n"})
    assert repo.phase("scout", issue="# zebra") == 0
    assert capsys.readouterr().out == "ranked 0 of 1 files: none holds a word of the issue\n"
    assert json.loads(repo.read(".adws/local/scout/result.json"))["files"] == []


def test_an_empty_repository_has_no_files_to_rank(repo, capsys):
    assert repo.phase("scout", issue="# zebra") == 0
    assert capsys.readouterr().out == "ranked 0 of 0 files: none holds a word of the issue\n"


@pytest.mark.parametrize(
    "text",
    [
        "see src/shop/pay.py",
        "the file `pay.py` is meant",
        'File "/home/u/lib/shop/pay.py", line 3, in charge',
        "--- a/src/shop/pay.py\n+++ b/src/shop/pay.py\n@@ -1 +1 @@\n-x\n+y\n",
        "src\\shop\\pay.py:12 is wrong",
        "`shop.pay` is wrong",
        "shop.pay.charge() is wrong",
        "the module `pay`",
    ],
)
def test_a_file_that_the_issue_names_in_any_way_comes_first(repo, text):
    noise = "wrong file line meant module see\n" * 5
    repo.commit(**{"src/shop/dates.py": noise, "src/shop/pay.py": "x = 1\n", "src/shop/z.py": noise})
    best = scout.rank(repo.root, text).files[0]
    assert best.path == "src/shop/pay.py"
    assert "named in the issue" in best.reasons


def test_a_method_is_found_by_its_class_and_a_docstring_defines_nothing(repo):
    fake = '"""\ndef invoke(): this is an example\n"""\nx = "Context"\n'
    repo.commit(**{"a.py": fake, "b.py": "class Context:\n    def invoke(self): ...\n"})
    best = scout.rank(repo.root, "`Context.invoke` hangs, and so does `invoke`").files
    assert [file.path for file in best] == ["b.py", "a.py"]
    assert best[0].reasons[0] == "defines `Context.invoke`"
    assert not any("defines" in reason for reason in best[1].reasons)


def test_tests_and_documents_stand_back_unless_the_title_asks_for_documents(repo):
    text = "zone parse date\n" * 3
    repo.commit(**{"README.md": text, "src/a.py": text, "tests/test_a.py": text})
    assert ranked(repo, "# zone of a date")[0] == "src/a.py"
    assert ranked(repo, "# zone of a date in the docs")[:2] == ["README.md", "src/a.py"]


def test_what_nobody_edits_is_not_read(repo):
    word = "zebra\n"
    repo.commit(
        **{
            "a.py": word,
            "poetry.lock": word,
            "vendor/x.py": word,
            "web/app.min.js": word,
            "bundle.js": "zebra();" * 2000,
            "image.dat": b"zebra\0zebra",
            "huge.txt": word * 200_000,
        }
    )
    (repo.root / "link.py").symlink_to("a.py")
    (repo.root / "gone.py").write_text(word)
    repo.git("add", "-A")
    (repo.root / "gone.py").unlink()
    assert ranked(repo, "zebra") == ["a.py"]


def test_odd_names_survive(repo, capsys):
    repo.write("new\nline.py", "def zebra(): ...\n")
    (repo.root / "caf\udce9.py").write_text("zebra = 1\n")
    repo.git("add", "-A")
    assert repo.phase("scout", issue="`zebra`") == 0
    files = json.loads(repo.read(".adws/local/scout/scout.json"))["files"]
    assert {file["path"] for file in files} == {"new\nline.py", "caf\\xe9.py"}
    assert capsys.readouterr().out.count("\n") == 1


def test_a_broken_python_file_is_read_by_its_lines(repo):
    repo.commit(**{"a.py": "def zebra(:\n  !\n"})
    assert scout.rank(repo.root, "`zebra`").files[0].reasons[0] == "defines `zebra`"


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        ("a.js", "export async function load() {}\nconst save = () => 1\n  run(x) {\n", "load save run"),
        ("a.js", "app.get = function (x) {\n  if (x) {\n", "get"),
        ("a.ts", "export interface Shape {}\ntype Side = 1\n", "Shape Side"),
        ("a.go", "func (c *Context) Bind(x int) {\ntype Engine struct {\n", "Bind Engine"),
        ("a.rs", "pub fn walk() {}\nimpl X { pub(crate) struct Glob; }\n", "walk Glob"),
        ("A.java", "public class Gson {\n    public static <T> T fromJson(Reader r) {\n", "Gson fromJson"),
        ("a.c", "static int\nparse_line(char *s)\n{\nint main(void) {\n#define MAX 3\n", "main MAX"),
        ("a.rb", "class Cart\n  def self.total\n", "Cart total"),
        ("a.sh", "deploy() {\n", "deploy"),
        ("a.sql", "CREATE TABLE IF NOT EXISTS shop.orders (\n", "orders"),
        ("a.md", "def nothing():\n", ""),
    ],
)
def test_definitions_in_other_languages(path, text, names):
    assert symbols.exactly(path, text) == set(names.split())


def test_definitions_in_python_are_qualified():
    text = "LIMIT: int = 3\nif LIMIT:\n    class A:\n        x = 1\n        async def b(self): ...\n"
    assert symbols.exactly("a.py", text) == {"LIMIT", "A", "x", "b", "A.b"}


def test_words_are_split_as_identifiers_are():
    once = dict.fromkeys(("httpserver", "http", "server", "parse_dates", "parsedate"), 1)
    assert bm25.words("HTTPServer parse_dates the parseDate 42") == {**once, "parse": 2, "date": 2}


def test_what_an_issue_names():
    text = "# Title of `it`\n\nCall load_all() or x.y.z, see FooBar, not e.g. https://a.b/c_d.\n```\nin_code()\n```\n"
    assert issue.names(text) == {"it", "load_all", "x.y.z", "FooBar", "e.g"}
    assert issue.title(text) == "Title of `it`"
    assert issue.title("```\nx\n```\n<!-- hidden -->\n---\n") == "Untitled issue"
    assert issue.title("long " * 60).endswith("long…")


def test_hostile_text_takes_no_time(repo):
    repo.commit(**{"a.py": "x = 1\n"})
    for seed in ("a.", "_", "`", "<!--", "a/", "\n", "::test_", "- [ ] "):
        scout.rank(repo.root, seed * 100_000)
