/* SPDX-License-Identifier: Apache-2.0
 *
 * Between a node's loop and its store: one batch at a time goes there, and its end comes back as
 * a task of the loop. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/cursor.h>
#include <durable/batch.h>
#include <durable/journal.h>
#include <shell/data.h>
#include <shell/node_inside.h>
#include <stdlib.h>
#include <store/store.h>
#include <string.h>

#define NODE_KEY "node" /* the record with the incarnation, 8 bytes little-endian */

struct rovei_data {
    rove_node *node;
    char *dir;
    rovei_store *store;
    /* the batch that is being written */
    rovei_store_task task;
    rove_buf *batch; /* NULL: none */
    uint64_t number;
    rove_err err; /* written by the store's thread, before `told` is posted */
    rovei_task told;
};

rovei_data *rovei_node_data(const rove_node *node)
{
    return node->data;
}

const char *rovei_data_dir(const rovei_data *d)
{
    return d->dir;
}

/* ---- start ---- */

static rove_span node_key(void)
{
    return (rove_span){NODE_KEY, sizeof NODE_KEY - 1};
}

static rove_err last_incarnation(rovei_data *d, uint64_t *ret)
{
    char what[ROVEI_STORE_WHAT];
    rove_buf *value = NULL;
    *ret = 0;
    rove_err err = rovei_store_get(d->store, node_key(), &d->node->env.alloc, &value, what);
    if (err)
        return err == ROVE_E_NOT_FOUND ? ROVE_OK : err;
    rovei_reader r = rovei_reader_of(rove_buf_span(value));
    *ret = rovei_read_u64(&r);
    err = rovei_reader_end(&r) ? ROVE_E_STORE_CORRUPT : ROVE_OK;
    rove_buf_unref(value);
    return err;
}

rove_err rovei_data_open(rovei_data **ret, rove_node *node, const char *dir,
                         const rove_entity *entity, uint64_t *ret_incarnation)
{
    char what[ROVEI_STORE_WHAT];
    rovei_data *d = ROVEI_NEW(&node->env.alloc, rovei_data);
    if (!d)
        return ROVE_E_NOMEM;
    d->node = node;
    d->dir = strdup(dir);
    rove_err err = d->dir
                       ? rovei_store_open(&d->store, dir, entity, node->env.limits.store_map, what)
                       : ROVE_E_NOMEM;
    if (!err)
        err = last_incarnation(d, ret_incarnation);
    if (err) {
        rovei_data_close(d);
        return err;
    }
    *ret = d;
    return ROVE_OK;
}

rove_err rovei_data_begin(rovei_data *d, uint64_t incarnation)
{
    uint8_t value[8], batch[64];
    rovei_store64(value, incarnation);
    rovei_batch_op op = {ROVEI_BATCH_PUT, node_key(), {value, sizeof value}};
    rovei_writer w = rovei_writer_of(batch, sizeof batch);
    rovei_batch_write_head(&w);
    rovei_batch_write_op(&w, &op);
    return rovei_store_write(d->store, (rove_span){batch, rovei_writer_size(&w)});
}

/* ---- batches ---- */

static void complete(rovei_node *core, rovei_now now, uint64_t number, rove_err err)
{
    rovei_completion c = {.kind = ROVEI_DONE_STORED, .number = number, .err = err};
    rovei_node_complete(core, now, &c);
}

static void on_loop(rovei_task *task, rovei_node *core, rovei_now now)
{
    rovei_data *d = ROVEI_CONTAINER(task, rovei_data, told);
    rove_buf_unref(d->batch);
    d->batch = NULL;
    complete(core, now, d->number, d->err);
}

static void on_store(rovei_store_task *task, rove_err err)
{
    rovei_data *d = ROVEI_CONTAINER(task, rovei_data, task);
    d->err = err;
    d->told.run = on_loop;
    rovei_postbox_post(&d->node->postbox, &d->told);
}

void rovei_data_write(rovei_data *d, const rovei_effect *e)
{
    ROVEI_CHECK(!d->batch); /* the journal has one under way */
    d->batch = rove_buf_ref(e->owner);
    d->number = e->number;
    d->task = (rovei_store_task){.batch = rove_buf_span(d->batch), .done = on_store};
    rovei_store_post(d->store, &d->task);
}

/* ---- end ---- */

void rovei_data_finish(rovei_data *d, rovei_node *core)
{
    rovei_now now = rovei_clock_now();
    rovei_effect e;
    rovei_store_stop(d->store);
    (void)rovei_postbox_run(&d->node->postbox, core, now); /* of the batch that was under way */
    rovei_journal_turn(rovei_node_journal(core), now);
    while (rovei_node_poll_effect(core, &e)) {
        if (e.kind == ROVEI_EFFECT_STORE) {
            complete(core, now, e.number, rovei_store_write(d->store, rove_buf_span(e.owner)));
            rovei_journal_turn(rovei_node_journal(core), now);
        }
        rovei_effect_fini(&e);
    }
}

void rovei_data_close(rovei_data *d)
{
    if (!d)
        return;
    rovei_store_close(d->store);
    rove_buf_unref(d->batch);
    free(d->dir);
    ROVEI_DELETE(&d->node->env.alloc, d);
}
