/* SPDX-License-Identifier: Apache-2.0
 *
 * Worker threads. */
#include <host/thread.h>
#include <host/workers.h>

static rovei_mailbox *pop(rovei_workers *w)
{
    rovei_mailbox *m = w->ready;
    if (!m)
        return NULL;
    w->ready = m->ready_next;
    if (!w->ready)
        w->ready_end = &w->ready;
    m->ready_next = NULL;
    return m;
}

static void *work(void *arg)
{
    rovei_workers *w = arg;
    rovei_thread_set_worker();
    pthread_mutex_lock(&w->lock);
    for (;;) {
        if (w->chore) { /* rare, and short but for a reader who was put to sleep */
            w->chore = false;
            pthread_mutex_unlock(&w->lock);
            rovei_rcu_reclaim(w->bin);
            pthread_mutex_lock(&w->lock);
            continue;
        }
        rovei_mailbox *m = pop(w);
        if (m) {
            pthread_mutex_unlock(&w->lock);
            rovei_mailbox_run(m, ROVEI_TURN_BUDGET);
            w->ran(m);
            pthread_mutex_lock(&w->lock);
        } else if (w->stop) {
            break;
        } else {
            w->idle++;
            pthread_cond_wait(&w->wake, &w->lock);
            w->idle--;
        }
    }
    if (--w->working == 0 && w->ended)
        w->ended(w);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

void rovei_workers_end(rovei_workers *w, void (*ended)(rovei_workers *w))
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    w->ended = ended;
    if (w->working == 0 && ended)
        ended(w);
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void rovei_workers_stop(rovei_workers *w)
{
    rovei_workers_end(w, NULL);
    while (w->running) {
        pthread_join(w->threads[w->running - 1], NULL);
        pthread_mutex_lock(&w->lock);
        w->running--;
        pthread_mutex_unlock(&w->lock);
    }
}

rove_err rovei_workers_init(rovei_workers *w, const rove_alloc *a, unsigned count,
                            rovei_rcu_bin *bin, void (*ran)(rovei_mailbox *m))
{
    *w = (rovei_workers){.alloc = a, .bin = bin, .ran = ran};
    w->ready_end = &w->ready;
    pthread_t *threads = rovei_calloc(a, count, sizeof *threads);
    if (!threads)
        return ROVE_E_NOMEM;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->threads = threads;
    w->count = count;
    w->working = count;
    while (w->running < count && rovei_thread_start(&threads[w->running], work, w))
        w->running++;
    if (w->running < count) {
        pthread_mutex_lock(&w->lock);
        w->working -= count - w->running;
        pthread_mutex_unlock(&w->lock);
    }
    if (w->running == count)
        return ROVE_OK;
    rovei_workers_fini(w);
    return ROVE_E_IO;
}

void rovei_workers_fini(rovei_workers *w)
{
    if (!w->alloc)
        return;
    rovei_workers_stop(w);
    while (rovei_workers_drain(w, ROVEI_TURN_BUDGET))
        ;
    rovei_free(w->alloc, w->threads, w->count * sizeof *w->threads);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    *w = (rovei_workers){0};
}

bool rovei_workers_push(rovei_workers *w, rovei_mailbox *first, size_t count)
{
    pthread_mutex_lock(&w->lock);
    bool was_empty = !w->ready;
    *w->ready_end = first;
    while (*w->ready_end)
        w->ready_end = &(*w->ready_end)->ready_next;
    bool tell = w->running == 0 && was_empty;
    if (w->idle && count == 1)
        pthread_cond_signal(&w->wake);
    else if (w->idle)
        pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    return tell;
}

void rovei_workers_chore(rovei_workers *w)
{
    pthread_mutex_lock(&w->lock);
    w->chore = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

bool rovei_workers_drain(rovei_workers *w, unsigned turns)
{
    for (; turns; turns--) {
        pthread_mutex_lock(&w->lock);
        rovei_mailbox *m = pop(w);
        pthread_mutex_unlock(&w->lock);
        if (!m)
            return false;
        rovei_mailbox_run(m, ROVEI_TURN_BUDGET);
        w->ran(m);
    }
    return true;
}
