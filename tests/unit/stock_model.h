/* SPDX-License-Identifier: Apache-2.0
 *
 * A target of the reference as a small model: puts chunks together, restores, answers, and forgets,
 * with its weaknesses. It stands behind the session of an outsider (outsiders.h). */
#ifndef ROVE_TESTS_STOCK_MODEL_H
#define ROVE_TESTS_STOCK_MODEL_H

#include "outsiders.h"

#define STOCK_DAEMONS 4

typedef enum stock_step { STOCK_NONE, STOCK_RESTORED, STOCK_COMPLETED } stock_step;

typedef struct stock_daemon {
    uint64_t origin;
    /* chunks under way */
    uint8_t *bytes;
    bool *have;
    uint64_t sequence;
    uint32_t total, count;
    size_t size;
    /* what became of it */
    stock_step step;
    rove_link head;
    uint8_t *state; /* as restored last */
    size_t state_size;
    bool has_key; /* an envelope was opened */
    unsigned restores;
} stock_daemon;

typedef struct stock {
    outsiders *o;
    size_t who;
    stock_daemon daemons[STOCK_DAEMONS];
    /* how it behaves */
    bool not_ready, no_factory, no_runtime, own_key, deaf;
    const char *refuse; /* a text for STATE_FAILED instead of a restore */
    bool wrong_head;    /* of its chain */
    bool twice;         /* says everything twice */
    unsigned loss;      /* per mille, each way */
    uint64_t random;
    unsigned lose[2][ROVEI_NETMOVE_TYPES]; /* so many of the type are lost: coming, leaving */
    /* what it saw */
    unsigned seen[ROVEI_NETMOVE_TYPES];
    unsigned stalls;                       /* messages that the present state does not expect */
    uint64_t window, window_bytes, widest; /* bytes that came within 5 ms */
    char last_text[256];                   /* of MIGRATION_FAILED */
} stock;

/* Takes over what comes to outsider `who`. There is one model at a time. */
void stock_init(stock *s, outsiders *o, size_t who);
void stock_fini(stock *s);
stock_daemon *stock_find(stock *s, uint64_t origin); /* NULL: it never heard of it */
void stock_say(stock *s, const rovei_netmove_message *m);

#endif
