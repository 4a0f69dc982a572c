/* SPDX-License-Identifier: Apache-2.0
 *
 * A cell's making and unmaking, and the path of one event through it. */
#include <base/alloc.h>
#include <base/buf.h>
#include <base/check.h>
#include <base/mutant.h>
#include <host/cell_impl.h>
#include <string.h>

bool rovei_kind_name_check(const char *name)
{
    size_t size = 0;
    for (; name[size]; size++) {
        char c = name[size];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-';
        if (!good || size == ROVE_KIND_NAME_MAX)
            return false;
    }
    return size > 0;
}

static const char *const nothing[] = {NULL};

const char *const *rovei_kind_requirements(const rove_kind *kind)
{
    return kind->requirements ? kind->requirements : nothing;
}

const char *const *rovei_kind_preferences(const rove_kind *kind)
{
    return kind->preferences ? kind->preferences : nothing;
}

rove_err rovei_kind_check(const rove_kind *kind)
{
    if (!kind || kind->abi != ROVE_ABI || kind->size != sizeof *kind)
        return ROVE_E_ABI;
    if (!kind->name || !rovei_kind_name_check(kind->name))
        return ROVE_E_USAGE;
    if (!kind->create || !kind->destroy || !kind->process)
        return ROVE_E_USAGE;
    bool reads = kind->snapshot_open && kind->snapshot_read && kind->snapshot_close;
    bool writes = kind->restore_open && kind->restore_write && kind->restore_close;
    bool some = kind->snapshot_open || kind->snapshot_read || kind->snapshot_close ||
                kind->restore_open || kind->restore_write || kind->restore_close;
    if (some && !(reads && writes))
        return ROVE_E_USAGE;
    return ROVE_OK;
}

rove_err rovei_cell_new(rovei_cell **ret, const rovei_cell_config *cfg)
{
    const rove_alloc *a = &cfg->env->alloc;
    uint64_t origin = rovei_keypair_origin(cfg->key);
    if (cfg->fork && cfg->fork->origin != origin)
        return ROVE_E_ORIGIN_MISMATCH;
    rovei_cell *c = ROVEI_NEW(a, rovei_cell);
    if (!c)
        return ROVE_E_NOMEM;
    c->instance = cfg->instance;
    if (!c->instance) {
        rove_err err = cfg->kind->create(&c->instance, a, cfg->kind_user);
        if (err) {
            ROVEI_DELETE(a, c);
            return err;
        }
    }
    c->env = cfg->env;
    c->kind = cfg->kind;
    c->key = rovei_keypair_ref(cfg->key);
    c->head = cfg->fork ? *cfg->fork : rovei_link_genesis(origin, 0);
    c->state = ROVEI_CELL_NEW;
    *ret = c;
    return ROVE_OK;
}

void rovei_cell_disown(rovei_cell *c)
{
    rovei_cell_restore_abandon(c);
    c->instance = NULL;
    c->state = ROVEI_CELL_GONE;
}

void rovei_cell_free(rovei_cell *c)
{
    if (!c)
        return;
    rovei_cell_close(c);
    rovei_cell_reset(c);
    rovei_horizon_free(c->horizon);
    rovei_ledger_free(c->ledger);
    rove_buf_unref(c->head_owner);
    rovei_keypair_unref(c->key);
    ROVEI_DELETE(&c->env->alloc, c);
}

rove_err rovei_cell_set_key(rovei_cell *c, rovei_keypair *key)
{
    if (c->state != ROVEI_CELL_NEW)
        return ROVE_E_USAGE;
    if (!rovei_entity_equal(rovei_keypair_entity(key), rovei_keypair_entity(c->key)))
        return ROVE_E_ORIGIN_MISMATCH;
    rovei_keypair *before = c->key;
    c->key = rovei_keypair_ref(key);
    rovei_keypair_unref(before);
    return ROVE_OK;
}

void rovei_applied_fini(rovei_applied *a)
{
    rove_buf_unref(a->text);
    rove_buf_unref(a->outputs);
    *a = (rovei_applied){0};
}

