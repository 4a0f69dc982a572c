/* SPDX-License-Identifier: Apache-2.0
 *
 * The target half of a move, from the accepted Offer until Closed. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <identity/envelope.h>
#include <migration/net_machine.h>
#include <string.h>

/* Bytes between two Progress messages. */
#define PROGRESS_STEP (UINT64_C(256) << 10)

/* ---- the table ---- */

#define STEP(name) (1u << ROVEI_TARGET_##name)
static const unsigned next_steps[] = {
    [ROVEI_TARGET_RECEIVING] = STEP(RESTORING),
    [ROVEI_TARGET_RESTORING] = STEP(PREPARED),
    [ROVEI_TARGET_PREPARED] = STEP(ACTIVATING),
    [ROVEI_TARGET_ACTIVATING] = STEP(ACTIVE),
    [ROVEI_TARGET_ACTIVE] = 0,
};
static const rovei_role roles[] = {
    [ROVEI_TARGET_RECEIVING] = ROVEI_ROLE_RECEIVING,
    [ROVEI_TARGET_RESTORING] = ROVEI_ROLE_RESTORING,
    [ROVEI_TARGET_PREPARED] = ROVEI_ROLE_PREPARED,
    [ROVEI_TARGET_ACTIVATING] = ROVEI_ROLE_ACTIVATING,
    [ROVEI_TARGET_ACTIVE] = ROVEI_ROLE_SERVING,
};

void rovei_target_set_step(struct rovei_target *t, rovei_target_step step)
{
    ROVEI_CHECK(next_steps[t->step] >> step & 1);
    t->step = step;
}

void rovei_target_check(const struct rovei_target *t)
{
    ROVEI_CHECK(t->a->target == t && t->d->target == t);
    ROVEI_CHECK(t->d->role == roles[t->step]);
    ROVEI_CHECK(t->d->epoch == t->a->info.epoch);
    ROVEI_CHECK(t->applying <= t->diverted.count && t->result_count <= t->applying);
    ROVEI_CHECK(t->results_sent <= t->result_count);
    ROVEI_CHECK(t->step == ROVEI_TARGET_ACTIVE || (!t->applying && !t->a->served));
    ROVEI_CHECK(t->step != ROVEI_TARGET_PREPARED || t->ticket);
}

void rovei_target_free(struct rovei_target *t)
{
    if (!t)
        return;
    const rove_alloc *alloc = t->a->node->alloc;
    rovei_incoming_stop(&t->in, t->a->node);
    rovei_diverted_free(&t->diverted, alloc);
    for (size_t i = 0; i < t->result_count; i++) {
        rove_buf_unref(t->results[i].text);
        rove_buf_unref(t->results[i].outputs);
    }
    rovei_free(alloc, t->results, t->result_room * sizeof *t->results);
    ROVEI_DELETE(alloc, t);
}

/* ---- what it says ---- */

void rovei_target_say_accept(struct rovei_target *t)
{
    rovei_move_message m = {.head.type = ROVEI_MOVE_ACCEPT, .answer.round = t->round};
    (void)!rovei_attempt_send(t->a, &m, NULL);
}

void rovei_target_say_prepared(struct rovei_target *t)
{
    const rovei_node *n = t->a->node;
    rovei_move_message m = {
        .head.type = ROVEI_MOVE_PREPARED,
        .prepared = {.ticket = t->ticket, .addr_count = (uint8_t)n->addr_count},
    };
    bool asking;
    m.prepared.unbound = (uint32_t)rovei_feeds_unbound(t->d, &asking);
    t->a->info.unbound = m.prepared.unbound;
    memcpy(m.prepared.digest, t->digest, sizeof m.prepared.digest);
    memcpy(m.prepared.addrs, n->addrs, n->addr_count * sizeof *n->addrs);
    (void)!rovei_attempt_send(t->a, &m, NULL);
}

