/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls into the node's own thread. */
#include <base/list.h>
#include <pthread.h>
#include <shell/call.h>

typedef struct waiting_call {
    rovei_task task;
    rovei_call_fn *fn;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
} waiting_call;

static void run_call(rovei_task *task, rovei_node *core, rovei_now now)
{
    waiting_call *c = ROVEI_CONTAINER(task, waiting_call, task);
    c->fn(c->arg, core, now);
    /* Signalled under the lock: the caller's stack must not go before the last touch. */
    pthread_mutex_lock(&c->lock);
    c->done = true;
    pthread_cond_signal(&c->ended);
    pthread_mutex_unlock(&c->lock);
}

static bool is_done(void *arg)
{
    waiting_call *c = arg;
    pthread_mutex_lock(&c->lock);
    bool done = c->done;
    pthread_mutex_unlock(&c->lock);
    return done;
}

static void call_in_order(rove_node *node, rovei_call_fn *fn, void *arg)
{
    waiting_call c = {.task.run = run_call, .fn = fn, .arg = arg};
    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.ended, NULL);
    rovei_postbox_post(rovei_node_postbox(node), &c.task);
    bool driven = rovei_node_on_loop(node) && rovei_node_drive(node, is_done, &c);
    pthread_mutex_lock(&c.lock);
    while (!driven && !c.done)
        pthread_cond_wait(&c.ended, &c.lock);
    pthread_mutex_unlock(&c.lock);
    pthread_cond_destroy(&c.ended);
    pthread_mutex_destroy(&c.lock);
}

void rovei_node_call(rove_node *node, rovei_call_fn *fn, void *arg)
{
    if (!rovei_node_call_in_place(node, fn, arg))
        call_in_order(node, fn, arg);
}
