/* Numbers the state-changing calls of a whole run, and at one of them does what a bad day would do.
 *
 * LD_PRELOADed into python, git and sh. All processes of a run share one map, the file that FAULTS_MAP names and
 * `sweep.py` made: the place to watch, what to do at which event, the counter, every process, every event. Only
 * what happens below the place counts, so locales, pipes and byte code do not move the numbers. The fault comes
 * before the call: event N is what did not happen any more.
 *
 * A phase's command gets an environment that is made for it; posix_spawn puts us back into it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PROCESSES = 2048, EVENTS = 16384 };
enum { COUNT, KILL_ALL, KILL_SELF, TORN, FAIL_ONCE, FAIL_ON };
enum { GROWS = 1, WRITES = 2 }; /* what kind of call: ENOSPC is for those that need space */

/* sweep.py reads and writes these with `struct`: keep both the same */
struct process { uint32_t pid, pad; uint64_t start; };
struct event { uint32_t pid, done; uint64_t inode; char who[16], call[16], path[208]; };
static struct map {
    uint32_t mode, target, error, counter, fired, dying, processes, pad;
    char root[4064];
    struct process process[PROCESSES];
    struct event event[EVENTS];
} *map;
static size_t root_length;

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* When a process began: with its pid that names it for ever, so that no stranger with the pid is killed. */
static uint64_t started(uint32_t pid)
{
    char path[32], text[512], *at;
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t size = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    text[size > 0 ? size : 0] = 0;
    if (!(at = strrchr(text, ')')))
        return 0;
    for (int field = 2; field < 22 && at; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

static _Noreturn void die(void)
{
    for (;;)
        syscall(SYS_kill, getpid(), SIGKILL);
}

static void enroll(void)
{
    uint32_t place = map ? __atomic_fetch_add(&map->processes, 1, __ATOMIC_SEQ_CST) : PROCESSES;
    if (place >= PROCESSES)
        return;
    map->process[place].start = started(getpid());
    __atomic_store_n(&map->process[place].pid, getpid(), __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&map->dying, __ATOMIC_SEQ_CST))
        die(); /* born while everybody is being killed */
}

static _Noreturn void kill_all(void)
{
    __atomic_store_n(&map->dying, 1, __ATOMIC_SEQ_CST);
    uint32_t me = getpid();
    for (uint32_t i = 0; i < PROCESSES && i < map->processes; i++) {
        uint32_t pid = __atomic_load_n(&map->process[i].pid, __ATOMIC_SEQ_CST);
        if (pid && pid != me && started(pid) == map->process[i].start)
            syscall(SYS_kill, pid, SIGKILL);
    }
    die();
}

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("FAULTS_MAP");
    int fd = name ? syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *place = mmap(NULL, sizeof *map, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (place == MAP_FAILED)
        return;
    map = place;
    root_length = strlen(map->root);
    enroll();
    pthread_atfork(NULL, NULL, enroll);
}

/* One event: 0 to go on, an errno to fail with, -1 to tear the write. `*record` is where it is written down. */
static int happens(const char *call, int kind, const char *path, uint64_t inode, size_t size, struct event **record)
{
    *record = NULL;
    if (strncmp(path, map->root, root_length) || path[root_length] != '/')
        return 0;
    if (__atomic_load_n(&map->dying, __ATOMIC_SEQ_CST))
        die();
    uint32_t number = __atomic_add_fetch(&map->counter, 1, __ATOMIC_SEQ_CST);
    if (number < EVENTS) {
        struct event *event = *record = &map->event[number];
        event->pid = getpid();
        event->inode = inode;
        strncpy(event->who, program_invocation_short_name, sizeof event->who - 1);
        strncpy(event->call, call, sizeof event->call - 1);
        strncpy(event->path, path + root_length + 1, sizeof event->path - 1);
    }
    if (map->mode == COUNT || number < map->target)
        return 0;
    if (map->mode == TORN && (!(kind & WRITES) || size < 2))
        return 0;
    if (map->mode >= FAIL_ONCE && map->error == ENOSPC && !(kind & GROWS))
        return 0;
    uint32_t none = 0;
    int first = __atomic_compare_exchange_n(&map->fired, &none, number, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    switch (map->mode) {
    case KILL_ALL: kill_all();
    case KILL_SELF: if (first) die(); return 0;
    case TORN: return first ? -1 : 0;
    case FAIL_ONCE: return first ? (int)map->error : 0;
    default: return map->error;
    }
}

static void done(struct event *record)
{
    if (record)
        record->done = 1;
}

/* The path that a call means, from where it stands; below the root there are no links that matter. */
static int path_event(const char *call, int kind, int dir, const char *path, struct event **record)
{
    char full[PATH_MAX * 2] = "", link[32];
    *record = NULL;
    if (!map || !path)
        return 0;
    int before = errno;
    if (path[0] != '/') {
        snprintf(link, sizeof link, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
        ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, full, PATH_MAX - 1);
        if (size > 0)
            snprintf(full + size, sizeof full - size, "/%s", path);
    } else
        snprintf(full, sizeof full, "%s", path);
    int fault = happens(call, kind, full, 0, 0, record);
    errno = fault > 0 ? fault : before;
    return fault;
}

static int file_event(const char *call, int kind, int fd, size_t size, struct event **record)
{
    char path[PATH_MAX] = "", link[32];
    struct stat stat;
    *record = NULL;
    if (!map || fd < 0)
        return 0;
    int before = errno, fault = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length > 0 && path[0] == '/' && !fstat(fd, &stat))
        fault = happens(call, kind, path, S_ISREG(stat.st_mode) ? stat.st_ino : 0, size, record);
    errno = fault > 0 ? fault : before;
    return fault;
}

static int opened(int fd, struct event *record)
{
    struct stat stat;
    int before = errno;
    if (fd >= 0 && record && !fstat(fd, &stat)) {
        record->inode = S_ISREG(stat.st_mode) ? stat.st_ino : 0;
        done(record);
    }
    errno = before;
    return fd;
}

static int changes(int flags)
{
    return flags & (O_CREAT | O_TRUNC) || (flags & O_ACCMODE) != O_RDONLY;
}

static const char *opens(int flags)
{
    return flags & (O_CREAT | O_TRUNC) ? "create" : "open";
}

#define MODE(last) mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { \
    va_list list; va_start(list, last); mode = va_arg(list, mode_t); va_end(list); }