void rovei_target_say_active(struct rovei_target *t)
{
    rovei_move_message m = {.head.type = ROVEI_MOVE_ACTIVE,
                            .active = {.serves = true, .have = t->diverted.count}};
    (void)!rovei_attempt_send(t->a, &m, NULL);
}

static void say_progress(struct rovei_target *t)
{
    rovei_move_message m = {.head.type = ROVEI_MOVE_PROGRESS,
                            .progress = {.phase = t->a->info.phase, .bytes = t->a->info.bytes}};
    (void)!rovei_attempt_send(t->a, &m, NULL);
}

/* ---- ending without having served ---- */

void rovei_target_discard(struct rovei_target *t, rovei_now now, rove_err err, bool tell)
{
    rovei_attempt *a = t->a;
    rovei_daemon *d = t->d;
    ROVEI_CHECK(t->step <= ROVEI_TARGET_PREPARED);
    if (tell) {
        rovei_move_message m = {.head.type = ROVEI_MOVE_REFUSE,
                                .answer = {.round = t->round, .reason = err}};
        (void)!rovei_attempt_send(a, &m, NULL);
    }
    a->target = NULL;
    d->target = NULL;
    rovei_target_free(t);
    rovei_feeds_leave(d, now);
    rovei_daemon_remove(a->node, d, err);
    rovei_attempt_conclude(a, now, ROVEI_OUTCOME_FAILED, err);
    rovei_attempt_retire(a, now);
}

/* ---- receiving ---- */

void rovei_target_accept(struct rovei_target *t, rovei_now now, uint32_t round)
{
    if (rovei_target_forget_cell(t) || rovei_incoming_begin(&t->in, t->a->node))
        return; /* the source offers again */
    t->round = round;
    t->reported = 0;
    t->a->info.bytes = 0;
    rovei_attempt_progress(t->a, now);
    rovei_target_say_accept(t);
}

/* Something is missing or can never be taken. */
static void not_taken(struct rovei_target *t, rovei_now now, rove_err err)
{
    if (err == ROVE_E_SEQUENCE_GAP && t->round < UINT32_MAX)
        rovei_target_accept(t, now, t->round + 1);
    else if (err != ROVE_E_NOMEM)
        rovei_target_discard(t, now, err == ROVE_E_FORMAT ? ROVE_E_STATE_FAILED : err, true);
}

static void on_chunk(struct rovei_target *t, rovei_now now, const rovei_move_message *m,
                     const rovei_pipe *via, rove_buf *message)
{
    const rovei_move_chunk *c = &m->chunk;
    if (t->step != ROVEI_TARGET_RECEIVING || c->round != t->round)
        return;
    rove_err err = m->head.type == ROVEI_MOVE_STATE
                       ? rovei_incoming_state(&t->in, t->a, c, via, message)
                       : rovei_incoming_positions(&t->in, t->a->node, c);
    if (err) {
        not_taken(t, now, err);
        return;
    }
    rovei_attempt_progress(t->a, now);
    t->a->info.bytes = t->in.state_have;
    uint64_t all = t->in.state_have + t->in.positions_have;
    if (all - t->reported >= PROGRESS_STEP) {
        t->reported = all;
        say_progress(t);
    }
}

static void on_envelope(struct rovei_target *t, rovei_now now, uint32_t round, const uint8_t *bytes)
{
    if (t->step != ROVEI_TARGET_RECEIVING || round != t->round)
        return;
    if (t->in.has_envelope && memcmp(t->in.envelope, bytes, sizeof t->in.envelope) == 0)
        return; /* said twice */
    rove_err err = rovei_incoming_envelope(&t->in, bytes);
    if (err)
        not_taken(t, now, err);
}

/* ---- restoring ---- */

