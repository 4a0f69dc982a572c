/* SPDX-License-Identifier: Apache-2.0
 *
 * The target half of a move in class net, from the whole snapshot until the daemon serves here. It
 * says its steps again until the orchestrator goes on, since nobody else does. Up to the first
 * ReplayComplete the orchestrator cannot have made the source give the daemon up, so a timer may
 * end it; afterwards only the orchestrator's own word does. */
#include <base/alloc.h>
#include <base/check.h>
#include <compute/location_table.h>
#include <migration/net_machine.h>

/* ---- the table ---- */

#define STEP(name) (1u << ROVEI_NET_TARGET_##name)
static const unsigned next_steps[] = {
    [ROVEI_NET_TARGET_RESTORING] = STEP(RESTORED),
    [ROVEI_NET_TARGET_RESTORED] = STEP(REPLAYED) | STEP(ACTIVATING),
    [ROVEI_NET_TARGET_REPLAYED] = STEP(ACTIVATING),
    [ROVEI_NET_TARGET_ACTIVATING] = 0,
};
static const rovei_role roles[] = {
    [ROVEI_NET_TARGET_RESTORING] = ROVEI_ROLE_RESTORING,
    [ROVEI_NET_TARGET_RESTORED] = ROVEI_ROLE_PREPARED,
    [ROVEI_NET_TARGET_REPLAYED] = ROVEI_ROLE_PREPARED,
    [ROVEI_NET_TARGET_ACTIVATING] = ROVEI_ROLE_ACTIVATING,
};
static const rovei_phase phases[] = {
    [ROVEI_NET_TARGET_RESTORING] = ROVEI_PHASE_RESTORE,
    [ROVEI_NET_TARGET_RESTORED] = ROVEI_PHASE_RESTORE,
    [ROVEI_NET_TARGET_REPLAYED] = ROVEI_PHASE_REPLAY,
    [ROVEI_NET_TARGET_ACTIVATING] = ROVEI_PHASE_CUTOVER,
};

void rovei_net_target_set_step(struct rovei_net_target *t, rovei_now now,
                               rovei_net_target_step step)
{
    if (t->step == step)
        return;
    ROVEI_CHECK(next_steps[t->step] >> step & 1);
    t->step = step;
    rovei_daemon_set_role(t->a->node, now, t->d, roles[step]);
    rovei_attempt_phase(t->a, phases[step]);
    rovei_attempt_stop(t->a);
}

void rovei_net_target_check(const struct rovei_net_target *t)
{
    ROVEI_CHECK(t->a->net_target == t && t->d->net_target == t);
    ROVEI_CHECK(t->d->role == roles[t->step]);
    ROVEI_CHECK(t->step == ROVEI_NET_TARGET_RESTORING || (t->d->cell && t->d->key));
    ROVEI_CHECK(t->pending.count <= t->a->node->env->limits.divert_events);
    ROVEI_CHECK(!t->activated || t->step == ROVEI_NET_TARGET_ACTIVATING);
}

const rovei_net_roles *rovei_net_target_roles(const struct rovei_net_target *t)
{
    return &t->roles;
}

void rovei_net_target_free(struct rovei_net_target *t)
{
    if (!t)
        return;
    rovei_node *n = t->a->node;
    rovei_inquiry *q = rovei_inquiry_find(n, t->inquiry);
    if (q)
        rovei_inquiry_free(q);
    rove_buf_unref(t->ledger);
    rovei_net_pending_free(t);
    ROVEI_DELETE(n->alloc, t);
}

/* ---- what it says ---- */

static void say(struct rovei_net_target *t, rovei_now now, rovei_netmove_message *m)
{
    m->origin = rovei_entity_origin(&t->d->entity);
    (void)!rovei_netmove_send(t->a->node, now, t->roles.orchestrator, m); /* or with the timer */
}

void rovei_net_target_say_restored(struct rovei_net_target *t, rovei_now now)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_RESTORE_COMPLETE};
    m.sequence = t->seq_through;
    say(t, now, &m);
}

static void say_replayed(struct rovei_net_target *t, rovei_now now)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_REPLAY_COMPLETE};
    m.replayed.sequence = t->replayed;
    m.replayed.head = t->head;
    say(t, now, &m);
}

