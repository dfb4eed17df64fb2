# The first straightforward runner: one worktree at a fixed place, a commit and a ref per phase, one branch at
# the end. It resumes, cleans up before it starts, and is what one writes before having seen a crash. The sweep has
# to find it wanting.
set -eu
work=$HOME/work
base=$(git rev-parse main)

phase() { # name, where it starts, command: prints the commit
  if git rev-parse --quiet --verify "refs/naive/$1"; then return; fi
  rm -rf "$work"
  git worktree prune
  git worktree add --quiet --detach "$work" "$2" >&2
  (cd "$work" && sh -euc "$3" && git add --all && git commit --quiet --message "$1") >&2
  commit=$(git -C "$work" rev-parse HEAD)
  git worktree remove --force "$work"
  git update-ref "refs/naive/$1" "$commit"
  echo "$commit"
}

a=$(phase a "$base" 'echo a >> code; rm old')
b=$(phase b "$a" 'echo b > b')
c=$(phase c "$a" 'echo c > c')
if [ -e leaks ]; then setsid sleep 60 >/dev/null 2>&1 & fi

tree=$(git merge-tree --write-tree "$b" "$c")
tip=$(git rev-parse --quiet --verify refs/heads/adw/x || true)
if [ -z "$tip" ] || [ "$(git rev-parse "$tip^{tree}")" != "$tree" ]; then
  git update-ref refs/heads/adw/x "$(git commit-tree "$tree" -p "$base" -m 'all of it')"
fi
echo done
