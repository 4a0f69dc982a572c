/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves the demo's daemon round its ring, in a thread of its own, while lines stream. */
#ifndef ROVEI_CLI_DEMO_MOVER_H
#define ROVEI_CLI_DEMO_MOVER_H

#include "nodes.h"

#include <pthread.h>

/* What the stream and the mover tell each other; under the lock. */
typedef struct demo_progress {
    int wake_fd; /* readable once the mover has failed */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t lines;    /* all there are */
    uint64_t handed;   /* lines handed over */
    uint64_t outcomes; /* lines that have their outcome */
    uint64_t stalled;  /* longest stall since the mover set it to 0 */
    bool streamed;     /* all lines are handed over */
    bool settled;      /* and all have their outcome */
    bool stop;         /* something went wrong, or it was interrupted */
    bool told;         /* what went wrong has been said */
} demo_progress;

typedef struct demo_mover {
    demo_progress *progress;
    demo_nodes *nodes;
    size_t ring;    /* nodes that take part */
    uint64_t moves; /* to be made */
    const char *origin;
    bool json;

    pthread_t thread;
    size_t place;         /* index of the node that has the daemon */
    uint64_t made;        /* moves */
    uint64_t during;      /* events held back or diverted, in all */
    uint64_t last_before; /* monotonic: the last event applied before the present move */
    bool failed;          /* to be read after the join */
} demo_mover;

bool demo_progress_init(demo_progress *p, uint64_t lines);
void demo_progress_fini(demo_progress *p);
/* Whoever finds that something went wrong says so when this gives true: to the first. */
bool demo_progress_tell(demo_progress *p);

bool demo_mover_start(demo_mover *m);
/* Waits for its end. */
void demo_mover_join(demo_mover *m);

#endif
