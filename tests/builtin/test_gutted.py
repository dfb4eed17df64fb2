"""review: tests that are deleted, skipped, emptied or weakened, and changes that only look like it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adws.builtin import delta, findings, gutted
from tests.builtin.conftest import Repo

CODE = "def add(a, b):\n    return a + b\n\n\ndef old(a):\n    return a\n"
TESTS = """\
import pytest
from code_ import add, old

CASES = [(1, 2, 3), (2, 2, 4), (0, 0, 0)]


def check(candidate):
    assert candidate(1, 1) == 2
    assert candidate(1, 2) == 3


def test_check():
    check(add)


@pytest.mark.parametrize(("a", "b", "c"), CASES)
def test_cases(a, b, c):
    assert add(a, b) == c


def test_types():
    assert add(1, 1) == 2
    with pytest.raises(TypeError):
        add(1, "x")


class TestOld:
    def test_old(self):
        assert old(1) == 1
        assert old(2) == 2
"""
BEFORE: dict[str, str | bytes] = {"code_.py": CODE, "tests/test_a.py": TESTS}


def changed(*pairs: tuple[str, str]) -> dict[str, str | bytes | None]:
    text = TESTS
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return {"tests/test_a.py": text}


@pytest.fixture
def judged(repo: Repo) -> Callable[..., tuple[str, str]]:
    """`judged(before, after)`: severity and rule of the gravest finding about tests between the two."""

    def run(before: dict[str, str | bytes], after: dict[str, str | bytes | None]) -> tuple[str, str]:
        repo.commit(**before)
        for path, text in after.items():
            if text is None:
                (repo.root / path).unlink()
            else:
                repo.write(path, text)
        found = findings.ordered(gutted.check(delta.read(repo.root, "HEAD")))
        return (str(found[0].severity), found[0].rule) if found else ("", "")

    return run


TYPES = TESTS[TESTS.index("def test_types") : TESTS.index("class TestOld")]
RAISES = '    with pytest.raises(TypeError):\n        add(1, "x")\n'
OLD = TESTS[TESTS.index("class TestOld") :]
EXTRA = (
    "\n\ndef test_more():\n    assert add(3, 3) == 6\n    assert add(3, 4) == 7\n    assert add(3, 5) == 8\n"
)


@pytest.mark.parametrize(
    ("after", "rule"),
    [
        pytest.param({"tests/test_a.py": None}, "test-removed", id="the file is deleted"),
        pytest.param({"tests/test_a.py": ""}, "test-removed", id="the file is emptied"),
        pytest.param(
            {"tests/test_a.py": None, "tests/a.py.off": TESTS}, "test-removed", id="the file is put away"
        ),
        pytest.param(
            {"tests/test_a.py": None, "a.py": TESTS}, "test-removed", id="the file is no test file any more"
        ),
        pytest.param(changed((TYPES, "")), "test-removed", id="a test is deleted"),
        pytest.param(
            changed(("def test_types", "def _test_types")), "test-removed", id="a test is renamed away"
        ),
        pytest.param(changed(("class TestOld", "class XOld")), "test-removed", id="a class is renamed away"),
        pytest.param(
            changed(("    def test_old", "    def __init__(self): pass\n    def test_old")),
            "test-removed",
            id="init",
        ),
        pytest.param(
            changed((TYPES, '"""' + TYPES + '"""\n\n\n')), "test-removed", id="a test is quoted out"
        ),
        pytest.param(
            changed((TYPES, TYPES.replace("\n", "\n# "))), "test-removed", id="a test is commented out"
        ),
        pytest.param(changed((RAISES, "")), "test-weakened", id="an assertion is deleted"),
        pytest.param(
            changed(("    assert add(1, 1) == 2\n" + RAISES, "    pass\n")), "test-emptied", id="pass"
        ),
        pytest.param(
            changed(("assert add(a, b) == c", "add(a, b)")), "test-emptied", id="no assertion is left"
        ),
        pytest.param(changed(("assert add(a, b) == c", "assert True")), "test-emptied", id="assert True"),
        pytest.param(
            changed(("assert add(a, b) == c", "assert add(a, b) == c or True")), "test-emptied", id="or True"
        ),
        pytest.param(
            changed(("assert add(a, b) == c", "assert c == c")), "test-emptied", id="equal to itself"
        ),
        pytest.param(
            changed(("assert add(a, b) == c", "assert (add(a, b) == c, 'no')")), "test-emptied", id="a tuple"
        ),
        pytest.param(
            changed(("    assert add(a, b)", "    return\n    assert add(a, b)")), "test-emptied", id="return"
        ),
        pytest.param(
            changed(("    assert add(a, b)", "    if False: assert add(a, b)")), "test-emptied", id="if False"
        ),
        pytest.param(
            changed(("    assert add(a, b)", "    for _ in []: assert add(a, b)")),
            "test-emptied",
            id="no loop",
        ),
        pytest.param(
            changed(
                ("    assert add(a, b) == c", "    try: assert add(a, b) == c\n    except Exception: pass")
            ),
            "test-emptied",
            id="swallowed",
        ),
        pytest.param(
            changed(
                ("    assert add(a, b)", "    with contextlib.suppress(AssertionError): assert add(a, b)")
            ),
            "test-emptied",
            id="suppressed",
        ),
        pytest.param(
            changed(("    assert candidate(1, 1) == 2\n    assert candidate(1, 2) == 3\n", "    pass\n")),
            "test-emptied",
            id="a helper is emptied",
        ),
        pytest.param(
            changed(("    check(add)", "    add(1, 1)")), "test-emptied", id="a helper is not called"
        ),
        pytest.param(
            changed(("    check(add)\n", "    check(add)\n\n\ndef test_check():\n    pass\n")),
            "test-emptied",
            id="redefined",
        ),
        pytest.param(
            changed(("CASES = [(1, 2, 3), ", "CASES = [")), "test-cases-removed", id="a case is deleted"
        ),
        pytest.param(
            changed(("def test_types", "@pytest.mark.skip\ndef test_types")), "test-skipped", id="skip"
        ),
        pytest.param(
            changed(("def test_types", "@pytest.mark.xfail\ndef test_types")), "test-skipped", id="xfail"
        ),
        pytest.param(
            changed(("class TestOld", "@pytest.mark.skip('x')\nclass TestOld")), "test-skipped", id="class"
        ),
        pytest.param(
            changed(("CASES =", "pytestmark = pytest.mark.skip\nCASES =")), "test-skipped", id="module"
        ),
        pytest.param(
            changed(("CASES =", "pytest.skip('x', allow_module_level=True)\nCASES =")),
            "test-skipped",
            id="loose",
        ),
        pytest.param(
            changed(("    check(add)", "    pytest.skip('later')\n    check(add)")),
            "test-emptied",
            id="in it",
        ),
        pytest.param(
            changed(("def test_types", "off = pytest.mark.skip\n\n\n@off\ndef test_types")),
            "test-skipped",
            id="by a name",
        ),
        pytest.param(
            changed(("def test_types", "@pytest.mark.skipif(True, reason='x')\ndef test_types")),
            "test-skipped",
            id="if True",
        ),
        pytest.param(
            changed(
                ("def test_types", "@pytest.mark.skipif('CI' in os.environ, reason='x')\ndef test_types")
            ),
            "test-skipped",
            id="if in CI",
        ),
        pytest.param(
            changed(("(2, 2, 4)", "pytest.param(2, 2, 4, marks=pytest.mark.skip)"), ("CASES)", "CASES[:])")),
            "",
            id="what cannot be read off is not guessed at",
        ),
    ],
)
def test_a_gutted_test_stops_the_run(judged, after, rule):
    assert judged(BEFORE, after) == (("blocker", rule) if rule else ("", ""))


@pytest.mark.parametrize(
    "claim",
    [
        "not False",
        "[c]",
        "{c: c}",
        "lambda: c",
        "1 and c == c",
        "isinstance(c, object)",
        "(x for x in [c])",
        '"a message"',
    ],
)
def test_a_claim_that_cannot_fail_is_no_check(judged, claim):
    after = changed(("assert add(a, b) == c", f"assert {claim}"))
    assert judged(BEFORE, after) == ("blocker", "test-emptied")


@pytest.mark.parametrize(
    ("after", "found"),
    [
        pytest.param(
            changed((TYPES, EXTRA.lstrip() + "\n\n")),
            ("major", "test-removed"),
            id="a test in the place of another",
        ),
        pytest.param(
            {"tests/test_a.py": TESTS.replace(OLD, "") + EXTRA}, ("major", "test-removed"), id="made up for"
        ),
        pytest.param(
            {"tests/test_a.py": TESTS.replace(RAISES, "") + EXTRA}, ("major", "test-weakened"), id="made up"
        ),
        pytest.param({"tests/test_a.py": TESTS + EXTRA}, ("", ""), id="a new test"),
        pytest.param(changed(("def test_types", "def test_types_and_more")), ("", ""), id="renamed"),
        pytest.param(
            {
                "tests/test_a.py": TESTS.replace(TYPES, ""),
                "tests/test_b.py": f"import pytest\nfrom code_ import add\n{TYPES}",
            },
            ("", ""),
            id="moved to another file",
        ),
        pytest.param(
            {"tests/test_a.py": None, "tests/unit/test_z.py": TESTS}, ("", ""), id="the file is moved"
        ),
        pytest.param(
            changed(("class TestOld:\n    def test_old(self)", "if old:\n    def test_old()")),
            ("", ""),
            id="no class",
        ),
        pytest.param(
            changed(
                (
                    TYPES,
                    '@pytest.mark.parametrize("x", [1, 2])\ndef test_types(x):\n    assert add(x, 1) == x + 1\n\n\n',
                )
            ),
            ("", ""),
            id="parametrized",
        ),
        pytest.param(
            changed((RAISES, '    with pytest.raises(TypeError, match="x"):\n        add(1, "x")\n')),
            ("", ""),
            id="match",
        ),
        pytest.param(
            {
                "code_.py": CODE.split("\n\n\ndef old")[0] + "\n",
                "tests/test_a.py": TESTS.replace(OLD, "").replace(", old", ""),
            },
            ("major", "test-removed"),
            id="gone with what it tests",
        ),
        pytest.param(
            changed(
                ("def test_types", "@pytest.mark.skipif(sys.platform == 'win32', reason='x')\ndef test_types")
            ),
            ("major", "test-skipped"),
            id="not on Windows",
        ),
        pytest.param(
            {
                "tests/test_a.py": TESTS
                + "\n\n@pytest.mark.skip\ndef test_later():\n    assert add(1, 1) == 3\n"
            },
            ("major", "test-skipped"),
            id="new and skipped",
        ),
        pytest.param(
            changed(
                (
                    "    check(add)",
                    "    try:\n        import numpy\n    except ImportError:\n        pytest.skip('x')\n    check(add)",
                )
            ),
            ("major", "test-skipped"),
            id="without a library",
        ),
        pytest.param(
            changed(
                (
                    "    assert old(1) == 1\n        assert old(2) == 2\n",
                    "    for n in (1, 2):\n            assert old(n) == n\n",
                )
            ),
            ("blocker", "test-weakened"),
            id="two assertions in a loop look like one",
        ),
        pytest.param(
            changed(("def test_types(:", "")) if False else {"tests/test_a.py": TESTS}, ("", ""), id="nothing"
        ),
    ],
)
def test_a_change_that_keeps_the_tests_does_not(judged, after, found):
    assert judged(BEFORE, after) == found


LOOSE = "from code_ import add\n\n\ndef check(f):\n    assert f(1, 1) == 2\n\n\n{}\n"


@pytest.mark.parametrize(
    ("after", "rule"),
    [
        (LOOSE.format(""), "test-emptied"),
        (LOOSE.format("check(add)").replace("assert f(1, 1) == 2", "f(1, 1)"), "test-emptied"),
    ],
)
def test_a_check_outside_of_every_function_counts(judged, after, rule):
    before: dict[str, str | bytes] = {"code_.py": CODE, "test_a.py": LOOSE.format("check(add)")}
    assert judged(before, {"test_a.py": after}) == ("blocker", rule)


def test_a_test_that_only_runs_something_is_emptied_too(judged):
    before: dict[str, str | bytes] = {"test_a.py": "def test_a():\n    main()\n"}
    assert judged(before, {"test_a.py": "def test_a():\n    pass\n"}) == ("blocker", "test-emptied")


JS = "describe('add', () => {\n  it('adds', () => {\n    expect(add(1, 1)).toBe(2);\n    expect(add(1, 2)).toBe(3);\n  });\n"
JS += "  it('fails', () => {\n    expect(() => add('x')).toThrow();\n  });\n});\n"
GO = 'func TestAdd(t *testing.T) {\n\tif add(1, 1) != 2 {\n\t\tt.Errorf("no")\n\t}\n}\n\n'
GO += 'func TestSub(t *testing.T) {\n\tif sub(1, 1) != 0 {\n\t\tt.Fatal("no")\n\t}\n}\n'
RUST = "pub fn add() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {\n        assert_eq!(add(1, 1), 2);\n    }\n"
RUST += "    #[test]\n    #[should_panic]\n    fn fails() {\n        assert!(add(1) == 2);\n    }\n}\n"
JAVA = "class ATest {\n    @Test\n    void adds() {\n        assertEquals(2, add(1, 1));\n    }\n\n"
JAVA += "    @Test\n    void fails() {\n        assertThrows(X.class, () -> add());\n    }\n}\n"
RUBY = "describe 'add' do\n  it 'adds' do\n    expect(add(1, 1)).to eq 2\n  end\n  it 'fails' do\n    expect { add }.to raise_error\n  end\nend\n"


@pytest.mark.parametrize(
    ("path", "text", "old", "new", "found"),
    [
        ("a.test.js", JS, "expect(add(1, 2)).toBe(3);", "", ("blocker", "test-weakened")),
        ("a.test.js", JS, "expect(() => add('x')).toThrow();", "", ("blocker", "test-emptied")),
        (
            "a.test.js",
            JS,
            "expect(() => add('x')).toThrow();",
            "expect(true).toBe(true);",
            ("blocker", "test-emptied"),
        ),
        ("a.test.js", JS, "expect(() => add('x'))", "// expect(() => add('x'))", ("blocker", "test-emptied")),
        ("a.test.js", JS, "it('fails'", "it.skip('fails'", ("blocker", "test-skipped")),
        ("a.test.ts", JS, "it('adds'", "it.only('adds'", ("blocker", "test-skipped")),
        ("a.test.js", JS, "it('fails'", "run('fails'", ("blocker", "test-removed")),
        ("a.test.js", JS, "it('fails'", "it('breaks'", ("", "")),
        ("a.test.js", JS, "toBe(3)", "toBe(4)", ("", "")),
        ("a_test.go", GO, "func TestSub", "func testSub", ("blocker", "test-removed")),
        ("a_test.go", GO, '\t\tt.Fatal("no")\n', "", ("blocker", "test-emptied")),
        ("a_test.go", GO, "\tif sub", '\tt.Skip("x")\n\tif sub', ("blocker", "test-skipped")),
        ("a_test.go", GO, "func TestSub", "func TestMinus", ("", "")),
        (
            "src/a.rs",
            RUST,
            "    #[test]\n    fn adds",
            "    #[test]\n    #[ignore]\n    fn adds",
            ("blocker", "test-skipped"),
        ),
        ("src/a.rs", RUST, "    #[test]\n    fn adds", "    fn adds", ("blocker", "test-removed")),
        ("src/a.rs", RUST, "assert_eq!(add(1, 1), 2);", "add(1, 1);", ("blocker", "test-emptied")),
        ("src/a.rs", RUST, "pub fn add() {}", "pub fn add() { panic!() }", ("", "")),
        (
            "ATest.java",
            JAVA,
            "    @Test\n    void fails",
            "    @Disabled\n    @Test\n    void fails",
            ("blocker", "test-skipped"),
        ),
        ("ATest.java", JAVA, "assertEquals(2, add(1, 1));", "", ("blocker", "test-emptied")),
        ("a_spec.rb", RUBY, "it 'fails'", "xit 'fails'", ("blocker", "test-removed")),
        ("a_spec.rb", RUBY, "    expect(add", "    # expect(add", ("blocker", "test-emptied")),
    ],
)
def test_tests_of_other_languages_are_counted(judged, path, text, old, new, found):
    assert old in text
    assert judged({path: text}, {path: text.replace(old, new)}) == found
