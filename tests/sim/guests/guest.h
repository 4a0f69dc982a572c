/* SPDX-License-Identifier: Apache-2.0
 *
 * What the faulty kinds share: a sum of the sizes of all events, and how it is kept. */
#include <inttypes.h>
#include <rove/kind.h>
#include <stdio.h>
#include <string.h>

typedef struct guest {
    const rove_alloc *alloc;
    uint64_t sum, count;
} guest;

static inline rove_err guest_create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    guest *g = alloc->alloc(alloc->user, sizeof *g);
    if (!g)
        return ROVE_E_NOMEM;
    *g = (guest){.alloc = alloc};
    *ret = g;
    return ROVE_OK;
}

static inline void guest_destroy(void *self)
{
    guest *g = self;
    g->alloc->free(g->alloc->user, g, sizeof *g);
}

static inline rove_err guest_add(guest *g, rove_ctx *ctx, uint64_t size)
{
    g->sum += size;
    g->count++;
    return rove_emit(ctx, (rove_span){&g->sum, sizeof g->sum});
}

static inline rove_err guest_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    return guest_add(self, ctx, event->payload.size);
}

static inline rove_err guest_snapshot(void *self, rove_ctx *ctx)
{
    const guest *g = self;
    const uint64_t state[2] = {g->sum, g->count};
    return rove_write(ctx, (rove_span){state, sizeof state});
}

static inline rove_err guest_restore(void *self, rove_ctx *ctx, rove_span state)
{
    guest *g = self;
    uint64_t fields[2];
    if (state.size != sizeof fields)
        return rove_fail(ctx, "a state has 16 bytes");
    memcpy(fields, state.data, sizeof fields);
    g->sum = fields[0];
    g->count = fields[1];
    return ROVE_OK;
}
