/* SPDX-License-Identifier: Apache-2.0
 *
 * Choices of this node. A candidate that cannot be reached is none; among equals the nearer one is
 * taken, in whole milliseconds, then the one that fewer moves from here are going to. */
#include <capability/placement.h>
#include <node/core.h>
#include <node/placing.h>
#include <rove/kind.h>
#include <string.h>

#define KIND_TAG "rove:kind:"

struct rovei_index *rovei_node_index(rovei_node *n)
{
    return n->index;
}

/* As what the node is spoken to; false: there is no session. */
static bool reach(const rovei_node *n, const rovei_index_entry *e, rove_entity *ret)
{
    *ret = e->entity;
    if (rovei_entity_node_id(&n->self) == e->node_id)
        *ret = n->self;
    if (rovei_node_reaches(n, ret))
        return true;
    rove_entity net = rovei_entity_of_net(e->node_id);
    if (!rovei_node_reaches(n, &net))
        return false;
    *ret = net;
    return true;
}

/* How full the node says that it is: 0 to 1. */
static double saturation_of(const rovei_caps *c)
{
    static const char key[] = "rove.saturation";
    rove_span value;
    double s = 0;
    if (!rovei_caps_meta(c, (rove_span){key, sizeof key - 1}, &value) || !rovei_decimal(value, &s))
        return 0;
    return s > 0 ? s < 1 ? s : 1 : 0;
}

static void add_percent(rovei_text *t, const char *what, double share)
{
    rovei_text_add(t, what);
    rovei_text_add_number(t, (uint64_t)(share * 100 + 0.5));
    rovei_text_add(t, "%");
}

static void rate(const rovei_placing *p, const rovei_index_entry *e, rovei_candidate *ret)
{
    rovei_standard standard = {.scope_count = 0};
    rovei_axes axes = rovei_standard_axes(&standard, e);
    size_t held = 0;
    for (size_t i = 0; i < p->prefer_count; i++)
        held += rovei_where_selects(&p->prefers[i], &e->caps, NULL);
    double liked = p->prefer_count ? 0.5 + 0.5 * (double)held / (double)p->prefer_count : 1;
    double spare = 1 - 0.5 * saturation_of(&e->caps);
    ret->score = axes.score * liked * spare;
    add_percent(&ret->why, "resources ", axes.resource);
    if (p->prefer_count)
        add_percent(&ret->why, ", preferences ", (double)held / (double)p->prefer_count);
    add_percent(&ret->why, ", saturation ", saturation_of(&e->caps));
}

/* Who can be asked to spawn a daemon of the kind. */
static bool takes_kind(const rovei_placing *p, const rovei_index_entry *e, bool is_self)
{
    char tag[sizeof KIND_TAG + ROVE_KIND_NAME_MAX];
    size_t size = p->kind ? strlen(p->kind) : 0;
    if (!p->kind || is_self)
        return !p->kind || p->has_kind;
    if (size > ROVE_KIND_NAME_MAX)
        return false;
    memcpy(tag, KIND_TAG, sizeof KIND_TAG - 1);
    memcpy(tag + sizeof KIND_TAG - 1, p->kind, size);
    return rovei_caps_has(&e->caps, (rove_span){tag, sizeof KIND_TAG - 1 + size});
}

void rovei_node_judge(const rovei_node *n, const rovei_placing *p, const rovei_index_entry *e,
                      rovei_candidate *ret)
{
    static const char takes[] = "subprotocol:0x0500", cordoned[] = "rove:cordoned";
    uint64_t self = rovei_entity_node_id(&n->self);
    rovei_peer_info peer;
    *ret = (rovei_candidate){.node_id = e->node_id, .entity = e->entity};
    rovei_text_set(&ret->why, "");
    bool there = reach(n, e, &ret->entity);
    if (there && e->node_id != self && rovei_node_peer(n, &ret->entity, &peer) == ROVE_OK)
        ret->rtt = peer.rtt;
    if (p->move && e->node_id == self)
        rovei_text_set(&ret->why, "has the daemon");
    else if (rovei_caps_has(&e->caps, (rove_span){cordoned, sizeof cordoned - 1}))
        rovei_text_set(&ret->why, "is cordoned");
    else if (!rovei_caps_has(&e->caps, (rove_span){takes, sizeof takes - 1}))
        rovei_text_set(&ret->why, "takes no daemons: lacks the tag subprotocol:0x0500");
    else if (!takes_kind(p, e, e->node_id == self))
        rovei_text_set(&ret->why, "takes no daemons of this kind in");
    else if (p->requires && !rovei_where_selects(p->requires, &e->caps, &ret->why))
        return;
    else if (!there)
        rovei_text_set(&ret->why, "no session");
    else if (p->kind && rovei_entity_is_net(&ret->entity))
        rovei_text_set(&ret->why, "is reached by class net, which spawns nothing");
    else
        ret->eligible = true;
    if (ret->eligible)
        rate(p, e, ret);
}

typedef struct chooser {
    const rovei_node *node;
    const rovei_placing *placing;
} chooser;

static bool score(const void *user, const rovei_index_entry *e, double *ret)
{
    const chooser *c = user;
    rovei_candidate judged;
    rovei_node_judge(c->node, c->placing, e, &judged);
    *ret = judged.score;
    return judged.eligible;
}

static bool rtt_of(const void *user, uint64_t node_id, uint64_t *ret)
{
    const chooser *c = user;
    const rovei_index_entry *e = rovei_index_get(c->node->index, node_id);
    rove_entity entity;
    rovei_peer_info peer;
    if (!e || !reach(c->node, e, &entity) || rovei_node_peer(c->node, &entity, &peer) || !peer.rtt)
        return false;
    *ret = peer.rtt / ROVE_MILLISECOND;
    return true;
}

static double free_of(const void *user, uint64_t node_id)
{
    const chooser *c = user;
    rovei_move_info m;
    double going = 0;
    for (size_t it = 0; rovei_node_move_next(c->node, &it, &m);)
        if (m.local_source && m.outcome == ROVEI_OUTCOME_RUNNING &&
            rovei_entity_node_id(&m.target) == node_id)
            going++;
    return -going;
}

rove_err rovei_node_place(const rovei_node *n, const rovei_placing *p, rovei_placement *ret,
                          rove_entity *ret_entity)
{
    static const rovei_filter any;
    uint64_t self = rovei_entity_node_id(&n->self);
    const rovei_index_entry *own = rovei_index_get(n->index, self);
    chooser c = {n, p};
    rovei_scorer scorer = {score, &c};
    rovei_tie_break tie = {rtt_of, free_of, &c};
    rovei_scheduler s = {n->index, self, own ? &own->caps : NULL};
    const rovei_filter *f = p->requires ? &p->requires->filter : &any;
    /* For a spawn no node is the source, and none has the id 0. */
    rove_err err = rovei_select_migration_target(&s, f, p->move ? self : 0, &scorer, &tie, ret);
    if (err)
        return p->move ? ROVE_E_NO_TARGET : err;
    const rovei_index_entry *e = rovei_index_get(n->index, ret->node);
    return e && reach(n, e, ret_entity) ? ROVE_OK : ROVE_E_NO_TARGET;
}
