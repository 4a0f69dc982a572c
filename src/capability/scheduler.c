/* SPDX-License-Identifier: Apache-2.0
 *
 * The choices. Each walks the index once; ids ascend, so the first of equals is the lowest. */
#include <capability/scheduler.h>

static const rovei_caps no_caps;

const char *rovei_place_reason_name(rovei_place_reason r)
{
    switch (r) {
    case ROVEI_PLACE_LOCAL_PREFERRED:
        return "LocalPreferred";
    case ROVEI_PLACE_ONLY_CANDIDATE:
        return "OnlyCandidate";
    case ROVEI_PLACE_FIRST_MATCH:
        return "FirstMatch";
    case ROVEI_PLACE_PINNED:
        return "Pinned";
    case ROVEI_PLACE_BEST_SCORE:
        return "BestScore";
    default:
        return "None";
    }
}

static rove_err chosen(rovei_placement *ret, uint64_t node, rovei_place_reason reason)
{
    *ret = (rovei_placement){node, reason};
    return ROVE_OK;
}

bool rovei_can_run_locally(const rovei_scheduler *s, const rovei_filter *f)
{
    return rovei_filter_matches(f, s->local_caps ? s->local_caps : &no_caps);
}

rove_err rovei_place_with_locality(const rovei_scheduler *s, const rovei_filter *f, bool drained,
                                   rovei_placement *ret)
{
    if (!drained && rovei_can_run_locally(s, f))
        return chosen(ret, s->local, ROVEI_PLACE_LOCAL_PREFERRED);
    const rovei_index_entry *e, *first = NULL;
    size_t count = 0;
    for (size_t it = 0; (e = rovei_index_query(s->index, f, &it)) != NULL;)
        if (!drained || e->node_id != s->local) {
            first = first ? first : e;
            count++;
        }
    if (!first)
        return ROVE_E_NO_CANDIDATE;
    return chosen(ret, first->node_id,
                  count == 1 ? ROVEI_PLACE_ONLY_CANDIDATE : ROVEI_PLACE_FIRST_MATCH);
}

rove_err rovei_place(const rovei_scheduler *s, const rovei_filter *f, rovei_placement *ret)
{
    return rovei_place_with_locality(s, f, false, ret);
}

static bool holds(rovei_node_set set, uint64_t node)
{
    for (size_t i = 0; i < set.count; i++)
        if (set.nodes[i] == node)
            return true;
    return false;
}

rove_err rovei_place_with_spread(const rovei_scheduler *s, const rovei_filter *f,
                                 rovei_node_set exclude, rovei_placement *ret)
{
    rovei_placement first;
    rove_err err = rovei_place(s, f, &first);
    if (err)
        return err;
    if (!holds(exclude, first.node))
        return chosen(ret, first.node, first.reason);
    const rovei_index_entry *e;
    for (size_t it = 0; (e = rovei_index_query(s->index, f, &it)) != NULL;)
        if (!holds(exclude, e->node_id))
            return chosen(ret, e->node_id, ROVEI_PLACE_FIRST_MATCH);
    return ROVE_E_NO_CANDIDATE;
}

rovei_placement rovei_pin(uint64_t node)
{
    return (rovei_placement){node, ROVEI_PLACE_PINNED};
}

/* ---- nodes that run a subprotocol ---- */
static rove_span subprotocol_tag(uint16_t id, char room[19])
{
    static const char head[] = "subprotocol:0x", hex[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof head - 1; i++)
        room[i] = head[i];
    for (size_t i = 0; i < 4; i++)
        room[sizeof head - 1 + i] = hex[(id >> (12 - 4 * i)) & 15];
    return (rove_span){room, sizeof head + 3};
}

const rovei_index_entry *rovei_next_subprotocol_node(const rovei_scheduler *s, uint16_t id,
                                                     size_t *it)
{
    char room[19];
    rove_span tag = subprotocol_tag(id, room);
    rovei_filter f = {.tags = &tag, .tag_count = 1};
    return rovei_index_query(s->index, &f, it);
}

#define MIGRATION 0x0500

const rovei_index_entry *rovei_next_migration_target(const rovei_scheduler *s,
                                                     const rovei_filter *f, uint64_t source,
                                                     size_t *it)
{
    const rovei_index_entry *e;
    while ((e = rovei_next_subprotocol_node(s, MIGRATION, it)) != NULL)
        if (e->node_id != source && rovei_filter_selects(f, &e->caps, NULL))
            return e;
    return NULL;
}

