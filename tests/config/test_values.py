"""What may stand behind a key, and what is said when something else does."""

from __future__ import annotations

import pytest

from adws import config
from tests.config.conftest import complaint, complaints, load, phase


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *((word, "needs") for word in ("depends_on", "dependsOn", "deps", "requires", "after", "need")),
        *((word, "run") for word in ("cmd", "cmds", "script", "command", "commands", "runs")),
        *((word, "env") for word in ("environment", "variables", "vars", "envs")),
        *((word, "retries") for word in ("retry", "retrys")),
        *((word, "timeout") for word in ("timeout-minutes", "time-out")),
        *(
            (word, "continue-on-error")
            for word in ("allow_failure", "soft_fail", "allow-failure", "ignore_error")
        ),
        *((word, "continue-on-error") for word in ("continue_on_error", "continueOnError")),
        *((word, "if") for word in ("when", "condition", "only")),
        *((word, "dir") for word in ("working-directory", "working_directory", "workdir", "cwd")),
        *((word, "lock") for word in ("concurrency", "mutex", "resource_group")),
        *((word, "outputs") for word in ("artifacts", "generates", "targets", "output")),
        *((word, "secrets") for word in ("pass_env", "passenv", "secret")),
        *((word, "copy") for word in ("files", "copies")),
        *((word, "keep") for word in ("cache", "caches")),
        *((word, "setup") for word in ("before_script", "install")),
        *((word, "matrix") for word in ("strategy", "Matrix")),
        ("must_change", "must-change"),
        ("promt", "prompt"),
        ("Writes", "writes"),
    ],
)
def test_an_unknown_key_is_told_which_one_was_meant(written: str, meant: str):
    assert (
        complaint(f"run: x, {written}: y") == f"unknown key `{written}` in phase `a`; did you mean `{meant}`?"
    )


@pytest.mark.parametrize("written", ["jobs", "steps", "tasks", "stages", "phase"])
def test_other_words_for_phases_are_told_ours(written: str):
    assert complaints(f"phases: {{a: {{run: x}}}}\n{written}: 1") == [
        f"3:1: unknown key `{written}` in a pipeline; did you mean `phases`?"
    ]


@pytest.mark.parametrize("written", ["includes", "imports", "extends", "uses"])
def test_other_words_for_include_are_told_ours(written: str):
    assert complaints(f"phases: {{a: {{run: x}}}}\n{written}: 1") == [
        f"3:1: unknown key `{written}` in a pipeline; did you mean `include`?"
    ]


def test_a_synonym_counts_only_where_its_key_does():
    assert complaint("run: x, imports: y") == "unknown key `imports` in phase `a`"
    assert complaint("run: x", more="defaults: {caches: y}") == (
        "unknown key `caches` in `defaults`; did you mean `keep`?"
    )
    assert complaint("run: x", more="agents: {b: {run: [x], install: y}}") == (
        "unknown key `install` in agent `b`"
    )


def test_an_unknown_key_without_a_neighbour_is_only_unknown():
    assert complaint("run: x, graph: 1") == "unknown key `graph` in phase `a`"
    assert (
        complaint("run: x", more="agents: {b: {run: [x], timeout: 1m}}")
        == "unknown key `timeout` in agent `b`"
    )
    assert complaint("run: x", more="defaults: {needs: b}") == "unknown key `needs` in `defaults`"
    assert (
        complaint("run: x", more="merge: {onto: b}") == "unknown key `onto` in `merge`; did you mean `into`?"
    )


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("20m", 1200),
        ("1h30m", 5400),
        ("1h", 3600),
        ("1h1m1s", 3661),
        ("168h", 604_800),
        ("'5m'", 300),
    ],
)
def test_a_duration_is_seconds(written: str, seconds: int):
    assert phase(f"run: x, timeout: {written}").timeout == seconds


@pytest.mark.parametrize("written", ["20", "600", "0", "'30'"])
def test_a_bare_number_is_asked_for_its_unit(written: str):
    number = written.strip("'")
    said = f"`{number}`: seconds or minutes? write `{number}s` or `{number}m`"
    assert complaint(f"run: x, timeout: {written}") == said


