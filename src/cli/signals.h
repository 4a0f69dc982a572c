/* SPDX-License-Identifier: Apache-2.0
 *
 * Interruptions, noticed only while the program waits. */
#ifndef ROVEI_CLI_SIGNALS_H
#define ROVEI_CLI_SIGNALS_H

#include <poll.h>
#include <rove/types.h>

/* From now on SIGINT, SIGTERM and SIGHUP only interrupt cli_poll, now and every later one. Before
 * there are threads. */
void cli_signals_hold(void);
bool cli_interrupted(void);
/* OK, E_TIMED_OUT at the deadline (monotonic; 0: at once), E_CANCELLED when a signal came, E_IO. */
rove_err cli_poll(struct pollfd *fds, size_t count, uint64_t deadline);

#endif
