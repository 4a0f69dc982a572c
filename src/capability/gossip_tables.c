/* SPDX-License-Identifier: Apache-2.0
 *
 * What gossip remembers, and who gives way when there is no more room. */
#include <base/alloc.h>
#include <base/check.h>
#include <capability/gossip_inside.h>

#define SEEN_KEEP (600 * ROVE_SECOND)

void rovei_gossip_source_init(gossip_source *s)
{
    rovei_list_init(&s->nodes);
    rovei_list_init(&s->seen);
    rovei_list_init(&s->texts);
}

void rovei_gossip_orphan(rovei_gossip *g, gossip_source *s)
{
    ROVEI_LIST_EACH (it, next, &s->nodes) {
        rovei_list_remove(it);
        rovei_list_add_tail(&g->orphans.nodes, it);
        ROVEI_CONTAINER(it, gossip_node, link)->from = &g->orphans;
    }
    ROVEI_LIST_EACH (it, next, &s->seen) {
        rovei_list_remove(it);
        rovei_list_add_tail(&g->orphans.seen, it);
        ROVEI_CONTAINER(it, gossip_seen, link)->from = &g->orphans;
    }
    ROVEI_LIST_EACH (it, next, &s->texts) {
        rovei_list_remove(it);
        rovei_list_add_tail(&g->orphans.texts, it);
    }
    g->orphans.text_bytes += s->text_bytes;
    s->text_bytes = 0;
    g->orphans.node_count += s->node_count;
    g->orphans.seen_count += s->seen_count;
    s->node_count = s->seen_count = 0;
}

static uint64_t held(const gossip_source *s, gossip_share of)
{
    return of == GOSSIP_NODES ? s->node_count : of == GOSSIP_SEEN ? s->seen_count : s->text_bytes;
}

gossip_source *rovei_gossip_largest(rovei_gossip *g, gossip_share of)
{
    gossip_source *most = &g->orphans;
    ROVEI_LIST_EACH (it, next, &g->peers) {
        gossip_source *s = &ROVEI_CONTAINER(it, gossip_peer, link)->from;
        if (held(s, of) > held(most, of))
            most = s;
    }
    return most;
}

/* ---- seen ---- */

static void drop_seen(rovei_gossip *g, gossip_seen *s)
{
    rovei_map_remove(&g->seen, &s->key);
    rovei_list_remove(&s->link);
    s->from->seen_count--;
    ROVEI_DELETE(g->alloc, s);
}

bool rovei_gossip_was_seen(const rovei_gossip *g, const gossip_seen_key *key)
{
    return rovei_map_get(&g->seen, key) != NULL;
}

rove_err rovei_gossip_note_seen(rovei_gossip *g, rovei_now now, gossip_source *from,
                                const gossip_seen_key *key)
{
    if (g->seen.count >= g->env->limits.capability_seen) {
        gossip_source *most = rovei_gossip_largest(g, GOSSIP_SEEN);
        drop_seen(g, ROVEI_CONTAINER(most->seen.next, gossip_seen, link));
    }
    gossip_seen *s = ROVEI_NEW(g->alloc, gossip_seen);
    if (!s)
        return ROVE_E_NOMEM;
    *s = (gossip_seen){.from = from, .key = *key, .at = now.mono};
    rove_err err = rovei_map_put(&g->seen, &s->key, s);
    if (err) {
        ROVEI_DELETE(g->alloc, s);
        return err;
    }
    rovei_list_add_tail(&from->seen, &s->link);
    from->seen_count++;
    return ROVE_OK;
}

void rovei_gossip_forget_seen(rovei_gossip *g, const gossip_seen_key *key)
{
    gossip_seen *s = rovei_map_get(&g->seen, key);
    if (s)
        drop_seen(g, s);
}

static void collect_of(rovei_gossip *g, rovei_now now, gossip_source *from)
{
    ROVEI_LIST_EACH (it, next, &from->seen) {
        gossip_seen *s = ROVEI_CONTAINER(it, gossip_seen, link);
        if (now.mono - s->at >= SEEN_KEEP)
            drop_seen(g, s);
    }
}

void rovei_gossip_collect(rovei_gossip *g, rovei_now now)
{
    collect_of(g, now, &g->orphans);
    ROVEI_LIST_EACH (it, next, &g->peers)
        collect_of(g, now, &ROVEI_CONTAINER(it, gossip_peer, link)->from);
}

/* ---- nodes ---- */

