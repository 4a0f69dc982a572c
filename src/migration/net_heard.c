/* SPDX-License-Identifier: Apache-2.0
 *
 * What a source in class net hears, of the others, of time and of sessions, and what follows of it
 * at each step. */
#include <base/mutant.h>
#include <migration/net_source.h>

/* ReplayCompletes with another head than the daemon's after which it counts as the target's. One
 * or two may be of an earlier attempt. */
#define WRONG_HEADS 3

/* ---- what the others say ---- */

static void say_events(struct rovei_net_source *s, rovei_now now)
{
    /* Empty: what it draws, a ReplayComplete with the head there, is what moves the chain on. */
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_BUFFERED_EVENTS, .origin = s->origin};
    (void)!rovei_netmove_send(s->a->node, now, s->roles.target, &m);
}

/* It has dropped all that it had, so the daemon serves here until it is asked again. */
static void not_ready(struct rovei_net_source *s, rovei_now now)
{
    rovei_attempt *a = s->a;
    uint64_t pause = rovei_attempt_retry(a, now, s->retry_not_ready);
    if (!pause) {
        a->refused = true;
        rovei_net_source_abort(s, now, ROVEI_OUTCOME_FAILED,
                               s->retry_not_ready ? ROVE_E_NOT_READY_TIMEOUT
                                                  : ROVE_E_TARGET_NOT_READY);
        return;
    }
    if (!rovei_net_source_thaw(s, now))
        return; /* the next round draws the same answer */
    a->net_leftover = false;
    s->wrong_heads = 0;
    rovei_net_source_set_step(s, ROVEI_NET_SOURCE_PAUSE);
    rovei_attempt_stop(a);
    rovei_net_source_again_in(s, now, pause);
}

static void restored(struct rovei_net_source *s, rovei_now now, uint64_t sequence)
{
    bool waits =
        s->step == ROVEI_NET_SOURCE_SENT || (s->step == ROVEI_NET_SOURCE_SEND && s->set.rounds);
    if (!waits || sequence != s->set.sequence) {
        rovei_netmove_out_of_phase(s->a->node, ROVEI_NETMOVE_RESTORE_COMPLETE);
        return;
    }
    rovei_net_source_set_step(s, ROVEI_NET_SOURCE_REPLAY);
    s->a->info.bytes = s->state_size;
    rovei_attempt_phase(s->a, ROVEI_PHASE_RESTORE);
    rovei_net_source_progress(s, now);
    rovei_attempt_repeat(s->a, now);
    say_events(s, now);
}

/* The target's chain has to stand where this daemon's stood: else it restored something else. */
static void replayed(struct rovei_net_source *s, rovei_now now, const rovei_netmove_message *m)
{
    if (s->step != ROVEI_NET_SOURCE_REPLAY) {
        rovei_netmove_out_of_phase(s->a->node, m->type);
        return;
    }
    if (rovei_link_equal(&m->replayed.head, &s->head)) {
        rovei_net_source_commit(s, now);
        return;
    }
    rovei_netmove_out_of_phase(s->a->node, m->type);
    if (++s->wrong_heads == WRONG_HEADS)
        rovei_net_source_abort(s, now, ROVEI_OUTCOME_FAILED, ROVE_E_STATE_FAILED);
    else
        say_events(s, now);
}

static void activated(struct rovei_net_source *s, rovei_now now, uint64_t sequence)
{
    /* One of an earlier attempt counted fewer outputs. */
    if (s->step == ROVEI_NET_SOURCE_COMMITTED && sequence >= s->head.sequence)
        rovei_net_source_close(s, now);
    else
        rovei_netmove_out_of_phase(s->a->node, ROVEI_NETMOVE_ACTIVATE_ACK);
}

void rovei_net_source_proved(struct rovei_net_source *s, rovei_now now)
{
    if (s->step == ROVEI_NET_SOURCE_COMMITTED)
        rovei_net_source_close(s, now);
}

static void failed_there(struct rovei_net_source *s, rovei_now now, const rovei_netmove_reason *r)
{
    rovei_attempt *a = s->a;
    rove_err err = rovei_netmove_err_of(r);
    if (a->committed) { /* a refusal undoes no commit */
        rovei_attempt_text(a, r->text);
        a->info.reason = err;
        s->d->note = "committed; the target refuses the daemon";
        return;
    }
    bool told = rovei_net_source_is_frozen(s) && a->net_leftover;
    if (!told && rovei_net_source_own(s)) { /* it can only speak of an earlier attempt */
        rovei_netmove_out_of_phase(a->node, ROVEI_NETMOVE_MIGRATION_FAILED);
        return;
    }
    if (err == ROVE_E_TARGET_NOT_READY && rovei_net_source_own(s)) {
        not_ready(s, now);
        return;
    }
    rovei_attempt_text(a, r->text);
    a->refused = true;
    rovei_net_source_abort(s, now, ROVEI_OUTCOME_FAILED, err);
}

