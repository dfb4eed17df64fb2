"""document: the change note, told from the change itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from adws.builtin import api, changelog

OLD = "def keep(a): ...\ndef gone(): ...\nclass Cart:\n    def total(self, tax=0): ...\n"
NEW = "def keep(a, b=1): ...\ndef fresh(): ...\nclass Cart:\n    def total(self): ...\n"
CHANGELOG = """# Changelog

## [Unreleased]

### Changed

- old entry

## [1.0.0] - 2024-01-01

### Fixed

- first

[Unreleased]: https://example.org
"""
ENTRY = """- Fix the total
  - Files: `shop/cart.py` (+3 -3)
  - **Breaking:** changed `def shop.cart.Cart.total(self, tax=0)` to `def shop.cart.Cart.total(self)`; \
removed `def shop.cart.gone()`
  - API: added `def shop.cart.fresh()`; changed `def shop.cart.keep(a)` to `def shop.cart.keep(a, b=1)`
"""


def built(repo, **files: str) -> None:
    """A repository with a base, and a commit with the build's change."""
    repo.commit(**{"shop/cart.py": OLD, **files})
    repo.commit(**{"shop/cart.py": NEW})


def result(repo) -> dict:
    return json.loads(repo.read(".adws/local/document/result.json"))


def test_the_entry_goes_under_its_heading_of_the_unreleased_section(repo):
    built(repo, **{"CHANGELOG.md": CHANGELOG})
    assert repo.phase("document", issue="# Fix the total\n") == 0
    expected = CHANGELOG.replace("- old entry\n", f"- old entry\n\n### Fixed\n\n{ENTRY}")
    assert repo.read("CHANGELOG.md") == expected
    assert result(repo)["path"] == "CHANGELOG.md"
    assert result(repo)["summary"] == "wrote CHANGELOG.md: files changed: 1, API changes: 4 (2 breaking)"
    assert result(repo)["api_changes"][0] == {
        "name": "shop.cart.Cart.total",
        "change": "changed",
        "before": "def shop.cart.Cart.total(self, tax=0)",
        "after": "def shop.cart.Cart.total(self)",
        "breaking": True,
    }


def test_a_second_run_adds_nothing(repo):
    built(repo, **{"CHANGELOG.md": CHANGELOG})
    repo.phase("document", issue="# Fix the total\n")
    once = repo.read("CHANGELOG.md")
    assert repo.phase("document", issue="# Fix the total\n") == 0
    assert repo.read("CHANGELOG.md") == once
    assert result(repo)["path"] == "CHANGELOG.md"


NOTE = """# Fix the total

Run `local`. Made by `builtin` from the change itself.

## Files

- `shop/cart.py` (+3 -3)

## API

- **Breaking:** changed `def shop.cart.Cart.total(self, tax=0)` to `def shop.cart.Cart.total(self)`
- added `def shop.cart.fresh()`
- **Breaking:** removed `def shop.cart.gone()`
- changed `def shop.cart.keep(a)` to `def shop.cart.keep(a, b=1)`
"""


@pytest.mark.parametrize("other", [{}, {"CHANGELOG.md": "News\n====\n\nnothing of that form\n"}])
def test_without_a_changelog_of_that_form_the_note_is_a_file_of_its_own(repo, other):
    built(repo, **other)
    for _ in range(2):
        assert repo.phase("document", issue="# Fix the total\n") == 0
        assert repo.read("docs/changes/local.md") == NOTE
    assert {path: repo.read(path) for path in other} == other


def test_the_run_began_where_its_first_phase_began(repo, monkeypatch, tmp_path):
    first = repo.commit(a="1\n")
    repo.commit(b="2\n2\n")
    repo.commit(c=b"\0binary")
    state = {"plan": {"base": first}, "build": {"base": repo.git("rev-parse", "HEAD~1")}}
    (tmp_path / "state.json").write_text(json.dumps(state))
    monkeypatch.setenv("ADW_STATE", str(tmp_path / "state.json"))
    assert repo.phase("document", issue="# x\n") == 0
    assert "## Files\n\n- `b` (+2 -0)\n- `c` (binary)\n" in repo.read("docs/changes/local.md")


