/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot file on its way into a node. */
#ifndef ROVEI_CLI_UPLOAD_H
#define ROVEI_CLI_UPLOAD_H

#include "client.h"

typedef struct cli_upload {
    const char *path;
    int fd;
    bool raw;            /* the bare format, else a container */
    bool sealed;         /* a container with the daemon's key in it */
    uint64_t size, left; /* of its bytes; those not read yet */
    bool ended;          /* all of it is queued */
} cli_upload;

/* Opens the file and looks which format it has. CLI_DONE, or another status after saying why. */
int cli_upload_open(cli_upload *u, const char *path);
/* A container that is `size` bytes of an open file, from `at` on. The file stays open. */
int cli_upload_part(cli_upload *u, const char *path, int fd, uint64_t at, uint64_t size);
void cli_upload_close(cli_upload *u);
/* The fields of the request that announce it. */
void cli_upload_announce(const cli_upload *u, json_object *request);
/* Sends it behind the request, as fast as the node takes it, and follows the answer to its end as
 * cli_client_converse does. */
int cli_upload_run(cli_upload *u, cli_client *c, const cli_printing *printing, const char *what);

#endif
