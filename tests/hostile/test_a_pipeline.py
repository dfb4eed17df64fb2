"""A: pipeline.yaml as no one should write it, through the real command.

Further than the list goes:

    129 control, bidi and zero-width characters in it
    130 `include` of itself, of nothing, of a directory, of a way out, of a binary file
    131 a prompt that is not there, a directory, binary, a way out, with unknown variables
    132 a matrix with too many shards, with shards that differ in capitals only
    133 a branch that git does not take, in `merge: into`
    134 more wrong than one can read
    135 names of phases that mean something to Python, YAML or doit
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.hostile.conftest import cases, green, mortal, refuse, theirs

Make = Callable[..., Project]

GOOD = "version: 1\nphases: {a: {run: echo a > a}}\n"
TAG = "`!` begins a tag, and a pipeline has none; use quotes"
SHARED = "`&` and `*` share values; use `defaults`, or quotes"
DEEP = "nested too deep for a pipeline"
LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def phase(fields: str, name: str = "a") -> str:
    """A pipeline with one phase, whose fields begin at 2:14 where its name is one letter."""
    return f"version: 1\nphases: {{{name}: {{{fields}}}}}\n"


def named(name: str, shown: str) -> tuple[str, str]:
    rule = "cannot name a phase: at most 63 small letters, digits and `_`, a letter first"
    return f'version: 1\nphases: {{"{name}": {{run: x}}}}\n', f"2:10: {shown} {rule}"


def timed(written: str) -> tuple[str, str]:
    rule = "`timeout` has to be `90s`, `20m`, `1h30m` or the like, at most `168h`, not"
    return phase(f"run: x, timeout: {written}"), f"2:31: {rule} `{written}`"


def counted(written: str) -> tuple[str, str]:
    return (
        phase(f"run: x, retries: {written}"),
        f"2:31: `retries` has to be a whole number from 0 to 10, not `{written[:100]}`",
    )


def written_by(glob: str) -> tuple[str, str]:
    rule = "relative with no `..`, no `.git`, such as `docs/**` or `!docs/old/**`"
    return phase(f"run: x, writes: ['{glob}']"), f"2:31: `writes` has to be {rule}, not the text `{glob}`"


def ring(length: int) -> tuple[str, str]:
    names = [f"p{n}" for n in range(length)]
    lines = [f"  {a}: {{run: x, needs: {b}}}\n" for a, b in zip(names, [*names[1:], "p0"], strict=True)]
    way = " -> ".join([*names, "p0"])
    place = f"{2 + length}:{lines[-1].index('p0') + 1}"
    return (
        "version: 1\nphases:\n" + "".join(lines),
        f"{place}: phase `p0` needs itself: `{way}`; remove one of these needs",
    )


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "A2-empty": ("", " empty; a pipeline begins with `version: 1`"),
    "A2-only-comments": ("# later\n", " empty; a pipeline begins with `version: 1`"),
    "A2-only-a-document-marker": ("---\n...\n", " empty; a pipeline begins with `version: 1`"),
    "A3-scalar": ("hello\n", "1:1: a pipeline has to be a mapping (`key: value`), not `hello`"),
    "A3-list": ("- a\n", "1:1: a pipeline has to be a mapping (`key: value`), not a list"),
    "A4-tab": ("version: 1\nphases:\n\ta: {run: x}\n", "3:1: a tab; indent with spaces"),
    "A5-two-documents": (GOOD + "---\n" + GOOD, "3:1: a second document begins here; a pipeline is one"),
    "A6-nul": (b"version: 1\nphases: {a: {run: x\0}}\n", "2:20: U+0000 is no character for a pipeline"),
    "A8-utf-16": (GOOD.encode("utf-16"), " not UTF-8 at byte 0; save it as UTF-8"),
    "A8-utf-16-without-a-mark": (GOOD.encode("utf-16-le"), "1:2: U+0000 is no character for a pipeline"),
    "A8-utf-32": (GOOD.encode("utf-32"), " not UTF-8 at byte 0; save it as UTF-8"),
    "A9-latin-1": (GOOD.encode() + "# café\n".encode("latin-1"), " not UTF-8 at byte 47; save it as UTF-8"),
    "A11-duplicate-phase-key": (phase("run: x, run: y"), "2:22: `run` is already on line 2; remove one of the two"),
    "A11-duplicate-top-key": (GOOD + "version: 1\n", "3:1: `version` is already on line 1; remove one of the two"),
    "A11-duplicate-in-quotes": (GOOD + '"version": 1\n', "3:1: `version` is already on line 1; remove one of the two"),
    "A11-duplicate-variable": (
        phase("run: x, env: {A: 1, A: 2}"),
        "2:34: `A` is already on line 2; remove one of the two",
    ),
    "A12-unknown-key": (phase("run: x, need: b"), "2:22: unknown key `need` in phase `a`; did you mean `needs`?"),
    "A12-another-tools-key": (phase("script: x"), "2:14: unknown key `script` in phase `a`; did you mean `run`?\n2:10: phase `a` has no `run` and no `prompt`; give it one"),
    "A12-unknown-top-key": (GOOD + "jobs: {}\n", "3:1: unknown key `jobs` in a pipeline; did you mean `phases`?"),
    "A13-object": ("version: !!python/object/apply:os.system [touch pwned]\n", f"1:10: {TAG}"),
    "A13-name": (phase("run: !!python/name:os.system x"), f"2:19: {TAG}"),
    "A14-anchor": (phase("run: &a x"), f"2:19: {SHARED}"),
    "A14-alias": (phase("run: *a"), f"2:19: {SHARED}"),
    "A14-merge-key": (phase("run: x, <<: {retries: 1}"), "2:22: unknown key `<<` in phase `a`"),
    "A15-billion-laughs": (LAUGHS, f"1:4: {SHARED}"),
    "A16-self-alias": ("a: &a [*a]\n", f"1:4: {SHARED}"),
    "A17-brackets": ("a: " + "[" * 500, f"1:43: {DEEP}"),
    "A17-braces": ("a: " + "{a: " * 500, f"1:160: {DEEP}"),
    "A17-dashes": ("- " * 500, f"1:81: {DEEP}"),
    "A18-too-long": ("#" * (256 * 1024 + 1), " 262145 bytes are too much for a pipeline; at most 262144"),
    "A20-norway-is-no-boolean": (
        phase("run: x, must-change: no"),
        "2:35: `must-change` has to be `true` or `false`, not `no`",
    ),
    "A20-on-is-no-key": (phase("run: x, on: push"), "2:22: unknown key `on` in phase `a`"),
    "A20-octal": counted("010"),
    "A20-underscore": counted("1_0"),
    "A20-sexagesimal": counted("12:30:45"),
    "A20-version-1.10": ("version: 1.10\nphases: {a: {run: x}}\n", "1:10: `version` has to be 1, not `1.10`"),
    "A21-exponent": counted("1e3"),
    "A21-nan": counted(".nan"),
    "A21-inf": counted(".inf"),
    **{f"A22-timeout-{n}": timed(n) for n in ("-1", ".nan", ".inf", "1e300", "true", "0s", "169h", "1.5h", "1d")},
    "A22-timeout-0": (phase("run: x, timeout: 0"), "2:31: `0`: seconds or minutes? write `0s` or `0m`"),
    "A22-timeout-without-unit": (
        phase("run: x, timeout: '30'"),
        "2:31: `30`: seconds or minutes? write `30s` or `30m`",
    ),
    "A23-100000-digits": counted("9" * 100_000),
    "A23-100000-digits-as-version": (f"version: {'9' * 100_000}\n{GOOD[11:]}", f"1:10: `version` has to be 1, not `{'9' * 100}`"),
    "A24-sexagesimal-bomb": counted(":".join(["59"] * 50_000)),
    "A25-no-such-date": counted("2024-13-45"),
    "A26-int-key": (phase("run: x, 1: 1"), "2:22: unknown key `1` in phase `a`"),
    "A26-null-key": (phase("run: x, null: 1"), "2:22: unknown key `null` in phase `a`"),
    "A26-empty-key": (phase("run: x, '': 1"), "2:22: a key has to be a word"),
    "A26-list-as-key": (phase("run: x, [b]: 1"), "2:22: a key has to be a word"),
    "A26-no-value": (phase("run: x, retries: "), "2:22: `retries` has no value; give it one or leave it out"),
    "A27-binary-with-bad-padding": (phase("run: !!binary x="), f"2:19: {TAG}"),
    "A28-name-empty": ("version: 1\nphases: {'': {run: x}, b: {run: x}}\n", "2:10: a key has to be a word"),
    "A28-name-spaces": named("  ", "nothing"),
    "A28-name-a-space": named("a b", "the text `a b`"),
    "A28-name-slash": named("a/b", "the text `a/b`"),
    "A28-name-dots": named("..", "the text `..`"),
    "A28-name-way-up": named("../../heads/main", "the text `../../heads/main`"),
    "A28-name-dot-git": named(".git", "the text `.git`"),
    "A28-name-option": named("-x", "the text `-x`"),
    "A28-name-dot-lock": named("a.lock", "the text `a.lock`"),
    "A28-name-300": named("a" * 300, f"the text `{'a' * 100}`"),
    "A28-name-newline": named("a\\nb", "the text `a b`"),
    "A28-name-lookalike": named("bаse", "the text `bаse`"),
    "A28-name-nfc": named("caf\u00e9", "the text `caf\u00e9`"),
    "A28-name-nfd": named("cafe\u0301", "the text `cafe\u0301`"),
    "A28-name-capitals": named("Build", "the text `Build`"),
    "A28-name-CON": named("CON", "the text `CON`"),
    "A28-name-colon": named("a:b", "the text `a:b`"),
    **{
        f"A28-name-{word}": (phase("run: x", word), f"2:10: `{word}` is reserved; give a phase another name")
        for word in ("base", "merge", "run", "list", "attempt", "sdlc")
    },
    "A29-itself": (
        phase("run: x, needs: a"),
        "2:29: phase `a` needs itself: `a -> a`; remove one of these needs",
    ),
    "A30-two": ring(2),
    "A30-fifty": ring(50),
    "A31-unknown-needs": (
        "version: 1\nphases: {build: {run: x}, test: {run: x, needs: biuld}}\n",
        "2:49: phase `test` needs unknown phase `biuld`; did you mean `build`?",
    ),
    "A31-nothing-in-needs": (phase("run: x, needs: [~]"), "2:30: `needs` has to be text, not nothing"),
    "A32-duplicate-phase": (
        "version: 1\nphases:\n  a: {run: x}\n  a: {run: y}\n",
        "4:3: `a` is already on line 3; remove one of the two",
    ),
    "A34-no-command": (phase("doc: x"), "2:10: phase `a` has no `run` and no `prompt`; give it one"),
    "A34-nothing": ("version: 1\nphases: {a: {}}\n", "2:10: phase `a` has no `run` and no `prompt`; give it one\n2:13: phase `a` has to be a mapping (`key: value`), not an empty one"),
    "A34-two-commands": (
        phase("run: x, prompt: prompts/plan.md"),
        "2:10: phase `a` has both `run` and `prompt`; keep one\n"
        "2:30: phase `a` has no agent; name one with `agent`, there or in `defaults`",
    ),
    "A35-empty-text": (phase("run: ''"), "2:19: `run` has to be text, not nothing"),
    "A35-empty-program": (phase("run: ['', x]"), "2:20: `run` has to be text, not nothing"),
    "A35-mapping": (
        phase("run: {a: b}"),
        "2:19: `run` has to be a list that begins with a program, not a mapping",
    ),
    "A35-nul-in-argument": (
        phase('run: [echo, "a\\0b"]'),
        "2:26: there is a character in it that no command and no file name can have",
    ),
    "A35-half-a-surrogate": (
        phase('run: [echo, "\\uD800"]'),
        "2:26: not YAML: found invalid Unicode character escape code",
    ),
    "A36-unknown-placeholder": (
        phase("run: [x, '{phse}']"),
        "2:23: unknown placeholder `{phse}` (known: {python} {phase} {adw_id} {out}); did you mean `{phase}`?",
    ),
    **{
        f"A37-variable-{name}": (
            phase(f"run: x, env: {{'{name}': y}}"),
            f"2:28: the text `{name}` cannot be a variable: letters, digits, `_`; no digit first, no `ADW_`",
        )
        for name in ("A=B", "1A", "A B", "ADW_OUT")
    },
    "A37-value-a-list": (phase("run: x, env: {A: [b]}"), "2:31: `A` has to be text, not a list"),
    "A37-value-a-mapping": (phase("run: x, env: {A: {b: c}}"), "2:31: `A` has to be text, not a mapping"),
    "A37-value-nul": (
        phase('run: x, env: {A: "\\0"}'),
        "2:31: there is a character in it that no command and no file name can have",
    ),
    "A38-absolute": written_by("/etc/**"),
    "A38-way-up": written_by("../**"),
    "A38-way-up-inside": written_by("docs/../../x"),
    "A38-dot-git": written_by(".git/hooks/**"),
    "A38-magic": written_by(":(top)**"),
    "A38-empty": (phase("run: x, writes: ['']"), "2:31: `writes` has to be text, not nothing"),
    "A39-minus": counted("-1"),
    "A39-many": counted("1e9"),
    "A39-more": counted("1000000000"),
    "A44-version-99": (
        "version: 99\ngraph: {}\n",
        "1:10: written for a newer adws: format 99, this one reads 1; update adws",
    ),
    "A44-version-0": ("version: 0\nphases: {a: {run: x}}\n", "1:10: `version` has to be 1, not `0`"),
    "A44-no-version": ("phases: {a: {run: x}}\n", "1:1: there is no `version`; a pipeline begins with `version: 1`"),
    "A129-escape": (phase("run: x\x1b[2J"), "2:20: U+001B is no character for a pipeline"),
    "A129-escape-as-key": (phase('run: x, "\\e[2J": 1'), "2:22: unknown key ` [2J` in phase `a`"),
    "A129-bidi-key": (phase("run: x, \u202enur: y"), "2:22: unknown key ` nur` in phase `a`"),
    "A129-zero-width-key": (phase("r\u200bun: x"), "2:14: unknown key `r un` in phase `a`; did you mean `run`?\n2:10: phase `a` has no `run` and no `prompt`; give it one"),
    "A129-mark-inside": (phase("run: x\ufeff"), "2:20: U+FEFF is no character for a pipeline"),
    "A130-include-itself": (
        GOOD + "include: pipeline.yaml\n",
        "3:10: `pipeline.yaml` is part of this pipeline already; remove it here",
    ),
    "A130-include-twice": (
        GOOD + "include: [sdlc.yaml, sdlc.yaml]\n",
        "3:22: `sdlc.yaml` is part of this pipeline already; remove it here",
    ),
    "A130-include-nothing": (GOOD + "include: nowhere.yaml\n", "3:10: there is no file `nowhere.yaml` in FOLDERS"),
    "A130-include-a-directory": (GOOD + "include: prompts\n", "3:10: there is no file `prompts` in FOLDERS"),
    "A130-include-a-way-out": (GOOD + "include: ../../etc/passwd\n", "3:10: there is no file `../../etc/passwd` in FOLDERS"),
    "A130-include-absolute": (GOOD + "include: /etc/passwd\n", "3:10: there is no file `/etc/passwd` in FOLDERS"),
    "A131-prompt-nothing": (
        "version: 1\nagents: {b: {run: [x]}}\nphases: {a: {prompt: nowhere.md, agent: b}}\n",
        "3:22: there is no prompt `nowhere.md` in FOLDERS",
    ),
    "A131-prompt-a-way-out": (
        "version: 1\nagents: {b: {run: [x]}}\nphases: {a: {prompt: ../secret.md, agent: b}}\n",
        "3:22: there is no prompt `../secret.md` in FOLDERS",
    ),
    "A132-too-many-shards": (
        phase(f"run: x, matrix: {{n: [{', '.join(map(str, range(257)))}]}}"),
        "2:30: `matrix` makes more than 256 phases of one; leave out some values",
    ),
    "A133-branch": (
        GOOD + "merge: {into: 'a..b'}\n",
        "3:15: the text `a..b` cannot be a branch; write a name such as `adw/{adw_id}`",
    ),
    "A133-branch-an-option": (
        GOOD + "merge: {into: '--force'}\n",
        "3:15: the text `--force` cannot be a branch; write a name such as `adw/{adw_id}`",
    ),
}  # fmt: skip


def told(said: str) -> str:
    """The messages alone, without the lines and columns they show."""
    return "\n".join(line for line in said.splitlines() if not re.match(" *[0-9]* [|]", line))


def expected(p: Project, said: str) -> str:
    """A message for each fault, the file first, sorted by place."""
    package = Path(__file__).parents[2] / "adws"
    lines = said.replace("FOLDERS", f"{p.path} or {package}").split("\n")
    lines.sort(
        key=lambda line: [int(n) for n in re.findall("^([0-9]+):([0-9]+)", line)[0]] if line[0] != " " else []
    )
    return "\n".join(f"pipeline.yaml:{line}" for line in lines)


@cases(("source", "said"), REFUSED)
def test_it_is_refused_with_its_place_and_nothing_is_created(project: Make, source: str | bytes, said: str):
    p = project(GOOD)
    (p.path / "pipeline.yaml").write_bytes(source.encode() if isinstance(source, str) else source)
    assert told(refuse(p, "sdlc", "ADW_ID=x")) == expected(p, said)


SAMPLE = [
    next(name for name in REFUSED if name.startswith(f"A{n}-")) for n in (2, 3, 4, 9, 11, 14, 17, 18, 28, 30)
]


@pytest.mark.slow
@cases("name", {name: name for name in SAMPLE})
@pytest.mark.parametrize(
    "call", [("adws", "list"), ("adws", "info", "a"), ("doit", "list"), ("doit", "-n", "1", "sdlc")]
)
def test_whatever_is_asked_the_answer_is_the_same(project: Make, call: tuple[str, ...], name: str):
    p, (source, said) = project(GOOD), REFUSED[name]
    (p.path / "pipeline.yaml").write_bytes(source.encode() if isinstance(source, str) else source)
    tool, *args = call
    assert told(refuse(p, *args, tool=tool)) == expected(p, said)


def shell(script: str) -> str:
    """A pipeline with one phase that runs this script."""
    return "version: 1\nphases:\n  a:\n    run: |\n" + "".join(
        f"      {line}\n" for line in script.splitlines()
    )


ASSIGNED = (
    "N: no, ON: on, V: 1.10, T: 12:30:45, O: 010, U: 1_0, E: 1e3, F: .nan, I: .inf, D: 2024-13-45, X: ~"
)
SEEN = "no on 1.10 12:30:45 010 1_0 1e3 .nan .inf 2024-13-45~"

ACCEPTED: dict[str, tuple[str | bytes, dict[str, str]]] = {
    "A7-byte-order-mark": (b"\xef\xbb\xbf" + GOOD.encode(), {"a": "a"}),
    "A10-crlf": (GOOD.replace("\n", "\r\n"), {"a": "a"}),
    "A10-crlf-in-a-script": (shell("echo a > a\necho b > b").replace("\n", "\r\n"), {"a": "a", "b": "b"}),
    "A10-cr-alone": (GOOD.replace("\n", "\r"), {"a": "a"}),
    "A18-as-long-as-it-may-be": (GOOD + "#" * (256 * 1024 - len(GOOD)), {"a": "a"}),
    "A20-norway-in-an-environment": (
        phase(f"run: 'echo $N $ON $V $T $O $U $E $F $I $D$X > a', env: {{{ASSIGNED}}}"),
        {"a": SEEN},
    ),
    "A21-words-in-a-command": (
        phase("run: [/bin/sh, -c, 'echo $* > a', sh, no, 1e3, .inf, 010, true, 2024-13-45]"),
        {"a": "no 1e3 .inf 010 true 2024-13-45"},
    ),
    "A35-text-is-for-the-shell": (phase("run: 'echo $((1 + 1)) > a'"), {"a": "2"}),
    "A35-a-list-is-a-command": (
        phase("run: [/bin/sh, -c, 'echo \"$1\" > a', sh, $((1 + 1)) `id` | '', ';', '']"),
        {"a": "$((1 + 1)) `id` | ''"},
    ),
    "A36-shell-words-in-a-value": (
        """version: 1
