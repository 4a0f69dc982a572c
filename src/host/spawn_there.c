/* SPDX-License-Identifier: Apache-2.0
 *
 * Daemons that are spawned where placement says, or a caller: here as any other, or by another node
 * that is asked for it; and those that other nodes want spawned here. */
#include <base/text.h>
#include <channel/name.h>
#include <compute/spawn_remote.h>
#include <host/placing.h>
#include <host/runtime.h>
#include <rove/async.h>
#include <rove/channel.h>
#include <shell/call.h>
#include <shell/latch.h>

/* ---- this node asks ---- */

typedef struct spawn_away {
    rovei_pending pending;
    rovei_list all; /* h->spawns_away, from the order to its note */
    struct rovei_host *host;
    char kind[ROVE_KIND_NAME_MAX + 1];
    rove_identity identity; /* without a key: one is to be drawn */
    rove_spawn_options options;
    char channel[ROVE_CHANNEL_NAME_MAX + 1]; /* in `options` */
    uint64_t request;
    rove_spawned spawned;
    rove_spawned_fn *done;
    void *user;
} spawn_away;

static void end(spawn_away *a, rove_err err)
{
    rovei_list_remove(&a->all);
    rovei_keypair_unref(a->identity.key);
    a->done(a->user, err, &a->spawned);
    rovei_pending_end(&a->pending);
}

void rovei_host_spawned_there(struct rovei_host *h, const rovei_note *note)
{
    ROVEI_LIST_EACH (it, next, &h->spawns_away) {
        spawn_away *a = ROVEI_CONTAINER(it, spawn_away, all);
        if (a->request != note->request || !rovei_entity_equal(&a->spawned.where.node, &note->peer))
            continue;
        a->spawned.daemon = note->daemon;
        a->spawned.epoch = note->value;
        end(a, note->err);
        return;
    }
}

void rovei_host_end_spawns_away(struct rovei_host *h)
{
    while (!rovei_list_empty(&h->spawns_away))
        end(ROVEI_CONTAINER(h->spawns_away.next, spawn_away, all), ROVE_E_SHUTTING_DOWN);
}

static void look_at(const rovei_node *core, rove_daemon daemon, rove_entity *ret, uint64_t *epoch)
{
    rovei_daemon_info info;
    if (rovei_node_find_origin(core, daemon.origin, ret) == ROVE_OK &&
        rovei_node_daemon_get(core, ret, &info) == ROVE_OK)
        *epoch = info.epoch;
}

static void spawned_here(void *user, rove_err err, rove_daemon daemon, const rove_detail *detail)
{
    spawn_away *a = user;
    (void)detail;
    if (err == ROVE_OK)
        look_at(rovei_node_core(a->host->node), daemon, &a->spawned.daemon, &a->spawned.epoch);
    end(a, err);
}

static rove_err ask_there(spawn_away *a, rovei_node *core, rovei_now now)
{
    rovei_spawn_order order = {.peer = a->spawned.where.node,
                               .kind = a->kind,
                               .key = a->identity.key,
                               .force = a->options.force,
                               .channel = a->options.output_channel};
    rove_err err = rovei_node_spawn_there(core, now, &order, &a->request);
    if (err == ROVE_OK)
        rovei_list_add_tail(&a->host->spawns_away, &a->all);
    return err;
}

static void choose_and_order(rovei_task *task, rovei_node *core, rovei_now now)
{
    spawn_away *a = ROVEI_CONTAINER(task, spawn_away, pending.task);
    struct rovei_host *h = a->host;
    rove_placement *where = &a->spawned.where;
    rove_err err = rovei_host_gate(h);
    if (err == ROVE_OK && rovei_entity_is_zero(&where->node))
        err = rovei_host_choose_spawn(h, core, a->kind, where);
    if (err == ROVE_OK && rovei_entity_equal(&where->node, rovei_node_entity(core)))
        err = rove_runtime_spawn_async(ROVEI_CONTAINER(h, rove_runtime, host), a->kind,
                                       a->identity.key ? &a->identity : NULL, &a->options,
                                       spawned_here, a);
    else if (err == ROVE_OK)
        err = ask_there(a, core, now);
    if (err)
        end(a, err);
}