@pytest.mark.parametrize(
    "written",
    [
        "-1",
        "0s",
        "0h0m",
        "169h",
        "999999h",
        "1d",
        "1.5h",
        "30m1h",
        "20 m",
        "true",
        ".inf",
        ".nan",
        "1e300",
        "1_0",
        "²m",
        "9" * 5000,
    ],
)
def test_what_is_no_duration_is_refused(written: str):
    said = f"`timeout` has to be `90s`, `20m`, `1h30m` or the like, at most `168h`, not `{written[:100]}`"
    assert complaint(f"run: x, timeout: {written}") == said


@pytest.mark.parametrize(
    "written", ["-1", "11", "1e9", "010", "1_0", "0x1", "1.0", "true", "12:30", "9" * 100_000]
)
def test_a_number_is_decimal_and_in_its_range(written: str):
    said = f"`retries` has to be a whole number from 0 to 10, not `{written[:100]}`"
    assert complaint(f"run: x, retries: {written}") == said


def test_a_number_in_quotes_is_text():
    assert (
        complaint("run: x, retries: '3'")
        == "`retries` has to be a whole number from 0 to 10, not the text `3`"
    )
    assert complaint("run: x, retries: [3]") == "`retries` has to be a whole number from 0 to 10, not a list"


@pytest.mark.parametrize("written", ["yes", "no", "on", "True", "1", "y"])
def test_only_true_and_false_are_true_and_false(written: str):
    assert (
        complaint(f"run: x, must-change: {written}")
        == f"`must-change` has to be `true` or `false`, not `{written}`"
    )


def test_true_and_false_are_what_they_are():
    assert phase("run: x, must-change: true, continue-on-error: false").must_change
    assert not phase("run: x, must-change: true, continue-on-error: false").continue_on_error


def test_an_environment_is_taken_as_it_was_written():
    written = "DEBUG: no, COUNTRY: NO, VERSION: 3.10, TIME: 12:30, PERM: 0755, NONE: , TILDE: ~, DAY: 2024-13-45, TEXT: ' x'"
    assert dict(phase(f"run: x, env: {{{written}}}").env) == {
        "DEBUG": "no",
        "COUNTRY": "NO",
        "VERSION": "3.10",
        "TIME": "12:30",
        "PERM": "0755",
        "NONE": "",
        "TILDE": "~",
        "DAY": "2024-13-45",
        "TEXT": " x",
    }


@pytest.mark.parametrize("name", ["1A", "A-B", "A=B", "A B", "ÄB", "ADW_OUT", "<<"])
def test_a_variable_has_a_name_that_a_shell_takes_and_we_do_not(name: str):
    said = f"`{name}` cannot be a variable: letters, digits, `_`; no digit first, no `ADW_`"
    assert complaint(f"run: x, env: {{{name}: y}}") == said


def test_an_environment_is_flat():
    assert complaint("run: x, env: {A: [b]}") == "`A` has to be text, not a list"
    assert complaint("run: x, env: [A=b]") == "`env` has to be a mapping (`NAME: value`), not a list"


@pytest.mark.parametrize("key", ["writes", "frozen", "inputs"])
def test_globs_are_one_or_a_list(key: str):
    assert getattr(phase(f"run: x, {key}: docs/**"), key) == ("docs/**",)
    assert getattr(phase(f"run: x, {key}: ['**', '!docs/', a b]"), key) == ("**", "!docs/", "a b")
    assert getattr(phase(f"run: x, {key}: []"), key) == ()


@pytest.mark.parametrize(
    "glob",
    ["/etc", "../x", "a/../b", "./a", "a//b", "!/etc", "!", "..", ":(top)x", ":/", ".", ".git/x", "a/.GIT"],
)
def test_a_glob_stays_inside_of_the_repository(glob: str):
    said = f"`writes` has to be relative with no `..`, no `.git`, such as `docs/**` or `!docs/old/**`, not the text `{glob}`"
    assert complaint(f"run: x, writes: [a, '{glob}']") == said


