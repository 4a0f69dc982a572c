/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting the calls that are under way. */
#include <base/alloc.h>
#include <shell/node.h>
#include <shell/pending.h>
#include <string.h>

void rovei_pendings_init(rovei_pendings *p, rove_node *node)
{
    p->node = node;
    p->idle = NULL;
    atomic_init(&p->count, 0);
    atomic_init(&p->calls, 0);
    atomic_init(&p->events, 0);
    atomic_init(&p->bytes, 0);
    atomic_init(&p->closing, false);
}

void rovei_pendings_close(rovei_pendings *p, rovei_task *idle)
{
    atomic_store(&p->closing, true);
    if (atomic_load(&p->count))
        p->idle = idle;
    else
        rovei_postbox_post(rovei_node_postbox(p->node), idle);
}

bool rovei_pendings_closed(const rovei_pendings *p)
{
    return atomic_load(&p->closing);
}

/* Both count first and look then, so that two at once never pass the bound together. */
static bool admit_event(rovei_pendings *p, const rove_limits *limits, uint64_t bytes)
{
    size_t events = atomic_fetch_add(&p->events, 1);
    uint64_t held = atomic_fetch_add(&p->bytes, bytes);
    /* One event always may, however large it is beside the bound. */
    return events < limits->pending_events && (!held || held + bytes <= limits->pending_bytes);
}

static bool admit_call(rovei_pendings *p, const rove_limits *limits)
{
    return atomic_fetch_add(&p->calls, 1) < limits->pending_calls;
}

static size_t release(rovei_pendings *p, uint64_t bytes)
{
    if (bytes) {
        atomic_fetch_sub(&p->bytes, bytes);
        atomic_fetch_sub(&p->events, 1);
    } else {
        atomic_fetch_sub(&p->calls, 1);
    }
    return atomic_fetch_sub(&p->count, 1) - 1;
}

rove_err rovei_pending_new(void *ret, rovei_pendings *owner, size_t size, const size_t *event)
{
    const rovei_env *env = rovei_node_env(owner->node);
    uint64_t bytes = event ? (uint64_t)*event + 1 : 0;
    if (rovei_pendings_closed(owner))
        return ROVE_E_SHUTTING_DOWN;
    atomic_fetch_add(&owner->count, 1);
    bool room = event ? admit_event(owner, &env->limits, bytes) : admit_call(owner, &env->limits);
    rovei_pending *p = room ? rovei_calloc(&env->alloc, 1, size) : NULL;
    if (!p) {
        (void)release(owner, bytes);
        return room ? ROVE_E_NOMEM : ROVE_E_FULL;
    }
    p->owner = owner;
    p->size = size;
    p->bytes = bytes;
    memcpy(ret, &p, sizeof p); /* a pointer to whatever the object is */
    return ROVE_OK;
}

void rovei_pending_post(rovei_pending *p,
                        void (*run)(rovei_task *task, rovei_node *core, rovei_now now))
{
    p->task.run = run;
    rovei_postbox_post(rovei_node_postbox(p->owner->node), &p->task);
}

static void discard(rovei_pending *p)
{
    rovei_free(&rovei_node_env(p->owner->node)->alloc, p, p->size);
}

void rovei_pending_end(rovei_pending *p)
{
    rovei_pendings *owner = p->owner;
    uint64_t bytes = p->bytes;
    discard(p);
    if (release(owner, bytes) || !owner->idle)
        return;
    rovei_task *idle = owner->idle;
    owner->idle = NULL;
    rovei_postbox_post(rovei_node_postbox(owner->node), idle);
}

void rovei_pending_drop(rovei_pending *p)
{
    rovei_pendings *owner = p->owner;
    uint64_t bytes = p->bytes;
    discard(p);
    (void)release(owner, bytes);
}