def test_by_hand_it_is_what_is_not_committed_yet(repo):
    built(repo)
    repo.write("shop/new.py", "def extra(): ...\n")
    repo.write("shop/cart.py", NEW + "# end\n")
    assert repo.phase("document", issue="# Add extra\n") == 0
    note = repo.read("docs/changes/local.md")
    assert "## Files\n\n- `shop/cart.py` (+1 -0)\n- `shop/new.py` (+1 -0)\n" in note
    assert "## API\n\n- added `def shop.new.extra()`\n" in note


@pytest.mark.parametrize("commits", [0, 1])
def test_a_repository_without_a_past_has_no_changes(repo, commits):
    for _ in range(commits):
        repo.commit(a="1\n")
    assert repo.phase("document", issue="# x\n") == 0
    assert "No file changed." in repo.read("docs/changes/local.md")
    assert result(repo)["api_changes"] == []


def test_odd_names_and_broken_python_survive(repo):
    repo.commit(a="1")
    (repo.root / "caf\udce9.py").write_text("def x(): ...\n")
    repo.commit(**{"new\nline.py": "def x(:\n", "tick`.txt": "1\n"})
    assert repo.phase("document", issue="# x\n") == 0
    note = repo.read("docs/changes/local.md")
    assert "- `caf\\xe9.py` (+1 -0)\n- `new\\nline.py` (+1 -0)\n- ``tick`.txt`` (+1 -0)\n" in note


def test_a_symlinked_changelog_is_left_alone(repo):
    built(repo, **{"docs/log.md": CHANGELOG})
    (repo.root / "CHANGELOG.md").symlink_to("docs/log.md")
    assert repo.phase("document", issue="# x\n") == 0
    assert result(repo)["path"] == "docs/changes/local.md"
    assert repo.read("docs/log.md") == CHANGELOG


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("## Unreleased\n### Fixed\n- a\n\n## 1.0\n", "## Unreleased\n### Fixed\n- a\n- new\n\n## 1.0\n"),
        ("## [Unreleased]\n- a\n  more\n\n## 1.0\n", "## [Unreleased]\n- a\n  more\n- new\n\n## 1.0\n"),
        ("## [Unreleased]\n\n### Fixed\n", "## [Unreleased]\n\n### Fixed\n\n- new\n"),
        (
            "## [Unreleased]\n\n### Added\n- a\n\n### Security\n- s\n",
            "## [Unreleased]\n\n### Added\n- a\n\n### Fixed\n\n- new\n\n### Security\n- s\n",
        ),
        ("# Log\n\n## [1.0.0]\n- a\n", "# Log\n\n## [Unreleased]\n\n### Fixed\n\n- new\n\n## [1.0.0]\n- a\n"),
        (
            "## [Unreleased]\n\n[Unreleased]: https://e.org\n",
            "## [Unreleased]\n\n### Fixed\n\n- new\n\n[Unreleased]: https://e.org\n",
        ),
        ("## [Unreleased]\n### Fixed\n* a", "## [Unreleased]\n### Fixed\n* a\n* new\n"),
        ("## [Unreleased]\r\n### Fixed\r\n- a\r\n", "## [Unreleased]\r\n### Fixed\r\n- a\r\n- new\r\n"),
        (
            "```\n## [Unreleased]\n```\n## 1.0\n- a\n",
            "```\n## [Unreleased]\n```\n## [Unreleased]\n\n### Fixed\n\n- new\n\n## 1.0\n- a\n",
        ),
        ("# History\n\n## A walk\n", None),
        ("", None),
    ],
)
def test_every_form_of_changelog_keeps_its_form(text, expected):
    assert changelog.insert(text, ["- new"], "Fixed") == expected
    if expected:
        assert changelog.insert(expected, ["- new"], "Fixed") == expected


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Crash on start", "Fixed"),
        ("Support zones", "Added"),
        ("Drop Python 3.8", "Removed"),
        ("Deprecate old()", "Deprecated"),
        ("Fix CVE-2024-1", "Security"),
        ("Faster start", "Changed"),
    ],
)
def test_the_heading_follows_from_the_title(title, kind):
    assert changelog.kind(title) == kind


