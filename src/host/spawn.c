/* SPDX-License-Identifier: Apache-2.0
 *
 * Spawning and stopping. A spawn claims its factory entry first, then makes the instance, then asks
 * the core for the right to run it, and only when that is granted the daemon can be found: so a
 * daemon is never visible without what it would be restored from, and whatever fails on the way
 * takes back only what this spawn has put there. What shutdown could overtake is decided on the
 * loop thread or under the lock, where shutdown decides as well. */
#include <base/check.h>
#include <host/pause.h>
#include <host/runtime.h>
#include <host/thread.h>
#include <shell/call.h>

/* A caller of spawn who waits. */
struct order {
    const char *kind;
    rovei_made_of made_of; /* without `kind` */
    void *instance;
    const rove_identity *identity;
    const rove_snapshot *snapshot;
    const rove_spawn_options *options;
    rove_detail *detail;

    pthread_mutex_t lock;
    pthread_cond_t settled;
    bool done;
    rove_err err;
    rove_daemon daemon;
};

static void order_done(struct order *o, rove_err err, rove_daemon daemon)
{
    pthread_mutex_lock(&o->lock);
    o->err = err;
    o->daemon = daemon;
    o->done = true;
    pthread_cond_signal(&o->settled);
    pthread_mutex_unlock(&o->lock);
}

typedef struct rovei_spawning {
    rovei_list all; /* h->spawns */
    struct rovei_host *host;
    rovei_made_of made_of;
    rovei_keypair *key;
    void *instance; /* the caller's, given back after an error */
    bool given, force, claimed, submitted;
    const rove_snapshot *snapshot;
    rovei_resident *resident;
    uint64_t request;
    rove_detail *detail; /* NULL: nobody asks */
    struct order *order; /* who waits for it */
} rovei_spawning;

/* ---- any thread: everything that can be done before the core is asked ---- */

static rove_err claim(rovei_spawning *s, const char *kind)
{
    struct rovei_host *h = s->host;
    rove_err err = ROVE_OK;
    pthread_mutex_lock(&h->lock);
    int life = atomic_load(&h->life);
    if (life != ROVEI_LIFE_READY)
        err = life == ROVEI_LIFE_REGISTERING ? ROVE_E_NOT_READY : ROVE_E_SHUTTING_DOWN;
    if (err == ROVE_OK && kind) {
        const rovei_made_of *made_of = rovei_factory_kind(&h->factory, kind);
        if (made_of)
            s->made_of = *made_of;
        else
            err = ROVE_E_KIND_UNKNOWN;
    }
    if (err == ROVE_OK)
        err = rovei_factory_claim(&h->factory, s->key, &s->made_of);
    s->claimed = err == ROVE_OK;
    pthread_mutex_unlock(&h->lock);
    return err;
}

static rove_err restore(rovei_spawning *s, rovei_cell *cell)
{
    const rove_snapshot *snapshot = s->snapshot;
    rove_buf *text = NULL;
    rove_err err = snapshot->from_bytes
                       ? rovei_cell_restore_snapshot(cell, &snapshot->parsed, &text)
                       : rovei_cell_restore_image(cell, &snapshot->image, &text);
    if (s->detail && err == ROVE_E_TOO_LARGE) {
        s->detail->size = rove_snapshot_get_info(snapshot).state.size;
        s->detail->most = s->host->env->limits.state_max;
    }
    if (s->detail)
        s->detail->text = text;
    else
        rove_buf_unref(text);
    return err;
}

static rove_err make(rovei_spawning *s)
{
    struct rovei_host *h = s->host;
    rovei_cell_config cfg = {.env = h->env,
                             .kind = s->made_of.kind,
                             .kind_user = s->made_of.user,
                             .key = s->key,
                             .instance = s->instance};
    rovei_cell *cell = NULL;
    rove_err err = rovei_cell_new(&cell, &cfg);
    if (err)
        return err;
    if (s->snapshot)
        err = restore(s, cell);
    rovei_resident *r = NULL;
    if (err == ROVE_OK)
        err = rovei_resident_new(&r, h, rovei_keypair_entity(s->key), s->key, &s->made_of);
    if (!r) {
        if (s->instance) /* it stays the caller's */
            rovei_cell_disown(cell);
        rovei_cell_free(cell);
        return err;
    }
    r->cell = cell;
    s->resident = r;
    return ROVE_OK;
}

