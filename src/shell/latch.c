/* SPDX-License-Identifier: Apache-2.0
 *
 * Latches. */
#include <shell/call.h>
#include <shell/latch.h>

void rovei_latch_init(rovei_latch *l)
{
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->opened, NULL);
    l->open = false;
}

void rovei_latch_open(rovei_latch *l)
{
    pthread_mutex_lock(&l->lock);
    l->open = true;
    pthread_cond_signal(&l->opened);
    pthread_mutex_unlock(&l->lock);
}

static bool is_open(void *arg)
{
    rovei_latch *l = arg;
    pthread_mutex_lock(&l->lock);
    bool open = l->open;
    pthread_mutex_unlock(&l->lock);
    return open;
}

void rovei_latch_wait(rovei_latch *l, rove_node *node)
{
    if (!is_open(l) && rovei_node_on_loop(node))
        (void)rovei_node_drive(node, is_open, l);
    pthread_mutex_lock(&l->lock);
    while (!l->open)
        pthread_cond_wait(&l->opened, &l->lock);
    pthread_mutex_unlock(&l->lock);
    pthread_cond_destroy(&l->opened);
    pthread_mutex_destroy(&l->lock);
}
