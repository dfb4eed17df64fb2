"""The rest of pipeline.yaml, as it works: matrix, if, dir, lock, outputs, secrets, include."""

from __future__ import annotations

import json
import subprocess
import time

from tests.conftest import BIN


def state(p, adw_id="x"):
    return json.loads((p.path / ".adws/runs" / adw_id / "adw_state.json").read_text())


MATRIX = """
phases:
  make: {run: "echo made > made"}
  test:
    needs: make
    matrix: {py: [py311, "3.12"], os: [linux]}
    run: test -e made && echo $py on $os for $ADW_PHASE > "ran-$py"
    writes: "ran-{py}"
  pack: {needs: test, run: "ls ran-* > packed"}
"""


def test_matrix_makes_shards_whose_changes_all_are_merged(project):
    p = project(MATRIX)
    said = p.doit("sdlc", "ADW_ID=x")
    assert "test:py311-linux  passed" in said
    tree = p.tree("adw/x")
    assert tree["ran-py311"] == "py311 on linux for test:py311-linux"
    assert tree["ran-3.12"] == "3.12 on linux for test:3.12-linux"
    assert tree["packed"].split() == ["ran-3.12", "ran-py311"]
    assert state(p)["test:py311-linux_status"] == "passed"
    assert "refs/adws/x/test.py311-linux" in p.git("for-each-ref", "--format=%(refname)", "refs/adws/x/")
    listed = p.doit("list", "--all")
    assert "test:3.12-linux" in listed
    assert "up to date" in p.doit("test", "ADW_ID=x")


def test_a_shard_can_be_run_alone_and_a_missing_one_is_red(project):
    p = project(MATRIX)
    p.doit("test:py311-linux", "ADW_ID=x")
    said = p.doit("run", "-s", "merge", "ADW_ID=x", status=1)
    assert "phase `test:3.12-linux` has no result" in said
    assert p.git("branch", "--list", "adw/*") == ""
    assert "test:py311-linux  up to date" in p.doit("sdlc", "ADW_ID=x")


def test_an_agent_may_have_shards_too(project):
    p = project(
        """
agents: {builtin: {run: ["{python}", -P, -m, adws.builtin, "{phase}"]}}
phases: {scout: {agent: builtin, prompt: prompts/scout.md, matrix: {part: [front, back]}}}
"""
    )
    said = p.doit("sdlc", "ADW_ID=x")
    assert "scout:front  passed" in said
    assert "scout:back   passed" in said


def test_a_failing_shard_is_red_and_the_others_are_kept(project):
    p = project(
        "phases: {test: {matrix: {py: [good, bad]}, run: test $py = good}, after: {needs: test, run: 'true'}}"
    )
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "FAILED test:bad: exit 1" in said
    assert "test:good  passed" in said
    assert "after      not run" in said


def test_if_decides_and_what_needs_a_skipped_phase_goes_on(project):
    p = project(
        """
phases:
  docs: {if: test -d docs, run: "echo no > docs/new"}
  code: {if: test -e README.md, needs: docs, run: "grep -o skipped $ADW_STATE > code"}
"""
    )
    said = p.doit("sdlc", "ADW_ID=x")
    assert "docs   skipped" in said
    assert p.tree("adw/x")["code"] == "skipped"
    assert "docs: skipped in" in p.git("log", "-1", "--format=%b", "adw/x")
    assert state(p)["docs_status"] == "skipped"
    assert "docs   up to date" in p.doit("sdlc", "ADW_ID=x")


def test_an_if_that_cannot_be_answered_is_a_failure_and_not_a_no(project):
    p = project("phases: {test: {if: tesst -d docs, run: exit 9}}")
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "FAILED test: `if` said neither yes (exit 0) nor no (exit 1): exit 127" in said
    assert "tesst" in said  # the log of the `if`


def test_a_skipped_phase_owes_nothing(project):
    p = project(
        "phases: {test: {if: 'false', run: exit 9, evidence: junit.xml, must-change: true, outputs: x}}"
    )
    assert "test   skipped" in p.doit("sdlc", "ADW_ID=x")


def test_dir_is_where_the_commands_run(project):
    p = project(
        "phases: {a: {dir: sub/deep, if: test -e here, run: pwd; echo 1 > made}}", **{"sub/deep/here": ""}
    )
    p.doit("sdlc", "ADW_ID=x")
    assert p.log("x", "a").strip().endswith("/tree/sub/deep")
    assert p.tree("adw/x")["sub/deep/made"] == "1"


def test_a_dir_that_is_not_there_or_leads_elsewhere_is_named(project):
    p = project("phases: {a: {dir: link, run: touch escaped}, b: {dir: gone, run: 'true'}}")
    (p.path / "link").symlink_to(p.path.parent)
    p.commit()
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "FAILED a: could not start in link: no such directory in its base" in said
    assert "FAILED b: could not start in gone: no such directory in its base" in said
    assert not (p.path.parent / "escaped").exists()


