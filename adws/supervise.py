"""Runs one command and answers for every process that comes of it: `python -I -S supervise.py LOG`.

Standard input is the lifeline: one line of JSON says what to run, then nothing more comes, and its end means
that the caller asks to stop or is dead, however it died. Standard output gets one line of JSON, the outcome,
and is closed when nothing of the command is left. Only `process` starts this. It imports nothing of the
package and little of the library, because every phase pays for its start.

It is two processes. The inner one starts the command and reads its output. The outer one, the guard, only
waits: when the inner one is killed it ends everything, and when it is killed itself the inner one does. Only
both killed at once leave something behind.

That nothing is left is proved on Linux, see `Tree`. Elsewhere the command's process group is ended, no more:
what calls setsid, as every daemon does, escapes, and so does the command when the inner process is killed.
"""

# pathlib would double the cost of starting
# ruff: noqa: PTH115, PTH123, PTH208

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # spelled out, because importing typing costs as well
    from collections.abc import Iterator, Sequence
    from typing import Any

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# bytes per read and reads per turn: a flood of output must not starve the timers
PIECE, PIECES = 1 << 16, 64
# bytes of output that are kept whatever comes: the first, and the newest
HEAD, TAIL = 1 << 20, 4 << 20
# seconds for what a command leaves running: to end by itself, and then to obey TERM
LINGER, LEFTOVER_GRACE = 0.5, 1.5
# seconds between rounds of KILL, and until what survives them is given up
PAUSE, PATIENCE = 0.002, 5.0
NEVER = float("inf")


def main() -> None:
    options = json.loads(sys.stdin.readline())  # if the caller died first, this fails, and that is all
    for fd in options.pop("keep"):
        os.set_inheritable(fd, False)  # for us to hold, not for the command to see
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as a caller may have it, the kernel would reap
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until each of the two has its handlers
    proof = _adopt_orphans()
    guard_gone, guard_lives = os.pipe()
    inner = os.fork()
    if inner:
        os.close(guard_gone)
        _guard(inner, proof)
    else:
        os.close(guard_lives)
        os.setsid()  # no signal to a process group reaches both
        _adopt_orphans()  # fork does not hand it down
        outcome = _supervise({0: "stopped", guard_gone: "lost"}, proof, **options)
        with contextlib.suppress(OSError):  # the caller is dead
            print(json.dumps(outcome), flush=True)
    os._exit(0)  # the interpreter's own way out costs 3 ms


def _adopt_orphans() -> bool:
    """True if orphans become our children from now on, and /proc speaks of the same processes as we do."""
    if sys.platform != "linux":
        return False
    try:
        import ctypes

        failed: int = ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
        return not failed and os.readlink("/proc/self") == str(os.getpid())
    except (ImportError, OSError):
        return False


def _guard(inner: int, proof: bool) -> None:
    for number in STOPS:
        signal.signal(number, lambda number, _: _send(inner, number))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.waitpid(inner, 0)
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)  # from now on the pid may be somebody else's
    orphans, give_up_at = Tree(0, proof), time.monotonic() + PATIENCE
    while proof and orphans.reap() and time.monotonic() < give_up_at:
        orphans.kill()
        time.sleep(PAUSE)


def _supervise(
    ends: dict[int, str],
    proof: bool,
    *,
    timeout: float,
    grace: float,
    idle: float | None = None,
    hide: Sequence[str] = (),
    **command: Any,
) -> dict[str, Any]:
    """Run the command until nothing of it is left. `ends`: descriptors that end it by hanging up, and why."""
    log, wakeup = Log(sys.argv[1], [form.encode("latin-1") for form in hide]), _wakeup()
    try:
        leader, output = _start(**command)
    except (OSError, ValueError) as error:
        return {"reason": "could_not_start", "detail": _why_not(command["argv"], error)}
    run = Run(Tree(leader, proof), timeout, grace, idle or NEVER)
    poller = select.poll()
    for fd in (*ends, wakeup, output):
        poller.register(fd, select.POLLIN)
    while run.goes_on():
        for fd, _ in poller.poll(run.milliseconds()):
            if fd == output:
                run.heard = time.monotonic()
                if not _pump(output, log):
                    poller.unregister(output)
            elif fd == wakeup:
                for number in set(os.read(wakeup, PIECE)).intersection(STOPS):
                    run.end("stopped", signal=_name(number))
            elif fd in ends:
                poller.unregister(fd)
                run.end(ends[fd])
    _pump(output, log)  # what is still in the pipe, now that nobody can fill it
    log.write(b"", last=True)
    return run.outcome | {"detail": "; ".join(filter(None, (run.detail, log.error)))}