/* ---- the end without having served ---- */

static void detach(struct rovei_net_target *t)
{
    t->a->net_target = NULL;
    t->d->net_target = NULL;
    rovei_net_target_free(t);
}

void rovei_net_target_discard(struct rovei_net_target *t, rovei_now now, rove_err err,
                              const char *text)
{
    rovei_attempt *a = t->a;
    rovei_node *n = a->node;
    rovei_daemon *d = t->d;
    if (text)
        rovei_netmove_say_failed(n, now, t->roles.orchestrator, rovei_entity_origin(&d->entity),
                                 err, text);
    detach(t);
    rovei_feeds_leave(d, now);
    rovei_daemon_remove(n, d, err);
    rovei_attempt_conclude(a, now, ROVEI_OUTCOME_FAILED, err);
    rovei_attempt_retire(a, now);
}

void rovei_net_target_detach(struct rovei_net_target *t, rovei_now now, rove_err err)
{
    rovei_attempt *a = t->a;
    rovei_netmove_say_failed(a->node, now, t->roles.orchestrator,
                             rovei_entity_origin(&t->d->entity), err, NULL);
    detach(t);
    rovei_attempt_conclude(a, now, ROVEI_OUTCOME_FAILED, err);
    rovei_attempt_retire(a, now);
}

/* ---- events ---- */

/* Nothing is being applied, and nothing that could be: what is owed can be said. */
static void drained(struct rovei_net_target *t, rovei_now now)
{
    if (t->owed && t->step < ROVEI_NET_TARGET_ACTIVATING) {
        rovei_net_target_set_step(t, now, ROVEI_NET_TARGET_REPLAYED);
        rovei_attempt_repeat(t->a, now);
        for (; t->owed; t->owed--)
            say_replayed(t, now);
    }
    if (t->wanted)
        rovei_net_target_activate(t, now);
}

static void drain(struct rovei_net_target *t, rovei_now now)
{
    if (t->applying)
        return;
    if (rovei_net_pending_apply(t) == ROVE_E_NOT_FOUND)
        drained(t, now);
}

/* At most so many answers are kept back for batches that came meanwhile. */
#define OWED_MAX 8

/* No room, while the source still has the daemon. */
static void overfull(struct rovei_net_target *t, rovei_now now)
{
    rovei_text text;
    rovei_text_set(&text, "migration buffer full: ");
    rovei_text_add_number(&text, t->pending.count);
    rovei_text_add(&text, " events / ");
    rovei_text_add_number(&text, t->pending_bytes);
    rovei_text_add(&text, " bytes");
    rovei_net_target_discard(t, now, ROVE_E_BUFFER_FULL, text.chars);
}

static void on_events(struct rovei_net_target *t, rovei_now now, const rovei_netmove_message *m)
{
    if (t->step == ROVEI_NET_TARGET_RESTORING || t->step == ROVEI_NET_TARGET_ACTIVATING) {
        rovei_netmove_out_of_phase(t->a->node, m->type);
        return;
    }
    rove_err err = rovei_net_pending_add(t, m->events.items);
    if (err == ROVE_E_BUFFER_FULL && t->step == ROVEI_NET_TARGET_RESTORED && !t->wanted) {
        overfull(t, now);
        return;
    }
    if (err) {
        rovei_netmove_out_of_phase(t->a->node, m->type); /* as if lost: no answer is one too */
        return;
    }
    rovei_attempt_progress(t->a, now);
    if (t->owed < OWED_MAX)
        t->owed++;
    drain(t, now);
}

/* An event that process refuses: before the first ReplayComplete the source still has the daemon,
 * so the move ends; afterwards there is no way back, and the event is passed over. */
static void poisoned(struct rovei_net_target *t, rovei_now now, const rovei_result *r)
{
    rovei_text text;
    rovei_text_set(&text, "state operation failed: daemon process failed: ");
    if (rovei_buf_size(r->text))
        rovei_text_add_span(&text, rove_buf_span(r->text));
    else
        rovei_text_add(&text, rove_strerror(r->err));
    rovei_net_target_discard(t, now, ROVE_E_STATE_FAILED, text.chars);
}

