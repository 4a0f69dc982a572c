/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting and ending a child. */
#include "child.h"

#include "bench.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_ROOM 1024

static bool is_installed(const char *program)
{
    const char *at = getenv("PATH");
    while (at && *at) {
        size_t size = strcspn(at, ":");
        char path[PATH_ROOM];
        int used = snprintf(path, sizeof path, "%.*s/%s", (int)size, at, program);
        if (used > 0 && (size_t)used < sizeof path && access(path, X_OK) == 0)
            return true;
        at += size + (at[size] == ':');
    }
    /* Where servers lie, which is not in everybody's PATH. */
    char path[PATH_ROOM];
    (void)snprintf(path, sizeof path, "/usr/sbin/%s", program);
    return access(path, X_OK) == 0;
}

static _Noreturn void become(const char *const *argv, int in, int out, pid_t parent)
{
    int none = open("/dev/null", O_WRONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(none, 2) == 2) {
        char *const *args = (char *const *)(uintptr_t)argv;
        execvp(argv[0], args);
        char path[PATH_ROOM];
        (void)snprintf(path, sizeof path, "/usr/sbin/%s", argv[0]);
        execv(path, args);
    }
    _exit(127);
}

bool bench_child_start(bench_child *c, const char *const *argv)
{
    if (!is_installed(argv[0]))
        return false;
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        bench_fail("no pipe");
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(argv, in[0], out[1], parent);
    if (pid < 0)
        bench_fail("no process");
    close(in[0]);
    close(out[1]);
    *c = (bench_child){pid, fdopen(in[1], "w"), fdopen(out[0], "r")};
    if (!c->in || !c->out)
        bench_fail("no memory");
    return true;
}

void bench_child_end(bench_child *c)
{
    if (!c->pid)
        return;
    (void)fclose(c->in);
    kill(c->pid, SIGTERM);
    waitpid(c->pid, NULL, 0);
    (void)fclose(c->out);
    *c = (bench_child){0};
}
