/* SPDX-License-Identifier: Apache-2.0
 *
 * What this node announces, to whom and when; and who its peers are. */
#include <base/alloc.h>
#include <base/buf.h>
#include <capability/gossip_inside.h>
#include <string.h>

#define WINDOW     (10 * ROVE_SECOND)
#define REANNOUNCE ROVEI_GOSSIP_REANNOUNCE
#define DEBOUNCE   (100 * ROVE_MILLISECOND)
#define GC         (60 * ROVE_SECOND)
#define SWEEP      (500 * ROVE_MILLISECOND)

rove_err rovei_gossip_new(rovei_gossip **ret, const rovei_gossip_config *cfg, rovei_now now)
{
    const rovei_env *env = cfg->env;
    rovei_gossip *g = ROVEI_NEW(&env->alloc, rovei_gossip);
    if (!g)
        return ROVE_E_NOMEM;
    uint64_t seed = rovei_rng_u64(&env->rng);
    g->env = env;
    g->alloc = &env->alloc;
    g->identity = rovei_keypair_ref(cfg->identity);
    g->self = rovei_keypair_node_id(cfg->identity);
    g->index = cfg->index;
    g->take_unsigned = cfg->take_unsigned;
    g->ttl = ROVEI_CAPABILITY_TTL;
    g->last_version = cfg->last_version;
    g->change_at = ROVE_TIME_NEVER;
    g->reannounce_at = ROVE_TIME_NEVER; /* until there is something to announce */
    g->gc_at = rovei_time_add(now.mono, GC);
    g->late_at = ROVE_TIME_NEVER;
    rovei_list_init(&g->late);
    rovei_caps_draft_init(&g->set, g->alloc);
    rovei_list_init(&g->peers);
    rovei_list_init(&g->outs);
    rovei_gossip_source_init(&g->orphans);
    rovei_map_init(&g->peer_map, g->alloc, sizeof(uint64_t), seed);
    rovei_map_init(&g->nodes, g->alloc, sizeof(uint64_t), seed);
    rovei_map_init_inside(&g->seen, g->alloc, sizeof(gossip_seen_key), offsetof(gossip_seen, key),
                          seed);
    *ret = g;
    return ROVE_OK;
}

static void free_out(rovei_gossip *g, gossip_out *o)
{
    rovei_list_remove(&o->link);
    rove_buf_unref(o->text);
    rovei_free(g->alloc, o, sizeof *o + o->count * sizeof *o->to);
}

void rovei_gossip_free(rovei_gossip *g)
{
    if (!g)
        return;
    ROVEI_LIST_EACH (it, next, &g->outs)
        free_out(g, ROVEI_CONTAINER(it, gossip_out, link));
    rovei_gossip_free_tables(g);
    rovei_caps_draft_fini(&g->set);
    rovei_announcement_unref(g->own);
    rove_buf_unref(g->own_text);
    rovei_keypair_unref(g->identity);
    ROVEI_DELETE(g->alloc, g);
}

/* ---- out ---- */

static gossip_out *new_out(rovei_gossip *g, rove_buf *text, size_t room)
{
    gossip_out *o = rovei_calloc(g->alloc, 1, sizeof *o + room * sizeof *o->to);
    if (!o)
        return NULL;
    o->text = rove_buf_ref(text);
    o->count = room; /* also the size of the block: places that are not used stay 0 */
    rovei_list_add_tail(&g->outs, &o->link);
    return o;
}

gossip_out *rovei_gossip_send(rovei_gossip *g, rove_buf *text, uint64_t to)
{
    gossip_out *o = new_out(g, text, 1);
    if (o)
        o->to[0] = to;
    return o;
}

void rovei_gossip_spread(rovei_gossip *g, rove_buf *text, bool forwarded, uint64_t but,
                         uint64_t nor)
{
    gossip_out *o = g->peer_map.count ? new_out(g, text, g->peer_map.count) : NULL;
    if (!o)
        return;
    size_t n = 0;
    o->forwarded = forwarded;
    ROVEI_LIST_EACH (it, next, &g->peers) {
        const gossip_peer *p = ROVEI_CONTAINER(it, gossip_peer, link);
        if (p->id != but && p->id != nor)
            o->to[n++] = p->id;
    }
}

