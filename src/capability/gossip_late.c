/* SPDX-License-Identifier: Apache-2.0
 *
 * What a peer is told that comes late: announcements of others, which have gone by before its
 * session stood. They go in the order of their node ids, so few at a time that neither the link nor
 * the peer's own bound of what it looks at is filled by it. */
#include <base/alloc.h>
#include <base/buf.h>
#include <capability/gossip_inside.h>

#define STEP  (100 * ROVE_MILLISECOND)
#define BATCH 16   /* announcements for each peer and step */
#define WALK  1024 /* entries looked at for it */

/* ---- texts ---- */

void rovei_gossip_keep_text(rovei_gossip *g, gossip_node *n, rove_buf *text)
{
    uint64_t size = rovei_buf_size(text);
    if (n->text) {
        n->from->text_bytes -= rovei_buf_size(n->text);
        g->text_bytes -= rovei_buf_size(n->text);
        rovei_list_remove(&n->text_link);
        rove_buf_unref(n->text);
        n->text = NULL;
    }
    if (!text)
        return;
    while (g->text_bytes + size > g->env->limits.capability_texts) {
        gossip_source *most = rovei_gossip_largest(g, GOSSIP_TEXTS);
        rovei_gossip_keep_text(g, ROVEI_CONTAINER(most->texts.next, gossip_node, text_link), NULL);
    }
    n->text = rove_buf_ref(text);
    n->from->text_bytes += size;
    g->text_bytes += size;
    rovei_list_add_tail(&n->from->texts, &n->text_link);
}

/* ---- those who come late ---- */

void rovei_gossip_late_begin(rovei_gossip *g, rovei_now now, gossip_peer *p)
{
    if (rovei_list_empty(&g->late))
        g->late_at = rovei_time_add(now.mono, STEP);
    rovei_list_remove(&p->late);
    rovei_list_add_tail(&g->late, &p->late);
    p->up_at = now.mono;
    p->late_next = 0;
}

/* A node that lives announces itself in time: what is older is perhaps of the dead. What came since
 * the session stands was sent on to it. */
static bool wanted(const gossip_peer *p, rovei_now now, const gossip_node *n)
{
    return n && n->text && n->id != p->id && n->from != &p->from && n->came <= p->up_at &&
           now.mono - n->came < ROVEI_GOSSIP_REANNOUNCE;
}

/* False: that was all. */
static bool tell(rovei_gossip *g, rovei_now now, gossip_peer *p)
{
    for (int sent = 0, seen = 0; sent < BATCH && seen < WALK; seen++) {
        const rovei_index_entry *e = rovei_index_from(g->index, p->late_next);
        if (!e || e->node_id == UINT64_MAX)
            return false;
        const gossip_node *n = rovei_map_get(&g->nodes, &e->node_id);
        if (wanted(p, now, n)) {
            gossip_out *o = rovei_gossip_send(g, n->text, p->id);
            if (!o)
                return true; /* out of memory: from here on, later */
            o->forwarded = o->late = true;
            sent++;
        }
        p->late_next = e->node_id + 1;
    }
    return true;
}

void rovei_gossip_late_turn(rovei_gossip *g, rovei_now now)
{
    ROVEI_LIST_EACH (it, next, &g->late)
        if (!tell(g, now, ROVEI_CONTAINER(it, gossip_peer, late)))
            rovei_list_remove(it);
    g->late_at = rovei_list_empty(&g->late) ? ROVE_TIME_NEVER : rovei_time_add(now.mono, STEP);
}
