/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that make calls which wait, each on a thread of its own, and come back to the loop. */
#ifndef ROVEI_SHELL_CONTROL_JOB_H
#define ROVEI_SHELL_CONTROL_JOB_H

#include <rove/channel.h>
#include <rove/placement.h>
#include <shell/control_inside.h>

typedef struct job {
    rovei_task task;
    connection *connection;
    /* On the thread: may wait; touches nothing but the job, node and runtime. */
    void (*work)(struct job *job);
    /* On the loop, unless the connection is gone. */
    void (*finish)(struct job *job, rovei_node *core, rovei_now now);
    /* Frees what the job holds; on the loop, always. */
    void (*drop)(struct job *job);

    rove_node *node;
    rove_runtime *runtime;
    rove_err err;
    rove_entity entity;
    rove_daemon daemon;
    uint64_t timeout;
    char kind[ROVE_KIND_NAME_MAX + 1];
    char channel[ROVE_CHANNEL_NAME_MAX + 1]; /* of a spawn; empty: none */
    bool force, detail, has_seed, anywhere;
    rove_spawned spawned; /* of `anywhere` */
    uint8_t seed[32];
    rove_snapshot *snapshot;
    rovei_outflow out;
    struct control_load *load; /* what a spawn is to be made from */
    rove_detail failure;
    json_object *request;
    struct ps_row *rows;
    size_t row_count, row_room;
    rovei_control *control;
    struct control_draining *draining;
} job;

/* A job for the connection, to be filled in; NULL when memory is out, and then the request has
 * ended. */
job *control_job_new(connection *c);
/* Throws away one that was not started. */
void control_job_free(job *j);
/* Starts it; the connection is busy until it has finished. */
void control_job_start(job *j);

#endif
