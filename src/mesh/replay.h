/* SPDX-License-Identifier: Apache-2.0
 *
 * The replay window of one receiving key: which of the last counters have been seen. A ring of bits
 * that moves by whole words, so the window proper is one word shorter than the ring. */
#ifndef ROVEI_MESH_REPLAY_H
#define ROVEI_MESH_REPLAY_H

#include <base/cursor.h>

#define ROVEI_REPLAY_BITS 8192
/* Counters that far below the highest are still told apart; older ones count as seen. */
#define ROVEI_REPLAY_WINDOW (ROVEI_REPLAY_BITS - 64)

typedef struct rovei_replay {
    uint64_t next; /* the highest counter seen, plus one; 0 before the first */
    uint64_t bits[ROVEI_REPLAY_BITS / 64];
} rovei_replay;

void rovei_replay_init(rovei_replay *w);
/* True when a packet with this counter may be new. Changes nothing. The last counter of all never
 * is: there would be nothing behind it. */
bool rovei_replay_is_new(const rovei_replay *w, uint64_t counter);
/* Marks a counter that has authenticated; false when it is not new after all. */
bool rovei_replay_add(rovei_replay *w, uint64_t counter);

#endif