/* Ends a spawn that is in no list any more. */
static void end(rovei_spawning *s, rove_err err)
{
    struct rovei_host *h = s->host;
    uint64_t origin = rovei_keypair_origin(s->key);
    pthread_mutex_lock(&h->lock);
    if (s->claimed && err)
        rovei_factory_rollback(&h->factory, origin);
    else if (s->claimed)
        rovei_factory_settle(&h->factory, origin);
    pthread_mutex_unlock(&h->lock);
    if (s->resident && err && s->instance)
        rovei_cell_disown(s->resident->cell);
    if (s->resident && s->resident->held) {
        s->resident->held = false;
        rovei_mailbox_leave(&s->resident->mailbox);
    }
    if (s->resident && s->submitted && err)
        rovei_host_dismiss(h, s->resident);
    if (s->resident)
        rovei_resident_drop(s->resident);
    rovei_keypair_unref(s->key);
    order_done(s->order, err, (rove_daemon){origin});
    ROVEI_DELETE(h->alloc, s);
}

/* ---- loop thread ---- */

static void submit(rovei_spawning *s, rovei_node *core, rovei_now now)
{
    struct rovei_host *h = s->host;
    rovei_resident *r = s->resident;
    rove_err err = rovei_host_gate(h);
    if (err == ROVE_OK)
        err = rovei_host_admit(h, r);
    s->submitted = err == ROVE_OK;
    if (err == ROVE_OK) {
        /* What the core tells the cell to do waits until this spawn is settled. */
        r->held = rovei_mailbox_try_enter(&r->mailbox);
        ROVEI_CHECK(r->held);
        s->request = ++h->next_request;
        rovei_spawn order = {.key = s->key,
                             .kind = s->made_of.name,
                             .cell = r->number,
                             .given = s->given,
                             .force = s->force,
                             .request = s->request,
                             .from = s->snapshot ? &s->snapshot->positions : NULL};
        err = rovei_node_spawn(core, now, &order);
    }
    if (err)
        end(s, err);
    else
        rovei_list_add_tail(&h->spawns, &s->all);
}

static void settle(rovei_spawning *s, rovei_node *core, rovei_now now, const rovei_note *note)
{
    struct rovei_host *h = s->host;
    rovei_resident *r = s->resident;
    rove_err err = note->err;
    if (err == ROVE_OK) {
        err = rovei_host_gate(h); /* shutdown may have begun meanwhile */
        if (err == ROVE_OK)
            err = rovei_cell_activate(r->cell);
        if (err == ROVE_OK)
            err = rovei_registry_replace(&h->registry, &r->entry);
        r->activated = err == ROVE_OK;
        if (err) { /* granted, but it cannot begin here: give the right back */
            rove_err given_back = rovei_node_stop(core, now, &r->entry.entity);
            (void)given_back;
        }
    }
    end(s, err);
}

void rovei_host_spawned(struct rovei_host *h, rovei_node *core, rovei_now now,
                        const rovei_note *note)
{
    ROVEI_LIST_EACH (it, next, &h->spawns) {
        rovei_spawning *s = ROVEI_CONTAINER(it, rovei_spawning, all);
        if (s->request != note->request)
            continue;
        rovei_list_remove(&s->all);
        settle(s, core, now, note);
        return;
    }
}

void rovei_host_end_spawns(struct rovei_host *h, rovei_node *core, rovei_now now)
{
    (void)core;
    (void)now;
    while (!rovei_list_empty(&h->spawns)) {
        rovei_spawning *s = ROVEI_CONTAINER(h->spawns.next, rovei_spawning, all);
        rovei_list_remove(&s->all);
        end(s, ROVE_E_SHUTTING_DOWN);
    }
}

/* ---- the calls ---- */

/* Takes `key` over. NULL: out of memory, and the key is given back. */
static rovei_spawning *spawning_new(struct rovei_host *h, rovei_keypair *key, struct order *order)
{
    rovei_spawning *s = key ? ROVEI_NEW(h->alloc, rovei_spawning) : NULL;
    if (!s) {
        rovei_keypair_unref(key);
        return NULL;
    }
    *s = (rovei_spawning){.host = h, .key = key, .order = order};
    rovei_list_init(&s->all);
    return s;
}

static void submit_call(void *arg, rovei_node *core, rovei_now now)
{
    submit(arg, core, now);
}