static rove_err open_identity(const struct rovei_target *t, const rove_link *link,
                              rovei_keypair **ret)
{
    const rovei_node *n = t->a->node;
    rovei_envelope envelope;
    uint8_t secret[32];
    if (!t->in.has_envelope)
        return ROVE_OK;
    if (rovei_envelope_decode(&envelope, (rove_span){t->in.envelope, sizeof t->in.envelope}) ||
        rovei_keypair_x25519(n->identity, secret))
        return ROVE_E_IDENTITY_TRANSPORT;
    rove_err err = rovei_envelope_open(ret, n->env, &envelope, secret, link, &t->d->entity);
    rovei_wipe(secret, sizeof secret);
    return err == ROVE_OK || err == ROVE_E_NOMEM ? err : ROVE_E_IDENTITY_TRANSPORT;
}

/* An empty part is an absent one. */
static bool copy_part(const rovei_node *n, rove_span part, rove_buf **ret)
{
    if (!part.size)
        return true;
    *ret = rovei_buf_copy(n->alloc, part.data, part.size);
    return *ret != NULL;
}

static rove_err make_image(const struct rovei_target *t, const rovei_move_sealed *sealed,
                           rovei_image *ret)
{
    const rovei_node *n = t->a->node;
    rovei_move_positions p;
    if (rovei_move_positions_decode(&p, rove_buf_span(t->in.positions)) ||
        !rovei_link_equal(&p.head, &sealed->link) || p.created_at != sealed->created_at ||
        p.head.origin != rovei_entity_origin(&t->d->entity))
        return ROVE_E_STATE_FAILED;
    rovei_image image = {.head = p.head,
                         .events_processed = p.events_processed,
                         .events_emitted = p.events_emitted,
                         .errors = p.errors,
                         .snapshots_taken = p.snapshots_taken,
                         .created_at = p.created_at};
    if (!copy_part(n, p.head_payload, &image.head_payload) ||
        !copy_part(n, p.horizon, &image.horizon) || !copy_part(n, p.ledger, &image.ledger)) {
        rovei_image_fini(&image);
        return ROVE_E_NOMEM;
    }
    if (t->in.in_pieces) {
        image.state_size = sealed->state_size;
    } else if (sealed->flags & ROVEI_SEALED_STATE) {
        image.state = t->in.state ? rove_buf_ref(t->in.state) : rovei_buf_alloc(n->alloc, 0);
        if (!image.state) {
            rovei_image_fini(&image);
            return ROVE_E_NOMEM;
        }
    }
    *ret = image;
    return ROVE_OK;
}

/* `key` and `image` pass to the effect. */
static rove_err ask_restore(struct rovei_target *t, rovei_keypair *key, rovei_image *image)
{
    rovei_node *n = t->a->node;
    rove_buf *kind = rovei_buf_copy(n->alloc, t->d->kind, strlen(t->d->kind));
    rovei_effect *e = kind ? rovei_node_effect(n, ROVEI_EFFECT_RESTORE) : NULL;
    if (!e) {
        rove_buf_unref(kind);
        return ROVE_E_NOMEM;
    }
    e->cell = t->d->cell; /* the one that the pieces went to, or none */
    e->daemon = t->d->entity;
    e->attempt = t->a->info.attempt;
    e->peer = t->a->info.source;
    e->daemon_kind = kind;
    e->key = key ? rovei_keypair_ref(key) : NULL;
    e->image = *image;
    memset(image, 0, sizeof *image);
    return ROVE_OK;
}

static rove_err restore(struct rovei_target *t, rovei_now now, const rovei_move_sealed *sealed)
{
    rovei_node *n = t->a->node;
    rovei_image image = {0};
    rovei_keypair *key = NULL;
    rove_err err = make_image(t, sealed, &image);
    if (!err)
        err = open_identity(t, &sealed->link, &key);
    if (!err)
        err = ask_restore(t, key, &image);
    rovei_image_fini(&image);
    if (err) {
        rovei_keypair_unref(key);
        return err;
    }
    t->d->key = key;
    memcpy(t->digest, sealed->digest, sizeof t->digest);
    rove_buf_unref(t->in.state); /* the effect has it */
    t->in.state = NULL;
    rovei_wipe(t->in.envelope, sizeof t->in.envelope);
    rovei_target_set_step(t, ROVEI_TARGET_RESTORING);
    rovei_daemon_set_role(n, now, t->d, ROVEI_ROLE_RESTORING);
    rovei_attempt_phase(t->a, ROVEI_PHASE_RESTORE);
    rovei_attempt_stop(t->a);
    rovei_attempt_repeat(t->a, now);
    say_progress(t);
    return ROVE_OK;
}

