/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of a wordcount daemon: its table, entry after entry in the order in which the words
 * first came. An entry is u64 count, u32 length, both little-endian, and the word's bytes. */
#ifndef ROVE_EXAMPLES_WORDCOUNT_H
#define ROVE_EXAMPLES_WORDCOUNT_H

#include <rove/types.h>

#define WORDCOUNT_HEAD 12 /* bytes of an entry before its word */

/* Takes the next entry off the front of `state`: false at its end, and at anything that is not a
 * whole entry (then bytes are left). */
static inline bool wordcount_next(rove_span *state, rove_span *ret_word, uint64_t *ret_count)
{
    const uint8_t *p = state->data;
    uint64_t count = 0;
    uint32_t size = 0;
    if (state->size < WORDCOUNT_HEAD)
        return false;
    for (unsigned i = 0; i < 8; i++)
        count |= (uint64_t)p[i] << (8 * i);
    for (unsigned i = 0; i < 4; i++)
        size |= (uint32_t)p[8 + i] << (8 * i);
    if (size == 0 || size > state->size - WORDCOUNT_HEAD)
        return false;
    *ret_word = (rove_span){p + WORDCOUNT_HEAD, size};
    *ret_count = count;
    *state = (rove_span){p + WORDCOUNT_HEAD + size, state->size - WORDCOUNT_HEAD - size};
    return true;
}

#endif