/* Gives each framed output its link and moves the head behind the last. The sequence has room. */
static void link_outputs(rovei_cell *c, rove_buf *outputs, uint32_t count)
{
    uint64_t sketch = rovei_horizon_sketch(c->horizon);
    uint8_t *at = rovei_buf_data(outputs);
    for (uint32_t i = 0; i < count; i++) {
        rove_link link;
        rove_err err = rovei_link_next(&link, &c->head, c->head_payload, sketch);
        ROVEI_CHECK(err == ROVE_OK);
        rovei_link_encode(&link, at + 4);
        c->head = link;
        c->head_payload = (rove_span){at + ROVEI_EVENT_FRAME_OVERHEAD,
                                      rovei_load32(at) - (size_t)ROVEI_LINK_SIZE};
        at += 4 + (size_t)rovei_load32(at);
    }
    /* The old owner held the payload that the first link was hashed from: only now it may go. */
    rove_buf_unref(c->head_owner);
    c->head_owner = rove_buf_ref(outputs);
}

/* Daemons that never had an event, of which there may be many, have no horizon yet. */
static rove_err horizon_make(rovei_cell *c)
{
    return rovei_horizon_new(&c->horizon, &c->env->alloc, rovei_rng_u64(&c->env->rng),
                             c->env->limits.horizon_origins);
}

void rovei_cell_run(rovei_cell *c, uint64_t wall, const rovei_cell_event *ev, rovei_applied *ret)
{
    *ret = (rovei_applied){0};
    /* Before process: the outputs' sketch includes this event, and so it stays when it fails. */
    if (!c->horizon && (ret->err = horizon_make(c)))
        return;
    ret->err = rovei_horizon_observe(c->horizon, ev->link.origin, ev->link.sequence);
    if (ret->err)
        return;
    rovei_frame f = rovei_frame_of(c, ROVEI_DOING_PROCESS);
    rove_event event = {ev->link, ev->payload, wall};
    rove_err returned = c->kind->process(c->instance, &f.ctx, &event);
    if (f.err == ROVE_OK && returned == ROVE_OK && c->head.sequence > UINT64_MAX - f.count)
        f.err = ROVE_E_SEQUENCE_END;
    if (f.err || returned) {
        c->stats.errors++;
        ret->err = f.err ? f.err : ROVE_E_PROCESS;
        if (!f.err)
            ret->text = rovei_frame_take_text(&f, returned);
    } else {
        ret->index = ++c->stats.events_processed;
        ret->output_count = f.count;
        if (f.count) {
            rove_err err = rovei_frame_take(&f, &ret->outputs);
            ROVEI_CHECK(err == ROVE_OK);
            link_outputs(c, ret->outputs, f.count);
            c->stats.events_emitted += f.count;
        }
    }
    rovei_frame_fini(&f);
}

bool rovei_cell_apply(rovei_cell *c, uint64_t wall, const rovei_cell_event *ev, rovei_applied *ret)
{
    if (c->state != ROVEI_CELL_SERVING)
        return false;
    rovei_cell_run(c, wall, ev, ret);
    return true;
}

bool rovei_cell_replay(rovei_cell *c, uint64_t wall, const rovei_cell_event *ev, rovei_applied *ret)
{
    if (c->state != ROVEI_CELL_NEW || c->writer)
        return false;
    rovei_cell_run(c, wall, ev, ret);
    return true;
}