static rove_err check(rove_runtime *rt, const char *kind, const rove_placement *where,
                      const rove_spawn_options *options)
{
    size_t size = strnlen(kind, ROVE_KIND_NAME_MAX + 1);
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_gate(&rt->host);
    if (err == ROVE_OK && options && options->struct_version != ROVE_SPAWN_OPTIONS_VERSION)
        err = ROVE_E_STRUCT_VERSION;
    if (err == ROVE_OK &&
        (!size || size > ROVE_KIND_NAME_MAX || (where && rovei_entity_is_zero(&where->node))))
        err = ROVE_E_USAGE;
    if (err == ROVE_OK && options && options->output_channel)
        err = rovei_channel_name_check(rovei_span_of(options->output_channel));
    return err;
}

rove_err rove_runtime_spawn_at_async(rove_runtime *rt, const char *kind,
                                     const rove_placement *where, const rove_identity *identity,
                                     const rove_spawn_options *options, rove_spawned_fn *done,
                                     void *user)
{
    spawn_away *a;
    if (!rt || !kind || !done)
        return ROVE_E_USAGE;
    rove_err err = check(rt, kind, where, options);
    if (err == ROVE_OK)
        err = ROVEI_PENDING_NEW(&a, &rt->host.pendings);
    if (err)
        return err;
    rovei_list_init(&a->all);
    a->host = &rt->host;
    a->done = done;
    a->user = user;
    memcpy(a->kind, kind, strlen(kind));
    rove_spawn_options_init(&a->options);
    if (options)
        a->options = *options;
    if (a->options.output_channel) { /* checked above */
        memcpy(a->channel, options->output_channel, strlen(options->output_channel) + 1);
        a->options.output_channel = a->channel;
    }
    if (where)
        a->spawned.where = *where;
    if (identity) {
        rove_identity *given = (rove_identity *)(uintptr_t)identity; /* but for the mark */
        err = rovei_keypair_dup(&a->identity.key, rt->host.env, identity->key);
        if (err) {
            rovei_pending_drop(&a->pending);
            return err;
        }
        a->identity.env = rt->host.env;
        atomic_init(&a->identity.fresh, atomic_exchange(&given->fresh, false));
    }
    rovei_pending_post(&a->pending, choose_and_order);
    return ROVE_OK;
}

typedef struct away_wait {
    rovei_latch latch;
    rove_spawned *ret;
    rove_err err;
} away_wait;

static void ended(void *user, rove_err err, const rove_spawned *spawned)
{
    away_wait *w = user;
    w->err = err;
    *w->ret = *spawned;
    rovei_latch_open(&w->latch);
}

static rove_err spawn_and_wait(rove_runtime *rt, const char *kind, const rove_placement *where,
                               const rove_identity *identity, const rove_spawn_options *options,
                               rove_spawned *ret)
{
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_may_drive(&rt->host);
    if (err)
        return err;
    away_wait w = {.ret = ret};
    *ret = (rove_spawned){0};
    rovei_latch_init(&w.latch);
    err = rove_runtime_spawn_at_async(rt, kind, where, identity, options, ended, &w);
    if (err)
        rovei_latch_open(&w.latch);
    rovei_latch_wait(&w.latch, rt->host.node);
    return err ? err : w.err;
}

rove_err rove_runtime_spawn_anywhere(rove_runtime *rt, const char *kind,
                                     const rove_identity *identity,
                                     const rove_spawn_options *options, rove_spawned *ret)
{
    return rt && kind && ret ? spawn_and_wait(rt, kind, NULL, identity, options, ret)
                             : ROVE_E_USAGE;
}

