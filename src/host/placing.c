/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtime's calls about placement. */
#include <base/alloc.h>
#include <host/placing.h>
#include <host/runtime.h>
#include <shell/call.h>
#include <string.h>

const char *rove_place_reason_name(rove_place_reason reason)
{
    return rovei_place_reason_name((rovei_place_reason)reason);
}

rove_placement rove_pin(const rove_entity *node)
{
    return (rove_placement){*node, ROVE_PLACE_PINNED};
}

/* ---- what a kind asks for ---- */
/* All requirements as one condition, joined by commas; alternatives in brackets. */
static rove_err read_requirements(rovei_where *ret, const rove_alloc *a, const char *const *list)
{
    rovei_where_error error;
    size_t room = 1;
    for (size_t i = 0; list && list[i]; i++)
        room += strlen(list[i]) + 3;
    char *text = rovei_calloc(a, room, 1), *at = text;
    if (!text)
        return ROVE_E_NOMEM;
    for (size_t i = 0; list && list[i]; i++) {
        bool alternatives = strstr(list[i], " or ") != NULL;
        size_t size = strlen(list[i]);
        if (i)
            *at++ = ',';
        if (alternatives)
            *at++ = '(';
        memcpy(at, list[i], size);
        at += size;
        if (alternatives)
            *at++ = ')';
    }
    rove_err err = rovei_where_read(ret, a, (rove_span){text, (size_t)(at - text)}, &error);
    rovei_free(a, text, room);
    return err;
}

rove_err rovei_wishes_init(rovei_wishes *ret, struct rovei_host *h, const char *name, bool move)
{
    *ret = (rovei_wishes){.placing = {.move = move, .kind = move ? NULL : name}};
    pthread_mutex_lock(&h->lock);
    const rovei_made_of *made_of = rovei_factory_kind(&h->factory, name);
    const rove_kind *kind = made_of ? made_of->kind : NULL;
    pthread_mutex_unlock(&h->lock);
    if (!kind) /* to spawn: another node may have it, and what it requires is not known */
        return move ? ROVE_E_KIND_UNKNOWN : ROVE_OK;
    ret->placing.has_kind = true;
    rove_err err = read_requirements(&ret->requires, h->alloc, kind->requirements);
    rovei_placing *p = &ret->placing;
    p->requires = &ret->requires;
    p->prefers = ret->prefers;
    const char *const *wish = kind->preferences;
    for (; !err && wish && *wish && p->prefer_count < ROVEI_PREFERENCES_MAX; wish++) {
        rovei_where_error error;
        rove_span text = {*wish, strlen(*wish)};
        err = rovei_where_read(&ret->prefers[p->prefer_count], h->alloc, text, &error);
        p->prefer_count += err == ROVE_OK;
    }
    if (err)
        rovei_wishes_fini(ret);
    return err;
}

void rovei_wishes_fini(rovei_wishes *w)
{
    rovei_where_fini(&w->requires);
    for (size_t i = 0; i < w->placing.prefer_count; i++)
        rovei_where_fini(&w->prefers[i]);
    w->placing.prefer_count = 0;
}

static rove_err choose(const rovei_wishes *w, const rovei_node *core, rove_placement *ret)
{
    rovei_placement chosen;
    rove_entity node;
    rove_err err = rovei_node_place(core, &w->placing, &chosen, &node);
    if (err == ROVE_OK)
        *ret = (rove_placement){node, (rove_place_reason)chosen.reason};
    return err;
}

rove_err rovei_host_choose_spawn(struct rovei_host *h, const rovei_node *core, const char *kind,
                                 rove_placement *ret)
{
    rovei_wishes w;
    rove_err err = rovei_wishes_init(&w, h, kind, false);
    if (err)
        return err;
    err = choose(&w, core, ret);
    rovei_wishes_fini(&w);
    return err;
}

static rove_err wishes_of(rovei_wishes *ret, struct rovei_host *h, const rovei_node *core,
                          const rove_entity *daemon)
{
    rovei_daemon_info info;
    rove_err err = rovei_node_daemon_get(core, daemon, &info);
    return err ? err : rovei_wishes_init(ret, h, info.kind, true);
}

rove_err rovei_host_choose_target(struct rovei_host *h, const rovei_node *core,
                                  const rove_entity *daemon, rove_placement *ret)
{
    rovei_wishes w;
    rove_err err = wishes_of(&w, h, core, daemon);
    if (err)
        return err;
    err = choose(&w, core, ret);
    rovei_wishes_fini(&w);
    return err;
}

/* ---- calls ---- */
struct place_call {
    struct rovei_host *host;
    const char *kind; /* NULL: of the daemon */
    uint64_t origin;
    bool unscored; /* the choice is by order, not by score */
    rove_placement placement;
    rove_candidate *candidates; /* NULL: only the choice is asked for */
    size_t room, count;
    rove_err err;
};