void rovei_net_target_applied(struct rovei_net_target *t, rovei_now now, rovei_completion *c)
{
    if (!t->applying || c->events != 1)
        return;
    const rovei_result *r = &c->results[0];
    t->applying = false;
    if (r->err && t->step == ROVEI_NET_TARGET_RESTORED && !t->wanted) {
        poisoned(t, now, r);
        return;
    }
    if (r->err) {
        t->skipped++;
        t->d->note = "an event that came with the move was refused by the daemon";
    }
    rovei_net_pending_applied(t, r);
    rovei_attempt_progress(t->a, now);
    drain(t, now);
}

/* ---- activation ---- */

void rovei_net_target_asked(rovei_node *n, rovei_now now, const rove_entity *daemon)
{
    const rovei_daemon *d = rovei_daemon_find(n, daemon);
    struct rovei_net_target *t = d ? d->net_target : NULL;
    rovei_inquiry *q = t ? rovei_inquiry_find(n, t->inquiry) : NULL;
    if (!q)
        return;
    t->inquiry = 0;
    rovei_inquiry_free(q);
    if (t->wanted)
        drain(t, now);
}

void rovei_net_target_activate(struct rovei_net_target *t, rovei_now now)
{
    rovei_attempt *a = t->a;
    rovei_node *n = a->node;
    rovei_daemon *d = t->d;
    if (t->inquiry || t->applying || t->step == ROVEI_NET_TARGET_ACTIVATING)
        return;
    rovei_effect *e = rovei_node_effect(n, ROVEI_EFFECT_ACTIVATE);
    if (!e) {
        rovei_attempt_repeat(a, now);
        return;
    }
    e->cell = d->cell;
    e->daemon = d->entity;
    e->attempt = a->info.attempt;
    uint64_t epoch = rovei_net_target_epoch(n, &d->entity);
    if (epoch > d->epoch)
        d->epoch = a->info.epoch = epoch;
    d->forced = true;
    const rovei_location *l = rovei_location_get(n, &d->entity);
    d->sinc.number = l ? l->sinc_number : 0;
    rovei_daemon_raise_sinc(n, d, d->epoch);
    a->sinc = d->sinc;
    a->info.committed_at = now.mono;
    rovei_net_target_set_step(t, now, ROVEI_NET_TARGET_ACTIVATING);
}

static void say_ack(rovei_node *n, rovei_now now, uint64_t to, uint64_t origin, uint64_t replayed)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_ACTIVATE_ACK, .origin = origin};
    m.sequence = replayed;
    (void)!rovei_netmove_send(n, now, to, &m); /* lost: ActivateTarget comes again */
}

