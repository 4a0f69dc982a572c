/* SPDX-License-Identifier: Apache-2.0
 *
 * Outputs of local events, on their way to a channel. */
#include <host/emission.h>

struct rovei_emission {
    rovei_work work;
    rove_buf *outputs;
    uint32_t count;
};

rove_err rovei_emission_new(rovei_emission **ret, rovei_resident *r)
{
    *ret = NULL;
    if (!r->publishes)
        return ROVE_OK;
    if (atomic_load_explicit(&r->emissions, memory_order_relaxed) >=
        r->host->env->limits.pending_events)
        return ROVE_E_FULL;
    rovei_emission *e = ROVEI_NEW(r->host->alloc, rovei_emission);
    if (!e)
        return ROVE_E_NOMEM;
    *e = (rovei_emission){.work.resident = rovei_resident_hold(r)};
    *ret = e;
    return ROVE_OK;
}

static void finish(rovei_work *w, rovei_node *core, rovei_now now)
{
    rovei_emission *e = ROVEI_CONTAINER(w, rovei_emission, work);
    rovei_resident *r = w->resident;
    rovei_completion c = {.kind = ROVEI_DONE_EMITTED,
                          .cell = r->number,
                          .owner = e->outputs,
                          .output_count = e->count};
    rovei_node_complete(core, now, &c);
    atomic_fetch_sub_explicit(&r->emissions, 1, memory_order_relaxed);
    ROVEI_DELETE(r->host->alloc, e);
}

void rovei_emission_end(rovei_emission *e, const rovei_applied *applied)
{
    if (!e)
        return;
    rovei_resident *r = e->work.resident;
    if (!applied || !applied->outputs) {
        ROVEI_DELETE(r->host->alloc, e);
        rovei_resident_drop(r);
        return;
    }
    e->outputs = rove_buf_ref(applied->outputs);
    e->count = applied->output_count;
    e->work.finish = finish;
    atomic_fetch_add_explicit(&r->emissions, 1, memory_order_relaxed);
    rovei_work_done(&e->work);
}
