/* SPDX-License-Identifier: Apache-2.0
 *
 * Sendings: events of one client of the control socket on their way into a lane, and their outcomes
 * back. A client that names itself may lose its connection: its sending is kept for a while, with
 * the outcomes that it has not confirmed, and a new connection goes on with it. */
#ifndef ROVEI_SHELL_CONTROL_SENDING_H
#define ROVEI_SHELL_CONTROL_SENDING_H

#include <shell/control_inside.h>
#include <shell/outcome_log.h>

/* An event that was read and did not fit into the lane yet. */
typedef struct waiting_event {
    rovei_list all;
    rove_buf *payload;
} waiting_event;

typedef struct sending {
    rovei_list all; /* control->sendings, or while nobody is there control->left */
    rovei_control *control;
    connection *connection; /* NULL: nobody is there */
    bool named;             /* the client has a name, and may come back */
    uint8_t client[ROVEI_CLIENT_SIZE];
    rove_entity daemon;
    uint64_t left_at; /* monotonic: when the connection broke */

    uint64_t sender; /* of the core; 0: it has ended */
    bool ended;      /* all has its outcome, or `end` says why not */
    rove_err end;
    bool finishing; /* no more events come; the lane is closed when none waits */
    bool finished;  /* and that has been done */
    rovei_list waiting;
    size_t waiting_count, waiting_bytes;
    rovei_taken taken;
    uint64_t told;          /* count of the last TAKEN */
    uint64_t waiting_since; /* monotonic: the first of `waiting` was not taken; 0 = it has not been
                               tried */
    rovei_outcome_log log;  /* named: what the client has not confirmed */
} sending;

/* ---- control_send.c: the lane ---- */
/* Takes the sender back from the lane; what was handed over still goes its way, and then the lane
 * is closed. */
void control_sending_close(sending *s, rovei_node *core, rovei_now now);
void control_sending_forget_waiting(sending *s);

/* ---- control_clients.c: who comes and goes ---- */
/* NULL: out of memory. */
sending *control_sending_new(connection *c, const uint8_t *client);
/* The sending of the client that is named so; NULL when there is none. */
sending *control_sending_find(const rovei_control *control, const uint8_t *client);
/* Whether it was not freed meanwhile. */
bool control_sending_is_there(const rovei_control *control, const sending *s);
/* The connection goes on with a sending of its client. */
void control_sending_attach(sending *s, connection *c);
/* And nobody is there. What the lane has not taken the client will send again. */
void control_sending_detach(sending *s);
void control_sending_free(sending *s, rovei_node *core, rovei_now now);
/* The lane goes on while nobody is there: keeps to the bounds. */
void control_sending_bound(rovei_control *control, rovei_node *core, rovei_now now);

#endif
