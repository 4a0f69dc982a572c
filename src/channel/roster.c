/* SPDX-License-Identifier: Apache-2.0
 *
 * The roster of one channel. */
#include <base/alloc.h>
#include <channel/roster.h>
#include <string.h>

void rovei_roster_init(rovei_roster *r, const rovei_env *env)
{
    memset(r, 0, sizeof *r);
    r->alloc = &env->alloc;
    rovei_map_init(&r->seats, r->alloc, sizeof(uint64_t), rovei_rng_u64(&env->rng));
}

static void bench_fini(rovei_roster *r, rovei_bench *b)
{
    rovei_free(r->alloc, b->seats, b->room * sizeof(rovei_seat *));
}

void rovei_roster_fini(rovei_roster *r)
{
    bench_fini(r, &r->all);
    rovei_free(r->alloc, r->groups, r->group_room * sizeof *r->groups);
    rovei_map_fini(&r->seats);
}

rovei_seat *rovei_roster_find(const rovei_roster *r, uint64_t node_id)
{
    return rovei_map_get(&r->seats, &node_id);
}

static bool is_named(const rovei_group *g, rove_span name)
{
    return g->size == name.size && memcmp(g->name, name.data, name.size) == 0;
}

static rove_err group_of(rovei_roster *r, rove_span name, size_t most, rovei_group **ret)
{
    for (size_t i = 0; i < r->group_count; i++)
        if (is_named(r->groups[i], name)) {
            *ret = r->groups[i];
            return ROVE_OK;
        }
    if (name.size > sizeof(*ret)->name)
        return ROVE_E_BOUND;
    rove_err err = rovei_grow(r->alloc, (void **)&r->groups, &r->group_room, r->group_count,
                              sizeof *r->groups, most);
    if (err)
        return err;
    rovei_group *g = ROVEI_NEW(r->alloc, rovei_group);
    if (!g)
        return ROVE_E_NOMEM;
    g->size = name.size;
    memcpy(g->name, name.data, name.size);
    r->groups[r->group_count++] = g;
    *ret = g;
    return ROVE_OK;
}

/* A group that nobody is in is no more. */
static void drop_if_empty(rovei_roster *r, rovei_group *g)
{
    if (!g || g->bench.count)
        return;
    for (size_t i = 0; i < r->group_count; i++)
        if (r->groups[i] == g)
            r->groups[i] = r->groups[--r->group_count];
    bench_fini(r, &g->bench);
    ROVEI_DELETE(r->alloc, g);
}

static rovei_bench *bench_of(rovei_roster *r, rovei_group *g)
{
    return g ? &g->bench : &r->all;
}

static void leave(rovei_roster *r, rovei_seat *s)
{
    rovei_bench *b = bench_of(r, s->group);
    rovei_seat *last = b->seats[--b->count];
    b->seats[s->at] = last;
    last->at = s->at;
    drop_if_empty(r, s->group);
}

rove_err rovei_roster_seat(rovei_roster *r, rovei_seat *s, rove_span group, size_t groups_max)
{
    bool seated = rovei_roster_find(r, s->node_id) == s;
    if (seated && (s->group ? is_named(s->group, group) : !group.size))
        return ROVE_OK;
    rovei_group *g = NULL;
    rove_err err = group.size ? group_of(r, group, groups_max, &g) : ROVE_OK;
    if (err)
        return err;
    rovei_bench *b = bench_of(r, g);
    err = rovei_grow(r->alloc, (void **)&b->seats, &b->room, b->count, sizeof *b->seats, SIZE_MAX);
    if (!err && !seated)
        err = rovei_map_put(&r->seats, &s->node_id, s);
    if (err) {
        drop_if_empty(r, g);
        return err;
    }
    if (seated)
        leave(r, s);
    s->group = g;
    s->at = b->count;
    b->seats[b->count++] = s;
    return ROVE_OK;
}

void rovei_roster_remove(rovei_roster *r, rovei_seat *s)
{
    if (rovei_roster_find(r, s->node_id) != s)
        return;
    rovei_map_remove(&r->seats, &s->node_id);
    leave(r, s);
    s->group = NULL;
}

size_t rovei_roster_recipients(const rovei_roster *r)
{
    return r->all.count + r->group_count;
}

void rovei_roster_pick(rovei_roster *r, rovei_seat **ret)
{
    if (r->all.count)
        memcpy(ret, r->all.seats, r->all.count * sizeof *ret);
    for (size_t i = 0; i < r->group_count; i++) {
        rovei_group *g = r->groups[i];
        ret[r->all.count + i] = g->bench.seats[g->turn++ % g->bench.count];
    }
}

rovei_seat *rovei_roster_next(const rovei_roster *r, size_t *it)
{
    return rovei_map_next(&r->seats, it);
}