static rove_err identity_key(struct rovei_host *h, const struct order *o, rovei_keypair **ret)
{
    return o->identity ? rovei_keypair_dup(ret, h->env, o->identity->key)
                       : rovei_keypair_generate(ret, h->env);
}

/* False when the identity was drawn here and nobody else can have heard of it. */
static bool is_given(const struct order *o)
{
    rove_identity *identity = (rove_identity *)(uintptr_t)o->identity;
    return identity && !atomic_exchange(&identity->fresh, false);
}

static rove_err check_snapshot(const struct order *o)
{
    if (!o->identity)
        return ROVE_E_USAGE;
    rove_snapshot_info info = rove_snapshot_get_info(o->snapshot);
    const rove_entity *entity = rovei_keypair_entity(o->identity->key);
    const char *kind = o->kind ? o->kind : o->made_of.name;
    if (rovei_entity_equal(&info.entity, entity))
        return info.kind[0] && strcmp(info.kind, kind) != 0 ? ROVE_E_SNAPSHOT_KIND : ROVE_OK;
    if (o->detail) {
        o->detail->expected = rovei_entity_origin(&info.entity);
        o->detail->got = rovei_entity_origin(entity);
    }
    return ROVE_E_SNAPSHOT_IDENTITY;
}

static rove_err check_kind(struct rovei_host *h, const struct order *o)
{
    if (!o->kind)
        return ROVE_OK;
    pthread_mutex_lock(&h->lock);
    bool known = rovei_factory_kind(&h->factory, o->kind);
    pthread_mutex_unlock(&h->lock);
    return known ? ROVE_OK : ROVE_E_KIND_UNKNOWN;
}

/* On the thread that drives the node, and outside of its turn, a spawn is settled in place as long
 * as nobody has to be asked for the right. */
static rove_err may_wait(struct rovei_host *h, const struct order *o)
{
    rove_err err = rovei_host_may_wait(h);
    bool here = err == ROVE_E_WOULD_BLOCK && !rovei_thread_is_worker() &&
                !rovei_node_in_turn(h->node) && (!o->identity || atomic_load(&o->identity->fresh));
    return here ? ROVE_OK : err;
}

static rove_err prepare(struct rovei_host *h, struct order *o, rovei_spawning **ret)
{
    if (o->detail)
        *o->detail = (rove_detail){0};
    rove_err err =
        rovei_host_may_wait(h) == ROVE_E_REENTRANT ? ROVE_E_REENTRANT : rovei_host_gate(h);
    if (err == ROVE_OK)
        err = may_wait(h, o);
    if (err == ROVE_OK && o->options && o->options->struct_version != ROVE_SPAWN_OPTIONS_VERSION)
        err = ROVE_E_STRUCT_VERSION;
    if (err == ROVE_OK)
        err = check_kind(h, o);
    if (err == ROVE_OK && o->snapshot)
        err = check_snapshot(o);
    ROVEI_PAUSE(SPAWN);
    rovei_keypair *key = NULL;
    if (err == ROVE_OK)
        err = identity_key(h, o, &key);
    if (err)
        return err;
    rovei_spawning *s = spawning_new(h, key, o);
    if (!s)
        return ROVE_E_NOMEM;
    s->made_of = o->made_of;
    s->instance = o->instance;
    s->snapshot = o->snapshot;
    s->detail = o->detail;
    s->force = o->options && o->options->force;
    err = claim(s, o->kind);
    if (err == ROVE_OK)
        err = make(s);
    if (err) {
        end(s, err);
        return err;
    }
    s->given = is_given(o);
    *ret = s;
    return ROVE_OK;
}

static bool is_settled(void *arg)
{
    struct order *o = arg;
    pthread_mutex_lock(&o->lock);
    bool done = o->done;
    pthread_mutex_unlock(&o->lock);
    return done;
}

static void await_settled(struct rovei_host *h, struct order *o)
{
    if (rovei_node_on_loop(h->node) && rovei_node_drive(h->node, is_settled, o))
        return;
    pthread_mutex_lock(&o->lock);
    while (!o->done)
        pthread_cond_wait(&o->settled, &o->lock);
    pthread_mutex_unlock(&o->lock);
}