#define OPEN(dir, ...) struct event *record = NULL; \
    if (changes(flags) && path_event(opens(flags), flags & O_CREAT ? GROWS : 0, dir, path, &record)) return -1; \
    return opened(real(__VA_ARGS__), record)

int open(const char *path, int flags, ...) { REAL(open); MODE(flags) OPEN(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { REAL(open64); MODE(flags) OPEN(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { REAL(openat); MODE(flags) OPEN(dir, dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { REAL(openat64); MODE(flags) OPEN(dir, dir, path, flags, mode); }
/* what _FORTIFY_SOURCE makes of them; without a mode */
int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }
int __openat_2(int dir, const char *path, int flags) { return openat(dir, path, flags); }
int __openat64_2(int dir, const char *path, int flags) { return openat64(dir, path, flags); }
int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open64(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

#define FOPEN struct event *record = NULL; \
    if (strpbrk(mode, "wa+") && path_event("create", GROWS, AT_FDCWD, path, &record)) return NULL; \
    FILE *file = real(path, mode); if (file) opened(fileno(file), record); return file
FILE *fopen(const char *path, const char *mode) { REAL(fopen); FOPEN; }
FILE *fopen64(const char *path, const char *mode) { REAL(fopen64); FOPEN; }

/* calls on a name: -1 or 0 */
#define NAME(call, kind, dir, name, ...) struct event *record; \
    if (path_event(call, kind, dir, name, &record)) return -1; \
    int result = real(__VA_ARGS__); if (!result) done(record); return result
#define HERE AT_FDCWD

int rename(const char *a, const char *b) { REAL(rename); NAME("rename", GROWS, HERE, b, a, b); }
int renameat(int d, const char *a, int e, const char *b) { REAL(renameat); NAME("rename", GROWS, e, b, d, a, e, b); }
int renameat2(int d, const char *a, int e, const char *b, unsigned f) { REAL(renameat2); NAME("rename", GROWS, e, b, d, a, e, b, f); }
int link(const char *a, const char *b) { REAL(link); NAME("link", GROWS, HERE, b, a, b); }
int linkat(int d, const char *a, int e, const char *b, int f) { REAL(linkat); NAME("link", GROWS, e, b, d, a, e, b, f); }
int symlink(const char *a, const char *b) { REAL(symlink); NAME("symlink", GROWS, HERE, b, a, b); }
int symlinkat(const char *a, int e, const char *b) { REAL(symlinkat); NAME("symlink", GROWS, e, b, a, e, b); }
int unlink(const char *a) { REAL(unlink); NAME("unlink", 0, HERE, a, a); }
int unlinkat(int d, const char *a, int f) { REAL(unlinkat); NAME("unlink", 0, d, a, d, a, f); }
int remove(const char *a) { REAL(remove); NAME("unlink", 0, HERE, a, a); }
int mkdir(const char *a, mode_t m) { REAL(mkdir); NAME("mkdir", GROWS, HERE, a, a, m); }
int mkdirat(int d, const char *a, mode_t m) { REAL(mkdirat); NAME("mkdir", GROWS, d, a, d, a, m); }
int rmdir(const char *a) { REAL(rmdir); NAME("rmdir", 0, HERE, a, a); }
int truncate(const char *a, off_t n) { REAL(truncate); NAME("truncate", 0, HERE, a, a, n); }
int truncate64(const char *a, off64_t n) { REAL(truncate64); NAME("truncate", 0, HERE, a, a, n); }
int chmod(const char *a, mode_t m) { REAL(chmod); NAME("chmod", 0, HERE, a, a, m); }
int fchmodat(int d, const char *a, mode_t m, int f) { REAL(fchmodat); NAME("chmod", 0, d, a, d, a, m, f); }

/* calls on an open file: -1 or 0 */
#define FILE_CALL(call, fd, ...) struct event *record; \
    if (file_event(call, 0, fd, 0, &record)) return -1; \
    int result = real(__VA_ARGS__); if (!result) done(record); return result

int fsync(int fd) { REAL(fsync); FILE_CALL("fsync", fd, fd); }
int fdatasync(int fd) { REAL(fdatasync); FILE_CALL("fsync", fd, fd); }
int ftruncate(int fd, off_t n) { REAL(ftruncate); FILE_CALL("truncate", fd, fd, n); }
int ftruncate64(int fd, off64_t n) { REAL(ftruncate64); FILE_CALL("truncate", fd, fd, n); }
int fchmod(int fd, mode_t m) { REAL(fchmod); FILE_CALL("chmod", fd, fd, m); }

/* calls that write: how much they wrote. `half` does the first half of it. */
#define WRITE(fd, size, half, ...) struct event *record; \
    int fault = file_event("write", GROWS | WRITES, fd, size, &record); \
    if (fault > 0) return -1; \
    if (fault < 0) { ssize_t some = half; (void)some; kill_all(); } \
    ssize_t result = real(__VA_ARGS__); if (result >= 0) done(record); return result

static size_t total(const struct iovec *parts, int count)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += parts[i].iov_len;
    return sum;
}

ssize_t write(int fd, const void *p, size_t n) { REAL(write); WRITE(fd, n, real(fd, p, n / 2), fd, p, n); }
ssize_t pwrite(int fd, const void *p, size_t n, off_t o) { REAL(pwrite); WRITE(fd, n, real(fd, p, n / 2, o), fd, p, n, o); }
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t o) { REAL(pwrite64); WRITE(fd, n, real(fd, p, n / 2, o), fd, p, n, o); }
ssize_t writev(int fd, const struct iovec *v, int c) { REAL(writev); WRITE(fd, total(v, c), real(fd, v, c / 2), fd, v, c); }
ssize_t pwritev(int fd, const struct iovec *v, int c, off_t o) { REAL(pwritev); WRITE(fd, total(v, c), real(fd, v, c / 2, o), fd, v, c, o); }
ssize_t sendfile(int fd, int s, off_t *o, size_t n) { REAL(sendfile); WRITE(fd, n, 0, fd, s, o, n); }
ssize_t sendfile64(int fd, int s, off64_t *o, size_t n) { REAL(sendfile64); WRITE(fd, n, 0, fd, s, o, n); }
ssize_t copy_file_range(int s, off64_t *a, int fd, off64_t *b, size_t n, unsigned f) { REAL(copy_file_range); WRITE(fd, n, 0, s, a, fd, b, n, f); }

/* the environment with us in it */
static char **with_us(char *const env[])
{
    static const char *names[] = {"LD_PRELOAD=", "FAULTS_MAP="};
    size_t count = 0, put = 0;
    while (env[count])
        count++;
    char **more = calloc(count + 3, sizeof *more);
    for (size_t i = 0; i < count; i++)
        if (strncmp(env[i], names[0], 11) && strncmp(env[i], names[1], 11))
            more[put++] = env[i];
    for (char **own = environ; *own; own++)
        if (!strncmp(*own, names[0], 11) || !strncmp(*own, names[1], 11))
            more[put++] = *own;
    return more; /* not freed: a supervisor starts one command */
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *how,
                char *const argv[], char *const env[])
{
    REAL(posix_spawn);
    return real(pid, path, actions, how, argv, map ? with_us(env) : env);
}

int posix_spawnp(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *how,
                 char *const argv[], char *const env[])
{
    REAL(posix_spawnp);
    return real(pid, path, actions, how, argv, map ? with_us(env) : env);
}
