/* SPDX-License-Identifier: Apache-2.0
 *
 * The source half of a move in class net, from the order to the last moment at which it can still
 * be undone (docs/protocol/net-moves.md, "The source"). The other side neither acknowledges nor
 * names attempts: each step is said again until its answer comes, and what does not fit the step is
 * counted and dropped. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <migration/net_source.h>
#include <state/snapshot.h>
#include <string.h>

/* Rounds of a set that the target may need, beyond the time in which it has to answer. */
#define ROUNDS_ALLOWED 8
/* How often MigrationFailed is said, since nothing answers it. */
#define FAREWELLS 3

/* ---- the table ---- */

#define STEP(name) (1u << ROVEI_NET_SOURCE_##name)
static const unsigned next_steps[] = {
    [ROVEI_NET_SOURCE_WAIT] = STEP(FREEZE),
    [ROVEI_NET_SOURCE_FREEZE] = STEP(SEND) | STEP(WAIT),
    [ROVEI_NET_SOURCE_PAUSE] = STEP(FREEZE),
    [ROVEI_NET_SOURCE_SEND] = STEP(SENT) | STEP(PAUSE) | STEP(REPLAY) | STEP(COMMITTING),
    [ROVEI_NET_SOURCE_SENT] = STEP(SEND) | STEP(PAUSE) | STEP(REPLAY) | STEP(COMMITTING),
    [ROVEI_NET_SOURCE_REPLAY] = STEP(COMMITTING) | STEP(PAUSE),
    [ROVEI_NET_SOURCE_COMMITTING] = STEP(COMMITTED),
    [ROVEI_NET_SOURCE_COMMITTED] = 0,
};

void rovei_net_source_set_step(struct rovei_net_source *s, rovei_net_source_step step)
{
    ROVEI_CHECK(next_steps[s->step] >> step & 1);
    s->step = step;
}

bool rovei_net_source_is_frozen(const struct rovei_net_source *s)
{
    return s->step == ROVEI_NET_SOURCE_SEND || s->step == ROVEI_NET_SOURCE_SENT ||
           s->step == ROVEI_NET_SOURCE_REPLAY;
}

const rovei_net_roles *rovei_net_source_roles(const struct rovei_net_source *s)
{
    return &s->roles;
}

rovei_net_stamp rovei_net_source_mark(const struct rovei_net_source *s)
{
    return s->mark;
}

void rovei_net_source_check(const struct rovei_net_source *s)
{
    rovei_role role = s->d->role;
    ROVEI_CHECK(s->d->net_source == s && s->a->net_source == s && !s->d->source);
    ROVEI_CHECK(!s->committed || s->a->committed);
    ROVEI_CHECK(s->set.next <= s->set.total);
    ROVEI_CHECK(s->set.bytes || !rovei_net_source_is_frozen(s) || s->ending);
    ROVEI_CHECK(s->a->info.applied_frozen == 0);
    switch (s->step) {
    case ROVEI_NET_SOURCE_WAIT:
    case ROVEI_NET_SOURCE_PAUSE:
        ROVEI_CHECK(role == ROVEI_ROLE_SERVING);
        break;
    case ROVEI_NET_SOURCE_FREEZE:
        ROVEI_CHECK(role == ROVEI_ROLE_FREEZING);
        break;
    case ROVEI_NET_SOURCE_SEND:
    case ROVEI_NET_SOURCE_SENT:
    case ROVEI_NET_SOURCE_REPLAY:
        ROVEI_CHECK(role == ROVEI_ROLE_FROZEN);
        break;
    case ROVEI_NET_SOURCE_COMMITTING:
        ROVEI_CHECK(role == ROVEI_ROLE_COMMITTING);
        break;
    case ROVEI_NET_SOURCE_COMMITTED:
        ROVEI_CHECK(role == ROVEI_ROLE_COMMITTED && s->committed);
        break;
    }
}

