/* SPDX-License-Identifier: Apache-2.0
 *
 * A lock-free stack of tasks that the loop thread takes whole and turns round. The wake is one
 * eventfd write per burst: only the poster that finds the loop asleep, or going to sleep, writes.
 */
#include <errno.h>
#include <shell/postbox.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

rove_err rovei_postbox_init(rovei_postbox *p)
{
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->wake_fd < 0)
        return ROVE_E_IO;
    atomic_init(&p->head, NULL);
    atomic_init(&p->awake, true);
    p->armed = false;
    p->unread = 0;
    return ROVE_OK;
}

void rovei_postbox_fini(rovei_postbox *p)
{
    if (p->wake_fd >= 0)
        close(p->wake_fd);
    p->wake_fd = -1;
}

void rovei_postbox_wake(rovei_postbox *p)
{
    if (atomic_exchange(&p->awake, true))
        return;
    uint64_t one = 1;
    while (write(p->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void rovei_postbox_post(rovei_postbox *p, rovei_task *task)
{
    rovei_task *head = atomic_load_explicit(&p->head, memory_order_relaxed);
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak(&p->head, &head, task));
    rovei_postbox_wake(p);
}

bool rovei_postbox_run(rovei_postbox *p, rovei_node *node, rovei_now now)
{
    rovei_task *taken = atomic_exchange(&p->head, NULL), *first = NULL;
    while (taken) { /* newest first -> oldest first */
        rovei_task *next = taken->next;
        taken->next = first;
        first = taken;
        taken = next;
    }
    bool any = first != NULL;
    while (first) {
        rovei_task *next = first->next;
        first->run(first, node, now);
        first = next;
    }
    return any;
}

bool rovei_postbox_may_sleep(rovei_postbox *p)
{
    if (atomic_exchange(&p->awake, false) && p->armed)
        p->unread++; /* it was to sleep already, and somebody woke it */
    p->armed = true;
    /* A poster that pushed before that saw `awake` and did not write: look again. */
    if (!atomic_load(&p->head))
        return true;
    rovei_postbox_woken(p);
    return false;
}

void rovei_postbox_woken(rovei_postbox *p)
{
    if (p->armed && atomic_exchange(&p->awake, true))
        p->unread++;
    p->armed = false;
}

void rovei_postbox_read(rovei_postbox *p)
{
    uint64_t count = 0;
    if (p->unread && read(p->wake_fd, &count, sizeof count) == sizeof count)
        p->unread -= count;
}