rove_err rove_runtime_spawn_at(rove_runtime *rt, const char *kind, const rove_placement *where,
                               const rove_identity *identity, const rove_spawn_options *options,
                               rove_spawned *ret)
{
    return rt && kind && where && ret ? spawn_and_wait(rt, kind, where, identity, options, ret)
                                      : ROVE_E_USAGE;
}

/* ---- another node asks ---- */

/* Where the answer to it goes. */
typedef struct spawn_guest {
    struct rovei_host *host;
    uint64_t ticket;
} spawn_guest;

static void guest_spawned(void *user, rove_err err, rove_daemon daemon, const rove_detail *detail)
{
    spawn_guest *g = user;
    struct rovei_host *h = g->host;
    rovei_node *core = rovei_node_core(h->node);
    rove_entity entity = {{0}};
    uint64_t epoch = 0;
    (void)detail;
    if (err == ROVE_OK)
        look_at(core, daemon, &entity, &epoch);
    if (err == ROVE_OK && !epoch) /* it is gone already */
        err = ROVE_E_STOPPED;
    rovei_node_spawned_here(core, rovei_clock_now(), g->ticket, err, &entity, epoch);
    h->answered = true;
    ROVEI_DELETE(h->alloc, g);
}

/* The kind's name when the request may be followed. */
static rove_err may_spawn(struct rovei_host *h, const rovei_effect *e,
                          char ret_kind[ROVE_KIND_NAME_MAX + 1])
{
    rove_span name = rove_buf_span(e->daemon_kind);
    int life = atomic_load(&h->life);
    if (life != ROVEI_LIFE_READY)
        return life == ROVEI_LIFE_REGISTERING ? ROVE_E_TARGET_NOT_READY : ROVE_E_TARGET_NO_RUNTIME;
    if (atomic_load(&h->cordoned))
        return ROVE_E_CORDONED;
    if (name.size > ROVE_KIND_NAME_MAX)
        return ROVE_E_KIND_UNKNOWN;
    memcpy(ret_kind, name.data, name.size);
    ret_kind[name.size] = '\0';
    pthread_mutex_lock(&h->lock);
    bool known = rovei_factory_kind(&h->factory, ret_kind) != NULL;
    bool accepted = known && rovei_factory_accepts(&h->factory, ret_kind);
    pthread_mutex_unlock(&h->lock);
    if (!known)
        return ROVE_E_KIND_UNKNOWN;
    return rovei_host_allows(h, e, ret_kind, accepted) ? ROVE_OK : ROVE_E_REFUSED;
}

void rovei_host_spawn_for(struct rovei_host *h, rovei_node *core, rovei_now now,
                          const rovei_effect *e)
{
    char kind[ROVE_KIND_NAME_MAX + 1];
    rove_spawn_options options;
    rove_identity identity = {.env = h->env, .key = e->key};
    rove_spawn_options_init(&options);
    options.force = e->force;
    char channel[ROVE_CHANNEL_NAME_MAX + 1] = {0};
    rove_span name = rove_buf_span(e->owner);
    if (name.size) { /* decoded as a legal one */
        memcpy(channel, name.data, name.size);
        options.output_channel = channel;
    }
    atomic_init(&identity.fresh, false);
    rove_err err = may_spawn(h, e, kind);
    spawn_guest *g = err ? NULL : ROVEI_NEW(h->alloc, spawn_guest);
    if (g) {
        *g = (spawn_guest){h, e->ticket};
        err = rove_runtime_spawn_async(ROVEI_CONTAINER(h, rove_runtime, host), kind,
                                       e->key ? &identity : NULL, &options, guest_spawned, g);
        if (err)
            ROVEI_DELETE(h->alloc, g);
    } else if (err == ROVE_OK) {
        err = ROVE_E_NOMEM;
    }
    if (err) {
        rovei_node_spawned_here(core, now, e->ticket, err, NULL, 0);
        h->answered = true;
    }
}
