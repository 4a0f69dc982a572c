/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes, the daemon and senders of the tests over real sockets. */
#include "kit.h"
#include <compute/daemon.h>
#include <node/core.h>
#include <sched.h>
#include <unistd.h>

_Noreturn void kit_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
    fflush(NULL);
    _exit(1);
}

void kit_must_ok(rove_err err, const char *file, int line, const char *what)
{
    if (err == ROVE_OK)
        return;
    fprintf(stderr, "%s: ", rove_err_name(err));
    kit_failed(file, line, what);
}

/* ---- waiting ---- */

void meter_init(meter *m)
{
    *m = (meter){0};
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
}

void meter_fini(meter *m)
{
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
}

void meter_add(meter *m, uint64_t more)
{
    pthread_mutex_lock(&m->lock);
    m->value += more;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

void meter_await(meter *m, uint64_t least)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(PATIENCE / ROVE_SECOND);
    pthread_mutex_lock(&m->lock);
    while (m->value < least)
        must(pthread_cond_timedwait(&m->changed, &m->lock, &until) == 0);
    pthread_mutex_unlock(&m->lock);
}

uint64_t meter_get(meter *m)
{
    pthread_mutex_lock(&m->lock);
    uint64_t value = m->value;
    pthread_mutex_unlock(&m->lock);
    return value;
}

/* ---- the daemon ---- */

struct tally {
    const rove_alloc *alloc;
    tally_control *control;
    uint8_t *pad;
    tally_state state;
};

uint64_t sum_of(const void *bytes, size_t size)
{
    const uint8_t *b = bytes;
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ b[i]) * 1099511628211u;
    return sum;
}

void tally_control_init(tally_control *c)
{
    *c = (tally_control){0};
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
}

void tally_control_fini(tally_control *c)
{
    assert_int_equal(c->created, c->destroyed);
    assert_true(c->many || c->overlaps == 0);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
}

void tally_shut(tally_control *c)
{
    pthread_mutex_lock(&c->lock);
    c->shut = true;
    pthread_mutex_unlock(&c->lock);
}