void rovei_target_sealed(struct rovei_target *t, rovei_now now, const rovei_move_sealed *s)
{
    if (t->step == ROVEI_TARGET_PREPARED) {
        rovei_target_say_prepared(t);
    } else if (t->step == ROVEI_TARGET_ACTIVE) {
        rovei_target_say_active(t);
    } else if (t->step == ROVEI_TARGET_RECEIVING && s->round < t->round) {
        rovei_target_say_accept(t);
    } else if (t->step == ROVEI_TARGET_RECEIVING && s->round > t->round && s->round < UINT32_MAX) {
        rovei_target_accept(t, now, s->round + 1);
    } else if (t->step == ROVEI_TARGET_RECEIVING && !rovei_incoming_given(&t->in)) {
        t->in.sealed = *s;
        t->in.sealed_waits = true;
    } else if (t->step == ROVEI_TARGET_RECEIVING) {
        rove_err err = rovei_incoming_sealed(&t->in, s);
        if (!err) {
            err = restore(t, now, s);
            /* The digest is used up: for want of memory all of it comes again. */
            err = err == ROVE_E_NOMEM ? ROVE_E_SEQUENCE_GAP : err;
        }
        if (err)
            not_taken(t, now, err);
    }
}

/* ---- prepared ---- */

/* The simulator's broken rule serves without the commit. */
static void activate(struct rovei_target *t, rovei_now now)
{
    rovei_attempt *a = t->a;
    rovei_effect *e = rovei_node_effect(a->node, ROVEI_EFFECT_ACTIVATE);
    if (!e)
        return; /* the source says Commit again */
    e->cell = t->d->cell;
    e->daemon = t->d->entity;
    e->attempt = a->info.attempt;
    e->publishes = t->d->outlet != NULL;
    rovei_target_set_step(t, ROVEI_TARGET_ACTIVATING);
    rovei_daemon_set_role(a->node, now, t->d, ROVEI_ROLE_ACTIVATING);
    a->info.committed_at = now.mono;
    rovei_attempt_phase(a, ROVEI_PHASE_CUTOVER);
    rovei_attempt_stop(a);
}

/* Publishers have a short time to accept this node, so that nothing is missed. */
static bool waits_for_answers(const struct rovei_target *t, rovei_now now)
{
    bool asking;
    return rovei_feeds_unbound(t->d, &asking) && asking && now.mono < t->rebind_until;
}

static void prepare(struct rovei_target *t, rovei_now now)
{
    rovei_attempt *a = t->a;
    rovei_move_positions p;
    rove_err err = rovei_move_positions_decode(&p, rove_buf_span(t->in.positions));
    if (!err && !t->imported)
        err = rovei_lanes_import(t->d->lanes, now, p.lanes);
    t->imported |= !err;
    if (!err && !t->rebind_until) {
        err = p.ledger.size ? rovei_feeds_bind(t->d, now, p.ledger) : ROVE_OK;
        if (!err)
            t->rebind_until = rovei_time_add(now.mono, a->node->env->limits.rebind_wait);
    }
    if (err == ROVE_E_NOMEM) {
        rovei_attempt_back_off(a, now);
        return;
    }
    if (err) {
        rovei_target_discard(t, now, ROVE_E_STATE_FAILED, true);
        return;
    }
    if (waits_for_answers(t, now)) {
        rovei_timer_set(&a->node->timers, &a->repeat, t->rebind_until);
        return;
    }
    rovei_incoming_stop(&t->in, a->node);
    do
        t->ticket = rovei_rng_u64(&a->node->env->rng);
    while (!t->ticket);
    rovei_target_set_step(t, ROVEI_TARGET_PREPARED);
    rovei_daemon_set_role(a->node, now, t->d, ROVEI_ROLE_PREPARED);
    rovei_attempt_phase(a, ROVEI_PHASE_REPLAY);
    rovei_attempt_stop(a);
    rovei_attempt_repeat(a, now);
    rovei_target_say_prepared(t);
    if (ROVEI_MUTANT(SERVE_BEFORE_COMMIT))
        activate(t, now);
}