agents: {b: {run: [/bin/sh, -c, 'echo "$1" > a', sh, '{model}'], model: '$(touch pwned); `touch pwned` "|&'}}
phases: {a: {prompt: prompts/plan.md, agent: b}}
""",
        {"a": '$(touch pwned); `touch pwned` "|&'},
    ),
    "A36-braces-are-the-shells": (shell("a=b; echo ${a} {python} {a,b} > a"), {"a": "b {python} {a,b}"}),
    "A38-everything": (phase("run: echo a > a, writes: '**'"), {"a": "a"}),
    "A43-a-phase-that-may-change-it": (
        phase("run: 'printf \"version: 1\\nphases: {b: {run: x}}\" > pipeline.yaml', writes: pipeline.yaml"),
        {"pipeline.yaml": "version: 1\nphases: {b: {run: x}}"},
    ),
    **{
        f"A135-called-{word}": (phase("run: echo a > a", word), {"a": "a"})
        for word in ("class", "none", "yes", "y", "n", "default", "task", "doit", "issue_", "lock", "head")
    },
}


@cases(("source", "made"), ACCEPTED)
def test_it_is_accepted_and_means_what_it_says(project: Make, source: str | bytes, made: dict[str, str]):
    p = project(GOOD)
    (p.path / "pipeline.yaml").write_bytes(source.encode() if isinstance(source, str) else source)
    green(p)
    tree, before = p.tree("adw/x"), p.tree("main")
    assert {name: text for name, text in tree.items() if before.get(name) != text} == made


def test_a35_an_empty_list_is_called_empty(project: Make):
    p = project(phase("run: []"))
    said = "pipeline.yaml:2:19: `run` has to be a list that begins with a program, not an empty list"
    assert told(refuse(p, "sdlc", "ADW_ID=x")) == said


def test_a1_without_one_the_shipped_pipeline_is_used_and_said_so(project: Make):
    p = project()
    said = p.adws("scout", "ADW_ID=x")
    assert "the shipped pipeline.yaml (the repository has none)\n" in said.splitlines(keepends=True)[0]
    refused = refuse(p, "biuld", "ADW_ID=x")
    assert "`biuld` in the shipped pipeline.yaml (the repository has none); did you mean `build`?" in refused


def test_a19_a_file_full_of_broken_phases_is_refused_soon(project: Make):
    """20 000 took 79 s when PyYAML composed them."""
    p = project(GOOD)
    p.write("pipeline.yaml", "version: 1\nphases:\n" + "".join(f"  p{n}: {{}}\n" for n in range(19_000)))
    said = told(refuse(p, "sdlc", "ADW_ID=x")).splitlines()
    assert (len(said), said[-1]) == (51, "... and 37950 more")


def test_a19_as_many_phases_as_fit_are_listed(project: Make):
    p = project(GOOD)
    names = [f"p{n}" for n in range(14_000)]
    p.write("pipeline.yaml", "version: 1\nphases:\n" + "".join(f"  {name}: {{run: x}}\n" for name in names))
    assert (p.path / "pipeline.yaml").stat().st_size < 256 * 1024
    listed = p.adws("list", "--quiet", "--sort=definition").split()
    assert sorted(listed) == sorted([*names, "merge", "sdlc"])


def test_a33_a_diamond_of_1000_edges_is_no_cycle(project: Make):
    sides = "".join(f"  m{n}: {{run: x, needs: a}}\n" for n in range(500))
    last = f"  z: {{run: x, needs: [{', '.join(f'm{n}' for n in range(500))}]}}\n"
    p = project(f"phases:\n  a: {{run: x}}\n{sides}{last}")
    assert len(p.adws("list", "--quiet").split()) == 502 + 2


def test_a40_two_phases_may_claim_the_same_paths_but_not_change_the_same_lines(project: Make):
    p = project("phases: {a: {run: echo a > f, writes: f}, b: {run: echo b > f, writes: f}}")
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert "phases `a` and `b` both changed f; nothing was merged, both results are kept" in said
    assert p.git("branch", "--list", "adw/*") == ""
    p.write(
        "pipeline.yaml",
        "version: 1\nphases: {a: {run: echo a > f, writes: '*'}, b: {run: echo b > g, writes: '*'}}\n",
    )
    green(p, "sdlc")
    assert {"f", "g"} <= set(p.tree("adw/x"))


def a_directory(path: Path) -> None:
    path.mkdir()


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere.yaml")


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


NO_FILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "A41-directory": (a_directory, "pipeline.yaml is not a file\n"),
    "A41-fifo": (a_fifo, "pipeline.yaml is not a file\n"),
    "A41-symlink-loop": (a_loop, "pipeline.yaml cannot be read: Too many levels of symbolic links\n"),
    "A41-symlink-to-nothing": (
        a_link_to_nothing,
        "pipeline.yaml cannot be read: No such file or directory\n",
    ),
    "A41-endless-device": (a_device, "pipeline.yaml is not a file\n"),
}


@cases(("make", "said"), NO_FILE)
def test_what_is_no_file_is_told_at_once(project: Make, make: Callable[[Path], None], said: str):
    p = project()
    make(p.path / "pipeline.yaml")
    assert refuse(p, "sdlc", "ADW_ID=x") == said


def test_a41_unreadable(project: Make):
    p = project(GOOD)
    (p.path / "pipeline.yaml").chmod(0)
    before = theirs(p)
    assert mortal(p)("sdlc", "ADW_ID=x", status=3) == "pipeline.yaml cannot be read: Permission denied\n"
    assert theirs(p) == before
    assert not (p.path / ".adws").exists()


def test_a42_what_changes_it_during_a_run_counts_for_the_next_one(project: Make):
    p = project(
        """
