/* SPDX-License-Identifier: Apache-2.0
 *
 * What really happened to each daemon and each event, written down where it happens and known to
 * nobody inside of the nodes: the one line of applied events and outputs of every daemon, and the
 * fate of every event as its sender was told. */
#ifndef SIM_TRUTH_H
#define SIM_TRUTH_H

#include "world.h"

typedef enum sim_fate {
    SIM_FATE_OPEN, /* nothing was said yet */
    SIM_FATE_APPLIED,
    SIM_FATE_REFUSED,
    SIM_FATE_UNKNOWN,
    SIM_FATE_LOST,    /* applied, then reported lost */
    SIM_FATE_ORPHANED /* the one who would be told is gone */
} sim_fate;

#define SIM_ANSWERS 4

struct sim_event {
    uint64_t id;     /* from 1; the payload begins with it */
    uint64_t source; /* who sends: order is promised within one */
    uint64_t number; /* within the source */
    sim_daemon *daemon;
    bool local, diverted, fails;
    rove_span text;       /* a guest's event, behind the number */
    rove_link link;       /* as it was applied; a guest's only */
    uint64_t received_at; /* the same */
    bool outside; /* had its outcome without being handed to the daemon: its horizon was full */
    sim_fate fate;
    uint32_t applied; /* how often, over all lines */
    bool in_line;     /* is in the present line of its daemon */
    unsigned answers; /* digests of the outputs that it had, one per line */
    uint64_t answer[SIM_ANSWERS];
};

typedef struct sim_output {
    uint64_t event;
    rove_link link;
    uint64_t forward; /* hash that the next link must name */
} sim_output;

/* A daemon and one channel, as its orders have ended: sim/publishing.c. */
typedef struct sim_seat {
    bool member;
    bool hopeless; /* the order that is under way has no right */
    uint64_t due;  /* the publication that came next when it became a member; 0: not known */
    size_t since;  /* events that it had applied by then, or when it left */
    uint64_t left; /* when it left; 0: it has not */
} sim_seat;

struct sim_daemon {
    unsigned index;
    char name[8]; /* "d1" and so on */
    uint8_t seed[32];
    rove_entity entity;
    uint64_t origin;
    size_t filler; /* bytes of state besides the events */
    bool spawned;  /* the right was given once */
    bool stopping, stopped, gone;
    bool had_copy; /* at the last step */
    /* Its host crashed: a former host that still keeps a copy may hear Active afterwards. */
    bool host_crashed;
    bool crashed; /* a node that had a part in it crashed at some time */
    /* the line */
    uint64_t *applied; /* ids */
    uint32_t *outputs_then;
    size_t applied_count, applied_room;
    uint64_t digest; /* over `applied` */
    sim_output *outputs;
    size_t output_count, output_room;
    uint64_t sinc; /* greatest number under which it was served */
    uint64_t cut;  /* how often the line went back */
    sim_seat seats[SIM_SEATS];
    /* moves */
    uint64_t epoch;
    bool hopped; /* it has come in class net: lanes ended on the way, perhaps without a word */
    struct sim_reference *reference; /* sim/guest.c */
};

sim_daemon *sim_daemon_new(sim_world *w);
sim_daemon *sim_daemon_of(sim_world *w, const rove_entity *entity);
sim_event *sim_event_new(sim_world *w, sim_daemon *d, uint64_t source, uint64_t number, bool local);
sim_event *sim_event_by_id(sim_world *w, uint64_t id);
/* Size and bytes of an event's payload. */
size_t sim_event_size(const sim_event *e);
void sim_event_payload(const sim_event *e, uint8_t *ret);

/* What an instance believes: the events in its state. */
typedef struct sim_belief {
    uint64_t count, digest;
} sim_belief;
uint64_t sim_digest_add(uint64_t digest, uint64_t id);

/* An instance goes on from where the line is, and the line with it. */
void sim_truth_continue(sim_world *w, const sim_node *where, sim_daemon *d, const sim_belief *b,
                        uint64_t id);
/* An instance applies an event: it must continue the line. `where` is for words. */
void sim_truth_apply(sim_world *w, const sim_node *where, sim_daemon *d, const sim_belief *b,
                     const sim_event *e);
/* Its outputs, framed, as the cell gives them. */
void sim_truth_outputs(sim_world *w, sim_daemon *d, sim_event *e, rove_span framed, uint32_t count);
/* An instance begins to serve with this state under this state incarnation: the line goes on, or
 * goes back, which must be marked. */
void sim_truth_serve(sim_world *w, const sim_node *where, sim_daemon *d, const sim_belief *b,
                     uint64_t sinc);
/* It has come in class net: its chain goes on from its state, since a snapshot of that class has no
 * payload of the head; the count of state incarnations begins anew. */
void sim_truth_hop(sim_daemon *d, uint64_t forward);
/* The sender was told. `framed` are the outputs that it was given with APPLIED. */
void sim_truth_fate(sim_world *w, const char *who, sim_event *e, sim_fate fate, rove_err err,
                    rove_span framed, uint32_t count);
void sim_truth_free(sim_world *w);

#endif