def test_a_glob_is_text_with_something_in_it():
    assert complaint("run: x, writes: ['']") == "`writes` has to be text, not nothing"
    assert complaint("run: x, writes: [~]") == "`writes` has to be text, not nothing"
    assert complaint("run: x, writes: [[a]]") == "`writes` has to be text, not a list"
    assert complaint("run: x, writes: {a: b}") == "`writes` has to be text, not a mapping"


@pytest.mark.parametrize("key", ["outputs", "copy"])
def test_files_are_named_by_globs_that_exclude_nothing(key: str):
    like = {"outputs": "dist/**", "copy": ".env"}[key]
    assert getattr(phase(f"run: x, {key}: dist/**"), key) == ("dist/**",)
    assert getattr(phase(f"run: x, {key}: [a/*.js, b]"), key) == ("a/*.js", "b")
    assert getattr(phase(f"run: x, {key}: []"), key) == ()
    assert complaint(f"run: x, {key}: [a, '!b']") == (
        f"`{key}` has to be relative with no `..`, no `.git`, no `!`, such as `{like}`, not the text `!b`"
    )
    assert complaint(f"run: x, {key}: ../b") == (
        f"`{key}` has to be relative with no `..`, no `.git`, no `!`, such as `{like}`, not `../b`"
    )
    assert complaint(f"run: x, {key}: {{a: b}}") == f"`{key}` has to be text, not a mapping"


def test_a_dir_is_one_directory_of_the_repository():
    assert phase("run: x, dir: a/b").dir == "a/b"
    assert phase("run: x, dir: frontend/").dir == "frontend"
    assert complaint("run: x, dir: [a]") == "`dir` has to be text, not a list"


@pytest.mark.parametrize("path", ["/a", "..", "a/../b", ".", "a*", "[a]", "!a", "a?", ".git", "a\\b"])
def test_a_dir_that_cannot_be_one_is_told(path: str):
    rule = "relative with no `..`, no `.git`, no `!*?[\\`, such as `frontend`"
    assert complaint(f"run: x, dir: '{path}'") == f"`dir` has to be {rule}, not the text `{path}`"


@pytest.mark.parametrize("name", ["db", "staging-2", "A_b", "0", "a" * 64])
def test_a_lock_has_a_name(name: str):
    assert phase(f"run: x, lock: {name}").lock == name


@pytest.mark.parametrize("name", ["-a", "_a", "a b", "a.b", "a/b", "{db}", "ä", "a" * 65, "a\u00b2"])
def test_a_lock_that_no_file_could_be_named_after_is_told(name: str):
    allowed = "at most 64 letters, digits, `_` and `-`, a letter or digit first"
    assert complaint(f"run: x, lock: '{name}'") == f"the text `{name}` cannot name a lock: {allowed}"


def test_a_lock_is_text():
    assert complaint("run: x, lock: [a]") == "`lock` has to be text, not a list"
    assert complaint("run: x, lock: ' '") == "`lock` has to be text, not nothing"


def test_secrets_are_names_of_variables():
    assert phase("run: x, secrets: TOKEN").secrets == ("TOKEN",)
    assert phase("run: x, secrets: [b, A, b]").secrets == ("A", "b")
    assert phase("run: x, secrets: []").secrets == ()
    assert complaint("run: x, secrets: {A: b}") == "`secrets` has to be text, not a mapping"
    assert complaint("run: x", more="agents: {b: {run: [x], secrets: [~]}}") == (
        "`secrets` has to be text, not nothing"
    )


@pytest.mark.parametrize("name", ["1A", "A-B", "A=B", "$A", "ADW_OUT"])
def test_a_secret_has_a_name_that_a_variable_can_have(name: str):
    said = f"`{name}` cannot be a variable: letters, digits, `_`; no digit first, no `ADW_`"
    assert complaint(f"run: x, secrets: [A, {name}]") == said
    assert complaint("run: x", more=f"agents: {{b: {{run: [x], secrets: {name}}}}}") == said