void rovei_net_source_free(struct rovei_net_source *s)
{
    if (!s)
        return;
    rovei_net_set_fini(&s->set);
    rovei_diverted_free(&s->diverted, s->a->node->alloc);
    ROVEI_DELETE(s->a->node->alloc, s);
}

/* ---- time ---- */

/* What a phase before the commit may take without a word of the other side, which says nothing
 * while it receives. Beyond the failure detector's time, so that its verdict comes first. */
void rovei_net_source_progress(struct rovei_net_source *s, rovei_now now)
{
    uint64_t stall = s->a->node->env->limits.net_move_stall;
    uint64_t rounds = s->set.took * ROUNDS_ALLOWED;
    rovei_timer_set(&s->a->node->timers, &s->a->limit, rovei_time_add(now.mono, stall + rounds));
}

void rovei_net_source_again_in(struct rovei_net_source *s, rovei_now now, uint64_t pause)
{
    rovei_timer_set(&s->a->node->timers, &s->a->repeat, rovei_time_add(now.mono, pause));
}

/* Sets that leave for the same node share its receive buffer. */
static size_t sharers(const struct rovei_net_source *s)
{
    size_t count = 0;
    ROVEI_LIST_EACH (it, next, &s->a->node->moves->running) {
        const rovei_attempt *a = ROVEI_CONTAINER(it, rovei_attempt, running);
        count += a->net_source && a->net_source->step == ROVEI_NET_SOURCE_SEND &&
                 rovei_net_source_to(a->net_source) == rovei_net_source_to(s);
    }
    return count;
}

/* ---- sending ---- */

/* Chunks of an earlier attempt may lie half put together at the other side, and would mix with
 * these, since nothing tells them apart. What a completed move left behind goes by itself when a
 * later sequence comes; the word for it would look like the failure of that move. */
static void clear_away(struct rovei_net_source *s, rovei_now now)
{
    rovei_node *n = s->a->node;
    bool leftover = false;
    for (size_t i = 0; i < n->moves->count; i++) {
        rovei_attempt *a = n->moves->all[i];
        if (a == s->a || !rovei_entity_equal(&a->info.daemon, &s->a->info.daemon) ||
            !rovei_entity_equal(&a->info.target, &s->a->info.target))
            continue;
        leftover |= a->net_leftover && (!a->committed || a->net_sequence == s->set.sequence);
        a->net_leftover = false;
        a->farewells = 0; /* they would end this attempt */
    }
    if (leftover && rovei_net_source_own(s))
        rovei_netmove_say_failed(n, now, s->roles.target, s->origin, ROVE_E_CANCELLED,
                                 "superseded by another attempt");
}

static void note_bytes(struct rovei_net_source *s)
{
    s->a->info.bytes = rovei_time_min(rovei_net_set_bytes(&s->set), s->state_size);
}

void rovei_net_source_send(struct rovei_net_source *s, rovei_now now)
{
    rovei_attempt *a = s->a;
    const rove_limits *l = &a->node->env->limits;
    size_t count = sharers(s);
    bool first = s->set.rounds == 0;
    rove_err err =
        rovei_net_set_burst(&s->set, a->node, now, rovei_net_source_to(s), s->origin, count);
    a->net_leftover |= s->set.next > 0;
    a->net_sequence = s->set.sequence;
    if (first) {
        note_bytes(s);
        if (!err)
            rovei_net_source_progress(s, now);
    }
    if (!rovei_net_set_sent(&s->set)) {
        rovei_net_source_again_in(s, now,
                                  err == ROVE_E_UNREACHABLE ? l->move_repeat
                                                            : rovei_net_set_pause(&s->set, count));
        return;
    }
    rovei_net_source_set_step(s, ROVEI_NET_SOURCE_SENT);
    rovei_net_source_again_in(s, now, rovei_net_set_wait(&s->set, l));
}

