/* SPDX-License-Identifier: Apache-2.0
 *
 * Spawning and stopping. A spawn claims its factory entry first, then makes the instance, then asks
 * the core for the right to run it, and only when that is granted the daemon can be found: so a
 * daemon is never visible without what it would be restored from, and whatever fails on the way
 * takes back only what this spawn has put there. What shutdown could overtake is decided on the
 * loop thread or under the lock, where shutdown decides as well. */
#include <base/check.h>
#include <base/text.h>
#include <channel/name.h>
#include <host/pause.h>
#include <host/runtime.h>
#include <host/thread.h>
#include <rove/async.h>
#include <rove/channel.h>
#include <shell/call.h>
#include <shell/latch.h>

/* What a caller wants. */
struct order {
    const char *kind;
    rovei_made_of made_of; /* without `kind` */
    void *instance;
    const rove_identity *identity;
    rove_snapshot *snapshot;
    const rove_spawn_options *options;
};

/* One spawn from its claim to its end; it lies in whatever waits for it. */
typedef struct rovei_spawning {
    rovei_list all; /* h->spawns */
    struct rovei_host *host;
    rovei_made_of made_of;
    rovei_keypair *key;
    void *instance; /* the caller's, given back after an error */
    bool given, force, claimed, submitted;
    rove_snapshot *snapshot; /* one reference */
    rovei_resident *resident;
    char channel[ROVE_CHANNEL_NAME_MAX + 1];
    uint64_t request;
    rove_detail detail;
    rove_err err;
    rove_daemon daemon;
    /* It has ended and is its owner's again. On the loop thread once it was submitted. */
    void (*tell)(struct rovei_spawning *s);
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
    if (err == ROVE_OK && atomic_load(&h->cordoned))
        err = ROVE_E_CORDONED;
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
    rove_err err = snapshot->from_bytes
                       ? rovei_cell_restore_snapshot(cell, &snapshot->parsed, &s->detail.text)
                       : rovei_cell_restore_image(cell, &snapshot->image, &s->detail.text);
    if (err == ROVE_E_TOO_LARGE) {
        s->detail.size = rove_snapshot_get_info(snapshot).state.size;
        s->detail.most = s->host->env->limits.state_max;
    }
    return err;
}

/* The cell of the resident, with its state. */
static rove_err make(rovei_spawning *s)
{
    rovei_cell_config cfg = {.env = s->host->env,
                             .kind = s->made_of.kind,
                             .kind_user = s->made_of.user,
                             .key = s->key,
                             .instance = s->instance};
    rovei_cell *cell = NULL;
    rove_err err = rovei_cell_new(&cell, &cfg);
    if (err == ROVE_OK && s->snapshot)
        err = restore(s, cell);
    if (err == ROVE_OK) {
        s->resident->cell = cell;
        return ROVE_OK;
    }
    if (cell && s->instance) /* it stays the caller's */
        rovei_cell_disown(cell);
    rovei_cell_free(cell);
    return err;
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
    if (s->resident && s->resident->cell && err && s->instance)
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
    rove_snapshot_unref(s->snapshot);
    s->err = err;
    s->daemon = (rove_daemon){origin};
    s->tell(s);
}

/* What the snapshot says of subscriptions; each is asked for again. */
static rove_span ledger_of(const rove_snapshot *s)
{
    if (!s)
        return (rove_span){NULL, 0};
    return s->from_bytes ? s->parsed.bindings : rove_buf_span(s->image.ledger);
}

/* ---- loop thread ---- */

static void submit(rovei_spawning *s, rovei_node *core, rovei_now now)
{
    struct rovei_host *h = s->host;
    rovei_resident *r = s->resident;
    rove_err err = rovei_host_gate(h);
    if (err == ROVE_OK && atomic_load(&h->cordoned)) /* since it was claimed */
        err = ROVE_E_CORDONED;
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
                             .from = s->snapshot ? &s->snapshot->positions : NULL,
                             .ledger = ledger_of(s->snapshot),
                             .channel = rovei_span_of(s->channel)};
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

/* ---- any thread: what an order has to fulfil ---- */

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

