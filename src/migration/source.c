/* SPDX-License-Identifier: Apache-2.0
 *
 * The source half of a move, from the order to the last moment at which it can still be undone. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <channel/outlet.h>
#include <identity/envelope.h>
#include <migration/machine.h>
#include <string.h>

/* A restore that is said to go on may take so many times move_stall. */
#define RESTORE_STALLS 40
/* Rounds that the target may be ahead with: it counts on by itself when a chunk was lost. */
#define ROUNDS_AHEAD 1000

/* ---- the table ---- */

#define STEP(name) (1u << ROVEI_SOURCE_##name)
static const unsigned next_steps[] = {
    [ROVEI_SOURCE_WAIT] = STEP(OFFER),
    [ROVEI_SOURCE_OFFER] = STEP(PAUSE) | STEP(FREEZE),
    [ROVEI_SOURCE_PAUSE] = STEP(OFFER),
    [ROVEI_SOURCE_FREEZE] = STEP(SEND) | STEP(REJOIN),
    [ROVEI_SOURCE_REJOIN] =
        STEP(REJOIN) | STEP(SEND) | STEP(COMMITTING) | STEP(COMMITTED) | STEP(CLOSING),
    [ROVEI_SOURCE_SEND] = STEP(SEND) | STEP(SEALED) | STEP(REJOIN) | STEP(COMMITTING) |
                          STEP(COMMITTED) | STEP(CLOSING),
    [ROVEI_SOURCE_SEALED] =
        STEP(SEND) | STEP(REJOIN) | STEP(COMMITTING) | STEP(COMMITTED) | STEP(CLOSING),
    [ROVEI_SOURCE_COMMITTING] = STEP(COMMITTED),
    [ROVEI_SOURCE_COMMITTED] = STEP(COMMITTED) | STEP(REJOIN) | STEP(CLOSING),
    [ROVEI_SOURCE_CLOSING] = 0,
};

void rovei_source_set_step(struct rovei_source *s, rovei_source_step step)
{
    ROVEI_CHECK(next_steps[s->step] >> step & 1);
    /* Back from the commit there is no way; before it COMMITTED and CLOSING cannot be. */
    ROVEI_CHECK(s->committed || (step != ROVEI_SOURCE_COMMITTED && step != ROVEI_SOURCE_CLOSING));
    ROVEI_CHECK(!s->committed || step != ROVEI_SOURCE_COMMITTING);
    s->step = step;
}

static bool transferring(const struct rovei_source *s)
{
    return s->step == ROVEI_SOURCE_REJOIN || s->step == ROVEI_SOURCE_SEND ||
           s->step == ROVEI_SOURCE_SEALED;
}

void rovei_source_check(const struct rovei_source *s)
{
    rovei_role role = s->d->role;
    ROVEI_CHECK(s->d->source == s && s->a->source == s);
    ROVEI_CHECK(s->results <= s->diverted.count && s->events_sent <= s->diverted.count);
    ROVEI_CHECK(!s->committed || s->a->committed);
    ROVEI_CHECK(s->a->info.applied_frozen == 0);
    if (ROVEI_MUTANT(RESUME_AFTER_COMMIT))
        return;
    if (s->committed)
        ROVEI_CHECK(role == ROVEI_ROLE_COMMITTED);
    else if (s->step == ROVEI_SOURCE_COMMITTING)
        ROVEI_CHECK(role == ROVEI_ROLE_COMMITTING);
    else if (s->step == ROVEI_SOURCE_FREEZE)
        ROVEI_CHECK(role == ROVEI_ROLE_FREEZING);
    else if (transferring(s))
        ROVEI_CHECK(role == ROVEI_ROLE_FROZEN);
    else
        ROVEI_CHECK(role == ROVEI_ROLE_SERVING);
}

void rovei_source_drop_image(struct rovei_source *s)
{
    rovei_outgoing_stop(&s->out);
    rovei_image_fini(&s->image);
    rove_buf_unref(s->positions);
    rove_buf_unref(s->early);
    s->positions = s->early = NULL;
    rovei_wipe(s->envelope, sizeof s->envelope);
}