rove_err rovei_place_migration(const rovei_scheduler *s, const rovei_filter *f, uint64_t source,
                               rovei_placement *ret)
{
    const rovei_index_entry *e, *first = NULL;
    size_t count = 0;
    for (size_t it = 0; (e = rovei_next_migration_target(s, f, source, &it)) != NULL;) {
        if (e->node_id == s->local)
            return chosen(ret, s->local, ROVEI_PLACE_LOCAL_PREFERRED);
        first = first ? first : e;
        count++;
    }
    if (!first)
        return ROVE_E_NO_CANDIDATE;
    return chosen(ret, first->node_id,
                  count == 1 ? ROVEI_PLACE_ONLY_CANDIDATE : ROVEI_PLACE_FIRST_MATCH);
}

/* ---- the best candidate ---- */
typedef struct best {
    const rovei_scorer *scorer;
    const rovei_tie_break *tie;
    const rovei_index_entry *entry; /* NULL: none yet */
    double score;
} best;

/* Whether it is a candidate at all, and how good. */
static bool score_of(const rovei_scorer *scorer, const rovei_index_entry *e, double *ret)
{
    *ret = 1;
    if (scorer && scorer->score && !scorer->score(scorer->user, e, ret))
        return false;
    return *ret - *ret == 0; /* not of an infinite value, nor of what is no number */
}

/* Whether `a` is to be taken before `b`, whose score is the same. */
static bool ties_better(const rovei_tie_break *tie, uint64_t a, uint64_t b)
{
    uint64_t rtt_a = 0, rtt_b = 0;
    bool known_a = tie && tie->rtt && tie->rtt(tie->user, a, &rtt_a);
    bool known_b = tie && tie->rtt && tie->rtt(tie->user, b, &rtt_b);
    if (known_a != known_b)
        return known_a;
    if (known_a && rtt_a != rtt_b)
        return rtt_a < rtt_b;
    double free_a = tie && tie->free_resource ? tie->free_resource(tie->user, a) : 0;
    double free_b = tie && tie->free_resource ? tie->free_resource(tie->user, b) : 0;
    if (free_a > free_b || free_a < free_b)
        return free_a > free_b;
    return a < b;
}

static void consider(best *b, const rovei_index_entry *e)
{
    double score;
    if (!score_of(b->scorer, e, &score))
        return;
    bool better = !b->entry || score > b->score ||
                  (!(score < b->score) && ties_better(b->tie, e->node_id, b->entry->node_id));
    if (better) {
        b->entry = e;
        b->score = score;
    }
}

static rove_err best_of(const best *b, rovei_placement *ret)
{
    return b->entry ? chosen(ret, b->entry->node_id, ROVEI_PLACE_BEST_SCORE) : ROVE_E_NO_CANDIDATE;
}

rove_err rovei_select_migration_target(const rovei_scheduler *s, const rovei_filter *f,
                                       uint64_t source, const rovei_scorer *scorer,
                                       const rovei_tie_break *tie, rovei_placement *ret)
{
    best b = {.scorer = scorer, .tie = tie};
    const rovei_index_entry *e;
    double score;
    for (size_t it = 0; (e = rovei_next_migration_target(s, f, source, &it)) != NULL;) {
        if (e->node_id == s->local && score_of(scorer, e, &score))
            return chosen(ret, s->local, ROVEI_PLACE_LOCAL_PREFERRED);
        consider(&b, e);
    }
    return best_of(&b, ret);
}

rove_err rovei_place_migration_v2(const rovei_scheduler *s, const rovei_filter *f, uint64_t source,
                                  rovei_placement *ret)
{
    return rovei_select_migration_target(s, f, source, NULL, NULL, ret);
}

rove_err rovei_select_member_node(const rovei_scheduler *s, const rovei_filter *f,
                                  rovei_node_set exclude, const rovei_scorer *scorer,
                                  const rovei_tie_break *tie, rovei_placement *ret)
{
    best b = {.scorer = scorer, .tie = tie};
    const rovei_index_entry *e;
    for (size_t it = 0; (e = rovei_index_query(s->index, f, &it)) != NULL;)
        if (!holds(exclude, e->node_id))
            consider(&b, e);
    return best_of(&b, ret);
}

rove_err rovei_select_promotion_target(const rovei_scheduler *s, rovei_node_set roster,
                                       const rovei_scorer *scorer, const rovei_tie_break *tie,
                                       rovei_placement *ret)
{
    best b = {.scorer = scorer, .tie = tie};
    for (size_t i = 0; i < roster.count; i++) {
        const rovei_index_entry *e = rovei_index_get(s->index, roster.nodes[i]);
        if (e)
            consider(&b, e);
    }
    return best_of(&b, ret);
}