bool rovei_gossip_poll(rovei_gossip *g, uint64_t *ret_to, rove_buf **ret_text)
{
    while (!rovei_list_empty(&g->outs)) {
        gossip_out *o = ROVEI_CONTAINER(g->outs.next, gossip_out, link);
        uint64_t to = o->next < o->count ? o->to[o->next++] : 0;
        if (!to) {
            free_out(g, o);
            continue;
        }
        if (!rovei_map_get(&g->peer_map, &to))
            continue; /* gone meanwhile */
        g->stats.sent++;
        g->stats.forwarded += o->forwarded;
        g->stats.late += o->late;
        *ret_to = to;
        *ret_text = rove_buf_ref(o->text);
        return true;
    }
    return false;
}

/* ---- what this node announces ---- */

static rove_err make(const rovei_gossip *g, rovei_now now, const rovei_caps *set, uint64_t version,
                     rovei_announcement **ret, rove_buf **ret_text)
{
    uint8_t text[ROVEI_ANNOUNCEMENT_MAX];
    rovei_announcement *a;
    rove_err err =
        rovei_announcement_new(&a, g->alloc,
                               &(rovei_announcement){.node_id = g->self,
                                                     .entity = *rovei_keypair_entity(g->identity),
                                                     .version = version,
                                                     .timestamp = now.wall,
                                                     .ttl = g->ttl,
                                                     .set = *set});
    if (err)
        return err;
    err = rovei_announcement_sign(a, g->identity);
    size_t size = err ? 0 : rovei_announcement_write(a, 0, text, sizeof text);
    rove_buf *buf = size ? rovei_buf_copy(g->alloc, text, size) : NULL;
    if (!err && !size)
        err = ROVE_E_TOO_LARGE;
    if (!err && !buf)
        err = ROVE_E_NOMEM;
    if (err) {
        rovei_announcement_unref(a);
        return err;
    }
    *ret = a;
    *ret_text = buf;
    return ROVE_OK;
}

rove_err rovei_gossip_set(rovei_gossip *g, rovei_now now, const rovei_caps *s)
{
    if (g->own && rovei_caps_equal(&g->set.set, s))
        return ROVE_OK;
    rovei_caps_draft copy;
    rovei_caps_draft_init(&copy, g->alloc);
    rove_err err = rovei_caps_merge(&copy, s);
    rovei_announcement *a = NULL;
    rove_buf *text = NULL;
    if (!err) /* with the longest version there is: every later one fits as well */
        err = make(g, now, &copy.set, UINT64_MAX, &a, &text);
    rovei_announcement_unref(a);
    rove_buf_unref(text);
    if (err) {
        rovei_caps_draft_fini(&copy);
        return err == ROVE_E_FULL ? ROVE_E_TOO_LARGE : err;
    }
    rovei_caps_draft_fini(&g->set);
    g->set = copy;
    g->change_at = rovei_time_min(g->change_at, rovei_time_add(now.mono, DEBOUNCE));
    return ROVE_OK;
}

void rovei_gossip_set_ttl(rovei_gossip *g, uint32_t seconds)
{
    g->ttl = seconds ? seconds : 1;
}

static void send_own(rovei_gossip *g, rovei_now now)
{
    g->trailing = false;
    g->window_end = rovei_time_add(now.mono, WINDOW);
    rovei_gossip_spread(g, g->own_text, false, 0, 0);
}

rove_err rovei_gossip_announce(rovei_gossip *g, rovei_now now, bool at_once)
{
    uint64_t version = now.wall / ROVE_MILLISECOND;
    if (version <= g->last_version)
        version = g->last_version + 1;
    rovei_announcement *a;
    rove_buf *text;
    rove_err err = make(g, now, &g->set.set, version, &a, &text);
    if (err)
        return err;
    err = rovei_index_apply(g->index, now, a);
    if (err) {
        rovei_announcement_unref(a);
        rove_buf_unref(text);
        return err;
    }
    rovei_announcement_unref(g->own);
    rove_buf_unref(g->own_text);
    g->own = a;
    g->own_text = text;
    g->last_version = version;
    g->change_at = ROVE_TIME_NEVER;
    g->reannounce_at = rovei_time_add(now.mono, REANNOUNCE);
    g->stats.announced++;
    if (at_once || !g->window_end || now.mono >= g->window_end)
        send_own(g, now);
    else
        g->trailing = true;
    return ROVE_OK;
}

const rovei_announcement *rovei_gossip_own(const rovei_gossip *g)
{
    return g->own;
}

/* ---- peers ---- */

