/* SPDX-License-Identifier: Apache-2.0
 *
 * The source half from the commit on: there is no way back, only forward, to the same target, until
 * it has said Active and all results are here. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <migration/machine.h>
#include <string.h>

/* ---- the commit ---- */

static void commit(struct rovei_source *s, rovei_now now, const rovei_move_prepared *p)
{
    rove_err err = rovei_attempt_commit(s->a, now, s->d, p->addrs, p->addr_count, &s->record);
    if (err == ROVE_E_NOMEM)
        return; /* the target says Prepared again */
    if (err) {
        rovei_source_abort(s, now, ROVEI_OUTCOME_FAILED, err);
        return;
    }
    s->ticket = p->ticket;
    s->a->info.unbound = p->unbound;
    rovei_source_set_step(s, ROVEI_SOURCE_COMMITTING);
}

/* Another preparation than the one committed to: the target may have served in between, so what it
 * serves from now on counts as a restart. */
static void commit_to_another(struct rovei_source *s, uint64_t ticket)
{
    rovei_daemon_raise_sinc(s->a->node, s->d, 0);
    s->a->sinc = s->d->sinc;
    s->ticket = ticket;
}

static void say_commit(struct rovei_source *s)
{
    rovei_move_message m = {
        .head.type = ROVEI_MOVE_COMMIT,
        .commit = {.ticket = s->ticket, .events = s->diverted.count, .record = s->record},
    };
    (void)!rovei_attempt_send(s->a, &m, NULL);
}

static void publish(struct rovei_source *s, rovei_now now)
{
    if (!s->published)
        s->published = rovei_attempt_publish(s->a, now, s->d, &s->record);
}

void rovei_source_prepared(struct rovei_source *s, rovei_now now, const rovei_move_prepared *p)
{
    bool waits = s->step == ROVEI_SOURCE_REJOIN || s->step == ROVEI_SOURCE_SEND ||
                 s->step == ROVEI_SOURCE_SEALED || s->step == ROVEI_SOURCE_COMMITTED;
    if (!waits || !s->digest_known || (!s->committed && s->ending != ROVEI_OUTCOME_RUNNING))
        return;
    if (memcmp(p->digest, s->digest, sizeof s->digest) != 0) {
        if (!s->committed)
            rovei_source_abort(s, now, ROVEI_OUTCOME_FAILED, ROVE_E_STATE_FAILED);
        return;
    }
    if (!s->committed) {
        commit(s, now, p);
        return;
    }
    rovei_outgoing_stop(&s->out);
    rovei_source_set_step(s, ROVEI_SOURCE_COMMITTED);
    if (p->ticket != s->ticket && !ROVEI_MUTANT(TICKET_IGNORED))
        commit_to_another(s, p->ticket);
    s->d->note = NULL;
    rovei_attempt_repeat(s->a, now);
    say_commit(s);
}

void rovei_source_committed(struct rovei_source *s, rovei_now now, const rovei_completion *c)
{
    rovei_attempt *a = s->a;
    if (s->step != ROVEI_SOURCE_COMMITTING)
        return;
    s->committed = true;
    s->in_cell = c->number;
    a->info.committed_at = now.mono;
    rovei_source_set_step(s, ROVEI_SOURCE_COMMITTED);
    rovei_daemon_set_role(a->node, now, s->d, ROVEI_ROLE_COMMITTED);
    rovei_outgoing_stop(&s->out);
    rovei_attempt_phase(a, ROVEI_PHASE_CUTOVER);
    publish(s, now);
    rovei_attempt_repeat(a, now);
    say_commit(s);
    rovei_source_pump_events(s);
}

/* The simulator's broken rule: no word from the target, so it serves here again. */
static void resume(struct rovei_source *s, rovei_now now)
{
    rovei_effect *e = rovei_node_effect(s->a->node, ROVEI_EFFECT_THAW);
    if (!e || s->d->role == ROVEI_ROLE_SERVING)
        return;
    e->cell = s->d->cell;
    e->daemon = s->d->entity;
    e->attempt = s->a->info.attempt;
    rovei_daemon_set_role(s->a->node, now, s->d, ROVEI_ROLE_SERVING);
    rovei_lanes_serve(s->d->lanes, now);
}

void rovei_source_commit_again(struct rovei_source *s, rovei_now now)
{
    if (ROVEI_MUTANT(RESUME_AFTER_COMMIT)) {
        resume(s, now);
        return;
    }
    publish(s, now);
    rovei_attempt_back_off(s->a, now);
    say_commit(s);
}

/* ---- the target does not know, or does not want ---- */

void rovei_source_unknown(struct rovei_source *s, rovei_now now, rovei_move_type answers)
{
    switch (s->step) {
    case ROVEI_SOURCE_SEND:
    case ROVEI_SOURCE_SEALED:
        if ((answers == ROVEI_MOVE_SEALED || answers == ROVEI_MOVE_EVENTS) &&
            s->ending == ROVEI_OUTCOME_RUNNING)
            rovei_source_rejoin(s, now);
        break;
    case ROVEI_SOURCE_COMMITTED:
        if (answers == ROVEI_MOVE_COMMIT)
            rovei_source_rejoin(s, now);
        break;
    case ROVEI_SOURCE_CLOSING:
        /* It has served and lost all of it: nobody will ever know the results. */
        if (answers == ROVEI_MOVE_EVENTS)
            rovei_source_close(s, now, ROVE_E_UNKNOWN_OUTCOME);
        break;
    case ROVEI_SOURCE_WAIT:
    case ROVEI_SOURCE_OFFER:
    case ROVEI_SOURCE_PAUSE:
    case ROVEI_SOURCE_FREEZE:
    case ROVEI_SOURCE_REJOIN:
    case ROVEI_SOURCE_COMMITTING:
        break;
    }
}

