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

static rove_err admit(rovei_pendings *p, uint64_t bytes)
{
    const rove_limits *limits = &rovei_node_env(p->node)->limits;
    if (atomic_load(&p->closing))
        return ROVE_E_SHUTTING_DOWN;
    size_t count = atomic_fetch_add(&p->count, 1);
    uint64_t held = atomic_fetch_add(&p->bytes, bytes);
    /* One event always may, however large it is beside the bound. */
    if (count < limits->pending_calls && (!held || held + bytes <= limits->pending_bytes))
        return ROVE_OK;
    atomic_fetch_sub(&p->bytes, bytes);
    atomic_fetch_sub(&p->count, 1);
    return ROVE_E_FULL;
}

rove_err rovei_pending_new(void *ret, rovei_pendings *owner, size_t size, uint64_t bytes)
{
    rove_err err = admit(owner, bytes);
    if (err)
        return err;
    rovei_pending *p = rovei_calloc(&rovei_node_env(owner->node)->alloc, 1, size);
    if (!p) {
        atomic_fetch_sub(&owner->bytes, bytes);
        atomic_fetch_sub(&owner->count, 1);
        return ROVE_E_NOMEM;
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

/* The count after it. */
static size_t release(rovei_pending *p)
{
    rovei_pendings *owner = p->owner;
    uint64_t bytes = p->bytes;
    rovei_free(&rovei_node_env(owner->node)->alloc, p, p->size);
    atomic_fetch_sub(&owner->bytes, bytes);
    return atomic_fetch_sub(&owner->count, 1) - 1;
}

void rovei_pending_end(rovei_pending *p)
{
    rovei_pendings *owner = p->owner;
    if (release(p) || !owner->idle)
        return;
    rovei_task *idle = owner->idle;
    owner->idle = NULL;
    rovei_postbox_post(rovei_node_postbox(owner->node), idle);
}

void rovei_pending_drop(rovei_pending *p)
{
    (void)release(p);
}
