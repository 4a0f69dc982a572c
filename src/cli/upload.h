/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot file on its way into a node. */
#ifndef ROVEI_CLI_UPLOAD_H
#define ROVEI_CLI_UPLOAD_H

#include "client.h"

typedef struct cli_upload {
    const char *path;
    int fd;
    bool raw; /* the bare format, else a container */
    uint64_t size;
    bool ended; /* all of it is queued */
} cli_upload;

/* Opens the file and looks which format it has. CLI_DONE, or another status after saying why. */
int cli_upload_open(cli_upload *u, const char *path);
void cli_upload_close(cli_upload *u);
/* The fields of the request that announce it. */
void cli_upload_announce(const cli_upload *u, json_object *request);
/* Sends it behind the request, as fast as the node takes it, and follows the answer to its end as
 * cli_client_converse does. */
int cli_upload_run(cli_upload *u, cli_client *c, bool json, cli_show_fn *show, const char *what);

#endif
