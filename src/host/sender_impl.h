/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a sender, shared by the files that make it up. */
#ifndef ROVEI_HOST_SENDER_IMPL_H
#define ROVEI_HOST_SENDER_IMPL_H

#include <base/list.h>
#include <host/host.h>
#include <rove/sender.h>

/* Events on their way to the core: small ones each behind its length, or a large one alone. */
struct chunk {
    struct chunk *next;
    rove_buf *buf;
    size_t used;  /* bytes of small events; 0: a large one */
    size_t given; /* of them, what the core has */
};

struct chunks {
    struct chunk *first, **end, *last;
};

/* What became of the events `sent.number` to `last`, or a word about the lane. */
struct entry {
    rove_sent sent;
    uint64_t last;
};

struct rove_sender {
    rove_node *node;
    const rovei_env *env;
    uint64_t id;
    rove_sent_fn *sent;
    void *user;
    size_t window; /* events */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* room, or an outcome */
    bool waiting;           /* a thread began to wait for it after the last word of it */
    size_t later;           /* calls with a completion that wait for it: `waits` */
    struct chunks chunks;   /* not yet taken by the loop */
    size_t chunk_room;      /* of the next one */
    uint32_t *sizes;        /* of events, by number modulo the window */
    uint64_t number;        /* of the last event taken */
    uint64_t settled;       /* of the last that has its outcome */
    uint64_t open_bytes;
    /* Outcomes not yet pulled: a ring with room for one more for each event without one, and two
     * for what is said of the lane. */
    struct entry *entries;
    size_t entry_room, entry_first, entry_count;
    uint64_t unpulled; /* events in them */
    bool closing, ended, pulled_end, posted;

    /* The loop thread's. */
    struct chunks taken; /* not all given to the core */
    rovei_task task;
    bool stalled, close_told;
    bool leaving;     /* it is being freed: nothing is given to the core any more */
    rovei_list waits; /* sender_later.c */
};

/* Whether an event of so many bytes would be taken now. Under the lock. */
bool rovei_sender_has_room(const rove_sender *s, size_t size);
/* The first outcome that was not pulled; there is one. Under the lock. */
void rovei_sender_pull(rove_sender *s, rove_sent *ret);
/* Unlocks, and has whoever waits look again. */
void rovei_sender_unlock(rove_sender *s);
/* The halves of opening and freeing. NULL: out of memory. */
rove_sender *rovei_sender_new(rove_node *node, const rove_sender_config *cfg);
void rovei_sender_delete(rove_sender *s);
ROVE_MUST_USE rove_err rovei_sender_join_core(rove_sender *s, rovei_node *core, rovei_now now,
                                              const rove_entity *daemon);
void rovei_sender_leave_core(rove_sender *s, rovei_node *core, rovei_now now);

/* ---- sender_later.c: calls with a completion; on the loop thread ---- */
void rovei_sender_serve(rove_sender *s);

#endif