void tally_await(tally_control *c)
{
    pthread_mutex_lock(&c->lock);
    while (!c->waiting)
        pthread_cond_wait(&c->changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

void tally_open(tally_control *c)
{
    pthread_mutex_lock(&c->lock);
    c->shut = c->shut_restore = false;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void pass_gate(tally_control *c, const bool *shut)
{
    pthread_mutex_lock(&c->lock);
    c->waiting++;
    pthread_cond_broadcast(&c->changed);
    while (*shut)
        pthread_cond_wait(&c->changed, &c->lock);
    c->waiting--;
    pthread_mutex_unlock(&c->lock);
}

static rove_err fill_pad(struct tally *t, size_t size)
{
    t->alloc->free(t->alloc->user, t->pad, (size_t)t->state.pad_size);
    t->pad = NULL;
    t->state.pad_size = 0;
    if (size && !(t->pad = t->alloc->alloc(t->alloc->user, size)))
        return ROVE_E_NOMEM;
    t->state.pad_size = size;
    return ROVE_OK;
}

static rove_err tally_create(void **ret, const rove_alloc *alloc, void *user)
{
    tally_control *control = user;
    struct tally *t = alloc->alloc(alloc->user, sizeof *t);
    if (!t)
        return ROVE_E_NOMEM;
    *t = (struct tally){.alloc = alloc, .control = control};
    if (fill_pad(t, control->pad)) {
        alloc->free(alloc->user, t, sizeof *t);
        return ROVE_E_NOMEM;
    }
    for (size_t i = 0; i < control->pad; i++)
        t->pad[i] = (uint8_t)(i * 31 + (i >> 13));
    t->state.pad_sum = sum_of(t->pad, control->pad);
    atomic_fetch_add(&control->created, 1);
    *ret = t;
    return ROVE_OK;
}

static void tally_destroy(void *self)
{
    struct tally *t = self;
    const rove_alloc *alloc = t->alloc;
    atomic_fetch_add(&t->control->destroyed, 1);
    (void)fill_pad(t, 0);
    alloc->free(alloc->user, t, sizeof *t);
}

static rove_err tally_count(struct tally *t, rove_ctx *ctx, rove_span payload)
{
    uint32_t head[2];
    if (payload.size < sizeof head)
        return rove_fail(ctx, "too short");
    memcpy(head, payload.data, sizeof head);
    if (head[0] == TALLY_ASK)
        return rove_emit(ctx, (rove_span){&t->state, sizeof t->state});
    if (head[0] == TALLY_SIGN) {
        uint8_t signature[64];
        int32_t err = rove_sign(ctx, payload, signature);
        return rove_emit(ctx, (rove_span){&err, sizeof err});
    }
    if (head[0] >= TALLY_WHOS)
        return rove_fail(ctx, "not %" PRIu32, head[0]);
    uint32_t *last = &t->state.last[head[0]];
    t->state.faults += head[1] != *last + 1;
    *last = head[1];
    t->state.count++;
    tally_output out = {t->state.count, head[0], head[1], sum_of(payload.data, payload.size)};
    return rove_emit(ctx, (rove_span){&out, sizeof out});
}

static rove_err tally_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    struct tally *t = self;
    tally_control *c = t->control;
    if (atomic_fetch_add(&c->inside, 1) > 0)
        atomic_fetch_add(&c->overlaps, 1);
    pass_gate(c, &c->shut);
    rove_err err = tally_count(t, ctx, event->payload);
    atomic_fetch_sub(&c->inside, 1);
    return err;
}

static rove_err tally_snapshot(void *self, rove_ctx *ctx)
{
    const struct tally *t = self;
    size_t pad = (size_t)t->state.pad_size;
    rove_err err = rove_reserve(ctx, sizeof t->state + pad);
    if (!err)
        err = rove_write(ctx, (rove_span){&t->state, sizeof t->state});
    return err || !pad ? err : rove_write(ctx, (rove_span){t->pad, pad});
}

static rove_err tally_restore(void *self, rove_ctx *ctx, rove_span state)
{
    struct tally *t = self;
    tally_state s;
    pass_gate(t->control, &t->control->shut_restore);
    if (state.size < sizeof s)
        return rove_fail(ctx, "too short");
    memcpy(&s, state.data, sizeof s);
    const uint8_t *pad = (const uint8_t *)state.data + sizeof s;
    size_t size = state.size - sizeof s;
    if (s.pad_size != size || sum_of(pad, size) != s.pad_sum)
        return rove_fail(ctx, "not what was saved");
    rove_err err = fill_pad(t, size);
    if (err)
        return err;
    if (size)
        memcpy(t->pad, pad, size);
    t->state = s;
    return ROVE_OK;
}

const rove_kind tally_kind = {
    .abi = ROVE_ABI,
    .size = sizeof(rove_kind),
    .name = "tally",
    .create = tally_create,
    .destroy = tally_destroy,
    .process = tally_process,
    .snapshot = tally_snapshot,
    .restore = tally_restore,
    .is_stateful = true,
};

/* ---- the tap ---- */

static bool tap_see(void *user, const rove_entity *to, uint16_t tag, rove_span head, rove_buf *body)
{
    tap *t = user;
    (void)to, (void)body;
    if (tag != ROVEI_TAG_MOVE || !head.size)
        return false;
    unsigned type = *(const uint8_t *)head.data;
    if (type > ROVEI_MOVE_OUTCOME)
        return false;
    meter_add(&t->seen[type], 1);
    return t->held >> type & 1;
}

struct tap_call {
    spot *spot;
    unsigned held;
};

static void set_tap(void *arg, rovei_node *core, rovei_now now)
{
    struct tap_call *c = arg;
    (void)now;
    c->spot->tap.held = c->held;
    rovei_node_set_tap(core, &c->spot->tap.tap);
}

void spot_hold(spot *s, rovei_move_type type)
{
    rovei_node_call(s->node, set_tap, &(struct tap_call){s, 1u << type});
}

void spot_let(spot *s)
{
    rovei_node_call(s->node, set_tap, &(struct tap_call){s, 0});
}

/* ---- nodes ---- */

const uint8_t kit_psk[32] = "the key of all nodes of a test..";

void kit_limits(rove_limits *l)
{
    rove_limits_init(l);
    l->move_repeat = 20 * ROVE_MILLISECOND;
}

static rove_err make_runtime(spot *s, const spot_config *cfg)
{
    rove_runtime_config rc;
    rove_runtime_config_init(&rc);
    if (cfg->workers)
        rc.workers = cfg->workers - 1;
    rc.policy = cfg->policy;
    rove_err err = rove_runtime_new(&s->rt, s->node, &rc);
    if (!err)
        err = rove_runtime_register_kind(s->rt, NULL, &tally_kind, cfg->control);
    if (!err && !cfg->registering)
        err = rove_runtime_start(s->rt);
    return err;
}

rove_err spot_try(spot *s, const spot_config *cfg)
{
    *s = (spot){.tap.tap = {tap_see, &s->tap}};
    rove_node_config nc;
    rove_node_config_init(&nc);
    kit_limits(&nc.limits);
    if (cfg->limits)
        nc.limits = *cfg->limits;
    nc.listen = cfg->listen ? cfg->listen : "127.0.0.1:0";
    nc.psk = cfg->psk ? cfg->psk : kit_psk;
    nc.seed = cfg->seed;
    nc.identity_file = cfg->file;
    rove_err err = rove_node_new(&s->node, &nc);
    if (err)
        return err;
    for (size_t i = 0; i <= ROVEI_MOVE_OUTCOME; i++)
        meter_init(&s->tap.seen[i]);
    rove_node_get_info(s->node, &s->info);
    spot_let(s);
    return cfg->control ? make_runtime(s, cfg) : ROVE_OK;
}

void spot_open(spot *s, const spot_config *cfg)
{
    must_ok(spot_try(s, cfg));
}

void spot_with(spot *s, tally_control *control)
{
    spot_open(s, &(spot_config){.control = control});
}

void spot_close(spot *s)
{
    rove_runtime_unref(s->rt);
    rove_node_free(s->node);
    for (size_t i = 0; i <= ROVEI_MOVE_OUTCOME; i++)
        meter_fini(&s->tap.seen[i]);
}

void spot_meet(spot *a, spot *b)
{
    must_ok(rove_node_connect(a->node, &b->info.entity, b->info.address));
    must_ok(rove_node_wait_peer(a->node, &b->info.entity, PATIENCE));
    must_ok(rove_node_wait_peer(b->node, &a->info.entity, PATIENCE));
}

struct look_call {
    rovei_mesh_stats mesh;
    rovei_node_stats node;
    size_t sessions;
    const rove_entity *daemon;
    rovei_daemon_state state;
    bool freezing;
};

static void look(void *arg, rovei_node *core, rovei_now now)
{
    struct look_call *c = arg;
    (void)now;
    rovei_node_check(core);
    c->mesh = rovei_mesh_stats_get(rovei_node_mesh(core));
    c->node = rovei_node_stats_get(core);
    rovei_peer_info info;
    for (size_t it = 0; rovei_mesh_peer_next(rovei_node_mesh(core), &it, &info);)
        c->sessions += info.state == ROVEI_PEER_UP;
    rovei_daemon_info d;
    if (c->daemon && rovei_node_daemon_get(core, c->daemon, &d) == ROVE_OK)
        c->state = d.state;
    const rovei_daemon *inside = c->daemon ? rovei_map_get(&core->daemons, c->daemon->bytes) : NULL;
    c->freezing = inside && inside->role == ROVEI_ROLE_FREEZING;
}

rovei_mesh_stats spot_stats(spot *s)
{
    struct look_call c = {0};
    rovei_node_call(s->node, look, &c);
    return c.mesh;
}

rovei_node_stats spot_counters(spot *s)
{
    struct look_call c = {0};
    rovei_node_call(s->node, look, &c);
    return c.node;
}

size_t spot_sessions(spot *s)
{
    struct look_call c = {0};
    rovei_node_call(s->node, look, &c);
    return c.sessions;
}

rovei_daemon_state spot_daemon_state(spot *s, const rove_entity *daemon)
{
    struct look_call c = {.daemon = daemon};
    rovei_node_call(s->node, look, &c);
    return c.state;
}

bool spot_is_freezing(spot *s, const rove_entity *daemon)
{
    struct look_call c = {.daemon = daemon};
    rovei_node_call(s->node, look, &c);
    return c.freezing;
}

/* ---- daemons ---- */

void subject_spawn(subject *x, spot *at)
{
    must_ok(rove_identity_generate(&x->id, at->node));
    x->entity = rove_identity_entity(x->id);
    must_ok(rove_runtime_spawn(at->rt, "tally", x->id, NULL, &x->d));
}

void subject_fini(subject *x)
{
    rove_identity_free(x->id);
}

void subject_expect(const subject *x, spot *at)
{
    must_ok(rove_runtime_expect_migration(at->rt, "tally", x->d.origin, NULL));
}

rove_err subject_order(const subject *x, spot *from, spot *to, rove_migration *ret)
{
    return rove_runtime_start_migration(from->rt, x->d, &to->info.entity, ret);
}

void subject_move(const subject *x, spot *from, spot *to)
{
    rove_migration m;
    must_ok(subject_order(x, from, to, &m));
    must_ok(rove_migration_wait_with_timeout(from->rt, m, PATIENCE, NULL));
}

static rove_err deliver(const subject *x, spot *at, rove_span payload, void *ret, size_t size)
{
    rove_event event = {.link = {.origin = 4711, .sequence = 1}, .payload = payload};
    rove_result result;
    rove_err err = rove_runtime_deliver(at->rt, x->d, &event, 0, &result, NULL, NULL);
    if (err == ROVE_OK) {
        size_t it = 0;
        rove_link link;
        rove_span out;
        must(result.output_count == 1 && rove_result_next(&result, &it, &link, &out));
        must(out.size == size);
        memcpy(ret, out.data, size);
    }
    rove_result_fini(&result);
    return err;
}

rove_err subject_deliver(const subject *x, spot *at, uint32_t who, uint32_t number,
                         tally_output *ret)
{
    uint32_t head[2] = {who, number};
    tally_output out;
    rove_err err = deliver(x, at, (rove_span){head, sizeof head}, &out, sizeof out);
    if (err)
        return err;
    must(out.who == who && out.number == number && out.sum == sum_of(head, sizeof head));
    if (ret)
        *ret = out;
    return ROVE_OK;
}

void subject_ask(const subject *x, spot *at, tally_state *ret)
{
    uint32_t head[2] = {TALLY_ASK, 0};
    must_ok(deliver(x, at, (rove_span){head, sizeof head}, ret, sizeof *ret));
}

void subject_check(const subject *x, spot *at, uint32_t who, uint32_t count)
{
    tally_state s;
    subject_ask(x, at, &s);
    assert_int_equal(s.faults, 0);
    assert_int_equal(s.last[who], count);
}

/* ---- two of them ---- */

void pair_open_with(pair *p, const spot_config *of_b)
{
    tally_control_init(&p->control);
    spot_with(&p->a, &p->control);
    spot_config cfg = *of_b;
    cfg.control = &p->control;
    spot_open(&p->b, &cfg);
    spot_meet(&p->a, &p->b);
    subject_spawn(&p->x, &p->a);
    for (uint32_t i = 1; i <= 3; i++)
        assert_ok(subject_deliver(&p->x, &p->a, 1, i, NULL));
}

void pair_open(pair *p)
{
    pair_open_with(p, &(spot_config){0});
}

void pair_close(pair *p)
{
    subject_fini(&p->x);
    spot_close(&p->b);
    spot_close(&p->a);
    tally_control_fini(&p->control);
}

void pair_counts(pair *p, size_t at_a, size_t at_b)
{
    assert_int_equal(rove_runtime_daemon_count(p->a.rt), at_a);
    assert_int_equal(rove_runtime_daemon_count(p->b.rt), at_b);
}

void await_phase(spot *at, rove_migration m, rove_phase least)
{
    while (rove_migration_phase(at->rt, m) < least)
        sched_yield();
}

/* ---- local traffic ---- */

static void *local_main(void *arg)
{
    local *l = arg;
    for (size_t at = 0; !l->stop;) {
        rove_err err = subject_deliver(l->x, &l->spots[at], l->who, l->applied + 1, NULL);
        if (err == ROVE_OK) {
            l->applied++;
            meter_add(&l->progress, 1);
            continue;
        }
        if (err != ROVE_E_MOVED && err != ROVE_E_NOT_FOUND && err != ROVE_E_STALE)
            must_ok(err);
        at = (at + 1) % l->spot_count;
        sched_yield();
    }
    return NULL;
}

void local_start(local *l, const subject *x, spot *spots, size_t spot_count, uint32_t who)
{
    *l = (local){.x = x, .spots = spots, .spot_count = spot_count, .who = who};
    meter_init(&l->progress);
    must(pthread_create(&l->thread, NULL, local_main, l) == 0);
}

void local_stop(local *l)
{
    l->stop = true;
    pthread_join(l->thread, NULL);
    meter_fini(&l->progress);
}