/* What an operator reads beside a daemon whose target refuses after the commit. */
static const char *refusal_note(rove_err reason)
{
    switch ((int)reason) {
    case ROVE_E_TARGET_NOT_READY:
        return "committed; the target's runtime is not ready";
    case ROVE_E_TARGET_NO_FACTORY:
        return "committed; the target does not expect this daemon or lacks its kind";
    case ROVE_E_TARGET_NO_RUNTIME:
        return "committed; the target does not run a compute runtime";
    case ROVE_E_REFUSED:
        return "committed; the target's policy refuses the daemon";
    case ROVE_E_IDENTITY_MISSING:
    case ROVE_E_IDENTITY_TRANSPORT:
        return "committed; the target cannot take the daemon's identity";
    case ROVE_E_STALE_EPOCH:
        return "committed; the target knows another holder";
    case ROVE_E_SNAPSHOT_FAILED:
    case ROVE_E_NOMEM:
        return "committed; the frozen state cannot be read";
    case ROVE_E_RESTORE_FAILED:
    case ROVE_E_STATE_FAILED:
        return "committed; the target cannot restore the state";
    default:
        return "committed; the target refuses the daemon";
    }
}

/* A refusal undoes no commit: the move goes on and asks again, and says why it stands. */
void rovei_source_refused(struct rovei_source *s, rovei_now now, rove_err reason)
{
    if (s->step == ROVEI_SOURCE_CLOSING)
        return;
    s->d->note = refusal_note(reason);
    s->a->info.reason = reason;
    rovei_outgoing_stop(&s->out);
    if (s->step != ROVEI_SOURCE_COMMITTED)
        rovei_source_set_step(s, ROVEI_SOURCE_COMMITTED);
    rovei_attempt_back_off(s->a, now);
}

/* ---- the end ---- */

/* Waiters whose diverted event will have no result from the target. */
static void tell_without_result(struct rovei_source *s, rove_err err)
{
    for (uint64_t i = s->results + 1; i <= s->in_cell; i++) {
        rovei_effect *e = rovei_node_effect(s->a->node, ROVEI_EFFECT_RESULT);
        if (!e)
            return; /* FORGET tells them as well */
        e->cell = s->d->cell;
        e->daemon = s->d->entity;
        e->attempt = s->a->info.attempt;
        e->number = i;
        /* What was never passed on is certainly not applied. */
        e->err = i > s->diverted.count ? ROVE_E_NOMEM : err;
    }
}

void rovei_source_close(struct rovei_source *s, rovei_now now, rove_err err)
{
    rovei_attempt *a = s->a;
    rovei_daemon *d = s->d;
    rovei_node *n = a->node;
    rovei_move_message m = {.head.type = ROVEI_MOVE_CLOSED};
    publish(s, now);
    tell_without_result(s, err);
    if (!s->keep_identity && d->key)
        rovei_keypair_wipe(d->key);
    a->source = NULL;
    d->source = NULL;
    rovei_source_free(s);
    rovei_daemon_remove(n, d, ROVE_E_MOVED);
    (void)!rovei_attempt_send(a, &m, NULL); /* said again for every later Active */
    rovei_attempt_conclude(a, now, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
    rovei_attempt_retire(a, now);
}

/* Results are waited for as long as the target may have them: one that serves, is lost and stays
 * silent for move_stall has none any more. Should it come back all the same, this node answers its
 * Active with Closed. */
void rovei_source_peer_lost(struct rovei_source *s, rovei_now now)
{
    if (s->step == ROVEI_SOURCE_CLOSING)
        rovei_attempt_progress(s->a, now);
    else if (!s->a->committed)
        rovei_source_abort(s, now, ROVEI_OUTCOME_FAILED, ROVE_E_PEER_LOST);
}

void rovei_source_heard(struct rovei_source *s)
{
    if (s->step == ROVEI_SOURCE_CLOSING)
        rovei_timer_set(&s->a->node->timers, &s->a->limit, ROVE_TIME_NEVER);
}

static void first_active(struct rovei_source *s, rovei_now now)
{
    rovei_attempt *a = s->a;
    a->info.active_at = now.mono;
    a->info.reason = ROVE_OK;
    if (s->step != ROVEI_SOURCE_COMMITTED)
        rovei_pipe_reset(a->node, &a->pipe);
    rovei_source_set_step(s, ROVEI_SOURCE_CLOSING);
    rovei_source_drop_image(s);
    rovei_attempt_stop(a);
    s->d->note = NULL;
    rovei_attempt_phase(a, ROVEI_PHASE_COMPLETE);
}

void rovei_source_active(struct rovei_source *s, rovei_now now, bool serves, uint64_t have)
{
    if (!s->committed)
        return;
    if (s->step != ROVEI_SOURCE_CLOSING)
        first_active(s, now);
    if (!serves || s->results == s->diverted.count) {
        rovei_source_close(s, now, ROVE_E_UNKNOWN_OUTCOME);
        return;
    }
    rovei_attempt_conclude(s->a, now, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
    rovei_attempt_repeat(s->a, now);
    /* Nothing is under way any more, and it lacks some: those were lost. */
    if (have < s->events_sent && rovei_pipe_queued(s->a->node, &s->a->pipe) == 0)
        s->events_sent = have;
    if (s->events_sent < s->diverted.count)
        rovei_source_pump_events(s);
    else
        rovei_source_say_events(s);
}