void rovei_source_free(struct rovei_source *s)
{
    if (!s)
        return;
    const rove_alloc *alloc = s->a->node->alloc;
    rovei_source_drop_image(s);
    rovei_diverted_free(&s->diverted, alloc);
    rove_buf_unref(s->partial);
    ROVEI_DELETE(alloc, s);
}

/* ---- offering ---- */

static uint64_t size_hint(const struct rovei_source *s)
{
    return s->image.state_size;
}

/* The record that shows the right to give the daemon away: after the commit as it was before. */
static void keep_right(struct rovei_source *s)
{
    const rovei_location *l = rovei_location_get(s->a->node, &s->d->entity);
    if (!s->committed && l && l->record.epoch == s->d->epoch &&
        rovei_entity_equal(&l->record.holder, &s->a->node->self))
        s->right = l->record;
}

static void say_offer(struct rovei_source *s)
{
    keep_right(s);
    rovei_move_message m = {
        .head.type = ROVEI_MOVE_OFFER,
        .offer = {.round = s->round,
                  .flags = s->keep_identity ? 0 : ROVEI_OFFER_IDENTITY,
                  .size_hint = size_hint(s),
                  .right = s->right},
    };
    _Static_assert(sizeof m.offer.kind == ROVEI_KIND_ROOM, "names of kinds");
    memcpy(m.offer.kind, s->d->kind, strlen(s->d->kind) + 1);
    rove_span channel = rovei_outlet_channel(s->d);
    if (channel.size)
        memcpy(m.offer.channel, channel.data, channel.size);
    (void)!rovei_attempt_send(s->a, &m, NULL);
}

/* The simulator's broken rule: the lanes' positions are taken before the freeze. */
static void export_early(struct rovei_source *s, rovei_now now)
{
    rove_buf_unref(s->early);
    s->early = NULL;
    (void)!rovei_lanes_export(s->d->lanes, now, &s->early);
}

static void offer_anew(struct rovei_source *s, rovei_now now)
{
    if (ROVEI_MUTANT(POSITIONS_LATE))
        export_early(s, now);
    s->step = ROVEI_SOURCE_OFFER;
    s->round++;
    s->a->info.attempts++;
    rovei_attempt_repeat(s->a, now);
    rovei_attempt_progress(s->a, now);
    say_offer(s);
}

