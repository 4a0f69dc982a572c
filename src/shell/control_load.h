/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot that comes in over the control socket, for the spawn that it is meant for. */
#ifndef ROVEI_SHELL_CONTROL_LOAD_H
#define ROVEI_SHELL_CONTROL_LOAD_H

#include <shell/control_job.h>

struct control_load {
    const rove_alloc *alloc;
    bool raw;
    rovei_intake in; /* of a container */
    rove_buf *bytes; /* raw: as many as were announced */
    size_t have;
};

/* The snapshot that is about to come is for `j`, which is started when it is there and dropped when
 * it is not. False: the request has ended, and the job is the caller's to free. */
bool control_load_begin(connection *c, json_object *request, const char *format, job *j);
/* A frame BYTES or FINISH. */
void control_load_frame(connection *c, uint8_t type, rove_span body);
/* The client is gone. */
void control_load_drop(connection *c);
/* For the job: checks what came. */
ROVE_MUST_USE rove_err control_load_snapshot(struct control_load *l, rove_snapshot **ret);
void control_load_free(struct control_load *l);
/* Ends the request with a sentence; `j` may be NULL. */
void control_load_end(connection *c, rove_err err, const job *j);

#endif
