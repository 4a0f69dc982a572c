/* SPDX-License-Identifier: Apache-2.0
 *
 * Interruptions, noticed only while the program waits. */
#include "signals.h"

#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>

static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
static atomic_bool interrupted; /* lock-free: set by a handler, looked at by several threads */
static bool held;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&interrupted, true);
}

void cli_signals_hold(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t set;
    sigemptyset(&set);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sigaddset(&set, numbers[i]);
        sigaction(numbers[i], &action, NULL);
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    held = true;
}

bool cli_interrupted(void)
{
    sigset_t pending;
    if (held && !atomic_load(&interrupted) && sigpending(&pending) == 0)
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            if (sigismember(&pending, numbers[i]) == 1)
                atomic_store(&interrupted, true);
    return atomic_load(&interrupted);
}

rove_err cli_poll(struct pollfd *fds, size_t count, uint64_t deadline)
{
    sigset_t none;
    uint64_t now = deadline && deadline != ROVE_TIME_NEVER ? cli_now() : 0;
    uint64_t left = deadline > now ? deadline - now : 0;
    struct timespec t = {.tv_sec = (time_t)(left / ROVE_SECOND),
                         .tv_nsec = (long)(left % ROVE_SECOND)};
    sigemptyset(&none);
    /* Where there is always something to read, ppoll never gets to a signal. */
    if (cli_interrupted())
        return ROVE_E_CANCELLED;
    int n = ppoll(fds, count, deadline == ROVE_TIME_NEVER ? NULL : &t, &none);
    if (n < 0)
        return errno == EINTR ? ROVE_E_CANCELLED : ROVE_E_IO;
    return n ? ROVE_OK : ROVE_E_TIMED_OUT;
}