static void cutover(struct rovei_net_source *s, rovei_now now)
{
    /* Before the first round is through nobody can have restored it. */
    if (rovei_net_source_is_frozen(s) && s->set.rounds)
        rovei_net_source_commit(s, now);
    else if (!s->a->committed)
        rovei_netmove_out_of_phase(s->a->node, ROVEI_NETMOVE_CUTOVER_NOTIFY);
}

void rovei_net_source_receive(struct rovei_net_source *s, rovei_now now,
                              const rovei_netmove_message *m)
{
    if (rovei_net_moves_late(s->a->node, s->mark, m->type))
        return;
    switch ((int)m->type) {
    case ROVEI_NETMOVE_RESTORE_COMPLETE:
        restored(s, now, m->sequence);
        break;
    case ROVEI_NETMOVE_REPLAY_COMPLETE:
        replayed(s, now, m);
        break;
    case ROVEI_NETMOVE_ACTIVATE_ACK:
        activated(s, now, m->sequence);
        break;
    case ROVEI_NETMOVE_CUTOVER_NOTIFY:
        cutover(s, now);
        break;
    case ROVEI_NETMOVE_MIGRATION_FAILED:
        failed_there(s, now, &m->failed);
        break;
    default:
        break;
    }
}

/* ---- time and peers ---- */

static void begin_again(struct rovei_net_source *s, rovei_now now)
{
    rovei_attempt *a = s->a;
    if (rovei_node_reaches(a->node, &a->info.target)) {
        rovei_net_source_freeze(s, now);
        return;
    }
    uint64_t pause = rovei_attempt_retry(a, now, s->retry_not_ready);
    if (pause)
        rovei_net_source_again_in(s, now, pause);
    else
        rovei_net_source_abort(s, now, ROVEI_OUTCOME_FAILED, ROVE_E_PEER_LOST);
}

void rovei_net_source_repeat(struct rovei_net_source *s, rovei_now now)
{
    if (s->ending != ROVEI_OUTCOME_RUNNING && !s->a->committed) {
        rovei_net_source_abort(s, now, s->ending, s->ending_reason);
        return;
    }
    bool resends = s->step == ROVEI_NET_SOURCE_SENT || s->step == ROVEI_NET_SOURCE_REPLAY ||
                   s->step == ROVEI_NET_SOURCE_COMMITTED;
    if (resends && ROVEI_MUTANT(NO_RESEND_TO_STOCK))
        return;
    switch (s->step) {
    case ROVEI_NET_SOURCE_WAIT: /* memory was out */
        rovei_net_source_begin(s, now);
        break;
    case ROVEI_NET_SOURCE_PAUSE:
        begin_again(s, now);
        break;
    case ROVEI_NET_SOURCE_SEND:
        rovei_net_source_send(s, now);
        break;
    case ROVEI_NET_SOURCE_SENT:
        rovei_net_source_resend(s, now);
        break;
    case ROVEI_NET_SOURCE_REPLAY:
        rovei_attempt_back_off(s->a, now);
        say_events(s, now);
        break;
    case ROVEI_NET_SOURCE_COMMITTED:
        rovei_net_source_activate_again(s, now);
        break;
    case ROVEI_NET_SOURCE_FREEZE:
    case ROVEI_NET_SOURCE_COMMITTING:
        break;
    }
}

void rovei_net_source_limit(struct rovei_net_source *s, rovei_now now)
{
    rovei_node *n = s->a->node;
    if (s->a->committed)
        return;
    rove_err err = s->step == ROVEI_NET_SOURCE_WAIT                    ? ROVE_E_MOVE_NOT_CLOSED
                   : s->wrong_heads                                    ? ROVE_E_STATE_FAILED
                   : rovei_net_reaches(n->net, rovei_net_source_to(s)) ? ROVE_E_TIMED_OUT
                                                                       : ROVE_E_PEER_LOST;
    rovei_net_source_abort(s, now, ROVEI_OUTCOME_FAILED, err);
}

void rovei_net_source_peer_up(struct rovei_net_source *s, rovei_now now, uint64_t node_id)
{
    if (node_id != rovei_net_source_to(s))
        return;
    switch (s->step) {
    case ROVEI_NET_SOURCE_SENT:
        rovei_net_source_resend(s, now);
        break;
    case ROVEI_NET_SOURCE_SEND:
        rovei_net_source_again_in(s, now, 0);
        break;
    case ROVEI_NET_SOURCE_REPLAY:
    case ROVEI_NET_SOURCE_COMMITTED:
        rovei_attempt_repeat(s->a, now);
        rovei_net_source_repeat(s, now);
        break;
    case ROVEI_NET_SOURCE_WAIT:
    case ROVEI_NET_SOURCE_FREEZE:
    case ROVEI_NET_SOURCE_PAUSE:
    case ROVEI_NET_SOURCE_COMMITTING:
        break;
    }
}

void rovei_net_source_peer_failed(struct rovei_net_source *s, rovei_now now, uint64_t node_id)
{
    if (node_id == rovei_net_source_to(s) && !s->a->committed)
        rovei_net_source_abort(s, now, ROVEI_OUTCOME_FAILED, ROVE_E_PEER_LOST);
}
