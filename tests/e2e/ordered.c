/* SPDX-License-Identifier: Apache-2.0
 *
 * A kind for the scripts: its events are the numbers 1, 2, 3, ... in decimal. Its state says how
 * many came, which was the last, and how many did not follow the one before; the event `show` tells
 * it. A number that is missing, doubled or out of order is thus seen wherever the daemon is. */
#include <errno.h>
#include <inttypes.h>
#include <rove/kind.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS     3
#define STATE_SIZE (8 * FIELDS)

typedef struct ordered {
    const rove_alloc *alloc;
    uint64_t count, last, wrong;
} ordered;

static rove_err ordered_create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    ordered *o = alloc->alloc(alloc->user, sizeof *o);
    if (!o)
        return ROVE_E_NOMEM;
    *o = (ordered){.alloc = alloc};
    *ret = o;
    return ROVE_OK;
}

static void ordered_destroy(void *self)
{
    ordered *o = self;
    o->alloc->free(o->alloc->user, o, sizeof *o);
}

static rove_err ordered_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    ordered *o = self;
    char text[96] = "";
    if (event->payload.size < sizeof text && event->payload.size)
        memcpy(text, event->payload.data, event->payload.size);
    if (strcmp(text, "show") == 0) {
        int size = snprintf(text, sizeof text, "%" PRIu64 " up to %" PRIu64 ", %" PRIu64 " wrong",
                            o->count, o->last, o->wrong);
        return rove_emit(ctx, (rove_span){text, (size_t)size});
    }
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    bool is_number = *text >= '0' && *text <= '9' && !*end && !errno;
    o->wrong += !is_number || number != o->last + 1;
    o->last = is_number ? number : o->last;
    o->count++;
    return ROVE_OK;
}

static rove_err ordered_snapshot(void *self, rove_ctx *ctx)
{
    const ordered *o = self;
    const uint64_t fields[FIELDS] = {o->count, o->last, o->wrong};
    uint8_t state[STATE_SIZE];
    for (size_t i = 0; i < STATE_SIZE; i++)
        state[i] = (uint8_t)(fields[i / 8] >> (8 * (i % 8)));
    return rove_write(ctx, (rove_span){state, sizeof state});
}

static rove_err ordered_restore(void *self, rove_ctx *ctx, rove_span state)
{
    ordered *o = self;
    if (state.size != STATE_SIZE)
        return rove_fail(ctx, "a state has %d bytes, not %zu", STATE_SIZE, state.size);
    const uint8_t *bytes = state.data;
    uint64_t fields[FIELDS] = {0};
    for (size_t i = 0; i < STATE_SIZE; i++)
        fields[i / 8] |= (uint64_t)bytes[i] << (8 * (i % 8));
    o->count = fields[0];
    o->last = fields[1];
    o->wrong = fields[2];
    return ROVE_OK;
}

ROVE_KIND("ordered", .create = ordered_create, .destroy = ordered_destroy,
          .process = ordered_process, .snapshot = ordered_snapshot, .restore = ordered_restore,
          .is_stateful = true, .is_prompt = true)