void rovei_net_source_resend(struct rovei_net_source *s, rovei_now now)
{
    rovei_net_set_again(&s->set, now);
    if (s->step == ROVEI_NET_SOURCE_SENT)
        rovei_net_source_set_step(s, ROVEI_NET_SOURCE_SEND);
    rovei_net_source_send(s, now);
}

/* ---- beginning ---- */

rove_err rovei_net_source_key(const rovei_node *n, uint64_t target, uint8_t ret[32])
{
    if (n->net && rovei_net_peer_key(n->net, target, ret) == ROVE_OK)
        return ROVE_OK;
    /* Another node may order a daemon away to one that is of class rove here. */
    rovei_peer_info peer;
    for (size_t it = 0; rovei_mesh_peer_next(n->mesh, &it, &peer);)
        if (peer.node_id == target && rovei_ed25519_image(ret, &peer.entity) == ROVE_OK)
            return ROVE_OK;
    return ROVE_E_TARGET_KEY;
}

rove_err rovei_net_source_new(struct rovei_net_source **ret, rovei_node *n, rovei_now now,
                              rovei_daemon *d, const rovei_move_info *info,
                              const rovei_net_roles *roles)
{
    rovei_attempt *a;
    rove_err err = rovei_lanes_make(n, d);
    if (err)
        return err;
    struct rovei_net_source *s = ROVEI_NEW(n->alloc, struct rovei_net_source);
    if (!s)
        return ROVE_E_NOMEM;
    err = rovei_attempt_new(&a, n, now, info);
    if (err) {
        ROVEI_DELETE(n->alloc, s);
        return err;
    }
    a->level = ROVEI_LEVEL_MEMORY;
    a->sinc = d->sinc;
    a->net_source = s;
    s->a = a;
    s->d = d;
    s->roles = *roles;
    s->origin = rovei_entity_origin(&d->entity);
    d->net_source = s;
    rovei_lanes_forget_gap(d->lanes);
    *ret = s;
    return ROVE_OK;
}

rove_err rovei_net_source_order(rovei_node *n, rovei_now now, rovei_daemon *d,
                                const rovei_move_order *o, const rovei_move_info *info,
                                rovei_attempt_id *ret)
{
    uint8_t key[32];
    struct rovei_net_source *s;
    uint64_t self = n->net_moves->self;
    rovei_net_roles roles = {self, rovei_entity_node_id(&o->target), self};
    rove_err err = o->keep_identity ? ROVE_OK : rovei_net_source_key(n, roles.target, key);
    if (!err)
        err = rovei_net_source_new(&s, n, now, d, info, &roles);
    if (err)
        return err;
    s->keep_identity = o->keep_identity;
    s->retry_not_ready = o->retry_not_ready;
    if (o->deadline)
        rovei_timer_set(&n->timers, &s->a->due, rovei_time_add(now.mono, o->deadline));
    *ret = info->attempt;
    rovei_net_source_begin(s, now);
    return ROVE_OK;
}

void rovei_net_source_freeze(struct rovei_net_source *s, rovei_now now)
{
    rovei_attempt *a = s->a;
    rovei_daemon *d = s->d;
    rovei_effect *e = rovei_node_effect(a->node, ROVEI_EFFECT_FREEZE);
    if (!e) {
        rovei_net_source_again_in(s, now, a->node->env->limits.move_repeat);
        return;
    }
    e->cell = d->cell;
    e->daemon = d->entity;
    e->attempt = a->info.attempt;
    /* The target takes one aligned stream of events at most, so it gets none: what was accepted is
     * in the state, and nothing is accepted any more. */
    e->quiesce = !ROVEI_MUTANT(FINAL_BATCH_RACES);
    e->size = ROVEI_NETMOVE_SNAPSHOT_MAX;
    a->info.attempts++;
    rovei_net_source_set_step(s, ROVEI_NET_SOURCE_FREEZE);
    rovei_daemon_set_role(a->node, now, d, ROVEI_ROLE_FREEZING);
    rovei_attempt_tell_phase(a);
    rovei_attempt_stop(a);
}

