/* SPDX-License-Identifier: Apache-2.0
 *
 * Events that came over a lane: one job applies those that came together, and their results go back
 * to the core in one completion. Without memory for it they are applied one by one; daemons of
 * prompt kinds are run by the loop thread itself, when nobody has them. */
#include <host/host.h>
#include <host/thread.h>

/* Events that are applied at one reading of the clock. */
#define AT_ONCE 16
/* A prompt kind's events that the loop thread runs itself, together. */
#define PROMPT_BYTES ((size_t)64 << 10)

/* Events of a lane, applied one after the other and answered together. */
struct apply {
    rovei_work work;
    atomic_uint refs; /* the way back, and the observers */
    bool by_hand;
    rovei_effect effect; /* its `owner` holds the events */
    size_t it;
    uint32_t done;        /* events applied */
    uint64_t to_wall;     /* from monotonic to wall time */
    uint64_t first_index; /* of the first that process did not refuse; 0: none */
    rovei_after after;
    struct seen *seen;      /* for the observers; behind the results */
    rovei_result results[]; /* effect.events of them */
};

/* Outputs that the core may have let go of before the observers are called. */
struct seen {
    rove_buf *outputs;
    uint32_t count;
    bool applied;
};

static size_t apply_size(const rovei_effect *e)
{
    return sizeof(struct apply) + e->events * (sizeof(rovei_result) + sizeof(struct seen));
}

static void apply_unref(struct apply *a, struct rovei_host *h)
{
    if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    rove_buf_unref(a->effect.owner);
    if (!a->by_hand)
        rovei_free(h->alloc, a, apply_size(&a->effect));
}

/* Keeps what observers are to see, before the core gets the results. */
static void apply_keep_seen(struct apply *a)
{
    a->seen = (void *)&a->results[a->effect.events];
    for (uint32_t i = 0; i < a->done; i++) {
        const rovei_result *r = &a->results[i];
        a->seen[i] = (struct seen){rove_buf_ref(r->outputs), r->output_count, r->err == ROVE_OK};
    }
}

static void apply_observed(struct apply *a, rovei_resident *r)
{
    rove_observed o = {.daemon = {r->entry.node.key}, .index = a->first_index};
    size_t it = 0;
    for (uint32_t i = 0;
         i < a->done && rovei_effect_event(&a->effect, &it, &o.event.link, &o.event.payload); i++) {
        o.event.received_at = a->results[i].at + a->to_wall;
        o.outputs = a->seen[i].outputs;
        o.output_count = a->seen[i].count;
        if (a->seen[i].applied) {
            rovei_observers_fire(&r->host->observers, &o);
            o.index++;
        }
        rove_buf_unref(a->seen[i].outputs);
    }
}

static void apply_after(rovei_after *after)
{
    struct apply *a = ROVEI_CONTAINER(after, struct apply, after);
    rovei_resident *r = a->work.resident;
    apply_observed(a, r);
    apply_unref(a, r->host);
    rovei_resident_drop(r);
}

/* Applies the next events, up to as many as share a reading of the clock. False: none is left, or
 * the cell does not serve. */
static bool apply_some(struct apply *a, rovei_cell *cell)
{
    rovei_now now = rovei_clock_now();
    rovei_cell_event ev = {.owner = a->effect.owner};
    bool (*apply)(rovei_cell *, uint64_t, const rovei_cell_event *, rovei_applied *) =
        a->effect.replay ? rovei_cell_replay : rovei_cell_apply;
    if (!a->done)
        a->to_wall = now.wall - now.mono;
    for (unsigned i = 0; i < AT_ONCE; i++) {
        rovei_applied applied;
        if (!rovei_effect_event(&a->effect, &a->it, &ev.link, &ev.payload) ||
            !apply(cell, now.mono + a->to_wall, &ev, &applied))
            return false;
        a->results[a->done++] = (rovei_result){applied.err, applied.output_count, applied.text,
                                               applied.outputs, now.mono};
        if (!a->first_index)
            a->first_index = applied.index;
    }
    return true;
}

static bool apply_run(rovei_job *job, rovei_mailbox *m)
{
    struct apply *a = ROVEI_CONTAINER(job, struct apply, work.job);
    rovei_resident *r = a->work.resident;
    uint32_t before = a->done;
    bool more = r->cell && apply_some(a, r->cell);
    rovei_mailbox_charge(m, a->done - before);
    if (more && a->done < a->effect.events)
        return false;
    if (a->first_index && rovei_observers_any(&r->host->observers))
        apply_keep_seen(a);
    if (a->seen && !a->by_hand) {
        atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
        (void)rovei_resident_hold(r);
        a->after.fire = apply_after;
        rovei_mailbox_after(m, &a->after);
    }
    rovei_work_done(&a->work);
    return true;
}

static void apply_finish(rovei_work *w, rovei_node *core, rovei_now now)
{
    struct apply *a = ROVEI_CONTAINER(w, struct apply, work);
    if (a->done) {
        rovei_completion c = {
            .kind = ROVEI_DONE_APPLIED,
            .cell = w->resident->number,
            .attempt = a->effect.attempt,
            .ticket = a->effect.ticket,
            .number = a->effect.number,
            .results = a->results,
            .events = a->done,
        };
        rovei_node_complete(core, now, &c);
        if (a->by_hand && a->seen)
            apply_observed(a, w->resident);
    }
    apply_unref(a, w->resident->host);
}

static void apply_init(struct apply *a, rovei_resident *r, const rovei_effect *e)
{
    memset(a, 0, sizeof *a);
    a->work = (rovei_work){
        .job.run = apply_run, .resident = rovei_resident_hold(r), .finish = apply_finish};
    atomic_init(&a->refs, 1);
    a->effect = *e;
}

/* Without memory for all of them: one after the other, each for itself. */
static void apply_by_hand(rovei_resident *r, rovei_node *core, rovei_now now, const rovei_effect *e)
{
    _Alignas(struct apply)
        uint8_t bytes[sizeof(struct apply) + sizeof(rovei_result) + sizeof(struct seen)];
    struct apply *one = (void *)bytes;
    rovei_effect single = *e;
    single.events = 1;
    for (size_t it = 0; rovei_effect_event(e, &it, &single.link, &single.payload);
         single.number++) {
        apply_init(one, r, &single);
        one->effect.owner = rove_buf_ref(e->owner);
        one->by_hand = true;
        rovei_work_by_hand(&one->work, core, now);
    }
}

/* A prompt kind whose daemon nobody has, and before whom nothing waits, is run by this thread at
 * once: the turn that carries out effects finishes it as well. */
static bool apply_here(struct apply *a, rovei_resident *r)
{
    struct rovei_host *h = r->host;
    if (!r->made_of.kind->is_prompt || a->effect.payload.size > PROMPT_BYTES ||
        !rovei_mailbox_try_enter(&r->mailbox))
        return false;
    bool turning = h->turning;
    h->turning = true;
    rovei_thread_enter();
    while (!apply_run(&a->work.job, &r->mailbox))
        ;
    rovei_thread_leave();
    rovei_mailbox_leave(&r->mailbox);
    h->turning = turning;
    return true;
}

void rovei_work_apply(rovei_resident *r, rovei_node *core, rovei_now now, rovei_effect *e)
{
    struct apply *a = rovei_alloc(r->host->alloc, apply_size(e));
    if (a) {
        apply_init(a, r, e);
        e->owner = NULL; /* the apply's now */
        if (!apply_here(a, r))
            rovei_work_put(&a->work);
    } else {
        apply_by_hand(r, core, now, e);
    }
}