rove_err rovei_gossip_peer_up(rovei_gossip *g, rovei_now now, uint64_t node_id,
                              const rove_entity *proved)
{
    gossip_peer *p = rovei_map_get(&g->peer_map, &node_id);
    if (!p) {
        if (g->peer_map.count >= g->env->limits.peers_max)
            return ROVE_E_FULL;
        p = ROVEI_NEW(g->alloc, gossip_peer);
        if (!p)
            return ROVE_E_NOMEM;
        p->id = node_id;
        rove_err err = rovei_map_put(&g->peer_map, &node_id, p);
        if (err) {
            ROVEI_DELETE(g->alloc, p);
            return err;
        }
        rovei_gossip_source_init(&p->from);
        rovei_list_init(&p->late);
        rovei_list_add_tail(&g->peers, &p->link);
    }
    if (proved) {
        p->pinned = true;
        p->entity = *proved;
        rovei_gossip_late_begin(g, now, p);
    }
    if (g->own_text)
        (void)rovei_gossip_send(g, g->own_text, node_id);
    return ROVE_OK;
}

void rovei_gossip_peer_gone(rovei_gossip *g, rovei_now now, uint64_t node_id)
{
    (void)now;
    gossip_peer *p = rovei_map_remove(&g->peer_map, &node_id);
    if (!p)
        return;
    rovei_gossip_orphan(g, &p->from);
    if (p->heard) /* so that the same is taken when it comes back: it says it to a new session */
        rovei_gossip_forget_seen(g, &(gossip_seen_key){node_id, p->heard_version, true});
    rovei_list_remove(&p->link);
    rovei_list_remove(&p->late);
    ROVEI_DELETE(g->alloc, p);
    gossip_node *n = rovei_map_get(&g->nodes, &node_id);
    if (n) {
        rovei_gossip_drop_node(g, n);
        rovei_index_evict(g->index, node_id);
    }
}

bool rovei_gossip_pinned(const rovei_gossip *g, uint64_t node_id, rove_entity *ret)
{
    const gossip_peer *p = rovei_map_get(&g->peer_map, &node_id);
    if (!p || !p->pinned)
        return false;
    *ret = p->entity;
    return true;
}

/* ---- time ---- */

uint64_t rovei_gossip_deadline(const rovei_gossip *g)
{
    uint64_t at = rovei_time_min(g->change_at, g->reannounce_at);
    at = rovei_time_min(at, g->late_at);
    if (g->trailing)
        at = rovei_time_min(at, g->window_end);
    if (g->seen.count)
        at = rovei_time_min(at, g->gc_at);
    uint64_t ends = rovei_index_deadline(g->index);
    if (ends != ROVE_TIME_NEVER)
        at = rovei_time_min(at, ends > g->sweep_at ? ends : g->sweep_at);
    return at;
}

void rovei_gossip_expire(rovei_gossip *g, rovei_now now)
{
    if (now.mono >= rovei_index_deadline(g->index) && now.mono >= g->sweep_at) {
        rovei_gossip_sweep(g, now);
        g->sweep_at = rovei_time_add(now.mono, SWEEP);
    }
    if (now.mono >= g->gc_at) {
        rovei_gossip_collect(g, now);
        g->gc_at = rovei_time_add(now.mono, GC);
    }
    if ((now.mono >= g->change_at || now.mono >= g->reannounce_at) &&
        rovei_gossip_announce(g, now, false)) { /* out of memory: later */
        g->change_at = rovei_time_add(now.mono, WINDOW);
        g->reannounce_at = rovei_time_add(now.mono, REANNOUNCE);
    }
    if (g->trailing && now.mono >= g->window_end)
        send_own(g, now);
    if (now.mono >= g->late_at)
        rovei_gossip_late_turn(g, now);
}

rovei_gossip_stats rovei_gossip_stats_get(const rovei_gossip *g)
{
    rovei_gossip_stats s = g->stats;
    s.nodes = g->nodes.count;
    s.seen = g->seen.count;
    s.text_bytes = g->text_bytes;
    ROVEI_LIST_EACH (it, next, &g->peers)
        s.pins += ROVEI_CONTAINER(it, gossip_peer, link)->pinned;
    return s;
}

const char *rovei_gossip_drop_name(rovei_gossip_drop d)
{
    static const char *const names[] = {
#define NAME(id, name) [ROVEI_GOSSIP_DROP_##id] = (name),
        ROVEI_GOSSIP_DROP_LIST(NAME)
#undef NAME
    };
    return d < ROVEI_GOSSIP_DROP_COUNT ? names[d] : "?";
}