static rove_err spawn(rove_runtime *rt, struct order *o, rove_daemon *ret)
{
    if (!rt || !ret)
        return ROVE_E_USAGE;
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->settled, NULL);
    rovei_spawning *s = NULL;
    rove_err err = prepare(&rt->host, o, &s);
    if (err == ROVE_OK) {
        ROVEI_PAUSE(SPAWN_CLAIM);
        rovei_node_call(rt->host.node, submit_call, s);
        await_settled(&rt->host, o);
        err = o->err;
    }
    if (err == ROVE_OK)
        *ret = o->daemon;
    pthread_cond_destroy(&o->settled);
    pthread_mutex_destroy(&o->lock);
    return err;
}

rove_err rove_runtime_spawn(rove_runtime *rt, const char *kind, const rove_identity *identity,
                            const rove_spawn_options *options, rove_daemon *ret)
{
    struct order o = {.kind = kind ? kind : "", .identity = identity, .options = options};
    return spawn(rt, &o, ret);
}

rove_err rove_runtime_spawn_from_snapshot(rove_runtime *rt, const char *kind,
                                          const rove_identity *identity,
                                          const rove_snapshot *snapshot,
                                          const rove_spawn_options *options, rove_daemon *ret,
                                          rove_detail *ret_detail)
{
    if (!snapshot)
        return ROVE_E_USAGE;
    struct order o = {.kind = kind ? kind : "",
                      .identity = identity,
                      .options = options,
                      .snapshot = snapshot,
                      .detail = ret_detail};
    return spawn(rt, &o, ret);
}

static rove_err of_kind(struct order *o, const rove_kind *kind, void *user, void *instance)
{
    rove_err err = rovei_kind_check(kind);
    if (err)
        return err;
    if (!instance)
        return ROVE_E_USAGE;
    memcpy(o->made_of.name, kind->name, strlen(kind->name) + 1);
    o->made_of.kind = kind;
    o->made_of.user = user;
    o->instance = instance;
    return ROVE_OK;
}

rove_err rove_runtime_spawn_with(rove_runtime *rt, const rove_kind *kind, void *user,
                                 void *instance, const rove_identity *identity,
                                 const rove_spawn_options *options, rove_daemon *ret)
{
    struct order o = {.identity = identity, .options = options};
    rove_err err = of_kind(&o, kind, user, instance);
    return err ? err : spawn(rt, &o, ret);
}

rove_err rove_runtime_spawn_from_snapshot_with(rove_runtime *rt, const rove_kind *kind, void *user,
                                               void *instance, const rove_identity *identity,
                                               const rove_snapshot *snapshot,
                                               const rove_spawn_options *options, rove_daemon *ret,
                                               rove_detail *ret_detail)
{
    if (!snapshot)
        return ROVE_E_USAGE;
    struct order o = {
        .identity = identity, .options = options, .snapshot = snapshot, .detail = ret_detail};
    rove_err err = of_kind(&o, kind, user, instance);
    return err ? err : spawn(rt, &o, ret);
}

/* ---- stop ---- */

struct stop_call {
    struct rovei_host *host;
    uint64_t origin;
    rove_err err;
};

static void stop(void *arg, rovei_node *core, rovei_now now)
{
    struct stop_call *c = arg;
    struct rovei_host *h = c->host;
    rovei_resident *r = NULL;
    c->err = rovei_host_resident(h, c->origin, &r);
    if (c->err)
        return;
    c->err = rovei_node_stop(core, now, &r->entry.entity);
    if (c->err == ROVE_OK) {
        (void)rovei_registry_remove(&h->registry, &r->entry);
        pthread_mutex_lock(&h->lock);
        (void)rovei_factory_remove(&h->factory, c->origin);
        pthread_mutex_unlock(&h->lock);
    }
    rovei_resident_drop(r);
}

rove_err rove_runtime_stop(rove_runtime *rt, rove_daemon daemon)
{
    struct rovei_host *h = &rt->host;
    rove_err err = rovei_host_outside();
    if (err)
        return err;
    if (rovei_host_gate(h) == ROVE_E_NOT_READY)
        return ROVE_E_NOT_READY;
    struct stop_call c = {.host = h, .origin = daemon.origin};
    rovei_node_call(h->node, stop, &c);
    bool swept = rovei_host_gate(h) == ROVE_E_SHUTTING_DOWN;
    return swept && (c.err == ROVE_E_NOT_FOUND || c.err == ROVE_E_MOVED) ? ROVE_OK : c.err;
}