void rovei_net_source_begin(struct rovei_net_source *s, rovei_now now)
{
    const rove_limits *l = &s->a->node->env->limits;
    if (!s->d->target && !s->d->net_target) {
        rovei_net_source_freeze(s, now);
        return;
    }
    uint64_t wait = s->retry_not_ready > l->move_stall ? s->retry_not_ready : l->move_stall;
    rovei_timer_set(&s->a->node->timers, &s->a->limit, rovei_time_add(now.mono, wait));
}

/* ---- ending before the commit ---- */

bool rovei_net_source_thaw(struct rovei_net_source *s, rovei_now now)
{
    if (!rovei_attempt_thaw(s->a, now, s->d))
        return false;
    rovei_net_set_fini(&s->set);
    return true;
}

void rovei_net_source_farewell(rovei_attempt *a, rovei_now now)
{
    rove_err err = a->info.reason;
    rovei_text text = {0};
    if (a->info.text.size)
        rovei_text_add_span(&text, a->info.text);
    else
        rovei_text_add(&text, err == ROVE_E_CANCELLED   ? "cancel requested"
                              : err == ROVE_E_TIMED_OUT ? "timeout"
                                                        : rove_strerror(err));
    rovei_netmove_say_failed(a->node, now, a->net_told, rovei_entity_origin(&a->info.daemon), err,
                             text.chars);
    a->farewells--;
}

/* Takes the half off and says how it ended, as long as nothing was committed. */
static void end(struct rovei_net_source *s, rovei_now now, rovei_move_outcome outcome, rove_err err)
{
    rovei_attempt *a = s->a;
    bool own = rovei_net_source_own(s);
    a->net_told = rovei_net_source_to(s);
    /* An orchestrator waits for the answer to its order; a target may hold a part, or a copy. */
    if (!a->committed && !a->refused && (!own || a->net_leftover))
        a->farewells = FAREWELLS;
    a->net_source = NULL;
    s->d->net_source = NULL;
    rovei_net_source_free(s);
    rovei_attempt_conclude(a, now, outcome, err);
    if (a->farewells)
        rovei_net_source_farewell(a, now);
    rovei_attempt_retire(a, now);
}

void rovei_net_source_abort(struct rovei_net_source *s, rovei_now now, rovei_move_outcome outcome,
                            rove_err err)
{
    ROVEI_CHECK(!s->a->committed);
    if (s->ending == ROVEI_OUTCOME_RUNNING) {
        s->ending = outcome;
        s->ending_reason = err;
    }
    /* What was asked of the cell has to come back before the cell can be asked otherwise. */
    if (s->step == ROVEI_NET_SOURCE_FREEZE)
        return;
    if (rovei_net_source_is_frozen(s) && !rovei_net_source_thaw(s, now)) {
        rovei_attempt_repeat(s->a, now);
        return;
    }
    end(s, now, s->ending, s->ending_reason);
}

void rovei_net_source_cancel(struct rovei_net_source *s, rovei_now now, rovei_move_outcome outcome,
                             rove_err why)
{
    if (s->step == ROVEI_NET_SOURCE_WAIT && why == ROVE_E_TIMED_OUT)
        why = ROVE_E_MOVE_NOT_CLOSED;
    rovei_net_source_abort(s, now, outcome, why);
}

void rovei_net_source_detach(struct rovei_net_source *s, rovei_now now, rove_err err)
{
    end(s, now, ROVEI_OUTCOME_FAILED, err);
}

/* ---- the freeze ---- */

static rove_err seal(struct rovei_net_source *s, rovei_snapshot *snapshot)
{
    rovei_node *n = s->a->node;
    uint8_t key[32];
    if (s->keep_identity)
        return ROVE_OK;
    rove_err err = rovei_net_source_key(n, s->roles.target, key);
    if (!err && rovei_snapshot_seal(snapshot, n->env, s->d->key, key))
        err = ROVE_E_IDENTITY_TRANSPORT;
    return err;
}

