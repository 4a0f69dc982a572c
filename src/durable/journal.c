/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal: one batch that grows, one that is under way, and who waits for them. Only one is
 * under way, so what the store did not take is never overtaken by what came later. */
#include <base/alloc.h>
#include <base/buf.h>
#include <base/check.h>
#include <durable/batch.h>
#include <durable/journal.h>
#include <node/core.h>
#include <string.h>

#define FIRST_ROOM 4096

typedef struct batch {
    rove_buf *bytes; /* NULL: there is none; of the open one the first `size` are written */
    size_t size, records;
} batch;

struct rovei_journal {
    rovei_node *node;
    batch open, under_way;
    bool sent;        /* the store has it; its completion is due */
    uint64_t number;  /* of the batch that left last, 0 for none: the open one has the next */
    uint64_t durable; /* = number, or one less while that is under way */
    rovei_list waits; /* by number */
    rovei_timer retry;
    rove_err broken; /* the store has failed for good */
    rovei_journal_stats stats;
};

/* ---- life ---- */

static void try_again(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    rovei_journal_turn(user, now);
}

rove_err rovei_journal_new(rovei_journal **ret, rovei_node *n)
{
    rovei_journal *j = ROVEI_NEW(n->alloc, rovei_journal);
    if (!j)
        return ROVE_E_NOMEM;
    j->node = n;
    rovei_list_init(&j->waits);
    rove_err err = rovei_timers_reserve(&n->timers, &j->retry, try_again, j);
    if (err) {
        ROVEI_DELETE(n->alloc, j);
        return err;
    }
    *ret = j;
    return ROVE_OK;
}

static void batch_drop(batch *b)
{
    rove_buf_unref(b->bytes);
    *b = (batch){0};
}

void rovei_journal_free(rovei_journal *j)
{
    if (!j)
        return;
    ROVEI_CHECK(rovei_list_empty(&j->waits));
    batch_drop(&j->open);
    batch_drop(&j->under_way);
    rovei_timers_release(&j->node->timers, &j->retry);
    ROVEI_DELETE(j->node->alloc, j);
}

/* ---- records ---- */

/* Room for `more` bytes in the open batch, which is begun when there is none. */
static rove_err make_room(rovei_journal *j, size_t more)
{
    batch *b = &j->open;
    size_t have = rovei_buf_size(b->bytes), need = (b->bytes ? b->size : ROVEI_BATCH_HEAD) + more;
    if (b->bytes && need <= have)
        return ROVE_OK;
    size_t room = have ? have : FIRST_ROOM;
    while (room < need)
        room *= 2;
    rove_buf *bytes = rovei_buf_alloc(j->node->alloc, room);
    if (!bytes)
        return ROVE_E_NOMEM;
    if (b->bytes) {
        memcpy(rovei_buf_data(bytes), rovei_buf_data(b->bytes), b->size);
        rove_buf_unref(b->bytes);
    } else {
        rovei_writer w = rovei_writer_of(rovei_buf_data(bytes), ROVEI_BATCH_HEAD);
        rovei_batch_write_head(&w);
        b->size = ROVEI_BATCH_HEAD;
    }
    b->bytes = bytes;
    return ROVE_OK;
}

static rove_err add(rovei_journal *j, rovei_batch_op op)
{
    rove_err err = j->broken ? j->broken : rovei_batch_op_check(&op);
    if (err)
        return err;
    size_t size = rovei_batch_op_size(&op), waiting = j->open.size + j->under_way.size;
    /* One always may; and sizes are far from where a sum of them wraps. */
    if (waiting && waiting + size > j->node->env->limits.journal_bytes)
        return j->stats.err ? j->stats.err : ROVE_E_FULL;
    err = make_room(j, size);
    if (err)
        return err;
    batch *b = &j->open;
    rovei_writer w = rovei_writer_of(rovei_buf_data(b->bytes) + b->size, size);
    rovei_batch_write_op(&w, &op);
    ROVEI_CHECK(!w.err && !rovei_writer_room(&w));
    b->size += size;
    b->records++;
    return ROVE_OK;
}

rove_err rovei_journal_put(rovei_journal *j, rove_span key, rove_span value)
{
    return add(j, (rovei_batch_op){ROVEI_BATCH_PUT, key, value});
}

rove_err rovei_journal_delete(rovei_journal *j, rove_span key)
{
    return add(j, (rovei_batch_op){.what = ROVEI_BATCH_DELETE, .key = key});
}

rove_err rovei_journal_delete_prefix(rovei_journal *j, rove_span prefix)
{
    return add(j, (rovei_batch_op){.what = ROVEI_BATCH_DELETE_PREFIX, .key = prefix});
}

rovei_journal_point rovei_journal_here(const rovei_journal *j)
{
    return (rovei_journal_point){j->number, j->open.size, j->open.records};
}

