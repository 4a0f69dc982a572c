/* SPDX-License-Identifier: Apache-2.0
 *
 * Kinds for tests: they take an instance apart from outside through `user`. */
#ifndef ROVE_TESTS_KINDS_H
#define ROVE_TESTS_KINDS_H

#include <inttypes.h>
#include <rove/kind.h>
#include <stdatomic.h>
#include <stdio.h>

/* What the instances of a probe do and have done; shared by all that are made with it. */
typedef struct probe_control {
    atomic_int created, destroyed, processed;
    rove_err (*during)(struct probe_control *p, rove_ctx *ctx, const rove_event *event);
    void *arg;
    bool fail_process, fail_snapshot, fail_restore, fail_create;
    size_t outputs;      /* per event, beside the count; 0: none at all */
    size_t output_bytes; /* of each of them */
    rove_err sign_err;
} probe_control;

/* A counter that answers with its count, and does what its control says. */
typedef struct probe {
    const rove_alloc *alloc;
    probe_control *control;
    uint64_t count;
} probe;

static inline rove_err probe_create(void **ret, const rove_alloc *alloc, void *user)
{
    probe_control *control = user;
    if (control->fail_create)
        return ROVE_E_IO;
    probe *p = alloc->alloc(alloc->user, sizeof *p);
    if (!p)
        return ROVE_E_NOMEM;
    *p = (probe){alloc, control, 0};
    atomic_fetch_add(&control->created, 1);
    *ret = p;
    return ROVE_OK;
}

static inline void probe_destroy(void *self)
{
    probe *p = self;
    atomic_fetch_add(&p->control->destroyed, 1);
    p->alloc->free(p->alloc->user, p, sizeof *p);
}

static inline rove_err probe_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    probe *p = self;
    probe_control *c = p->control;
    static const uint8_t zeros[4096];
    char text[24];
    atomic_fetch_add(&c->processed, 1);
    if (c->during) {
        rove_err err = c->during(c, ctx, event);
        if (err)
            return err;
    }
    if (c->fail_process)
        return rove_fail(ctx, "no: %s", "told to");
    p->count++;
    int size = snprintf(text, sizeof text, "%" PRIu64, p->count);
    if (c->outputs && rove_emit(ctx, (rove_span){text, (size_t)size}))
        return ROVE_E_PROCESS;
    for (size_t i = 1; i < c->outputs; i++)
        if (rove_emit(ctx, (rove_span){zeros, c->output_bytes}))
            return ROVE_E_PROCESS;
    return ROVE_OK;
}

static inline rove_err probe_snapshot(void *self, rove_ctx *ctx)
{
    const probe *p = self;
    if (p->control->fail_snapshot)
        return rove_fail(ctx, "not now");
    return rove_write(ctx, (rove_span){&p->count, sizeof p->count});
}

static inline rove_err probe_restore(void *self, rove_ctx *ctx, rove_span state)
{
    probe *p = self;
    if (p->control->fail_restore || state.size != sizeof p->count)
        return rove_fail(ctx, "a count has 8 bytes, not %zu", state.size);
    uint8_t *to = (uint8_t *)&p->count;
    for (size_t i = 0; i < state.size; i++)
        to[i] = ((const uint8_t *)state.data)[i];
    return ROVE_OK;
}

static const rove_kind probe_kind = {
    .abi = ROVE_ABI,
    .size = sizeof(rove_kind),
    .name = "probe",
    .create = probe_create,
    .destroy = probe_destroy,
    .process = probe_process,
    .snapshot = probe_snapshot,
    .restore = probe_restore,
    .is_stateful = true,
};

/* The same without state of its own. */
static const rove_kind stateless_kind = {
    .abi = ROVE_ABI,
    .size = sizeof(rove_kind),
    .name = "stateless",
    .create = probe_create,
    .destroy = probe_destroy,
    .process = probe_process,
};

#endif