static rove_err daemon_of(struct place_call *c, rove_entity *ret)
{
    rovei_resident *r = NULL;
    rove_err err = rovei_host_resident(c->host, c->origin, &r);
    if (err)
        return err;
    *ret = r->entry.entity;
    rovei_resident_drop(r);
    return ROVE_OK;
}

static void tell(const rovei_candidate *from, bool chosen, rove_candidate *ret)
{
    *ret = (rove_candidate){.node_id = from->node_id,
                            .entity = from->entity,
                            .eligible = from->eligible,
                            .chosen = chosen,
                            .score = from->score,
                            .rtt = from->rtt};
    rove_span why = rovei_utf8_cut(rovei_text_span(&from->why), sizeof ret->why - 1);
    memcpy(ret->why, why.data, why.size);
}

static void list(struct place_call *c, const rovei_wishes *w, rovei_node *core)
{
    rovei_placement best = {0};
    rove_entity unused;
    bool found = rovei_node_place(core, &w->placing, &best, &unused) == ROVE_OK;
    const rovei_index *index = rovei_node_index(core);
    const rovei_index_entry *e;
    for (size_t it = 0; (e = rovei_index_next(index, &it)) != NULL; c->count++) {
        rovei_candidate judged;
        if (c->count >= c->room)
            continue;
        rovei_node_judge(core, &w->placing, e, &judged);
        tell(&judged, found && best.node == e->node_id, &c->candidates[c->count]);
    }
}

/* The first that is eligible, whatever its score. */
static rove_err take_first(const rovei_wishes *w, rovei_node *core, rove_placement *ret)
{
    const rovei_index *index = rovei_node_index(core);
    const rovei_index_entry *e;
    rove_entity first;
    size_t count = 0;
    for (size_t it = 0; count < 2 && (e = rovei_index_next(index, &it)) != NULL;) {
        rovei_candidate judged;
        rovei_node_judge(core, &w->placing, e, &judged);
        if (judged.eligible && !count++)
            first = judged.entity;
    }
    if (!count)
        return ROVE_E_NO_TARGET;
    *ret = (rove_placement){first, count == 1 ? ROVE_PLACE_ONLY_CANDIDATE : ROVE_PLACE_FIRST_MATCH};
    return ROVE_OK;
}

static void run(void *arg, rovei_node *core, rovei_now now)
{
    struct place_call *c = arg;
    rovei_wishes w;
    rove_entity daemon;
    (void)now;
    c->err = rovei_host_gate(c->host);
    if (c->err == ROVE_OK && !c->kind)
        c->err = daemon_of(c, &daemon);
    if (c->err == ROVE_OK)
        c->err = c->kind ? rovei_wishes_init(&w, c->host, c->kind, false)
                         : wishes_of(&w, c->host, core, &daemon);
    if (c->err)
        return;
    if (c->candidates)
        list(c, &w, core);
    else if (c->unscored)
        c->err = take_first(&w, core, &c->placement);
    else
        c->err = choose(&w, core, &c->placement);
    rovei_wishes_fini(&w);
}

static rove_err call(struct place_call *c)
{
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_gate(c->host);
    if (err)
        return err;
    rovei_node_call(c->host->node, run, c);
    return c->err;
}

rove_err rove_runtime_place(rove_runtime *rt, const char *kind, rove_placement *ret)
{
    if (!rt || !kind || !ret)
        return ROVE_E_USAGE;
    struct place_call c = {.host = &rt->host, .kind = kind};
    rove_err err = call(&c);
    if (err == ROVE_OK)
        *ret = c.placement;
    return err;
}

rove_err rove_runtime_select_migration_target(rove_runtime *rt, rove_daemon daemon,
                                              rove_placement *ret)
{
    if (!rt || !ret)
        return ROVE_E_USAGE;
    struct place_call c = {.host = &rt->host, .origin = daemon.origin};
    rove_err err = call(&c);
    if (err == ROVE_OK)
        *ret = c.placement;
    return err;
}

rove_err rove_runtime_place_migration(rove_runtime *rt, rove_daemon daemon, rove_placement *ret)
{
    if (!rt || !ret)
        return ROVE_E_USAGE;
    struct place_call c = {.host = &rt->host, .origin = daemon.origin, .unscored = true};
    rove_err err = call(&c);
    if (err == ROVE_OK)
        *ret = c.placement;
    return err;
}

rove_err rove_runtime_find_migration_targets(rove_runtime *rt, rove_daemon daemon,
                                             rove_candidate *ret, size_t room, size_t *ret_count)
{
    rove_candidate none;
    if (!rt || !ret_count || (room && !ret))
        return ROVE_E_USAGE;
    struct place_call c = {
        .host = &rt->host, .origin = daemon.origin, .candidates = ret ? ret : &none, .room = room};
    rove_err err = call(&c);
    if (err == ROVE_OK)
        *ret_count = c.count;
    return err;
}