static rove_err check_snapshot(const struct order *o, rove_detail *ret_detail)
{
    if (!o->identity)
        return ROVE_E_USAGE;
    rove_snapshot_info info = rove_snapshot_get_info(o->snapshot);
    const rove_entity *entity = rovei_keypair_entity(o->identity->key);
    const char *kind = o->kind ? o->kind : o->made_of.name;
    if (rovei_entity_equal(&info.entity, entity))
        return info.kind[0] && strcmp(info.kind, kind) != 0 ? ROVE_E_SNAPSHOT_KIND : ROVE_OK;
    ret_detail->expected = rovei_entity_origin(&info.entity);
    ret_detail->got = rovei_entity_origin(entity);
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

static const char *channel_of(const struct order *o)
{
    return o->options ? o->options->output_channel : NULL;
}

static rove_err check(struct rovei_host *h, const struct order *o, bool waits,
                      rove_detail *ret_detail)
{
    rove_err err = rovei_host_outside();
    if (err == ROVE_OK)
        err = rovei_host_gate(h);
    if (err == ROVE_OK && waits)
        err = may_wait(h, o);
    if (err == ROVE_OK && o->options && o->options->struct_version != ROVE_SPAWN_OPTIONS_VERSION)
        err = ROVE_E_STRUCT_VERSION;
    if (err == ROVE_OK && channel_of(o))
        err = rovei_channel_name_check(rovei_span_of(channel_of(o)));
    if (err == ROVE_OK)
        err = check_kind(h, o);
    if (err == ROVE_OK && o->snapshot)
        err = check_snapshot(o, ret_detail);
    ROVEI_PAUSE(SPAWN);
    return err;
}

/* Up to the claim. After an error `s` holds nothing but, maybe, a detail. */
static rove_err prepare(rovei_spawning *s, struct rovei_host *h, const struct order *o, bool waits)
{
    rove_err err = check(h, o, waits, &s->detail);
    if (err == ROVE_OK)
        err = identity_key(h, o, &s->key);
    if (err)
        return err;
    rovei_list_init(&s->all);
    s->host = h;
    s->made_of = o->made_of;
    s->instance = o->instance;
    s->force = o->options && o->options->force;
    err = rovei_resident_new(&s->resident, h, rovei_keypair_entity(s->key), s->key, &s->made_of);
    if (err == ROVE_OK)
        err = claim(s, o->kind);
    if (err) {
        if (s->resident)
            rovei_resident_drop(s->resident);
        rovei_keypair_unref(s->key);
        return err;
    }
    s->resident->made_of = s->made_of; /* by the claim */
    s->resident->publishes = channel_of(o) != NULL;
    if (channel_of(o))
        memcpy(s->channel, channel_of(o), strlen(channel_of(o)) + 1);
    s->snapshot = rove_snapshot_ref(o->snapshot);
    return ROVE_OK;
}

/* ---- the calls that wait ---- */

static void submit_call(void *arg, rovei_node *core, rovei_now now)
{
    submit(arg, core, now);
}

struct spawn_wait {
    rovei_spawning spawning;
    rovei_latch latch;
};

static void wake(rovei_spawning *s)
{
    rovei_latch_open(&ROVEI_CONTAINER(s, struct spawn_wait, spawning)->latch);
}

static rove_err spawn_and_wait(struct spawn_wait *w, struct rovei_host *h, const struct order *o)
{
    rovei_spawning *s = &w->spawning;
    s->tell = wake;
    rove_err err = prepare(s, h, o, true);
    if (err)
        return err;
    rovei_latch_init(&w->latch);
    err = make(s);
    if (err) {
        end(s, err);
    } else {
        s->given = is_given(o);
        ROVEI_PAUSE(SPAWN_CLAIM);
        rovei_node_call(h->node, submit_call, s);
    }
    rovei_latch_wait(&w->latch, h->node);
    return s->err;
}

static rove_err spawn(rove_runtime *rt, const struct order *o, rove_daemon *ret,
                      rove_detail *ret_detail)
{
    if (ret_detail)
        *ret_detail = (rove_detail){0};
    if (!rt || !ret)
        return ROVE_E_USAGE;
    struct spawn_wait w = {0};
    rove_err err = spawn_and_wait(&w, &rt->host, o);
    if (err == ROVE_OK)
        *ret = w.spawning.daemon;
    if (ret_detail)
        *ret_detail = w.spawning.detail;
    else
        rove_detail_fini(&w.spawning.detail);
    return err;
}

/* ---- the calls with a completion: the instance is made on a worker ---- */

struct spawn_later {
    rovei_pending pending;
    rovei_spawning spawning;
    rovei_job job;
    rovei_after after;
    rove_spawn_fn *done;
    void *user;
};

static void tell_later(rovei_spawning *s)
{
    struct spawn_later *l = ROVEI_CONTAINER(s, struct spawn_later, spawning);
    l->done(l->user, s->err, s->daemon, &s->detail);
    rove_detail_fini(&s->detail);
    rovei_pending_end(&l->pending);
}

static void submit_later(rovei_task *task, rovei_node *core, rovei_now now)
{
    rovei_spawning *s = &ROVEI_CONTAINER(task, struct spawn_later, pending.task)->spawning;
    if (s->err)
        end(s, s->err);
    else
        submit(s, core, now);
}

/* The role is given up, as the submission wants it. */
static void made_later(rovei_after *after)
{
    struct spawn_later *l = ROVEI_CONTAINER(after, struct spawn_later, after);
    rovei_pending_post(&l->pending, submit_later);
}

static bool make_later(rovei_job *job, rovei_mailbox *m)
{
    struct spawn_later *l = ROVEI_CONTAINER(job, struct spawn_later, job);
    l->spawning.err = make(&l->spawning);
    l->after.fire = made_later;
    rovei_mailbox_after(m, &l->after);
    return true;
}

static rove_err spawn_async(rove_runtime *rt, const struct order *o, rove_spawn_fn *done,
                            void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    struct spawn_later *l;
    rove_err err = ROVEI_PENDING_NEW(&l, &rt->host.pendings);
    if (err)
        return err;
    l->done = done;
    l->user = user;
    l->spawning.tell = tell_later;
    err = prepare(&l->spawning, &rt->host, o, false);
    if (err) {
        rovei_pending_drop(&l->pending);
        return err;
    }
    l->spawning.given = is_given(o);
    l->job.run = make_later;
    rovei_resident_put(l->spawning.resident, &l->job);
    return ROVE_OK;
}

/* ---- the four of each ---- */

static struct order of_name(const char *kind, const rove_identity *identity,
                            const rove_spawn_options *options)
{
    return (struct order){.kind = kind, .identity = identity, .options = options};
}

static rove_err of_kind(struct order *ret, const rove_kind *kind, void *user, void *instance,
                        const rove_identity *identity, const rove_spawn_options *options)
{
    if (!kind || !instance)
        return ROVE_E_USAGE;
    rove_err err = rovei_kind_check(kind);
    if (err)
        return err;
    *ret = (struct order){.identity = identity, .options = options, .instance = instance};
    ret->made_of = (rovei_made_of){kind->name, kind, user};
    return ROVE_OK;
}

/* A reference is taken where it is needed: that the count changes is not part of const. */
static rove_snapshot *counted(const rove_snapshot *snapshot)
{
    return (rove_snapshot *)(uintptr_t)snapshot;
}

rove_err rove_runtime_spawn(rove_runtime *rt, const char *kind, const rove_identity *identity,
                            const rove_spawn_options *options, rove_daemon *ret)
{
    struct order o = of_name(kind, identity, options);
    return kind ? spawn(rt, &o, ret, NULL) : ROVE_E_USAGE;
}

rove_err rove_runtime_spawn_async(rove_runtime *rt, const char *kind, const rove_identity *identity,
                                  const rove_spawn_options *options, rove_spawn_fn *done,
                                  void *user)
{
    struct order o = of_name(kind, identity, options);
    return kind ? spawn_async(rt, &o, done, user) : ROVE_E_USAGE;
}

rove_err rove_runtime_spawn_from_snapshot(rove_runtime *rt, const char *kind,
                                          const rove_identity *identity,
                                          const rove_snapshot *snapshot,
                                          const rove_spawn_options *options, rove_daemon *ret,
                                          rove_detail *ret_detail)
{
    struct order o = of_name(kind, identity, options);
    o.snapshot = counted(snapshot);
    return kind && identity && snapshot ? spawn(rt, &o, ret, ret_detail) : ROVE_E_USAGE;
}

rove_err rove_runtime_spawn_from_snapshot_async(rove_runtime *rt, const char *kind,
                                                const rove_identity *identity,
                                                const rove_snapshot *snapshot,
                                                const rove_spawn_options *options,
                                                rove_spawn_fn *done, void *user)
{
    struct order o = of_name(kind, identity, options);
    o.snapshot = counted(snapshot);
    return kind && identity && snapshot ? spawn_async(rt, &o, done, user) : ROVE_E_USAGE;
}

rove_err rove_runtime_spawn_with(rove_runtime *rt, const rove_kind *kind, void *user,
                                 void *instance, const rove_identity *identity,
                                 const rove_spawn_options *options, rove_daemon *ret)
{
    if (!rt || !ret)
        return ROVE_E_USAGE;
    struct order o;
    rove_err err = of_kind(&o, kind, user, instance, identity, options);
    return err ? err : spawn(rt, &o, ret, NULL);
}

rove_err rove_runtime_spawn_with_async(rove_runtime *rt, const rove_kind *kind, void *kind_user,
                                       void *instance, const rove_identity *identity,
                                       const rove_spawn_options *options, rove_spawn_fn *done,
                                       void *user)
{
    if (!rt || !done)
        return ROVE_E_USAGE;
    struct order o;
    rove_err err = of_kind(&o, kind, kind_user, instance, identity, options);
    return err ? err : spawn_async(rt, &o, done, user);
}

rove_err rove_runtime_spawn_from_snapshot_with(rove_runtime *rt, const rove_kind *kind, void *user,
                                               void *instance, const rove_identity *identity,
                                               const rove_snapshot *snapshot,
                                               const rove_spawn_options *options, rove_daemon *ret,
                                               rove_detail *ret_detail)
{
    if (!rt || !ret || !identity || !snapshot)
        return ROVE_E_USAGE;
    struct order o;
    rove_err err = of_kind(&o, kind, user, instance, identity, options);
    if (err)
        return err;
    o.snapshot = counted(snapshot);
    return spawn(rt, &o, ret, ret_detail);
}

rove_err rove_runtime_spawn_from_snapshot_with_async(rove_runtime *rt, const rove_kind *kind,
                                                     void *kind_user, void *instance,
                                                     const rove_identity *identity,
                                                     const rove_snapshot *snapshot,
                                                     const rove_spawn_options *options,
                                                     rove_spawn_fn *done, void *user)
{
    if (!rt || !done || !identity || !snapshot)
        return ROVE_E_USAGE;
    struct order o;
    rove_err err = of_kind(&o, kind, kind_user, instance, identity, options);
    if (err)
        return err;
    o.snapshot = counted(snapshot);
    return spawn_async(rt, &o, done, user);
}