void rovei_gossip_drop_node(rovei_gossip *g, gossip_node *n)
{
    rovei_gossip_keep_text(g, n, NULL);
    rovei_map_remove(&g->nodes, &n->id);
    rovei_list_remove(&n->link);
    n->from->node_count--;
    ROVEI_DELETE(g->alloc, n);
}

bool rovei_gossip_make_room(rovei_gossip *g, const gossip_source *from)
{
    if (g->nodes.count < g->env->limits.capability_nodes)
        return true;
    gossip_source *most = rovei_gossip_largest(g, GOSSIP_NODES);
    if (most->node_count <= from->node_count)
        return false;
    /* The one that it brought last: what has been there for long stays. */
    gossip_node *last = ROVEI_CONTAINER(most->nodes.prev, gossip_node, link);
    rovei_index_evict(g->index, last->id);
    rovei_gossip_drop_node(g, last);
    g->stats.displaced++;
    return true;
}

rove_err rovei_gossip_keep_node(rovei_gossip *g, rovei_now now, gossip_source *from,
                                const rovei_announcement *a, rove_buf *text)
{
    gossip_node *n = rovei_map_get(&g->nodes, &a->node_id);
    gossip_node *fresh = n ? NULL : ROVEI_NEW(g->alloc, gossip_node);
    if (!n && !fresh)
        return ROVE_E_NOMEM;
    rove_err err = rovei_index_apply(g->index, now, a);
    if (!err && fresh) {
        fresh->id = a->node_id;
        err = rovei_map_put(&g->nodes, &fresh->id, fresh);
        if (err)
            rovei_index_evict(g->index, a->node_id);
    }
    if (err) {
        if (fresh)
            ROVEI_DELETE(g->alloc, fresh);
        return err;
    }
    if (fresh) {
        n = fresh;
        n->from = from;
        rovei_list_init(&n->text_link);
        rovei_list_add_tail(&from->nodes, &n->link);
        from->node_count++;
    }
    n->version = a->version;
    n->came = now.mono;
    rovei_gossip_keep_text(g, n, text);
    return ROVE_OK;
}

void rovei_gossip_sweep(rovei_gossip *g, rovei_now now)
{
    rovei_index_expire(g->index, now);
    gossip_source *s = &g->orphans;
    rovei_list *peer = &g->peers;
    while (s) {
        ROVEI_LIST_EACH (it, next, &s->nodes) {
            gossip_node *n = ROVEI_CONTAINER(it, gossip_node, link);
            if (!rovei_index_get(g->index, n->id)) {
                rovei_gossip_drop_node(g, n);
                g->stats.expired++;
            }
        }
        peer = peer->next;
        s = peer == &g->peers ? NULL : &ROVEI_CONTAINER(peer, gossip_peer, link)->from;
    }
}

void rovei_gossip_free_tables(rovei_gossip *g)
{
    ROVEI_LIST_EACH (it, next, &g->peers) {
        gossip_peer *p = ROVEI_CONTAINER(it, gossip_peer, link);
        rovei_gossip_orphan(g, &p->from);
        ROVEI_DELETE(g->alloc, p);
    }
    ROVEI_LIST_EACH (it, next, &g->orphans.nodes)
        rovei_gossip_drop_node(g, ROVEI_CONTAINER(it, gossip_node, link));
    ROVEI_LIST_EACH (it, next, &g->orphans.seen)
        drop_seen(g, ROVEI_CONTAINER(it, gossip_seen, link));
    rovei_map_fini(&g->peer_map);
    rovei_map_fini(&g->nodes);
    rovei_map_fini(&g->seen);
}

void rovei_gossip_check(const rovei_gossip *g)
{
    uint64_t nodes = g->orphans.node_count, seen = g->orphans.seen_count;
    uint64_t bytes = g->orphans.text_bytes;
    ROVEI_LIST_EACH (it, next, &g->peers) {
        const gossip_peer *p = ROVEI_CONTAINER(it, gossip_peer, link);
        nodes += p->from.node_count;
        seen += p->from.seen_count;
        bytes += p->from.text_bytes;
    }
    ROVEI_CHECK(nodes == g->nodes.count && seen == g->seen.count);
    ROVEI_CHECK(bytes == g->text_bytes && bytes <= g->env->limits.capability_texts);
    ROVEI_CHECK(nodes <= g->env->limits.capability_nodes);
    ROVEI_CHECK(seen <= g->env->limits.capability_seen);
}