def _wakeup() -> int:
    """A descriptor that gets every signal's number as one byte, so that one poll can wait for everything."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (*STOPS, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return reading


def _start(argv: list[str], cwd: str, env: dict[str, str], stdin: str) -> tuple[int, int]:
    """Start the command in a session of its own; its pid, and the pipe with all its output."""
    if not argv or not argv[0]:
        raise ValueError("the command is empty")
    os.chdir(cwd)
    os.environ["PATH"] = env.get("PATH", os.defpath)  # posix_spawnp searches ours, not the one in `env`
    source = os.open(stdin, os.O_RDONLY)
    output, writing = os.pipe()
    os.set_blocking(output, False)
    to = [(os.POSIX_SPAWN_DUP2, fd, stream) for fd, stream in ((source, 0), (writing, 1), (writing, 2))]
    # all signals, since Python ignores SIGPIPE, nohup SIGHUP, and a shell's `&` SIGINT
    default = signal.valid_signals()
    leader = os.posix_spawnp(argv[0], argv, env, file_actions=to, setsid=True, setsigdef=default)
    os.close(source)
    os.close(writing)
    return leader, output


def _why_not(argv: list[str], error: OSError | ValueError) -> str:
    name = argv[0] if argv else ""
    if not isinstance(error, OSError):
        return f"`{name}`: {error}"
    where = "" if error.filename in (None, name) else f"{error.filename}: "
    return f"`{name}`: {where}{str(error.strerror).lower()}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # most real-time signals have no name


def _pump(output: int, log: Log) -> bool:
    """Move what the pipe holds, within bounds, to the log; False when nobody can write to it any more."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(PIECES):
            piece = os.read(output, PIECE)
            if not piece:
                return False
            log.write(piece)
    return True


class Run:
    """How one command is going. Only the first `end` counts: it gives the reason and sets the clock."""

    def __init__(self, tree: Tree, timeout: float, grace: float, idle: float) -> None:
        self.tree, self.timeout, self.grace, self.idle = tree, timeout, grace, idle
        self.started = self.heard = time.monotonic()
        self.ask_at, self.kill_at, self.give_up_at = self.started + timeout, NEVER, NEVER
        self.outcome: dict[str, Any] = {}
        self.detail = ""

    def goes_on(self) -> bool:
        """Take the steps that are due; False when nothing is left, or nothing that can be killed."""
        left = self.tree.reap()
        now, code = time.monotonic(), self.tree.code
        if code is not None:
            self.end("exited", code=code) if code >= 0 else self.end("signalled", signal=_name(-code))
        elif now >= self.ask_at:
            self.end("timed_out")
        elif now >= self.heard + self.idle:
            self.end("stalled")
        if left and now >= self.ask_at:
            asked, self.ask_at = self.tree.ask(), NEVER
            if code is not None:
                self.outcome["leftovers"] = asked
        if left and now >= self.kill_at:
            killed, self.kill_at = self.tree.kill(), now + PAUSE
            if now >= self.give_up_at:
                self.detail = f"{killed} of its processes could not be killed"
                return False
        return left

    def end(self, reason: str, **how: int | str) -> None:
        """It has ended, and what it left running gets a short grace; or it has to, and gets the long one."""
        if self.outcome:
            return
        now, by_itself, self.idle = time.monotonic(), self.tree.code is not None, NEVER
        self.outcome = {"reason": reason, "seconds": min(now - self.started, self.timeout), **how}
        self.ask_at = now + (LINGER if by_itself else 0)
        self.kill_at = self.ask_at + (LEFTOVER_GRACE if by_itself else self.grace)
        self.give_up_at = self.kill_at + PATIENCE

    def milliseconds(self) -> int:
        """Until the next step is due; poll takes neither infinity nor a month."""
        due = min(self.ask_at, self.kill_at, self.heard + self.idle)
        return int(min(max(due - time.monotonic(), 0), 3600) * 1000) + 1


