/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots that another node orders of this one: TakeSnapshot. Whoever gets one gets the daemon's
 * state and, sealed to the target, its key; so policy comes first, whose default is to refuse, and
 * the answer to a refusal is the same whether the daemon is here or not. */
#include <base/alloc.h>
#include <migration/net_source.h>
#include <string.h>

/* Questions to policy that may be open. */
#define ASKED_MAX 64

struct rovei_net_asked {
    uint64_t ticket, from, origin, target;
};

void rovei_net_asked_free(struct rovei_net_moves *m)
{
    rovei_free(m->node->alloc, m->asked, m->asked_room * sizeof *m->asked);
}

/* ---- answers ---- */

static void refuse(rovei_node *n, rovei_now now, uint64_t from, uint64_t origin)
{
    rovei_text text = {0};
    rovei_text_add(&text, "migration refused: node ");
    rovei_text_add_hex(&text, from);
    rovei_text_add(&text, " is not an authorized orchestrator for this node");
    rovei_netmove_refused(n, ROVEI_NETMOVE_TAKE_SNAPSHOT);
    rovei_netmove_say_failed(n, now, from, origin, ROVE_E_REFUSED, text.chars);
}

static void not_found(rovei_node *n, rovei_now now, uint64_t from, uint64_t origin)
{
    rovei_text text = {0};
    rovei_text_add(&text, "daemon ");
    rovei_text_add_hex(&text, origin);
    rovei_text_add(&text, " not found");
    rovei_netmove_say_failed(n, now, from, origin, ROVE_E_STATE_FAILED, text.chars);
}

void rovei_net_source_no_key_text(uint64_t target, rovei_text *ret)
{
    rovei_text_set(ret, "identity transport requested but peer X25519 static for ");
    rovei_text_add_hex(ret, target);
    rovei_text_add(ret,
                   " is unknown (e.g. NKpsk0-responder side) \xe2\x80\x94 cannot seal envelope; "
                   "use `transport_identity: false` to proceed unsealed");
}

/* ---- beginning ---- */

/* As the entity that stands for it: its own where it is a node of class rove. */
static rove_entity entity_of(const rovei_node *n, uint64_t node_id)
{
    rovei_peer_info peer;
    for (size_t it = 0; rovei_mesh_peer_next(n->mesh, &it, &peer);)
        if (peer.node_id == node_id && !rovei_entity_is_zero(&peer.entity))
            return peer.entity;
    return rovei_entity_of_net(node_id);
}

static rove_err may_begin(const rovei_node *n, rovei_daemon *d, uint64_t target, rovei_text *why)
{
    uint8_t key[32];
    rove_err err = rovei_moves_may_leave(d);
    if (!err && target == n->net_moves->self)
        err = ROVE_E_SAME_NODE;
    if (!err && (!d->key || rovei_keypair_is_read_only(d->key))) {
        rovei_text_set(why, "identity envelope seal failed: identity envelope: source keypair is "
                            "public-only; cannot attest");
        return ROVE_E_IDENTITY_TRANSPORT;
    }
    if (!err && (err = rovei_net_source_key(n, target, key)))
        rovei_net_source_no_key_text(target, why);
    else if (err)
        rovei_text_set(why, rove_strerror(err));
    return err;
}

static void begin(rovei_node *n, rovei_now now, const struct rovei_net_asked *q)
{
    rovei_daemon *d = rovei_daemon_by_origin(n, q->origin);
    struct rovei_net_source *s;
    rovei_text why = {0};
    if (!d) {
        not_found(n, now, q->from, q->origin);
        return;
    }
    rovei_net_roles roles = {n->net_moves->self, q->target, q->from};
    rove_err err = may_begin(n, d, q->target, &why);
    if (err) {
        bool busy = err == ROVE_E_ALREADY_MIGRATING;
        rovei_netmove_say_failed(n, now, q->from, q->origin, busy ? err : ROVE_E_STATE_FAILED,
                                 why.chars);
        return;
    }
    rove_entity target = entity_of(n, q->target), orchestrator = rovei_entity_of_net(q->from);
    rovei_move_info info = rovei_moves_info(d, &target, &orchestrator, NULL);
    if (rovei_net_source_new(&s, n, now, d, &info, &roles) == ROVE_OK)
        rovei_net_source_begin(s, now); /* else as if the order had been lost */
}

/* ---- the order ---- */

/* The same order again, because the chunks or the answer were lost. */
static bool ordered_again(rovei_node *n, rovei_now now, const struct rovei_net_asked *q)
{
    rovei_daemon *d = rovei_daemon_by_origin(n, q->origin);
    struct rovei_net_source *s = d ? d->net_source : NULL;
    if (!s || s->roles.orchestrator != q->from || s->roles.target != q->target)
        return false;
    if (s->step == ROVEI_NET_SOURCE_SENT)
        rovei_net_source_resend(s, now);
    return true;
}

static bool remember(struct rovei_net_moves *m, const struct rovei_net_asked *q)
{
    void *items = m->asked;
    rove_err err = rovei_grow(m->node->alloc, &items, &m->asked_room, m->asked_count,
                              sizeof *m->asked, ASKED_MAX);
    m->asked = items;
    if (!err)
        m->asked[m->asked_count++] = *q;
    return !err;
}

void rovei_net_source_ordered(rovei_node *n, rovei_now now, uint64_t from, uint64_t origin,
                              uint64_t target)
{
    struct rovei_net_moves *m = n->net_moves;
    struct rovei_net_asked q = {.from = from, .origin = origin, .target = target};
    const rovei_daemon *d = rovei_daemon_by_origin(n, origin);
    rove_entity daemon = {{0}}, peer = rovei_entity_of_net(from);
    if (from == m->self) {
        begin(n, now, &q);
        return;
    }
    if (ordered_again(n, now, &q))
        return;
    if (m->asked_count >= ASKED_MAX)
        return; /* as if it had been lost */
    (void)!rovei_node_find_origin(n, origin, &daemon);
    q.ticket = rovei_node_ask(n, ROVEI_ASK_ORDER, &daemon, &peer, NULL, d ? d->kind : NULL);
    if (q.ticket == 0)
        refuse(n, now, from, origin);
    else if (q.ticket != UINT64_MAX)
        (void)!remember(m, &q);
}

bool rovei_net_source_answered(rovei_node *n, rovei_now now, uint64_t ticket, rove_err verdict)
{
    struct rovei_net_moves *m = n->net_moves;
    for (size_t i = 0; i < m->asked_count; i++) {
        struct rovei_net_asked q = m->asked[i];
        if (q.ticket != ticket)
            continue;
        m->asked[i] = m->asked[--m->asked_count];
        if (verdict)
            refuse(n, now, q.from, q.origin);
        else if (!ordered_again(n, now, &q))
            begin(n, now, &q);
        return true;
    }
    return false;
}
