"""A phase with a matrix: which shards it becomes, what is filled in, and what a workflow or a need means by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from adws.model import closure
from tests.config.conftest import AGENTS, complaint, complaints, load, phase

KNOWN = "(known: {python} {phase} {adw_id} {out} {py})"


def names(matrix: str) -> str:
    return " ".join(each.name for each in load(f"phases: {{t: {{run: x, matrix: {matrix}}}}}").phases)


def test_a_matrix_makes_a_phase_for_each_combination_the_last_variable_fastest():
    assert names("{py: [py311, py312], os: [linux, mac]}") == (
        "t:py311-linux t:py311-mac t:py312-linux t:py312-mac"
    )
    assert names("{py: py311}") == "t:py311"
    assert names("{b: ['1'], a: [2]}") == "t:1-2"


def test_a_value_is_taken_as_it_was_written():
    assert names("{py: [3.10, '3.9', 007, no, 1e3, _, a.b-c_d]}") == (
        "t:3.10 t:3.9 t:007 t:no t:1e3 t:_ t:a.b-c_d"
    )


def test_a_shard_sees_its_values_as_variables():
    found = load(
        "agents: {b: {run: [x], env: {py: agent}}}\ndefaults: {env: {py: default, A: b}}\n"
        "phases: {t: {run: x, matrix: {py: [a, b], os: linux}, env: {C: d}}}"
    )
    assert [each.env for each in found.phases] == [
        (("A", "b"), ("C", "d"), ("os", "linux"), ("py", "a")),
        (("A", "b"), ("C", "d"), ("os", "linux"), ("py", "b")),
    ]


def test_the_values_are_filled_into_all_that_is_not_for_the_shell(tmp_path: Path):
    (tmp_path / "p.md").write_text("Use {py} {v_1} for {issue}, not ${py} or {Py}.")
    text = AGENTS.replace("[tool]", "[tool, '{phase}']")
    fields = (
        "doc: 'On {py}', dir: 'd/{py}', lock: 'db-{py}', copy: '.env.{py}', keep: {'venv-{py}': ['{py}.lock']}, "
        "env: {A: '{py}/{v_1}'}, writes: 'w/{py}/*', frozen: ['f-{py}'], inputs: ['{py}', '!{v_1}'], outputs: 'o-{py}', "
        "setup: [make, 'env-{py}', '{python}', '${py}'], matrix: {py: ['3.10'], v_1: [x]}"
    )
    by_agent, by_command = load(
        text + f"phases: {{a: {{prompt: p.md, agent: tool, model: '{{py}}', {fields}}}, "
        f"b: {{run: [tox, -e, '{{py}}', '{{phase}}'], evidence: '{{py}}.xml', {fields}}}}}",
        folders=(tmp_path,),
    ).phases
    assert by_agent.prompt == "Use 3.10 x for {issue}, not ${py} or {Py}."
    assert (by_agent.model, by_agent.agent and by_agent.agent.run) == ("3.10", ("tool", "{phase}"))
    assert (by_command.run, by_command.evidence) == (("tox", "-e", "3.10", "{phase}"), ("3.10.xml",))
    for found in (by_agent, by_command):
        assert (found.doc, found.dir, found.lock) == ("On 3.10", "d/3.10", "db-3.10")
        assert (found.copy, found.keep) == ((".env.3.10",), (("venv-3.10", ("3.10.lock",)),))
        assert dict(found.env)["A"] == "3.10/x"
        assert (found.writes, found.frozen) == (("w/3.10/*",), ("f-3.10",))
        assert (found.inputs, found.outputs) == (("3.10", "!x"), ("o-3.10",))
        assert found.setup == ("make", "env-3.10", "{python}", "${py}")


def test_a_shell_has_the_values_as_its_own_variables():
    written = "run: 'tox -e $py ${py}', if: 'test $py', setup: 'make ${py}', matrix: {py: a}"
    found = phase(written)
    assert (found.run, found.condition, found.setup) == ("tox -e $py ${py}", "test $py", "make ${py}")


@pytest.mark.parametrize("key", ["run", "if", "setup"])
def test_braces_are_not_for_the_shell(key: str):
    said = f"`{key}` is for the shell, where `{{py}}` is `$py`; write that"
    work = "" if key == "run" else "run: x, "
    assert complaint(f"{work}{key}: 'tox {{py}} {{py}} {{other}}', matrix: {{py: a}}") == said
    assert phase(f"{work}{key}: 'tox {{py}}', matrix: {{os: a}}").name == "a:a"


def test_braces_in_a_default_are_not_for_the_shell_either():
    assert complaint("run: x, matrix: {py: a}", more="defaults: {setup: 'uv sync -p {py}'}") == (
        "`setup` is for the shell, where `{py}` is `$py`; write that"
    )


def test_a_slip_in_braces_is_told_the_matrixs_names_too(tmp_path: Path):
    assert complaint("run: [tox, '{pz}'], matrix: {py: a}") == (
        f"unknown placeholder `{{pz}}` {KNOWN}; did you mean `{{py}}`?"
    )
    assert complaint("run: x, setup: [tox, '{os2}'], matrix: {py: a}") == (
        f"unknown placeholder `{{os2}}` {KNOWN}; did you mean `{{out}}`?"
    )
    (tmp_path / "p.md").write_text("{pyt}")
    said = complaints(
        AGENTS + "phases: {a: {agent: tool, prompt: p.md, matrix: {py: a}}}", folders=(tmp_path,)
    )
    known = "(known: {adw_id} {phase} {issue} {needs} {out} {failure} {failed} {paths} {py})"
    assert said == [f"3:35: unknown variable `{{pyt}}` {known}; did you mean `{{py}}`?"]


MATRIX = "phases: {test: {run: x, matrix: {py: [b, a]}}, "


def test_who_needs_a_phase_needs_all_its_shards():
    found = load(MATRIX + "d: {run: x, needs: [e, test]}, e: {run: x}}")
    assert [(each.name, each.needs) for each in found.phases] == [
        *(("test:b", ()), ("test:a", ()), ("e", ())),
        ("d", ("e", "test:b", "test:a")),
    ]
    assert [each.name for each in closure(found, ["d"])] == ["test:b", "test:a", "e", "d"]


def test_shards_need_what_their_phase_needs():
    found = load("phases: {t: {run: x, needs: b, matrix: {v: [1, 2]}}, b: {run: x, matrix: {v: [3, 4]}}}")
    assert [(each.name, each.needs) for each in found.phases] == [
        *(("b:3", ()), ("b:4", ())),
        *(("t:1", ("b:3", "b:4")), ("t:2", ("b:3", "b:4"))),
    ]


def test_who_wants_a_phase_wants_all_its_shards():
    found = load(MATRIX + "d: {run: x}}\nworkflows: {w: [d, test, test], v: test}")
    assert found.workflows == (("w", ("d", "test:b", "test:a")), ("v", ("test:b", "test:a")))
    assert load(MATRIX + "d: {run: x}}").workflows == (("sdlc", ("test:b", "test:a", "d")),)


def test_a_shard_alone_can_be_neither_needed_nor_wanted():
    assert complaints(MATRIX + "d: {run: x, needs: 'test:a'}}\nworkflows: {w: 'test:a'}") == [
        "2:67: phase `d` needs unknown phase `test:a`; did you mean `test`?",
        "3:16: workflow `w` wants unknown phase `test:a`; did you mean `test`?",
    ]


def test_a_phase_with_a_matrix_does_not_need_itself():
    assert complaint("run: x, needs: a, matrix: {v: [1, 2]}") == (
        "phase `a` needs itself: `a -> a`; remove one of these needs"
    )


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ("{}", "`matrix` has to be a mapping (`key: value`), not an empty one"),
        ("[py311]", "`matrix` has to be a mapping (`key: value`), not a list"),
        ("", "`matrix` has no value; give it one or leave it out"),
        ("{py: }", "`py` has no value; give it one or leave it out"),
        ("{py: []}", "`py` is an empty list; it has to name one at least"),
        ("{py: [[a]]}", "`py` has to be text, not a list"),
        ("{py: [{a: b}]}", "`py` has to be text, not a mapping"),
        ("{py: {a: b}}", "`py` has to be text, not a mapping"),
        (
            "{PY: a}",
            "`PY` cannot name a variable: at most 63 small letters, digits and `_`, a letter first",
        ),
        ("{python: a}", "`python` already is a placeholder; give the variable another name, such as `py`"),
        ("{issue: a}", "`issue` already is a placeholder; give the variable another name, such as `py`"),
        ("{py: [a, b, a]}", "`matrix` makes `a` 2 times, in big or small letters; change a value"),
        ("{py: [a, B, b, A]}", "`matrix` makes `a` 2 times, in big or small letters; change a value"),
        ("{p: [a-b, a], q: [c, b-c]}", "`matrix` makes `a-b-c` 2 times, in big or small letters; change a value"),
        (f"{{py: [a, {'b' * 129}]}}", f"`{'b' * 20}...` is longer than 128 characters; shorten its values"),
    ],
)  # fmt: skip
def test_a_matrix_that_cannot_be_used_is_told(matrix: str, said: str):
    assert complaint(f"run: x, matrix: {matrix}") == said


@pytest.mark.parametrize(
    "value", ["a b", "a/b", "a..b", "a--b", ".a", "a.", "-a", "a-", "a.lock", "a:b", "ä", "$x", "{x}", "a\u00b2"]
)  # fmt: skip
def test_a_value_that_no_name_can_have_is_told(value: str):
    allowed = "letters, digits and `_`, single `.` and `-` between them, no `.lock` at the end"
    said = f"the text `{value}` cannot be a value of `py`: {allowed}"
    assert complaint(f"run: x, matrix: {{py: [x, '{value}']}}") == said


def test_a_variable_of_the_matrix_is_not_in_the_environment_too():
    assert complaint("run: x, env: {py: a, B: c}, matrix: {py: a}") == (
        "`py` is in `env` and in `matrix` of phase `a`; rename one"
    )


def test_a_problem_of_a_phase_with_a_matrix_is_told_once():
    assert complaint("run: x, timeout: 5, matrix: {py: [a, b, c]}") == (
        "`5`: seconds or minutes? write `5s` or `5m`"
    )


def test_there_are_at_most_256_shards():
    half = ", ".join(f"v{n}" for n in range(16))
    assert len(load(f"phases: {{a: {{run: x, matrix: {{p: [{half}], q: [{half}]}}}}}}").phases) == 256
    said = "`matrix` makes more than 256 phases of one; leave out some values"
    assert complaint(f"run: x, matrix: {{p: [{half}], q: [{half}], r: [a, b]}}") == said
    many = ", ".join(f"v{n}: [a, b]" for n in range(5_000))
    assert complaint(f"run: x, matrix: {{{many}}}") == said
