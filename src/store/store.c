/* SPDX-License-Identifier: Apache-2.0
 *
 * A store as a whole, and its thread: it takes all that was posted, writes it in one transaction,
 * and tells each. */
#include <host/thread.h>
#include <stdlib.h>
#include <store/inside.h>

#define GROUP 256 /* tasks in one transaction */

static bool is_final(rove_err err)
{
    return err == ROVE_E_STORE_IO || err == ROVE_E_STORE_CORRUPT;
}

/* Under the lock: what waits, up to a group of it. */
static size_t take(rovei_store *s, rovei_store_task *ret[GROUP], rove_span ret_batches[GROUP])
{
    size_t count = 0;
    while (count < GROUP && !rovei_list_empty(&s->posted)) {
        rovei_store_task *t = ROVEI_CONTAINER(s->posted.next, rovei_store_task, all);
        rovei_list_remove(&t->all);
        ret[count] = t;
        ret_batches[count++] = t->batch;
    }
    return count;
}

static rove_err failed(rovei_store *s)
{
    pthread_mutex_lock(&s->lock);
    rove_err err = s->failed;
    pthread_mutex_unlock(&s->lock);
    return err;
}

static rove_err write_group(rovei_store *s, const rove_span *batches, size_t count)
{
    rove_err err = failed(s);
    if (err)
        return err;
    err = rovei_records_write(&s->records, batches, count);
    if (is_final(err)) {
        pthread_mutex_lock(&s->lock);
        s->failed = err;
        pthread_mutex_unlock(&s->lock);
    }
    return err;
}

/* A group that cannot be written is tried one by one: one may be no batch, or too large. */
static void carry_out(rovei_store *s, rovei_store_task **tasks, const rove_span *batches,
                      size_t count)
{
    rove_err all = write_group(s, batches, count);
    for (size_t i = 0; i < count; i++) {
        rove_err err = all && count > 1 ? write_group(s, &batches[i], 1) : all;
        tasks[i]->done(tasks[i], err);
    }
}

static void *store_main(void *arg)
{
    rovei_store *s = arg;
    rovei_store_task *tasks[GROUP];
    rove_span batches[GROUP];
    pthread_mutex_lock(&s->lock);
    for (;;) {
        size_t count = take(s, tasks, batches);
        if (!count && s->stop)
            break;
        if (!count) {
            pthread_cond_wait(&s->wake, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        carry_out(s, tasks, batches, count);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

rove_err rovei_store_open(rovei_store **ret, const char *dir, const rove_entity *node, uint64_t map,
                          char what[ROVEI_STORE_WHAT])
{
    what[0] = '\0';
    rovei_store *s = calloc(1, sizeof *s);
    if (!s)
        return ROVE_E_NOMEM;
    rovei_list_init(&s->posted);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    rove_err err = rovei_folder_open(&s->folder, dir, node, what);
    if (!err)
        err = rovei_records_open(&s->records, s->folder.path, s->folder.fresh, map, what);
    if (!err)
        err = rovei_records_check(&s->records, what);
    if (!err && s->folder.fresh)
        err = rovei_folder_name(&s->folder, node);
    if (!err && !(s->has_thread = rovei_thread_start(&s->thread, store_main, s)))
        err = ROVE_E_NOMEM;
    if (err) {
        rovei_store_close(s);
        return err;
    }
    *ret = s;
    return ROVE_OK;
}

void rovei_store_stop(rovei_store *s)
{
    if (!s->has_thread)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    s->has_thread = false;
}

void rovei_store_close(rovei_store *s)
{
    if (!s)
        return;
    rovei_store_stop(s);
    rovei_records_close(&s->records);
    rovei_folder_close(&s->folder);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void rovei_store_post(rovei_store *s, rovei_store_task *task)
{
    pthread_mutex_lock(&s->lock);
    bool idle = rovei_list_empty(&s->posted);
    rovei_list_add_tail(&s->posted, &task->all);
    if (idle)
        pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

rove_err rovei_store_write(rovei_store *s, rove_span batch)
{
    return write_group(s, &batch, 1);
}
