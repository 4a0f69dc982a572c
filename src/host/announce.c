/* SPDX-License-Identifier: Apache-2.0
 *
 * What a runtime has its node announce: the kinds of which it takes daemons in, and that it is
 * cordoned. docs/protocol/capabilities.md, "Tags". */
#include <capability/set.h>
#include <capability/tag.h>
#include <host/host.h>
#include <node/node.h>
#include <stdio.h>

#define KIND "rove:kind:"

void rovei_host_announce_later(struct rovei_host *h)
{
    atomic_store(&h->announce, true);
    rovei_host_kick(h);
}

static rove_err add_kinds(struct rovei_host *h, rovei_caps_draft *d)
{
    rove_err err = ROVE_OK;
    const rovei_made_of *m;
    pthread_mutex_lock(&h->lock);
    bool ready = rovei_host_gate(h) == ROVE_OK;
    for (size_t it = 0; ready && !err && (m = rovei_factory_kind_next(&h->factory, &it));) {
        char tag[sizeof KIND + ROVE_KIND_NAME_MAX];
        if (!rovei_factory_accepts(&h->factory, m->name))
            continue;
        (void)snprintf(tag, sizeof tag, KIND "%s", m->name);
        err = rovei_caps_add(d, rovei_span_of(tag));
    }
    pthread_mutex_unlock(&h->lock);
    return err;
}

/* Kinds that fit into no announcement are left out, all of them: half of them would be arbitrary.
 */
static rove_err announce(struct rovei_host *h, rovei_node *core, rovei_now now, bool kinds)
{
    rovei_caps_draft d;
    rovei_caps_draft_init(&d, h->alloc);
    rove_err err = kinds ? add_kinds(h, &d) : ROVE_OK;
    if (!err && atomic_load(&h->cordoned))
        err = rovei_caps_add(&d, rovei_span_of("rove:cordoned"));
    if (!err)
        err = rovei_node_announce_own(core, now, &d.set);
    rovei_caps_draft_fini(&d);
    return err;
}

void rovei_host_announce(struct rovei_host *h, rovei_node *core, rovei_now now)
{
    if (!atomic_exchange(&h->announce, false))
        return;
    rove_err err = announce(h, core, now, true);
    if (err && err != ROVE_E_NOMEM)
        err = announce(h, core, now, false);
    if (err == ROVE_E_NOMEM)
        atomic_store(&h->announce, true); /* a later turn tries again */
}
