/* SPDX-License-Identifier: Apache-2.0
 *
 * The replay window. */
#include <mesh/replay.h>
#include <string.h>

#define WORDS (ROVEI_REPLAY_BITS / 64)

void rovei_replay_init(rovei_replay *w)
{
    memset(w, 0, sizeof *w);
}

bool rovei_replay_is_new(const rovei_replay *w, uint64_t counter)
{
    if (counter == UINT64_MAX)
        return false;
    if (counter >= w->next)
        return true;
    if (w->next - counter > ROVEI_REPLAY_WINDOW)
        return false;
    return !(w->bits[counter / 64 % WORDS] >> (counter % 64) & 1);
}

bool rovei_replay_add(rovei_replay *w, uint64_t counter)
{
    if (!rovei_replay_is_new(w, counter))
        return false;
    if (counter >= w->next) {
        /* Words between the old end and the new one hold counters of the ring's last round. */
        uint64_t from = w->next ? (w->next - 1) / 64 + 1 : 0;
        uint64_t to = counter / 64;
        if (to >= from && to - from >= WORDS)
            from = to - WORDS + 1;
        for (uint64_t word = from; word <= to; word++)
            w->bits[word % WORDS] = 0;
        w->next = counter + 1;
    }
    w->bits[counter / 64 % WORDS] |= UINT64_C(1) << (counter % 64);
    return true;
}
