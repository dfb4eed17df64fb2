"""Any bytes at all are a pipeline or one clear message."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from adws import config
from adws.config import document
from adws.errors import UserError
from tests.config.conftest import PACKAGE, complaints, load, refused

GOOD = "version: 1\nphases: {a: {run: x}}\n"


def test_a_problem_shows_its_place_its_line_and_the_column():
    assert refused("version: 1\nphases:\n  scout: {run: x}\n  plan:\n    run: x\n    need: [scout]\n") == (
        "pipeline.yaml:6:5: unknown key `need` in phase `plan`; did you mean `needs`?\n"
        "      6 |     need: [scout]\n"
        "        |     ^"
    )


def test_all_problems_come_at_once_sorted_by_place():
    assert complaints(
        "version: 1\nphases:\n  a: {needs: z, run: x, timeout: 5}\n  b: {}\nworkflows: {w: c}\nmerg: 1\n"
    ) == [
        "3:14: phase `a` needs unknown phase `z`",
        "3:34: `5`: seconds or minutes? write `5s` or `5m`",
        "4:3: phase `b` has no `run` and no `prompt`; give it one",
        "4:6: phase `b` has to be a mapping (`key: value`), not an empty one",
        "5:16: workflow `w` wants unknown phase `c`",
        "6:1: unknown key `merg` in a pipeline; did you mean `merge`?",
    ]


def test_what_is_too_much_to_read_is_counted():
    said = complaints("phases:\n" + "".join(f"  a{n}: {{runs: x}}\n" for n in range(100)))
    assert len(said) == document.MAX_SHOWN + 1
    assert said[-1] == "... and 150 more"


@pytest.mark.parametrize("source", [b"", b"# nothing\n", b"\xef\xbb\xbf", b"   \n\n", b"---\n...\n"])
def test_nothing_is_said_to_be_empty(source: bytes):
    assert refused(source) == "pipeline.yaml: empty; a pipeline begins with `version: 1`"


@pytest.mark.parametrize(
    "source", [GOOD, "\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), "---\n" + GOOD, GOOD + "...\n"]
)
def test_a_byte_order_mark_and_any_line_end_are_fine(source: str):
    assert load(source).phases[0].name == "a"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"- a\n", "1:1: a pipeline has to be a mapping (`key: value`), not a list"),
        (b"hello\n", "1:1: a pipeline has to be a mapping (`key: value`), not `hello`"),
        (b"'1'\n", "1:1: a pipeline has to be a mapping (`key: value`), not the text `1`"),
        (b"caf\xe9: 1\n", " not UTF-8 at byte 3; save it as UTF-8"),
        (GOOD.encode("utf-16"), " not UTF-8 at byte 0; save it as UTF-8"),
        (GOOD.encode("utf-16-le"), "1:2: U+0000 is no character for a pipeline"),
        (b"a: 1\nb: x\0y\n", "2:5: U+0000 is no character for a pipeline"),
        (b"a: \x1b[31m\n", "1:4: U+001B is no character for a pipeline"),
        (b"#" * (256 * 1024 + 1), " 262145 bytes are too much for a pipeline; at most 262144"),
        (GOOD.encode() + b"---\n" + GOOD.encode(), "3:1: a second document begins here; a pipeline is one"),
        (b"a: &x 1\nb: 2\n", "1:4: `&` and `*` share values; use `defaults`, or quotes"),
        (b"a: &x [*x]\n", "1:4: `&` and `*` share values; use `defaults`, or quotes"),
        (b"a: *x\n", "1:4: `&` and `*` share values; use `defaults`, or quotes"),
        (b"a: !!python/object:os.system {}\n", "1:4: `!` begins a tag, and a pipeline has none; use quotes"),
        (b"a: !!binary x=\n", "1:4: `!` begins a tag, and a pipeline has none; use quotes"),
        (b"a: !docs/**\n", "1:4: `!` begins a tag, and a pipeline has none; use quotes"),
        (b"a: [" + b"[" * 500, "1:43: nested too deep for a pipeline"),
        (b"a: " + b"{a: " * 500, "1:160: nested too deep for a pipeline"),
        (b"- " * 500, "1:81: nested too deep for a pipeline"),
    ],
)
def test_what_cannot_be_a_pipeline_is_refused_at_once(source: bytes, said: str):
    assert complaints(source) == [said]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("phases:\n  a: {run: x}\n  a: {run: y}\n", "4:3: `a` is already on line 3; remove one of the two"),
        ("phases:\n  a: {run: x, run: y}\n", "3:15: `run` is already on line 3; remove one of the two"),
        ("phases:\n  a: {run: x, 'run': y}\n", "3:15: `run` is already on line 3; remove one of the two"),
        ("phases:\n  a: {run: x, [b]: y}\n", "3:15: a key has to be a word"),
        ("phases:\n  a: {run: x, '': y}\n", "3:15: a key has to be a word"),
        ("phases:\n  a: {run: x, <<: {retries: 1}}\n", "3:15: unknown key `<<` in phase `a`"),
        ("phases:\n  a: {run: x, on: 1}\n", "3:15: unknown key `on` in phase `a`"),
        ("phases:\n  a: {run: x, 1: 1}\n", "3:15: unknown key `1` in phase `a`"),
        ("phases:\n  a: {run: x, null: 1}\n", "3:15: unknown key `null` in phase `a`"),
        ("phases:\n  a: {run: x, retries: }\n", "3:15: `retries` has no value; give it one or leave it out"),
        ('phases:\n  a: {run: x, "\\e[2J": 1}\n', "3:15: unknown key ` [2J` in phase `a`"),
        (
            'phases:\n  a: {run: "a\\0b"}\n',
            "3:12: there is a character in it that no command and no file name can have",
        ),
    ],
)
def test_a_key_is_a_word_and_there_once(source: str, said: str):
    assert complaints(source) == [said]


@pytest.mark.parametrize("loader", [yaml.CSafeLoader, yaml.SafeLoader])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "run: echo foo: bar",
            "3:18: a `: ` where no key can be; quote a value that has one, or check the indentation",
        ),
        ("\trun: x", "3:5: a tab; indent with spaces"),
        ("run: @x", "3:10: a value cannot begin with this character; put it in quotes"),
        ("run: %x", "3:10: a value cannot begin with this character; put it in quotes"),
        ("run: `x`", "3:10: a value cannot begin with this character; put it in quotes"),
        ("writes: *.py", "3:13: a value cannot begin with `*`, `&` or `!`; put it in quotes"),
        ("writes: [**/*.py]", "3:14: a value cannot begin with `*`, `&` or `!`; put it in quotes"),
        ("run: 'x", "3:10: this quote is never closed"),
        ('run: "x', "3:10: this quote is never closed"),
        ("run: [x, y", "3:10: this bracket is not closed, or a `,` is missing in it"),
        ("env: {A: b", "3:10: this bracket is not closed, or a `,` is missing in it"),
        (
            "run: x\n   doc: y",
            "4:4: this does not continue what is above; check the indentation and the quotes",
        ),
        ("run: 'x' y", "3:14: this does not continue what is above; check the indentation and the quotes"),
        ("doc: x\n    run", "4:5: not YAML: could not find expected ':'"),
    ],
)
def test_a_slip_in_the_yaml_has_its_place_and_a_hint(
    monkeypatch: pytest.MonkeyPatch, loader: type, line: str, said: str
):
    monkeypatch.setattr(document, "_LOADER", loader)
    assert complaints(f"version: 1\nphases:\n    {line}\nworkflows: {{}}\n") == [said]


def test_a_long_line_is_shown_around_the_place():
    line = refused("phases: {a: {run: x, env: {A: " + "b" * 200 + ", ADW_X: y}}}").splitlines()[1:]
    assert line == [f"      2 | {'b' * 78}, ADW_X: y}}}}}}", f"        | {' ' * 80}^"]


@pytest.mark.parametrize(
    "source",
    [
        *(b"[" * 262_000, b"{a: " * 65_000, b"- " * 131_000, b"'" * 262_000, b"a: b\n" * 52_000),
        *(
            pytest.param(bomb, marks=pytest.mark.slow)
            for bomb in (
                *(b"? " * 131_000, b"a," * 131_000, b"[a," * 87_000, b"[" + b"a," * 131_000),
                *(b"!a " * 87_000, b"? a\n" * 65_000),
                b"version: 1\nphases:\n" + b"".join(b"  p%d: {}\n" % n for n in range(20_000)),
            )
        ),
    ],
    ids=lambda source: repr(source[:6]),
)
def test_a_bomb_is_refused_soon(source: bytes):
    started = time.monotonic()
    refused(source)
    assert (
        time.monotonic() - started < 20
    )  # 1.2 s on an idle machine; unguarded, it is minutes or a dead process


def test_deep_nesting_does_not_kill_the_process():
    code = "from adws import config; config.load(b'[' * 250_000, name='p', prompt_dirs=[])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    # a libyaml that counts for itself notices it later
    assert re.search(r"UserError: p:1:(41|1001): nested too deep for a pipeline", done.stderr)


def anything_loads_or_is_refused(source: bytes) -> None:
    said = "pipeline.yaml:"
    try:
        config.load(source, name="pipeline.yaml", prompt_dirs=[PACKAGE])
    except UserError as error:
        said = str(error)
    assert said.startswith("pipeline.yaml:")


@given(
    st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_load_or_are_refused(source: bytes):
    anything_loads_or_is_refused(source)


SHIPPED = config.SHIPPED.read_bytes()
BITS = [
    *(
        b": ",
        b"- ",
        b"\n",
        b"\t",
        b"  ",
        b"[",
        b"]",
        b"{",
        b"}",
        b"'",
        b'"',
        b"#",
        b"&a ",
        b"*a",
        b"!!int ",
        b"|",
        b"> ",
    ),
    *(
        b"? ",
        b"---\n",
        b"...\n",
        b"%YAML 1.1\n",
        b",",
        b"~",
        b"null",
        b"true",
        b"1e3",
        b"0x10",
        b".nan",
        b"12:30:45",
    ),
    *(
        b"2024-13-45",
        b"<<",
        b"version",
        b"phases",
        b"needs",
        b"run",
        b"prompt",
        b"{model}",
        b"9" * 5000,
        b"\xff",
        b"\0",
    ),
    *(b"\xc2\x85", b"\\", b'"\\uD800"', b'"\\0"'),
    *(b"\ninclude: sdlc.yaml\n", b"matrix: {py: [a, b]}", b"keep: {a: b}", b"{py}", b"secrets: [A]"),
]


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, len(SHIPPED)), st.integers(0, 30), st.sampled_from(BITS)),
        min_size=1,
        max_size=6,
    )
)
def test_any_damage_to_a_good_file_loads_or_is_refused(damage: list[tuple[int, int, bytes]]):
    source = SHIPPED
    for place, length, instead in damage:
        source = source[:place] + instead + source[place + length :]
    anything_loads_or_is_refused(source)
