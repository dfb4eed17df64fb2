# Makes format-1.bundle: the records of a run that failed half-way, as this version of adws writes them. A later
# version has to go on from them, so the bundle is made once for each format and then kept.
#
#     sh tests/state/make.sh tests/state/format-1.bundle
set -eu
bundle=$(realpath "$1")
work=$(mktemp -d)
cd "$work"
git init -q -b main .
git config user.name Ada
git config user.email ada@example.org
cat > pipeline.yaml <<'P'
version: 1
phases:
  build: {run: "echo built > b; echo out > $ADW_OUT/note"}
  test: {needs: build, writes: [], evidence: r.xml, run: cp report.xml $ADW_OUT/r.xml}
  document: {needs: build, run: "echo told > d; test -e allowed", retries: 1}
P
echo '<testsuite><testcase name="t"/></testsuite>' > report.xml
echo allowed > .gitignore
git add -A
git commit -qm start
echo "# Do it" > issue.md
XDG_CACHE_HOME="$work/cache" adws sdlc ADW_ID=x ISSUE=issue.md || test $? = 1
git bundle create -q "$bundle" main $(git for-each-ref --format='%(refname)' refs/adws)
rm -rf "$work"