phases:
  a: {run: "echo 'version: 1' > $HOME/../repo/pipeline.yaml; echo a > a"}
  b: {needs: a, run: echo b > b}
"""
    )
    source = (p.path / "pipeline.yaml").read_text().strip()
    p.adws("sdlc", "ADW_ID=x")
    assert {"a", "b"} <= set(p.tree("adw/x"))
    assert p.git("show", "refs/adws/x/run:pipeline.yaml") == source
    assert p.tree("adw/x")["pipeline.yaml"] == source
    said = "pipeline.yaml:1:1: there is no `phases`; a pipeline has one at least"
    assert told(refuse(p, "sdlc", "ADW_ID=x")) == said


CHANGES = {
    "A43-written": "echo > pipeline.yaml",
    "A43-appended": "echo '#' >> pipeline.yaml",
    "A43-deleted": "rm pipeline.yaml",
    "A43-moved": "mv pipeline.yaml other.yaml",
    "A43-made-executable": "chmod +x pipeline.yaml",
    "A43-replaced-by-a-link": "ln -sf /etc/passwd pipeline.yaml",
    "A43-in-capitals": "echo > PIPELINE.YAML",
}


@cases("command", CHANGES)
def test_a_phase_that_changes_it_has_failed(project: Make, command: str):
    p = project(shell(command))
    before = theirs(p)
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert re.search(
        r"^FAILED a: changed (?i:pipeline.yaml), which is protected; name it in `writes`",
        said.replace("other.yaml, ", ""),
        re.MULTILINE,
    )
    assert theirs(p) == before


AGENT = "version: 1\nagents: {b: {run: [x]}}\nphases: {a: {prompt: p.md, agent: b}}\n"


def test_a131_unknown_variable_in_a_prompt(project: Make):
    p = project(AGENT, **{"p.md": "{isue}"})
    known = "{adw_id} {phase} {issue} {needs} {out} {failure} {failed} {paths}"
    said = f"unknown variable `{{isue}}` (known: {known}); did you mean `{{issue}}`?"
    assert told(refuse(p, "sdlc", "ADW_ID=x")) == f"pipeline.yaml:3:22: {said}"


def test_a131_a_prompt_that_is_not_utf_8(project: Make):
    p = project(AGENT)
    (p.path / "p.md").write_bytes(b"caf\xe9")
    said = "pipeline.yaml:3:22: prompt `p.md` is not UTF-8 at byte 3; save it as UTF-8"
    assert told(refuse(p, "sdlc", "ADW_ID=x")) == said


def test_a131_a_prompt_that_is_a_directory_is_told(project: Make):
    p = project(AGENT)
    (p.path / "p.md").mkdir()
    assert "there is no prompt `p.md` in " in refuse(p, "sdlc", "ADW_ID=x")


def test_a130_a_binary_include_is_told(project: Make):
    p = project(GOOD + "include: more.yaml\n")
    (p.path / "more.yaml").write_bytes(b"\xff\xfe")
    said = "pipeline.yaml:3:10: file `more.yaml` is not UTF-8 at byte 0; save it as UTF-8"
    assert told(refuse(p, "sdlc", "ADW_ID=x")) == said


def test_a130_what_is_wrong_in_an_included_file_is_told_with_its_name(project: Make):
    p = project(GOOD + "include: more.yaml\n")
    p.write("more.yaml", "version: 1\ninclude: pipeline.yaml\nphases: {b: {runs: x}}\n")
    assert told(refuse(p, "sdlc", "ADW_ID=x")).splitlines() == [
        "more.yaml:2:10: an included file cannot `include`; name all files in the pipeline itself",
        "more.yaml:3:10: phase `b` has no `run` and no `prompt`; give it one",
        "more.yaml:3:14: unknown key `runs` in phase `b`; did you mean `run`?",
    ]


def test_a132_shards_that_differ_in_capitals_only_are_told(project: Make):
    p = project(phase("run: x, matrix: {n: [a, A]}"))
    assert "pipeline.yaml:2:" in refuse(p, "sdlc", "ADW_ID=x")


def test_a134_of_very_much_that_is_wrong_only_the_first_is_told(project: Make):
    p = project("version: 1\nphases:\n" + "".join(f"  a{n}: {{runs: x}}\n" for n in range(100)))
    said = told(refuse(p, "sdlc", "ADW_ID=x")).splitlines()
    assert (len(said), said[-1]) == (51, "... and 150 more")