/* All that travels, in one buffer: the snapshot as the reference writes it. */
static rove_err make_set(struct rovei_net_source *s, const rovei_image *image)
{
    rovei_snapshot snapshot = {.entity = s->d->entity,
                               .through_seq = image->head.sequence,
                               .link = image->head,
                               .created_at = image->created_at,
                               .state = rove_buf_span(image->state),
                               .bindings = rove_buf_span(image->ledger)};
    size_t size;
    if (!image->state && image->state_size) /* in pieces, which was not asked for */
        return ROVE_E_SNAPSHOT_FAILED;
    rove_err err = seal(s, &snapshot);
    if (!err)
        err = rovei_snapshot_size(&snapshot, &size);
    if (!err && size > ROVEI_NETMOVE_SNAPSHOT_MAX)
        err = ROVE_E_TOO_LARGE;
    if (err)
        return err;
    rove_buf *bytes = rovei_buf_alloc(s->a->node->alloc, size);
    if (!bytes)
        return ROVE_E_NOMEM;
    rovei_writer w = rovei_writer_of(rovei_buf_data(bytes), size);
    rovei_snapshot_encode(&snapshot, &w);
    ROVEI_CHECK(w.err == ROVE_OK && !rovei_writer_room(&w));
    rovei_net_set_init(&s->set, bytes, snapshot.through_seq);
    s->head = image->head;
    s->state_size = snapshot.state.size;
    return ROVE_OK;
}

static void not_frozen(struct rovei_net_source *s, rovei_now now, rove_err err)
{
    rovei_daemon_set_role(s->a->node, now, s->d, ROVEI_ROLE_SERVING);
    rovei_lanes_serve(s->d->lanes, now);
    rovei_feeds_serve(s->d, now);
    rovei_net_source_set_step(s, ROVEI_NET_SOURCE_WAIT);
    rovei_net_source_abort(s, now, ROVEI_OUTCOME_FAILED, err);
}

static void say_no_key(struct rovei_net_source *s)
{
    rovei_text text;
    rovei_net_source_no_key_text(s->roles.target, &text);
    rovei_attempt_text(s->a, rovei_text_span(&text));
}

void rovei_net_source_frozen(struct rovei_net_source *s, rovei_now now, rovei_completion *c)
{
    rovei_attempt *a = s->a;
    rovei_daemon *d = s->d;
    if (s->step != ROVEI_NET_SOURCE_FREEZE)
        return;
    if (c->err) {
        not_frozen(s, now, c->err);
        return;
    }
    a->info.frozen_at = now.mono;
    a->info.last_applied = rovei_lanes_pace(d->lanes).last;
    a->info.widest_gap = rovei_lanes_pace(d->lanes).widest_gap;
    rovei_daemon_set_role(a->node, now, d, ROVEI_ROLE_FROZEN);
    rovei_lanes_freeze(d->lanes, now, &a->info.held_back);
    rove_err err = rovei_attempt_ledger(d, now, &c->image);
    if (!err)
        err = make_set(s, &c->image);
    rovei_net_source_set_step(s, ROVEI_NET_SOURCE_SEND);
    if (err == ROVE_E_TARGET_KEY && !rovei_net_source_own(s))
        say_no_key(s);
    if (err || s->ending != ROVEI_OUTCOME_RUNNING) {
        rovei_net_source_abort(s, now, ROVEI_OUTCOME_FAILED, err);
        return;
    }
    rovei_attempt_phase(a, ROVEI_PHASE_TRANSFER);
    rovei_net_source_progress(s, now);
    s->mark = rovei_net_moves_heard(a->node, rovei_net_source_to(s));
    clear_away(s, now);
    rovei_net_source_resend(s, now);
}