def test_what_is_kept_is_a_directory_made_from_lock_files():
    assert phase("run: x, keep: {node_modules/: package-lock.json, .venv: [uv.lock, '*.toml']}").keep == (
        (".venv", ("uv.lock", "*.toml")),
        ("node_modules", ("package-lock.json",)),
    )
    assert phase("run: x, keep: {}").keep == ()


@pytest.mark.parametrize("name", ["/a", "..", "a/../b", ".", "a*", "!a", ".git", ".git/x", "a/.Git", "a//b"])
def test_what_cannot_be_kept_is_told(name: str):
    rule = "relative with no `..`, no `.git`, no `!*?[\\`, such as `node_modules`"
    assert complaint(f"run: x, keep: {{'{name}': x}}") == f"`keep` has to be {rule}, not the text `{name}`"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[a]", "`keep` has to be a mapping (`key: value`), not a list"),
        ("a", "`keep` has to be a mapping (`key: value`), not `a`"),
        ("{a: }", "`a` has no value; give it one or leave it out"),
        ("{a: []}", "`a` is an empty list; it has to name one at least"),
        ("{a: {b: c}}", "`a` has to be text, not a mapping"),
        (
            "{a: '!b'}",
            "`a` has to be relative with no `..`, no `.git`, no `!`, such as `uv.lock`, not the text `!b`",
        ),
        ("{a: x, a/: y}", "`a/` is part of `a`, which is kept as a whole; remove one"),
        ("{a-b: x, a/b/c: x, a: y}", "`a/b/c` is part of `a`, which is kept as a whole; remove one"),
        ("{a: x, b: x, a: y}", "`a` is already on line 3; remove one of the two"),
    ],
)
def test_every_kept_directory_has_its_own_lock_files(written: str, said: str):
    assert complaint(f"run: x, keep: {written}") == said


@pytest.mark.parametrize("path", ["/x.xml", "../x.xml", "*.xml", "!x.xml", "a?.xml", "[a].xml"])
def test_evidence_is_a_path_below_the_out_directory(path: str):
    rule = "relative with no `..`, no `.git`, no `!*?[\\`, such as `junit.xml`"
    said = f"`evidence` has to be {rule}, not the text `{path}`"
    assert complaint(f"run: x, evidence: '{path}'") == said
    assert phase("run: x, evidence: [junit.xml, a/b.xml]").evidence == ("junit.xml", "a/b.xml")


@pytest.mark.parametrize(
    "name",
    [
        "Build",
        "a b",
        "a/b",
        "../a",
        ".git",
        "-x",
        "a.lock",
        "a-b",
        "1a",
        "a" * 64,
        "a\\nb",
        "bаse",
        "CON",
        "é",
        "e\u0301",
        " ",
    ],
)
def test_a_name_is_small_letters_digits_and_underscores(name: str):
    shown = {"a\\nb": "a b", " ": None}.get(name, name)
    said = [line.split(": ", 1)[1] for line in complaints(f'phases: {{"{name}": {{run: x}}}}')]
    what = f"the text `{shown}`" if shown else "nothing"
    assert said == [f"{what} cannot name a phase: at most 63 small letters, digits and `_`, a letter first"]


@pytest.mark.parametrize("name", sorted(config.RESERVED - {"reset-dep"}))
def test_our_words_and_doits_are_reserved(name: str):
    assert complaints(f"phases: {{{name}: {{run: x}}}}") == [
        f"2:10: `{name}` is reserved; give a phase another name"
    ]
    assert complaints(f"phases: {{a: {{run: x}}}}\nworkflows: {{{name}: a}}") == [
        f"3:13: `{name}` is reserved; give a workflow another name"
    ]


def test_every_command_of_doit_is_reserved():
    from doit.doit_cmd import DoitMain

    assert {command.get_name() for command in DoitMain.DOIT_CMDS} <= config.RESERVED


def test_a_name_of_63_is_fine():
    assert load(f"phases: {{{'a' * 63}: {{run: x}}}}").phases[0].name == "a" * 63
