/* SPDX-License-Identifier: Apache-2.0
 *
 * Judges a daemon by its outputs alone. */
#include "check.h"

#include <state/chain.h>
#include <stdlib.h>
#include <string.h>

void demo_check_init(demo_check *c, uint64_t origin)
{
    *c = (demo_check){.last = rovei_link_genesis(origin, 0)};
}

void demo_check_free(demo_check *c)
{
    free(c->seen);
    free(c->payload);
    *c = (demo_check){0};
}

/* The line that an output is for: a decimal number before a space. 0: none. */
static uint64_t line_of(rove_span payload)
{
    const char *p = payload.data;
    uint64_t v = 0;
    size_t i = 0;
    for (; i < payload.size && p[i] >= '0' && p[i] <= '9'; i++) {
        if (v > (UINT64_MAX - 9) / 10)
            return 0;
        v = v * 10 + (uint64_t)(p[i] - '0');
    }
    return i && i < payload.size && p[i] == ' ' ? v : 0;
}

static rove_err grow(uint8_t **bytes, size_t *room, size_t size)
{
    if (size <= *room)
        return ROVE_OK;
    size_t fresh = *room ? *room : 4096;
    while (fresh < size)
        fresh *= 2;
    uint8_t *moved = realloc(*bytes, fresh);
    if (!moved)
        return ROVE_E_NOMEM;
    memset(moved + *room, 0, fresh - *room);
    *bytes = moved;
    *room = fresh;
    return ROVE_OK;
}

static rove_err note_line(demo_check *c, uint64_t line)
{
    /* Lines are counted in memory; a number beyond all reason is no line. */
    if (line == 0 || line > UINT64_C(1) << 40)
        return ROVE_E_FORMAT;
    rove_err err = grow(&c->seen, &c->room, (size_t)(line / 8) + 1);
    if (err)
        return err;
    uint8_t *byte = &c->seen[line / 8], bit = (uint8_t)(1u << line % 8);
    if (*byte & bit)
        c->duplicated++;
    else if (line < c->highest)
        c->out_of_order++;
    c->distinct += !(*byte & bit);
    *byte |= bit;
    if (line > c->highest)
        c->highest = line;
    return ROVE_OK;
}

rove_err demo_check_output(demo_check *c, const rove_link *link, rove_span payload)
{
    rove_err err = note_line(c, line_of(payload));
    if (!err)
        err = grow(&c->payload, &c->payload_room, payload.size);
    if (err)
        return err;
    c->processed++;
    if (rovei_link_validate(&c->last, (rove_span){c->payload, c->payload_size}, link, NULL))
        c->broken = true;
    else
        c->links++;
    c->last = *link;
    if (payload.size)
        memcpy(c->payload, payload.data, payload.size);
    c->payload_size = payload.size;
    return ROVE_OK;
}

uint64_t demo_check_lost(const demo_check *c, uint64_t sent)
{
    return sent > c->distinct ? sent - c->distinct : 0;
}