/* The simulator's broken rule: the former move is taken for closed. */
static void close_without_word(rovei_daemon *d, rovei_now now)
{
    rovei_attempt *a = d->target->a;
    a->target = NULL;
    rovei_target_free(d->target);
    d->target = NULL;
    rovei_attempt_conclude(a, now, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
    rovei_attempt_retire(a, now);
}

void rovei_source_start(struct rovei_source *s, rovei_now now)
{
    rovei_node *n = s->a->node;
    const rove_limits *l = &n->env->limits;
    if (s->d->target && ROVEI_MUTANT(GIVES_AWAY_BEFORE_CLOSED))
        close_without_word(s->d, now);
    if (!s->d->target) {
        offer_anew(s, now);
        return;
    }
    s->step = ROVEI_SOURCE_WAIT;
    uint64_t wait = s->retry_not_ready > l->move_stall ? s->retry_not_ready : l->move_stall;
    rovei_timer_set(&n->timers, &s->a->limit, rovei_time_add(now.mono, wait));
}

static void not_ready(struct rovei_source *s, rovei_now now)
{
    rovei_attempt *a = s->a;
    uint64_t pause = rovei_attempt_retry(a, now, s->retry_not_ready);
    if (!pause) {
        a->refused = true;
        rovei_source_abort(s, now, ROVEI_OUTCOME_FAILED,
                           s->retry_not_ready ? ROVE_E_NOT_READY_TIMEOUT : ROVE_E_TARGET_NOT_READY);
        return;
    }
    rovei_source_set_step(s, ROVEI_SOURCE_PAUSE);
    rovei_attempt_stop(a);
    rovei_timer_set(&a->node->timers, &a->repeat, rovei_time_add(now.mono, pause));
}

/* ---- ending before the commit ---- */

static void end(struct rovei_source *s, rovei_now now, rovei_move_outcome outcome, rove_err err)
{
    rovei_attempt *a = s->a;
    rovei_pipe_reset(a->node, &a->pipe);
    if (a->info.attempts && !a->refused) {
        rovei_move_header h = rovei_attempt_header(a, ROVEI_MOVE_ABORT);
        a->unanswered = true;
        rovei_move_say_abort(a->node, &h, err);
    }
    a->source = NULL;
    s->d->source = NULL;
    rovei_source_free(s);
    rovei_attempt_conclude(a, now, outcome, err);
    rovei_attempt_retire(a, now);
}

void rovei_source_abort(struct rovei_source *s, rovei_now now, rovei_move_outcome outcome,
                        rove_err err)
{
    rovei_attempt *a = s->a;
    ROVEI_CHECK(!a->committed);
    if (s->ending == ROVEI_OUTCOME_RUNNING) {
        s->ending = outcome;
        s->ending_reason = err;
    }
    /* What was asked of the cell has to come back before the cell can be asked otherwise. */
    if (s->step == ROVEI_SOURCE_FREEZE)
        return;
    if (transferring(s) && !rovei_attempt_thaw(a, now, s->d)) {
        rovei_attempt_repeat(a, now);
        return;
    }
    end(s, now, s->ending, s->ending_reason);
}

/* ---- the freeze ---- */

static void freeze(struct rovei_source *s, rovei_now now)
{
    rovei_attempt *a = s->a;
    rovei_daemon *d = s->d;
    rovei_effect *e = rovei_node_effect(a->node, ROVEI_EFFECT_FREEZE);
    if (!e)
        return; /* the target accepts again when the Offer is repeated */
    e->cell = d->cell;
    e->daemon = d->entity;
    e->attempt = a->info.attempt;
    rovei_source_set_step(s, ROVEI_SOURCE_FREEZE);
    rovei_daemon_set_role(a->node, now, d, ROVEI_ROLE_FREEZING);
    rovei_attempt_tell_phase(a);
    rovei_attempt_stop(a);
    rovei_attempt_progress(a, now);
}

static rove_err make_positions(struct rovei_source *s, rovei_now now)
{
    const rovei_image *i = &s->image;
    rove_buf *lanes = NULL;
    rove_err known = rovei_attempt_ledger(s->d, now, &s->image);
    if (known)
        return known;
    if (s->early)
        lanes = rove_buf_ref(s->early);
    else {
        rove_err err = rovei_lanes_export(s->d->lanes, now, &lanes);
        if (err)
            return err;
    }
    rovei_move_positions p = {.head = i->head,
                              .events_processed = i->events_processed,
                              .events_emitted = i->events_emitted,
                              .errors = i->errors,
                              .snapshots_taken = i->snapshots_taken,
                              .created_at = i->created_at,
                              .head_payload = rove_buf_span(i->head_payload),
                              .horizon = rove_buf_span(i->horizon),
                              .ledger = rove_buf_span(i->ledger),
                              .lanes = rove_buf_span(lanes)};
    s->positions = rovei_move_positions_encode(&p, s->a->node->alloc);
    rove_buf_unref(lanes);
    return s->positions ? ROVE_OK : ROVE_E_NOMEM;
}

/* The key leaves only sealed to the target, bound to the head of the chain at the freeze. */
static rove_err seal_identity(struct rovei_source *s)
{
    uint8_t image[32];
    rovei_envelope envelope;
    if (s->keep_identity)
        return ROVE_OK;
    if (rovei_ed25519_image(image, &s->a->info.target) ||
        rovei_envelope_seal(&envelope, s->a->node->env, s->d->key, image, &s->image.head))
        return ROVE_E_IDENTITY_TRANSPORT;
    rovei_envelope_encode(&envelope, s->envelope);
    s->has_envelope = true;
    return ROVE_OK;
}

/* From the start of the transfer, under the present round. */
static void send_from_start(struct rovei_source *s, rovei_now now)
{
    rovei_attempt *a = s->a;
    if (rovei_outgoing_begin(&s->out, a->node, &s->image, s->positions, !s->digest_known)) {
        rovei_source_rejoin(s, now);
        return;
    }
    rovei_pipe_reset(a->node, &a->pipe);
    s->events_sent = 0;
    s->seen_phase = ROVEI_PHASE_NONE;
    s->seen_bytes = 0;
    rovei_source_set_step(s, ROVEI_SOURCE_SEND);
    rovei_attempt_repeat(a, now);
    rovei_source_turn(s, now);
}

static void not_frozen(struct rovei_source *s, rovei_now now, rove_err err)
{
    rovei_daemon *d = s->d;
    rovei_daemon_set_role(s->a->node, now, d, ROVEI_ROLE_SERVING);
    rovei_lanes_serve(d->lanes, now);
    rovei_feeds_serve(d, now);
    s->step = ROVEI_SOURCE_OFFER;
    rovei_source_abort(s, now, ROVEI_OUTCOME_FAILED, err);
}

void rovei_source_frozen(struct rovei_source *s, rovei_now now, rovei_completion *c)
{
    rovei_attempt *a = s->a;
    rovei_daemon *d = s->d;
    if (s->step != ROVEI_SOURCE_FREEZE)
        return;
    if (c->err) {
        not_frozen(s, now, c->err);
        return;
    }
    s->image = c->image;
    memset(&c->image, 0, sizeof c->image);
    if (s->image.state)
        s->image.state_size = rovei_buf_size(s->image.state);
    a->info.frozen_at = now.mono;
    a->info.last_applied = rovei_lanes_pace(d->lanes).last;
    a->info.widest_gap = rovei_lanes_pace(d->lanes).widest_gap;
    rovei_daemon_set_role(a->node, now, d, ROVEI_ROLE_FROZEN);
    rovei_lanes_freeze(d->lanes, now, &a->info.held_back);
    rovei_source_set_step(s, ROVEI_SOURCE_REJOIN);
    rove_err err = make_positions(s, now);
    if (!err)
        err = seal_identity(s);
    if (!err && s->image.state_size > a->node->env->limits.state_max)
        err = ROVE_E_TOO_LARGE;
    if (err || s->ending != ROVEI_OUTCOME_RUNNING) {
        rovei_source_abort(s, now, ROVEI_OUTCOME_FAILED, err);
        return;
    }
    rovei_attempt_phase(a, ROVEI_PHASE_TRANSFER);
    rovei_attempt_progress(a, now);
    send_from_start(s, now);
}

/* ---- the transfer ---- */

void rovei_source_rejoin(struct rovei_source *s, rovei_now now)
{
    rovei_source_set_step(s, ROVEI_SOURCE_REJOIN);
    rovei_outgoing_stop(&s->out);
    rovei_pipe_reset(s->a->node, &s->a->pipe);
    s->round++;
    if (s->committed)
        rovei_attempt_back_off(s->a, now);
    else
        rovei_attempt_repeat(s->a, now);
    say_offer(s);
}

static rovei_move_sealed sealed_of(const struct rovei_source *s)
{
    bool has_state = s->image.state || s->image.state_size;
    rovei_move_sealed sealed = {.round = s->round,
                                .flags = (has_state ? ROVEI_SEALED_STATE : 0) |
                                         (s->has_envelope ? ROVEI_SEALED_ENVELOPE : 0),
                                .state_size = s->image.state_size,
                                .positions_size = rovei_buf_size(s->positions),
                                .link = s->image.head,
                                .created_at = s->image.created_at};
    memcpy(sealed.digest, s->digest, sizeof sealed.digest);
    return sealed;
}

static rove_err say_sealed(struct rovei_source *s)
{
    rovei_move_message m = {.head.type = ROVEI_MOVE_SEALED};
    m.sealed = sealed_of(s);
    return rovei_attempt_send(s->a, &m, NULL);
}

static rove_err say_envelope(struct rovei_source *s)
{
    rovei_move_message m = {.head.type = ROVEI_MOVE_ENVELOPE, .envelope.round = s->round};
    memcpy(m.envelope.bytes, s->envelope, sizeof m.envelope.bytes);
    rove_err err = rovei_attempt_send(s->a, &m, NULL);
    rovei_wipe(m.envelope.bytes, sizeof m.envelope.bytes);
    return err;
}

/* The content is frozen, so its digest is taken once. */
static void end_digest(struct rovei_source *s)
{
    if (s->digest_known)
        return;
    uint8_t fixed[ROVEI_SEALED_FIXED];
    rovei_move_sealed sealed = sealed_of(s);
    rovei_move_sealed_fixed(&sealed, fixed);
    if (s->has_envelope)
        rovei_digest_add(s->out.digest, s->envelope, sizeof s->envelope);
    rovei_digest_add(s->out.digest, fixed, sizeof fixed);
    rovei_digest_end(s->out.digest, s->digest);
    rovei_digest_free(s->out.digest);
    s->out.digest = NULL;
    s->digest_known = true;
}

static void pump(struct rovei_source *s, rovei_now now)
{
    uint64_t before = s->out.offset;
    (void)!rovei_outgoing_pump(&s->out, s->a, s->round); /* goes on at the next turn */
    if (s->out.offset != before && !s->committed)
        rovei_attempt_progress(s->a, now);
    if (!rovei_outgoing_done(&s->out))
        return;
    end_digest(s);
    if ((s->has_envelope && say_envelope(s)) || say_sealed(s))
        return;
    rovei_source_set_step(s, ROVEI_SOURCE_SEALED);
    rovei_attempt_repeat(s->a, now);
}

void rovei_source_turn(struct rovei_source *s, rovei_now now)
{
    if (s->step == ROVEI_SOURCE_SEND)
        pump(s, now);
    if (s->step == ROVEI_SOURCE_SEALED || s->step == ROVEI_SOURCE_COMMITTED ||
        s->step == ROVEI_SOURCE_CLOSING)
        rovei_source_pump_events(s);
}

/* ---- messages of the target ---- */

static void accepted(struct rovei_source *s, rovei_now now, uint32_t round)
{
    bool ahead = round > s->round && round - s->round <= ROUNDS_AHEAD;
    if (s->step == ROVEI_SOURCE_OFFER && round == s->round) {
        freeze(s, now);
    } else if (transferring(s) && s->ending == ROVEI_OUTCOME_RUNNING &&
               (ahead || (s->step == ROVEI_SOURCE_REJOIN && round == s->round))) {
        s->round = round;
        send_from_start(s, now);
    }
}

static void refused(struct rovei_source *s, rovei_now now, uint32_t round, rove_err reason)
{
    if (round < s->round || s->step == ROVEI_SOURCE_WAIT || s->step == ROVEI_SOURCE_PAUSE ||
        s->step == ROVEI_SOURCE_COMMITTING)
        return;
    if (s->committed) {
        rovei_source_refused(s, now, reason);
    } else if (reason == ROVE_E_TARGET_NOT_READY && s->step == ROVEI_SOURCE_OFFER) {
        not_ready(s, now);
    } else {
        s->a->refused = true;
        rovei_source_abort(s, now, ROVEI_OUTCOME_FAILED, reason);
    }
}

/* The target says that its cell still restores: life, but not for ever. */
static bool may_restore(const struct rovei_source *s, rovei_now now)
{
    uint64_t stall = s->a->node->env->limits.move_stall;
    return (now.mono - s->restoring_since) / RESTORE_STALLS < stall;
}

static void progressed(struct rovei_source *s, rovei_now now, rovei_phase phase, uint64_t bytes)
{
    if (s->committed || !transferring(s))
        return;
    if (phase == ROVEI_PHASE_RESTORE && !s->restoring_since)
        s->restoring_since = now.mono;
    if (phase > s->seen_phase || bytes > s->seen_bytes ||
        (phase == ROVEI_PHASE_RESTORE && may_restore(s, now)))
        rovei_attempt_progress(s->a, now);
    s->seen_phase = phase > s->seen_phase ? phase : s->seen_phase;
    s->seen_bytes = bytes > s->seen_bytes ? bytes : s->seen_bytes;
    if (phase == ROVEI_PHASE_RESTORE)
        rovei_attempt_phase(s->a, phase);
}

void rovei_source_receive(struct rovei_source *s, rovei_now now, const rovei_move_message *m)
{
    rovei_source_heard(s);
    switch ((int)m->head.type) {
    case ROVEI_MOVE_ACCEPT:
        accepted(s, now, m->answer.round);
        break;
    case ROVEI_MOVE_REFUSE:
        refused(s, now, m->answer.round, m->answer.reason);
        break;
    case ROVEI_MOVE_PREPARED:
        rovei_source_prepared(s, now, &m->prepared);
        break;
    case ROVEI_MOVE_ACTIVE:
        rovei_source_active(s, now, m->active.serves, m->active.have);
        break;
    case ROVEI_MOVE_UNKNOWN:
        rovei_source_unknown(s, now, m->unknown.answers);
        break;
    case ROVEI_MOVE_RESULTS:
        rovei_source_results(s, now, &m->results);
        break;
    case ROVEI_MOVE_PROGRESS:
        progressed(s, now, m->progress.phase, m->progress.bytes);
        break;
    default:
        break;
    }
}

/* ---- time and peers ---- */

void rovei_source_peer_up(struct rovei_source *s, rovei_now now)
{
    switch (s->step) {
    case ROVEI_SOURCE_OFFER:
        say_offer(s);
        break;
    case ROVEI_SOURCE_REJOIN:
    case ROVEI_SOURCE_SEND:
    case ROVEI_SOURCE_SEALED:
        rovei_source_rejoin(s, now);
        break;
    case ROVEI_SOURCE_COMMITTED:
        rovei_attempt_repeat(s->a, now);
        rovei_source_commit_again(s, now);
        break;
    case ROVEI_SOURCE_CLOSING:
        rovei_source_heard(s);
        rovei_source_say_events(s);
        break;
    case ROVEI_SOURCE_WAIT:
    case ROVEI_SOURCE_PAUSE:
    case ROVEI_SOURCE_FREEZE:
    case ROVEI_SOURCE_COMMITTING:
        break;
    }
}

void rovei_source_repeat(struct rovei_source *s, rovei_now now)
{
    if (s->ending != ROVEI_OUTCOME_RUNNING && s->step != ROVEI_SOURCE_FREEZE) {
        rovei_source_abort(s, now, s->ending, s->ending_reason);
        return;
    }
    switch (s->step) {
    case ROVEI_SOURCE_OFFER:
    case ROVEI_SOURCE_REJOIN:
        rovei_attempt_back_off(s->a, now);
        say_offer(s);
        break;
    case ROVEI_SOURCE_PAUSE:
        offer_anew(s, now);
        break;
    case ROVEI_SOURCE_SEND:
        rovei_attempt_repeat(s->a, now);
        rovei_source_turn(s, now);
        break;
    case ROVEI_SOURCE_SEALED:
        rovei_attempt_back_off(s->a, now);
        (void)!say_sealed(s);
        break;
    case ROVEI_SOURCE_COMMITTED:
        rovei_source_commit_again(s, now);
        break;
    case ROVEI_SOURCE_CLOSING: /* a target that has lost everything says so */
        rovei_attempt_back_off(s->a, now);
        rovei_source_say_events(s);
        break;
    case ROVEI_SOURCE_WAIT:
    case ROVEI_SOURCE_FREEZE:
    case ROVEI_SOURCE_COMMITTING:
        break;
    }
}

void rovei_source_limit(struct rovei_source *s, rovei_now now)
{
    if (s->step == ROVEI_SOURCE_CLOSING) {
        rovei_source_close(s, now, ROVE_E_UNKNOWN_OUTCOME);
        return;
    }
    if (s->a->committed)
        return;
    rove_err err = s->step == ROVEI_SOURCE_WAIT                         ? ROVE_E_MOVE_NOT_CLOSED
                   : rovei_node_reaches(s->a->node, &s->a->info.target) ? ROVE_E_TIMED_OUT
                                                                        : ROVE_E_PEER_LOST;
    rovei_source_abort(s, now, ROVEI_OUTCOME_FAILED, err);
}