void rovei_target_restored(struct rovei_target *t, rovei_now now, rovei_completion *c)
{
    rovei_node *n = t->a->node;
    rovei_daemon *d = t->d;
    if (c->err) {
        rovei_target_discard(t, now, c->err, true);
        return;
    }
    rovei_daemon_set_cell(n, d, c->cell);
    if (c->key) {
        rovei_keypair_unref(d->key);
        d->key = c->key;
        c->key = NULL;
    }
    if (!d->key || !rovei_entity_equal(rovei_keypair_entity(d->key), &d->entity)) {
        rovei_target_discard(t, now, ROVE_E_IDENTITY_MISSING, true);
        return;
    }
    t->restored = true;
    prepare(t, now);
}

/* ---- the commit ---- */

/* The record that the Commit carries is the right itself: for this daemon, this epoch, this node,
 * given by the source. */
static bool is_given(const struct rovei_target *t, const rovei_record *r)
{
    const rovei_move_info *i = &t->a->info;
    return r->epoch == i->epoch && rovei_entity_equal(&r->daemon, &i->daemon) &&
           rovei_entity_equal(&r->holder, &i->target) && rovei_entity_equal(&r->giver, &i->source);
}

static void obey(struct rovei_target *t, rovei_now now, const rovei_move_message *m)
{
    rovei_node *n = t->a->node;
    const rovei_record *r = &m->commit.record;
    rove_err err =
        is_given(t, r) ? rovei_location_learn(n, now, r, &t->a->info.source) : ROVE_E_WRONG_PEER;
    if (err) {
        n->stats.frames_refused += err != ROVE_E_NOMEM;
        return;
    }
    t->d->sinc = m->head.sinc;
    t->a->sinc = m->head.sinc;
    t->d->note = NULL;
    t->events_total = m->commit.events;
    activate(t, now);
}

static void on_commit(struct rovei_target *t, rovei_now now, const rovei_move_message *m)
{
    switch (t->step) {
    case ROVEI_TARGET_RECEIVING:
        rovei_move_say_unknown(t->a->node, &m->head);
        break;
    case ROVEI_TARGET_PREPARED:
        if (m->commit.ticket == t->ticket || ROVEI_MUTANT(TICKET_IGNORED))
            obey(t, now, m);
        else
            rovei_target_say_prepared(t);
        break;
    case ROVEI_TARGET_ACTIVE:
        rovei_target_say_active(t);
        break;
    case ROVEI_TARGET_RESTORING: /* Prepared or Active will be the answer */
    case ROVEI_TARGET_ACTIVATING:
        break;
    }
}

