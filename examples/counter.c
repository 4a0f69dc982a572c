/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts its events, whatever they hold, and answers each with the new count in decimal. The state
 * is the count: 8 bytes, little-endian, so that it means the same on every machine. */
#include <inttypes.h>
#include <rove/kind.h>
#include <stdio.h>

#define STATE_SIZE 8

struct counter {
    const rove_alloc *alloc;
    uint64_t count;
};

static rove_err counter_create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    struct counter *counter = alloc->alloc(alloc->user, sizeof *counter);
    if (!counter)
        return ROVE_E_NOMEM;
    *counter = (struct counter){.alloc = alloc};
    *ret = counter;
    return ROVE_OK;
}

static void counter_destroy(void *self)
{
    struct counter *counter = self;
    counter->alloc->free(counter->alloc->user, counter, sizeof *counter);
}

static rove_err counter_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    struct counter *counter = self;
    (void)event;
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRIu64, counter->count + 1);
    rove_err err = rove_emit(ctx, (rove_span){text, (size_t)size});
    if (err == ROVE_OK) /* an event that fails is not counted */
        counter->count++;
    return err;
}

static rove_err counter_snapshot(void *self, rove_ctx *ctx)
{
    const struct counter *counter = self;
    uint8_t state[STATE_SIZE];
    for (size_t i = 0; i < sizeof state; i++)
        state[i] = (uint8_t)(counter->count >> (8 * i));
    return rove_write(ctx, (rove_span){state, sizeof state});
}

static rove_err counter_restore(void *self, rove_ctx *ctx, rove_span state)
{
    struct counter *counter = self;
    if (state.size != STATE_SIZE)
        return rove_fail(ctx, "a count has %d bytes, not %zu", STATE_SIZE, state.size);
    const uint8_t *bytes = state.data;
    uint64_t count = 0;
    for (size_t i = 0; i < STATE_SIZE; i++)
        count |= (uint64_t)bytes[i] << (8 * i);
    counter->count = count;
    return ROVE_OK;
}

ROVE_KIND("counter", .create = counter_create, .destroy = counter_destroy,
          .process = counter_process, .snapshot = counter_snapshot, .restore = counter_restore,
          .is_stateful = true, .is_prompt = true)
