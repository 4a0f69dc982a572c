/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that list things of a node: a line, or an object, for each. */
#ifndef ROVEI_CLI_LIST_H
#define ROVEI_CLI_LIST_H

#include "client.h"

typedef struct cli_listing {
    const char *command; /* of the program, and of the control socket */
    const char *about;
    void (*titles)(void); /* above the first line */
    void (*show)(json_object *o);
    const char *failure; /* what there is when the node does not answer */
} cli_listing;

/* All of such a command: gives the exit status. */
int cli_list_things(const cli_listing *l, int argc, char **argv);

#endif
