/* SPDX-License-Identifier: Apache-2.0
 *
 * The source half of a move in class net from the commit on: this node's own record of it is the
 * one commit point, and there is no way back. A target is asked to serve until it says that it
 * does; with another node as orchestrator that is the orchestrator's to do. */
#include <base/mutant.h>
#include <migration/net_source.h>

void rovei_net_source_commit(struct rovei_net_source *s, rovei_now now)
{
    rovei_attempt *a = s->a;
    rove_err err;
    if (s->ending != ROVEI_OUTCOME_RUNNING)
        return;
    err = rovei_attempt_commit(a, now, s->d, NULL, 0, &s->record);
    if (err == ROVE_E_NOMEM)
        return; /* what drew this comes again */
    if (err) {
        rovei_net_source_cancel(s, now, ROVEI_OUTCOME_FAILED, err);
        return;
    }
    rovei_net_source_set_step(s, ROVEI_NET_SOURCE_COMMITTING);
}

static void publish(struct rovei_net_source *s, rovei_now now)
{
    if (!s->published)
        s->published = rovei_attempt_publish(s->a, now, s->d, &s->record);
}

static void say_activate(struct rovei_net_source *s, rovei_now now)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_ACTIVATE_TARGET, .origin = s->origin};
    (void)!rovei_netmove_send(s->a->node, now, s->roles.target, &m);
}

void rovei_net_source_diverted(struct rovei_net_source *s, const rovei_completion *c)
{
    if (!s->a->committed && c->number == s->diverted.count + 1)
        (void)!rovei_diverted_add(&s->diverted, s->a->node->alloc, &c->link, c->payload, c->owner);
}

/* The simulator's broken rule: what was diverted leaves once, beside the word to serve, and counts
 * as done. */
static void race(struct rovei_net_source *s, rovei_now now)
{
    uint8_t items[ROVEI_NETMOVE_MESSAGE_MAX];
    rovei_writer w = rovei_writer_of(items, sizeof items - 64);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_BUFFERED_EVENTS, .origin = s->origin};
    for (size_t i = 0; i < s->diverted.count; i++) {
        rovei_netmove_event event = {.link = {.origin = s->diverted.items[i].link.origin,
                                              .sequence = s->head.sequence + i + 1},
                                     .payload = s->diverted.items[i].payload,
                                     .received_at = now.wall};
        rovei_netmove_event_write(&w, &event);
        rovei_effect *e = w.err ? NULL : rovei_node_effect(s->a->node, ROVEI_EFFECT_RESULT);
        if (!e)
            break;
        e->cell = s->d->cell;
        e->daemon = s->d->entity;
        e->attempt = s->a->info.attempt;
        e->number = i + 1;
        m.events.count++;
        m.events.items = (rove_span){items, rovei_writer_size(&w)};
    }
    (void)!rovei_netmove_send(s->a->node, now, s->roles.target, &m);
}

static void say_cleaned(rovei_node *n, rovei_now now, uint64_t orchestrator, uint64_t origin)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_CLEANUP_COMPLETE, .origin = origin};
    (void)!rovei_netmove_send(n, now, orchestrator, &m); /* it asks again by CutoverNotify */
}

void rovei_net_source_committed(struct rovei_net_source *s, rovei_now now,
                                const rovei_completion *c)
{
    rovei_attempt *a = s->a;
    (void)c;
    if (s->step != ROVEI_NET_SOURCE_COMMITTING)
        return;
    s->committed = true;
    a->info.committed_at = now.mono;
    rovei_net_source_set_step(s, ROVEI_NET_SOURCE_COMMITTED);
    rovei_daemon_set_role(a->node, now, s->d, ROVEI_ROLE_COMMITTED);
    a->net_leftover = s->set.rounds > 1;
    rovei_net_set_fini(&s->set); /* after the commit nothing of it is sent again */
    rovei_attempt_phase(a, ROVEI_PHASE_CUTOVER);
    publish(s, now);
    if (!rovei_net_source_own(s)) {
        /* From here on all is between the orchestrator and the target. */
        a->net_told = s->roles.orchestrator;
        say_cleaned(a->node, now, s->roles.orchestrator, s->origin);
        rovei_net_source_close(s, now);
        return;
    }
    rovei_attempt_repeat(a, now);
    if (ROVEI_MUTANT(FINAL_BATCH_RACES) && s->diverted.count)
        race(s, now);
    say_activate(s, now);
}

void rovei_net_source_activate_again(struct rovei_net_source *s, rovei_now now)
{
    publish(s, now);
    rovei_attempt_back_off(s->a, now);
    say_activate(s, now);
}

void rovei_net_source_close(struct rovei_net_source *s, rovei_now now)
{
    rovei_attempt *a = s->a;
    rovei_daemon *d = s->d;
    rovei_node *n = a->node;
    publish(s, now);
    a->info.active_at = now.mono;
    if (!s->keep_identity && d->key)
        rovei_keypair_wipe(d->key);
    a->net_source = NULL;
    d->net_source = NULL;
    rovei_net_source_free(s);
    rovei_daemon_remove(n, d, ROVE_E_MOVED);
    rovei_attempt_text(a, (rove_span){NULL, 0});
    rovei_attempt_phase(a, ROVEI_PHASE_COMPLETE);
    rovei_attempt_conclude(a, now, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
    rovei_attempt_retire(a, now);
}

bool rovei_net_source_held_by(struct rovei_net_source *s, rovei_now now, const rove_entity *holder)
{
    if (s->step != ROVEI_NET_SOURCE_COMMITTED || rovei_entity_node_id(holder) != s->roles.target)
        return false;
    rovei_net_source_close(s, now);
    return true;
}

bool rovei_net_source_cutover_again(rovei_node *n, rovei_now now, uint64_t from,
                                    const rovei_netmove_message *m)
{
    for (size_t i = n->moves->count; i-- > 0;) {
        const rovei_attempt *a = n->moves->all[i];
        if (!a->info.local_source || a->info.outcome != ROVEI_OUTCOME_COMPLETED ||
            a->net_told != from || rovei_entity_node_id(&a->info.target) != m->node ||
            rovei_entity_origin(&a->info.daemon) != m->origin)
            continue;
        say_cleaned(n, now, from, m->origin);
        return true;
    }
    return false;
}
