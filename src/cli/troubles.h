/* SPDX-License-Identifier: Apache-2.0
 *
 * What rove send says of events that a daemon reported an error for, or that were refused. */
#ifndef ROVEI_CLI_TROUBLES_H
#define ROVEI_CLI_TROUBLES_H

#include "client.h"

/* For people so many are shown, and then that there are more. */
#define CLI_TROUBLES_SHOWN 10

typedef struct cli_troubles {
    bool json;     /* all of them, as objects on standard output */
    uint64_t told; /* for people */
} cli_troubles;

/* Says it if the outcome is one of those; `rest` is what followed its head. */
void cli_troubles_tell(cli_troubles *t, const rovei_outcome_head *h, rove_span rest);

#endif