void rovei_journal_undo(rovei_journal *j, rovei_journal_point point)
{
    ROVEI_CHECK(point.number == j->number && point.size <= j->open.size);
    if (!point.size) {
        batch_drop(&j->open);
        return;
    }
    j->open.size = point.size;
    j->open.records = point.records;
}

/* ---- what is durable ---- */

uint64_t rovei_journal_mark(const rovei_journal *j)
{
    return j->open.bytes ? j->number + 1 : j->number;
}

uint64_t rovei_journal_durable(const rovei_journal *j)
{
    return j->durable;
}

bool rovei_journal_await(rovei_journal *j, rovei_journal_wait *w, uint64_t number,
                         rovei_journal_fn *told)
{
    rovei_list_init(&w->all);
    if (number <= j->durable)
        return false;
    w->number = number;
    w->told = told;
    rovei_list *before = j->waits.prev; /* mostly the last one */
    while (before != &j->waits && ROVEI_CONTAINER(before, rovei_journal_wait, all)->number > number)
        before = before->prev;
    rovei_list_add_head(before, &w->all);
    return true;
}

void rovei_journal_stop(rovei_journal_wait *w)
{
    rovei_list_remove(&w->all);
}

static void tell(rovei_journal *j, rovei_now now, uint64_t up_to, rove_err err)
{
    while (!rovei_list_empty(&j->waits)) {
        rovei_journal_wait *w = ROVEI_CONTAINER(j->waits.next, rovei_journal_wait, all);
        if (w->number > up_to)
            break;
        rovei_list_remove(&w->all);
        w->told(w, now, err);
    }
}

rovei_journal_stats rovei_journal_stats_get(const rovei_journal *j)
{
    rovei_journal_stats s = j->stats;
    s.waiting = j->open.size + j->under_way.size;
    return s;
}

/* ---- for the node ---- */

/* Hands the batch that is under way to the store; when memory is out, a little later. */
static void send(rovei_journal *j, rovei_now now)
{
    rovei_effect *e = rovei_node_effect(j->node, ROVEI_EFFECT_STORE);
    if (!e) {
        rovei_timer_set(&j->node->timers, &j->retry,
                        rovei_time_add(now.mono, j->node->env->limits.store_retry));
        return;
    }
    e->number = j->number;
    e->owner = rove_buf_ref(j->under_way.bytes);
    j->sent = true;
}

void rovei_journal_turn(rovei_journal *j, rovei_now now)
{
    if (j->broken) {
        tell(j, now, UINT64_MAX, j->broken);
        return;
    }
    if (j->sent || rovei_timer_is_set(&j->retry))
        return;
    if (!j->under_way.bytes) {
        if (!j->open.bytes)
            return;
        j->under_way = j->open;
        j->open = (batch){0};
        j->number++;
        rovei_buf_truncate(j->under_way.bytes, j->under_way.size);
    }
    send(j, now);
}

static void count_durable(rovei_journal *j)
{
    j->stats.batches++;
    j->stats.records += j->under_way.records;
    j->stats.bytes += j->under_way.size;
}

/* The store may have room again later: what is to be written stays as it is. */
static bool may_pass(rove_err err)
{
    return err == ROVE_E_STORE_FULL || err == ROVE_E_STORE_MAP || err == ROVE_E_NOMEM;
}

void rovei_journal_complete(rovei_journal *j, rovei_now now, const rovei_completion *c)
{
    if (!j->sent || c->number != j->number)
        return;
    j->sent = false;
    j->stats.err = c->err;
    if (may_pass(c->err)) {
        j->stats.refused++;
        rovei_timer_set(&j->node->timers, &j->retry,
                        rovei_time_add(now.mono, j->node->env->limits.store_retry));
        return;
    }
    if (c->err) {
        j->broken = c->err;
        batch_drop(&j->under_way);
        batch_drop(&j->open);
        tell(j, now, UINT64_MAX, c->err);
        return;
    }
    count_durable(j);
    batch_drop(&j->under_way);
    j->durable = j->number;
    tell(j, now, j->durable, ROVE_OK);
}

void rovei_journal_check(const rovei_journal *j)
{
    ROVEI_CHECK(j->broken || j->durable + !!j->under_way.bytes == j->number);
    ROVEI_CHECK(!j->sent || j->under_way.bytes);
    ROVEI_CHECK(!j->broken || (!j->open.bytes && !j->under_way.bytes));
    uint64_t last = j->durable;
    ROVEI_LIST_EACH (it, next, &j->waits) {
        const rovei_journal_wait *w = ROVEI_CONTAINER(it, rovei_journal_wait, all);
        ROVEI_CHECK(w->number >= last && w->number > j->durable);
        last = w->number;
    }
}
