/* SPDX-License-Identifier: Apache-2.0
 *
 * A queue of lookups and the thread that does them. */
#include <host/thread.h>
#include <shell/resolver.h>

void rovei_resolver_init(rovei_resolver *r)
{
    *r = (rovei_resolver){0};
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    r->end = &r->first;
}

/* Under the lock. */
static rovei_lookup *pop(rovei_resolver *r)
{
    rovei_lookup *lookup = r->first;
    r->first = lookup->next;
    if (!r->first)
        r->end = &r->first;
    return lookup;
}

static void *resolve(void *arg)
{
    rovei_resolver *r = arg;
    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        if (!r->first) {
            pthread_cond_wait(&r->changed, &r->lock);
            continue;
        }
        rovei_lookup *lookup = pop(r);
        pthread_mutex_unlock(&r->lock);
        lookup->err = rovei_address_parse(lookup->address, true, &lookup->found);
        lookup->done(lookup);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* Under the lock. */
static bool start(rovei_resolver *r)
{
    r->running = rovei_thread_start(&r->thread, resolve, r);
    return r->running;
}

rove_err rovei_resolver_ask(rovei_resolver *r, rovei_lookup *lookup)
{
    rove_err err = ROVE_OK;
    pthread_mutex_lock(&r->lock);
    if (r->stop)
        err = ROVE_E_SHUTTING_DOWN;
    else if (!r->running && !start(r))
        err = ROVE_E_IO;
    if (err == ROVE_OK) {
        lookup->next = NULL;
        *r->end = lookup;
        r->end = &lookup->next;
        pthread_cond_signal(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return err;
}

void rovei_resolver_stop(rovei_resolver *r)
{
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    if (r->running)
        pthread_join(r->thread, NULL);
    r->running = false;
    while (r->first) {
        rovei_lookup *lookup = pop(r);
        lookup->err = ROVE_E_SHUTTING_DOWN;
        lookup->done(lookup);
    }
}

void rovei_resolver_fini(rovei_resolver *r)
{
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
}