LOCK = """
  {name}: {{lock: db, run: "mkdir {where}/busy; sleep 0.4; rmdir {where}/busy"}}
"""


def test_a_lock_lets_one_in_at_a_time_over_all_runs(project, tmp_path):
    phases = "".join(LOCK.format(name=name, where=tmp_path) for name in "abc")
    p = project(f"phases:{phases}")
    both = [
        subprocess.Popen(
            [BIN / "doit", "sdlc", f"ADW_ID={adw_id}"],
            cwd=p.path,
            env=p.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        for adw_id in ("x", "y")
    ]
    for each in both:
        said, _ = each.communicate(timeout=60)
        assert each.returncode == 0, said


def test_without_the_lock_they_would_meet(project, tmp_path):
    phases = "".join(LOCK.format(name=name, where=tmp_path).replace("lock: db, ", "") for name in "abc")
    assert "File exists" in project(f"phases:{phases}").doit("sdlc", "ADW_ID=x", status=1)


def test_who_waits_for_a_lock_until_the_end_is_told_so(project):
    p = project("timeout: 3s\nphases: {a: {lock: db, run: sleep 9}, b: {lock: db, run: sleep 9}}")
    began = time.monotonic()
    assert "lock `db` was held until the run's time limit" in p.doit("sdlc", "ADW_ID=x", status=1)
    assert time.monotonic() - began < 9


def test_outputs_have_to_be_there_and_ignored_ones_are_captured(project):
    p = project(
        """
phases:
  build: {run: "mkdir dist; echo wheel > dist/app.whl; echo junk > dist/junk", outputs: ["dist/*.whl", README.md]}
  use: {needs: build, run: "cp dist/app.whl used"}
""",
        **{".gitignore": "dist\n"},
    )
    p.doit("sdlc", "ADW_ID=x")
    tree = p.tree("adw/x")
    assert (tree["dist/app.whl"], tree["used"]) == ("wheel", "wheel")
    assert "dist/junk" not in tree


def test_a_missing_output_is_a_failure_with_its_own_words(project):
    p = project("phases: {build: {run: touch other, outputs: ['dist/*.whl', other]}}")
    assert "FAILED build: left no dist/*.whl, which its `outputs` names" in p.doit(
        "sdlc", "ADW_ID=x", status=1
    )


def test_secrets_reach_the_phases_that_name_them_and_no_other(project):
    p = project(
        """
agents: {shell: {run: [sh, "{prompt}"], secrets: [API_KEY]}}
phases:
  named: {run: 'echo "$TOKEN$ABSENT" > named', secrets: [TOKEN, ABSENT]}
  other: {run: 'echo "none$TOKEN$API_KEY" > other'}
  agent: {agent: shell, prompt: ask.md}
""",
        **{"ask.md": 'echo "$API_KEY$TOKEN" > agent\n'},
    )
    p.doit("sdlc", "ADW_ID=x", TOKEN="t0ken", API_KEY="k3y")
    tree = p.tree("adw/x")
    assert (tree["named"], tree["other"], tree["agent"]) == ("t0ken", "none", "k3y")
    refs = p.git("for-each-ref", "--format=%(contents)", "refs/adws/x/")
    assert "t0ken" not in refs
    assert "k3y" not in refs


def test_include_brings_phases_and_ones_own_replace_them(project):
    p = project(
        "version: 1\ninclude: ci/common.yaml\nphases: {test: {needs: make, run: cat made > tested}}\n",
        **{
            "ci/common.yaml": "version: 1\nphases: {make: {run: echo 1 > made}, test: {needs: make, run: exit 9}}\n"
        },
    )
    p.doit("sdlc", "ADW_ID=x")
    assert p.tree("adw/x")["tested"] == "1"
    recorded = p.git("show", "refs/adws/x/run:pipeline.yaml")
    assert "# include: ci/common.yaml" in recorded
    assert "exit 9" in recorded


def test_an_included_file_decides_what_runs_so_no_phase_changes_it(project):
    p = project(
        "version: 1\ninclude: ci/common.yaml\nphases: {make: {run: echo >> ci/common.yaml}}\n",
        **{"ci/common.yaml": "version: 1\nmax-parallel: 2\n"},
    )
    assert "changed ci/common.yaml, which is frozen" in p.doit("sdlc", "ADW_ID=x", status=1)


def test_the_shipped_pipeline_with_ones_own_tests(project):
    p = project(
        """version: 1
include: sdlc.yaml
phases:
  test: {needs: build, run: 'echo "<testsuite><testcase name=\\"a\\"/></testsuite>" > $ADW_OUT/own.xml', evidence: own.xml}
""",
        issue="# Say hi\n\n```diff\n--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-hello\n+hi\n```\n",
    )
    said = p.doit("sdlc", "ADW_ID=x")
    assert "scout     passed" in said
    assert p.tree("adw/x")["README.md"] == "hi"
    assert (p.path / ".adws/runs/x/test/attempt-1/out/own.xml").exists()