/* Keeps one event for the next host, or for the thaw. */
static rove_err divert(rovei_cell *c, const rovei_cell_event *ev, void *waiter,
                       uint64_t *ret_number)
{
    struct rovei_freeze *f = c->freeze;
    const rove_limits *limits = &c->env->limits;
    if (f->diverted_count >= limits->divert_events || ev->payload.size > limits->divert_bytes ||
        f->diverted_bytes > limits->divert_bytes - ev->payload.size)
        return ROVE_E_BUFFER_FULL;
    void *items = f->diverted;
    rove_err err = rovei_grow(
        &c->env->alloc, &items, &f->diverted_room, f->diverted_count, sizeof *f->diverted,
        limits->divert_events < SIZE_MAX ? (size_t)limits->divert_events : SIZE_MAX);
    if (err)
        return err;
    f->diverted = items;
    struct rovei_diverted *d = &f->diverted[f->diverted_count];
    *d = (struct rovei_diverted){.event = *ev, .waiter = waiter, .waiting = true};
    if (ev->owner) {
        rove_buf_ref(ev->owner);
    } else {
        d->event.owner = rovei_buf_copy(&c->env->alloc, ev->payload.data, ev->payload.size);
        if (!d->event.owner)
            return ROVE_E_NOMEM;
        d->event.payload = rove_buf_span(d->event.owner);
    }
    f->diverted_bytes += ev->payload.size;
    *ret_number = ++f->diverted_count;
    return ROVE_E_DIVERTED;
}

rove_err rovei_cell_deliver(rovei_cell *c, uint64_t wall, const rovei_cell_event *ev, void *waiter,
                            rovei_applied *ret, uint64_t *ret_number)
{
    switch (c->state) {
    case ROVEI_CELL_SERVING:
        rovei_cell_run(c, wall, ev, ret);
        return ROVE_OK;
    case ROVEI_CELL_FROZEN:
        if (ROVEI_MUTANT(NO_DIVERT)) {
            rovei_cell_run(c, wall, ev, ret);
            return ROVE_OK;
        }
        return divert(c, ev, waiter, ret_number);
    case ROVEI_CELL_QUIET:
        return ROVE_E_MOVING;
    case ROVEI_CELL_NEW:
        return ROVE_E_NOT_READY;
    case ROVEI_CELL_THAWING:
        return ROVE_E_BUSY;
    case ROVEI_CELL_DEPARTED:
        return ROVE_E_MOVED;
    case ROVEI_CELL_ASIDE:
        return c->aside;
    case ROVEI_CELL_GONE:
        break;
    }
    return ROVE_E_STALE;
}

void rovei_cell_close(rovei_cell *c)
{
    rovei_cell_close_readers(c);
    if (c->instance) {
        rovei_cell_restore_abandon(c);
        c->kind->destroy(c->instance);
    }
    c->instance = NULL;
    c->state = ROVEI_CELL_GONE;
}

rovei_cell_state rovei_cell_state_of(const rovei_cell *c)
{
    return c->state;
}

rove_daemon_stats rovei_cell_stats(const rovei_cell *c)
{
    rove_daemon_stats stats = c->stats;
    stats.sequence = c->head.sequence;
    stats.subscriptions = c->ledger ? rovei_ledger_count(c->ledger) : 0;
    return stats;
}

rove_link rovei_cell_head(const rovei_cell *c)
{
    return c->head;
}

rovei_keypair *rovei_cell_key(const rovei_cell *c)
{
    return c->key;
}

const rove_entity *rovei_cell_entity(const rovei_cell *c)
{
    return rovei_keypair_entity(c->key);
}

const rove_kind *rovei_cell_kind(const rovei_cell *c)
{
    return c->kind;
}

void *rovei_cell_instance(const rovei_cell *c)
{
    return c->instance;
}

rovei_attempt_id rovei_cell_attempt(const rovei_cell *c)
{
    return rovei_cell_freeze_of(c)->attempt;
}

rove_health rovei_cell_health(rovei_cell *c, const char **ret_reason)
{
    *ret_reason = NULL;
    if (!c->kind->health || !c->instance)
        return ROVE_HEALTHY;
    return c->kind->health(c->instance, ret_reason);
}

double rovei_cell_saturation(rovei_cell *c)
{
    if (!c->kind->saturation || !c->instance)
        return 0.0;
    double v = c->kind->saturation(c->instance);
    if (!(v > 0.0)) /* what is no number reads as idle */
        return 0.0;
    return v < 1.0 ? v : 1.0;
}

void rovei_cell_control(rovei_cell *c, const rove_control *control)
{
    if (c->kind->control && c->instance)
        c->kind->control(c->instance, control);
}