static void serve(struct rovei_target *t, rovei_now now)
{
    rovei_attempt *a = t->a;
    if (rovei_daemon_serve(a->node, now, t->d)) {
        rovei_attempt_back_off(a, now);
        return;
    }
    rovei_target_set_step(t, ROVEI_TARGET_ACTIVE);
    a->served = true;
    a->info.active_at = now.mono;
    rovei_attempt_phase(a, ROVEI_PHASE_COMPLETE);
    rovei_attempt_conclude(a, now, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
    rovei_attempt_repeat(a, now);
    rovei_target_say_active(t);
    rovei_target_turn(t, now);
}

void rovei_target_activated(struct rovei_target *t, rovei_now now)
{
    if (t->step != ROVEI_TARGET_ACTIVATING)
        return;
    t->activated = true;
    serve(t, now);
}

/* ---- the end ---- */

/* The source has forgotten the daemon and has all results: it may be given away again. */
static void on_closed(struct rovei_target *t, rovei_now now)
{
    rovei_attempt *a = t->a;
    rovei_daemon *d = t->d;
    if (t->step != ROVEI_TARGET_ACTIVE)
        return;
    a->target = NULL;
    d->target = NULL;
    rovei_target_free(t);
    rovei_attempt_tell_phase(a);
    rovei_attempt_retire(a, now);
    if (d->source && d->source->step == ROVEI_SOURCE_WAIT)
        rovei_source_start(d->source, now);
    if (d->net_source)
        rovei_net_source_begin(d->net_source, now);
}

static void on_abort(struct rovei_target *t, rovei_now now, const rovei_move_message *m)
{
    if (t->step > ROVEI_TARGET_PREPARED)
        return;
    rovei_node *n = t->a->node;
    rovei_target_discard(t, now, m->ended.reason, false);
    rovei_move_say_unknown(n, &m->head);
}

void rovei_target_receive(struct rovei_target *t, rovei_now now, const rovei_move_message *m,
                          const rovei_pipe *via, rove_buf *message)
{
    switch ((int)m->head.type) {
    case ROVEI_MOVE_STATE:
    case ROVEI_MOVE_POSITIONS:
        on_chunk(t, now, m, via, message);
        break;
    case ROVEI_MOVE_ENVELOPE:
        on_envelope(t, now, m->envelope.round, m->envelope.bytes);
        break;
    case ROVEI_MOVE_SEALED:
        rovei_target_sealed(t, now, &m->sealed);
        break;
    case ROVEI_MOVE_COMMIT:
        on_commit(t, now, m);
        break;
    case ROVEI_MOVE_CLOSED:
        on_closed(t, now);
        break;
    case ROVEI_MOVE_ABORT:
        on_abort(t, now, m);
        break;
    case ROVEI_MOVE_UNKNOWN:
        if (t->step == ROVEI_TARGET_PREPARED)
            t->d->note = "prepared; the source knows nothing of the move";
        break;
    default:
        break;
    }
}

/* ---- time and peers ---- */

void rovei_target_turn(struct rovei_target *t, rovei_now now)
{
    if (t->step == ROVEI_TARGET_RECEIVING)
        rovei_target_write(t, now); /* it may end here */
    else if (t->step == ROVEI_TARGET_RESTORING && t->rebind_until && !waits_for_answers(t, now))
        prepare(t, now);
    else if (t->step == ROVEI_TARGET_ACTIVE)
        rovei_target_pump(t);
}

void rovei_target_peer_up(struct rovei_target *t, rovei_now now)
{
    if (t->step == ROVEI_TARGET_PREPARED) {
        rovei_attempt_repeat(t->a, now);
        rovei_target_say_prepared(t);
    } else if (t->step == ROVEI_TARGET_ACTIVE) {
        t->part = 0;
        rovei_attempt_repeat(t->a, now);
        rovei_target_say_active(t);
    }
}

void rovei_target_repeat(struct rovei_target *t, rovei_now now)
{
    switch (t->step) {
    case ROVEI_TARGET_RECEIVING: /* the source repeats its Offer */
        break;
    case ROVEI_TARGET_RESTORING:
        rovei_attempt_repeat(t->a, now);
        if (t->restored)
            prepare(t, now);
        else
            say_progress(t); /* the source waits as long as this comes */
        break;
    case ROVEI_TARGET_PREPARED:
        rovei_attempt_back_off(t->a, now);
        rovei_target_say_prepared(t);
        break;
    case ROVEI_TARGET_ACTIVATING:
        if (t->activated)
            serve(t, now);
        break;
    case ROVEI_TARGET_ACTIVE:
        rovei_attempt_back_off(t->a, now);
        rovei_target_say_active(t);
        rovei_target_turn(t, now);
        break;
    }
}

/* Only a receiving target discards by its time. */
void rovei_target_limit(struct rovei_target *t, rovei_now now)
{
    if (t->step == ROVEI_TARGET_RECEIVING)
        rovei_target_discard(t, now, ROVE_E_TIMED_OUT, true);
}