/* It serves: the record ends, and only what answers a repeated ActivateTarget is kept. */
static void serve(struct rovei_net_target *t, rovei_now now)
{
    rovei_attempt *a = t->a;
    rovei_node *n = a->node;
    rovei_daemon *d = t->d;
    uint64_t origin = rovei_entity_origin(&d->entity);
    const rovei_net_done done = {.origin = origin,
                                 .source = t->roles.source,
                                 .orchestrator = t->roles.orchestrator,
                                 .replayed = t->replayed,
                                 .seq_through = t->seq_through};
    if (rovei_net_done_add(n, now, &done) || rovei_daemon_serve(n, now, d)) {
        rovei_attempt_back_off(a, now); /* out of memory */
        return;
    }
    const rovei_location *at = rovei_location_get(n, &d->entity);
    if (at)
        rovei_location_tell(n, &at->record);
    d->note = t->skipped ? d->note : NULL;
    a->served = true;
    a->info.active_at = now.mono;
    rovei_attempt_phase(a, ROVEI_PHASE_COMPLETE);
    (void)rovei_net_place_drop(n, t->roles.source, origin); /* the rest of a set that came again */
    say_ack(n, now, t->roles.orchestrator, origin, t->replayed);
    detach(t);
    rovei_attempt_conclude(a, now, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
    rovei_attempt_tell_phase(a);
    rovei_attempt_retire(a, now);
}

void rovei_net_target_activated(struct rovei_net_target *t, rovei_now now)
{
    if (t->step != ROVEI_NET_TARGET_ACTIVATING || t->activated)
        return;
    t->activated = true;
    serve(t, now);
}

bool rovei_net_target_activate_again(rovei_node *n, rovei_now now, uint64_t from, uint64_t origin)
{
    const rovei_net_done *done = rovei_net_done_find(n, now, origin);
    if (!done || done->orchestrator != from)
        return false;
    say_ack(n, now, from, origin, done->replayed);
    return true;
}

/* ---- messages ---- */

static void on_activate(struct rovei_net_target *t, rovei_now now, const rovei_netmove_message *m)
{
    if (t->step == ROVEI_NET_TARGET_RESTORING) {
        rovei_netmove_out_of_phase(t->a->node, m->type);
        return;
    }
    t->wanted = true;
    if (t->step < ROVEI_NET_TARGET_ACTIVATING)
        drain(t, now);
}

static void on_failed(struct rovei_net_target *t, rovei_now now, const rovei_netmove_message *m)
{
    rovei_attempt *a = t->a;
    /* The network may have kept the end of an earlier move back until now; if that ended this one,
     * the source could have committed to a copy that is gone. */
    if (t->wanted || rovei_net_stamp_before(a->node->net_moves->stamp, t->stamp)) {
        rovei_netmove_out_of_phase(a->node, m->type);
        return;
    }
    rovei_text text;
    rovei_netmove_reason_text(&m->failed, &text);
    rovei_attempt_text(a, rovei_text_span(&text));
    rovei_net_target_discard(t, now, ROVE_E_CANCELLED, NULL);
}

void rovei_net_target_receive(struct rovei_net_target *t, rovei_now now, uint64_t from,
                              const rovei_netmove_message *m)
{
    (void)from;
    if (rovei_net_moves_late(t->a->node, t->stamp, m->type))
        return;
    switch ((int)m->type) {
    case ROVEI_NETMOVE_BUFFERED_EVENTS:
        on_events(t, now, m);
        break;
    case ROVEI_NETMOVE_ACTIVATE_TARGET:
        on_activate(t, now, m);
        break;
    case ROVEI_NETMOVE_MIGRATION_FAILED:
        on_failed(t, now, m);
        break;
    default:
        break;
    }
}

/* ---- time and peers ---- */

static void say_again(struct rovei_net_target *t, rovei_now now)
{
    if (t->wanted)
        drain(t, now);
    else if (t->step == ROVEI_NET_TARGET_RESTORED)
        rovei_net_target_say_restored(t, now);
    else if (t->step == ROVEI_NET_TARGET_REPLAYED && !t->applying)
        say_replayed(t, now);
}

void rovei_net_target_repeat(struct rovei_net_target *t, rovei_now now)
{
    rovei_attempt_back_off(t->a, now);
    if (t->activated)
        serve(t, now);
    else
        say_again(t, now);
}

void rovei_net_target_limit(struct rovei_net_target *t, rovei_now now)
{
    if (t->step == ROVEI_NET_TARGET_RESTORED && !t->wanted)
        rovei_net_target_discard(t, now, ROVE_E_TIMED_OUT,
                                 "the orchestrator did not go on after the restore");
}

void rovei_net_target_peer_up(struct rovei_net_target *t, rovei_now now, uint64_t node_id)
{
    if (t->roles.orchestrator != node_id || t->step == ROVEI_NET_TARGET_RESTORING ||
        t->step == ROVEI_NET_TARGET_ACTIVATING)
        return;
    t->d->note = NULL;
    rovei_attempt_repeat(t->a, now);
    say_again(t, now);
}

void rovei_net_target_peer_failed(struct rovei_net_target *t, rovei_now now, uint64_t node_id)
{
    if (t->roles.orchestrator != node_id || t->wanted)
        return;
    if (t->step <= ROVEI_NET_TARGET_RESTORED)
        rovei_net_target_discard(t, now, ROVE_E_PEER_LOST, NULL);
    else
        t->d->note = "prepared; the node that orders the move is gone";
}

void rovei_net_target_turn(struct rovei_net_target *t, rovei_now now)
{
    if (t->step == ROVEI_NET_TARGET_RESTORED || t->step == ROVEI_NET_TARGET_REPLAYED)
        if (!t->applying && t->pending.count)
            drain(t, now);
}