class Tree:
    """A command (`leader`) and all that came of it.

    With `proof`, its orphans become our direct children. So `waitpid` saying ECHILD proves that nothing is
    left, and KILL to direct children, again and again, gets at everything, and never at a pid in new hands,
    because only we reap. Without, all we know is the leader's process group.
    """

    def __init__(self, leader: int, proof: bool) -> None:
        self.leader, self.proof = leader, proof
        self.code: int | None = None

    def reap(self) -> bool:
        """Collect the dead; False when nothing is left."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return True
                if pid == self.leader:
                    self.code = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            return not self.proof and _send(-self.leader, 0)

    def ask(self) -> int:
        """TERM to all of it, and CONT, as what is stopped does not hear; how many they are."""
        everyone = _descendants() if self.proof else {-self.leader}
        for pid in everyone:
            _send(pid, signal.SIGTERM)
            _send(pid, signal.SIGCONT)
        return len(everyone)

    def kill(self) -> int:
        """KILL to direct children, which makes the next generation ours; how many they are."""
        count, me = 0, os.getpid()
        for pid, parent in _processes() if self.proof else [(-self.leader, me)]:
            if parent == me:
                _send(pid, signal.SIGKILL)
                count += 1
        return count


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except OSError:  # it has ended, or belongs to root
        return False
    return True


def _descendants() -> set[int]:
    parents = dict(_processes())
    tree = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return tree - {os.getpid()}


def _processes() -> Iterator[tuple[int, int]]:
    """(pid, parent's pid) of all there are, the newest first: what forks and exits has to be caught young.

    Not from /proc/*/task/*/children, which is faster but not in every kernel (CONFIG_PROC_CHILDREN).
    """
    for name in filter(str.isdigit, reversed(os.listdir("/proc"))):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                stat = file.read()
        except OSError:
            continue  # it has ended meanwhile
        yield int(name), int(stat.rpartition(b")")[2].split()[1])


class Log:
    """The output in a file of at most HEAD + 2 * TAIL bytes: the first, how many are left out, the newest.

    It is cut in place, so that it stays one file and `tail -f` goes on. An error ends the log, not the
    command: a full disk must not leave it waiting at a full pipe. What is in `hide` is not in it, see `Veil`.
    """

    def __init__(self, path: str, hide: Sequence[bytes] = ()) -> None:
        self.size = self.total = 0
        self.error = ""
        self.veil = Veil(hide) if hide else None
        try:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            self._give_up(error)

    def write(self, data: bytes, last: bool = False) -> None:
        if self.error:
            return
        if self.veil:
            data = self.veil.show(data, last)
        try:
            if self.size + len(data) > HEAD + 2 * TAIL:
                self._cut()
            self._append(data)
        except OSError as error:
            self._give_up(error)
        self.total += len(data)

    def _cut(self) -> None:
        newest = os.pread(self.fd, TAIL, self.size - TAIL)
        self.size = os.lseek(self.fd, HEAD, os.SEEK_SET)
        self._append(b"\n[... %d bytes left out ...]\n" % (self.total - HEAD - TAIL))
        self._append(newest)
        os.ftruncate(self.fd, self.size)  # last: a kill in between must not cost the newest part

    def _append(self, data: bytes) -> None:
        while data:
            written = os.write(self.fd, data)
            self.size += written
            data = data[written:]

    def _give_up(self, error: OSError) -> None:
        self.error = f"its log is incomplete: {str(error.strerror).lower()}"


class Veil:
    """Shows `***` for each of the `forms`, of 7 bytes or more, whatever pieces the output comes in.

    `held` is what may be the beginning of one; it waits for the next piece. A private key has a thousand
    forms; to look for each costs 20 ms per piece. But wherever one stands, one of the first four words in it
    (four bytes each, one byte apart) is at a multiple of four: one pass says which can be there at all.
    """

    def __init__(self, forms: Sequence[bytes]) -> None:
        self.forms, self.held = forms, b""
        self.words: dict[int, list[bytes]] = {}
        for form in forms:
            for at in range(4):
                self.words.setdefault(int.from_bytes(form[at : at + 4], sys.byteorder), []).append(form)

    def show(self, piece: bytes, last: bool) -> bytes:
        data = self.held + piece
        end = len(data) if last else self._beginning(data, 0)
        words = self.words.keys() & memoryview(data[: len(data) & ~3]).cast("I")
        there = {form for word in words for form in self.words[word] if form in data}
        longest_first = re.compile(b"|".join(map(re.escape, sorted(there, key=len, reverse=True))))
        for match in longest_first.finditer(data) if there else ():
            if match.start() < end < match.end():
                end = self._beginning(data, match.end())
        self.held = data[end:]
        return longest_first.sub(b"***", data[:end]) if there else data[:end]

    def _beginning(self, data: bytes, start: int) -> int:
        """Where, from `start` on, something begins that may go on to be a form; the end if nothing does."""
        end = len(data)
        for form in self.forms:
            at = data.find(form[:1], max(start, len(data) - len(form) + 1))
            while 0 <= at < end and not form.startswith(data[at:]):
                at = data.find(form[:1], at + 1)
            end = at if 0 <= at < end else end
        return end


if __name__ == "__main__":
    main()