@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        ("a", "a, b=1", False),
        ("a", "a, b", True),
        ("a", "a, *, b", True),
        ("a", "a, *, b=1", False),
        ("a, b", "a", True),
        ("a, b", "b, a", True),
        ("a", "c", True),
        ("a, /", "c, /", False),
        ("a", "a, /", True),
        ("a=1", "a", True),
        ("a", "a=1", False),
        ("a=1", "a=2", False),
        ("a: int", "a: str", False),
        ("*, a", "a", False),
        ("a", "*, a", True),
        ("*, a=1", "*, a", True),
        ("*, a=1", "*, b=1", True),
        ("*, a=1", "**more", False),
        ("a, /", "*rest", False),
        ("*rest", "a=1", True),
        ("**more", "", True),
        ("*rest, **more", "*others, **options", False),
        ("a, /", "a", False),
        ("a, b, /, c", "x, y, /, c", False),
        ("a, b, /, c", "c, /, b", True),
    ],
)
def test_what_breaks_a_call(old, new, breaks):
    texts = [{"m.py": f"def f({takes}): ..."} for takes in (old, new)]
    assert [change.breaking for change in api.compare(*texts)] == [breaks]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("def f(): ...", "from x import f", []),
        ("def _f(): ...", "", []),
        ("def f(): ...", "async def f(): ...", ["changed m.f breaking"]),
        ("class A:\n def m(self): ...", "", ["removed m.A breaking"]),
        ("class A: ...", "class A(B): ...", ["changed m.A"]),
        ("class A: ...", "class A:\n def __init__(self, x): ...", ["added m.A.__init__"]),
        ("__all__ = ['f']\ndef f(): ...\ndef g(): ...", "__all__ = ['f']\ndef f(): ...", []),
        ("if x:\n  def f(a): ...", "try:\n  def f(a): ...\nexcept E: pass", []),
        (
            "class A:\n @property\n def p(self): ...",
            "class A:\n def p(self): ...",
            ["changed m.A.p breaking"],
        ),
        (
            "class A:\n @property\n def p(self): ...\n @p.setter\n def p(self, v): ...",
            "class A:\n @property\n def p(self): ...",
            [],
        ),
        (
            "class A:\n @property\n def p(self): ...",
            "class A:\n def __init__(self):\n  self.p = 1",
            ["added m.A.__init__", "changed m.A.p"],
        ),
        ("LIMIT = 1\n_OWN = 2\n__version__ = '1'", "", ["removed m.LIMIT breaking"]),
        ("LIMIT = 1", "LIMIT: int = 2", []),
        ("T = typing.TypeVar('T')", "", []),
        (
            "class A:\n @staticmethod\n def m(a): ...",
            "class A:\n @classmethod\n def m(a): ...",
            ["changed m.A.m breaking"],
        ),
        ("def f(): ...", "f = wrap(g)", []),
        ("def f(): ...", "f: None = None", ["changed m.f breaking"]),
        ("class A(B, C): ...", "class A(C): ...", ["changed m.A breaking"]),
        ("class A(object): ...", "class A: ...", ["changed m.A"]),
        ("class A(t.Generic[T]): ...", "class A: ...", ["changed m.A"]),
        ("def f(a: 'int') -> 'A': ...", "def f(a: int) -> A: ...", []),
        ("class A:\n class B:\n  def m(self): ...", "class A:\n class B: ...", ["removed m.A.B.m breaking"]),
        (
            "class B: ...\nclass A(B):\n def m(self): ...",
            "class B:\n def m(self): ...\nclass A(B): ...",
            ["added m.B.m"],
        ),
        (
            "from dataclasses import dataclass\n@dataclass\nclass A:\n x: int",
            "from dataclasses import dataclass\n@dataclass\nclass A:\n x: int\n y: int",
            ["changed m.A.__init__ breaking", "added m.A.y"],
        ),
        ("def f(:", "", []),
        ("def f(): ...\nif a: ...\n" + "elif a: ...\n" * 3000, "", []),
        ("def f(a='\\d'): ...", "def f(a='\\w', *, b=''): ...", ["changed m.f"]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_changes_the_api(old, new, found):
    changes = api.compare({"m.py": old}, {"m.py": new})
    assert [f"{c.change} {c.name}{' breaking' * c.breaking}" for c in changes] == found


def test_a_module_that_moves_to_src_is_the_same(repo):
    repo.commit(**{"shop/__init__.py": "", "shop/cart.py": OLD})
    (repo.root / "src").mkdir()
    repo.git("mv", "shop", "src/shop")
    repo.phase("document", issue="# x\n")
    assert result(repo)["api_changes"] == []


def test_what_a_package_takes_from_a_private_module_is_public(repo, capfd):
    package = "from . import _cart, _odd\nfrom ._cart import *\nfrom os import path\n"
    package += "__all__ = ['path', *_cart.__all__, *_odd.__all__]\n"
    exports = "__all__ = ['Cart', 'keep', '_own']\ndef _own(a): ...\n"
    repo.commit(**{"shop/__init__.py": package, "shop/_odd.py": "", "shop/_cart.py": exports + OLD})
    repo.commit(**{"shop/_odd.py": "\n", "shop/_cart.py": exports.replace("(a)", "()") + NEW})
    assert repo.phase("document", issue="# x\n") == 0
    assert [(c["name"], c["breaking"]) for c in result(repo)["api_changes"]] == [
        ("shop.Cart.total", True),
        ("shop._own", True),
        ("shop.keep", False),
    ]
    assert capfd.readouterr().err == ""


def test_a_name_is_told_where_it_is_defined_and_where_it_went(repo):
    package = "from .cart import keep\n\n__all__ = ['keep']\n"
    repo.commit(**{"shop/__init__.py": package, "shop/cart.py": "def keep(a): ...\n"})
    new = {"shop/cart.py": "from .new import keep\n", "shop/new.py": "def keep(a, b): ...\n"}
    repo.commit(**new)
    repo.phase("document", issue="# x\n")
    assert [(c["change"], c["name"], c["breaking"]) for c in result(repo)["api_changes"]] == [
        ("changed", "shop.cart.keep", True),
        ("added", "shop.new.keep", False),
    ]


def test_what_cannot_be_read_is_not_removed_and_not_complained_of(repo):
    names = ("shop/binary.py", "shop/large.py", "shop/gone.py")
    repo.commit(
        **dict.fromkeys(names, OLD), **{"shop/__init__.py": "from . import x\n__all__ = [*x.__all__]\n"}
    )
    (repo.root / "shop/gone.py").unlink()
    repo.write("shop/binary.py", b"\0")
    repo.write("shop/large.py", OLD + "#" * (1 << 20))
    repo.write("shop/x.py", "x = 1\n")
    repo.write("issue.md", "# x\n")
    call = [sys.executable, "-m", "adws.builtin", "document", "issue.md"]
    done = subprocess.run(call, cwd=repo.root, capture_output=True, text=True, check=True)
    assert done.stderr == ""  # griffe warns of an `__all__` that is not there
    assert [(c["change"], c["name"]) for c in result(repo)["api_changes"]] == [
        ("removed", "shop.gone.Cart"),
        ("removed", "shop.gone.gone"),
        ("removed", "shop.gone.keep"),
        ("added", "shop.x.x"),
    ]


def test_of_a_large_repository_only_the_changed_modules_are_read(repo, monkeypatch):
    read = []
    visit = api.griffe.visit
    monkeypatch.setattr(
        api.griffe, "visit", lambda *args, **more: read.append(str(args[1])) or visit(*args, **more)
    )
    repo.commit(**{f"shop/m{n}.py": "def f(): ...\n" for n in range(99)}, **{"shop/__init__.py": ""})
    repo.commit(**{"shop/m7.py": "def f(a): ...\n"})
    repo.phase("document", issue="# x\n")
    assert result(repo)["summary"].endswith("API changes: 1 (1 breaking)")
    assert sorted(read) == [*["shop/__init__.py"] * 2, *["shop/m7.py"] * 2]


def test_only_modules_that_others_import_are_public():
    public = ["src/shop/__init__.py", "shop/dates.py", "one.py"]
    private = [
        "tests/a.py",
        "shop/_x.py",
        "shop/test_a.py",
        "setup.py",
        "a.txt",
        ".x/a.py",
        "shop/__main__.py",
    ]
    assert [path for path in public + private if api.is_public(path)] == public
    assert [api.module(path) for path in public] == ["shop", "shop.dates", "one"]
