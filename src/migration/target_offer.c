/* SPDX-License-Identifier: Apache-2.0
 *
 * Offers: whether a daemon may come here, and the place for it. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/text.h>
#include <channel/outlet.h>
#include <migration/machine.h>
#include <string.h>

static void refuse(rovei_node *n, const rovei_place *p, rove_err reason)
{
    rovei_move_message m = {.head.type = ROVEI_MOVE_REFUSE,
                            .answer = {.round = p->offer.round, .reason = reason}};
    rovei_move_answer(n, &p->head, &m);
}

/* ---- the right that an Offer shows ---- */

/* The record that came with the Offer: it stands, and is believed as any other. Without the
 * daemon's own key it may have only the source's word; then `proven` is false. E_WRONG_PEER;
 * E_NOMEM: as if the Offer was lost. The daemon's record here may be gone afterwards. */
static rove_err prove(rovei_node *n, rovei_now now, rovei_place *p)
{
    const rovei_record *r = &p->offer.right;
    const rovei_location *l = rovei_location_get(n, &p->head.daemon);
    if (r->epoch + 1 != p->head.epoch || !rovei_entity_equal(&r->daemon, &p->head.daemon) ||
        !rovei_entity_equal(&r->holder, &p->head.source))
        return ROVE_E_WRONG_PEER;
    int order = l ? rovei_record_compare(r, &l->record) : 1;
    if (order == 0 && memcmp(r->signature, l->record.signature, sizeof r->signature) == 0) {
        p->proven = true;
        return ROVE_OK;
    }
    /* After the commit this node may know what it was given; that names the giver. */
    bool gave = l && l->record.epoch == p->head.epoch &&
                rovei_entity_equal(&l->record.holder, &n->self) &&
                rovei_entity_equal(&l->record.giver, &p->head.source);
    p->proven = gave || rovei_location_trusts(n, r, &p->head.source);
    bool news = order > 0 || (order == 0 && r->not_after > l->record.not_after);
    rove_err err = news ? rovei_location_learn(n, now, r, &p->head.source) : rovei_record_verify(r);
    if (err == ROVE_E_NOMEM)
        return err;
    /* Refused: its signatures stand, but not the daemon's. Full: it stands, and is not kept. */
    return !err || err == ROVE_E_REFUSED || err == ROVE_E_FULL ? ROVE_OK : ROVE_E_WRONG_PEER;
}

/* An Offer with nothing but the source's word goes to the policy only where it can displace
 * nothing: neither a copy nor a record by the daemon's own key with another holder. */
static bool is_harmless(const rovei_node *n, const rovei_place *p)
{
    const rovei_location *l = rovei_location_get(n, &p->head.daemon);
    if (rovei_daemon_find(n, &p->head.daemon))
        return false;
    return !l || (l->record.flags & ROVEI_RECORD_BY_HOLDER) ||
           rovei_entity_equal(&l->record.holder, &p->head.source);
}

/* ---- may it come? ---- */

/* Against a copy that is here as target of another attempt. */
static rove_err beside_target(const struct rovei_target *t, const rovei_place *p)
{
    bool younger = p->head.epoch > t->a->info.epoch;
    bool same_source = rovei_entity_equal(&p->head.source, &t->a->info.source);
    switch (t->step) {
    case ROVEI_TARGET_RECEIVING:
    case ROVEI_TARGET_RESTORING:
        /* Not prepared, so it may be dropped: the same source would not offer twice at once. */
        if (younger || (same_source && p->head.epoch == t->a->info.epoch))
            return ROVE_OK;
        return ROVE_E_TARGET_NOT_READY;
    case ROVEI_TARGET_PREPARED:
        return younger ? ROVE_OK : ROVE_E_TARGET_NOT_READY;
    case ROVEI_TARGET_ACTIVATING:
        return ROVE_E_TARGET_NOT_READY;
    case ROVEI_TARGET_ACTIVE:
        break;
    }
    return ROVE_E_EXISTS;
}

static rove_err beside(const rovei_daemon *d, const rovei_place *p)
{
    switch (d->role) {
    case ROVEI_ROLE_RECEIVING:
    case ROVEI_ROLE_RESTORING:
    case ROVEI_ROLE_PREPARED:
    case ROVEI_ROLE_ACTIVATING:
        return d->target ? beside_target(d->target, p) : ROVE_E_EXISTS;
    case ROVEI_ROLE_COMMITTED:
        /* Only a higher record ends that, and it would have been learned by now. */
    case ROVEI_ROLE_CLAIMING:
        return ROVE_E_TARGET_NOT_READY;
    case ROVEI_ROLE_SERVING:
    case ROVEI_ROLE_FREEZING:
    case ROVEI_ROLE_FROZEN:
    case ROVEI_ROLE_COMMITTING:
    case ROVEI_ROLE_ASIDE:
        break;
    }
    return ROVE_E_EXISTS;
}

/* The highest record that is known here: a lower epoch is over, an equal one with another holder
 * as well; one that names this node (it was active and has lost it) is no reason to refuse. */
static rove_err against_record(const rovei_node *n, const rovei_place *p)
{
    const rovei_location *l = rovei_location_get(n, &p->head.daemon);
    if (!l || p->head.epoch > l->record.epoch)
        return ROVE_OK;
    if (p->head.epoch == l->record.epoch && rovei_entity_equal(&l->record.holder, &n->self))
        return ROVE_OK;
    return ROVE_E_STALE_EPOCH;
}

static rove_err may_come(const rovei_node *n, const rovei_place *p)
{
    rove_err err = against_record(n, p);
    if (err)
        return err;
    if (!p->proven && !is_harmless(n, p))
        return ROVE_E_WRONG_PEER;
    /* Nothing here survives a crash yet, so no higher level can be kept. */
    if (p->head.level != ROVEI_LEVEL_MEMORY && !(p->offer.flags & ROVEI_OFFER_LEVEL_MAY_FALL))
        return ROVE_E_NOT_DURABLE;
    if (p->offer.size_hint > n->env->limits.state_max)
        return ROVE_E_TOO_LARGE;
    const rovei_daemon *d = rovei_daemon_find(n, &p->head.daemon);
    if (!d && rovei_moves_arriving(n) >= n->env->limits.moves_max)
        return ROVE_E_TARGET_NOT_READY;
    return d ? beside(d, p) : ROVE_OK;
}

/* ---- an Offer ---- */

static void again(struct rovei_target *t, rovei_now now, const rovei_move_offer *o)
{
    switch (t->step) {
    case ROVEI_TARGET_RECEIVING:
        t->promised = o->size_hint;
        if (o->round > t->round)
            rovei_target_accept(t, now, o->round);
        else
            rovei_target_say_accept(t);
        break;
    case ROVEI_TARGET_PREPARED:
        rovei_target_say_prepared(t);
        break;
    case ROVEI_TARGET_ACTIVE:
        rovei_target_say_active(t);
        break;
    case ROVEI_TARGET_RESTORING: /* Prepared or Active will follow */
    case ROVEI_TARGET_ACTIVATING:
        break;
    }
}

static rovei_place *place_of(struct rovei_moves *m, const rovei_attempt_id *attempt)
{
    for (size_t i = 0; i < m->place_count; i++)
        if (memcmp(&m->places[i].head.attempt, attempt, sizeof *attempt) == 0)
            return &m->places[i];
    return NULL;
}

static void place_drop(struct rovei_moves *m, rovei_place *p)
{
    *p = m->places[--m->place_count];
}

void rovei_target_unplace(rovei_node *n, const rovei_attempt_id *attempt)
{
    rovei_place *p = place_of(n->moves, attempt);
    if (p)
        place_drop(n->moves, p);
}

static void ask(rovei_node *n, const rovei_place *p)
{
    struct rovei_moves *m = n->moves;
    void *items = m->places;
    rove_err err = rovei_grow(n->alloc, &items, &m->place_room, m->place_count, sizeof *m->places,
                              ROVEI_MOVE_QUESTIONS_MAX);
    m->places = items;
    if (err) {
        if (err == ROVE_E_FULL)
            refuse(n, p, ROVE_E_TARGET_NOT_READY);
        return;
    }
    uint64_t ticket = rovei_node_ask(n, ROVEI_ASK_PLACE, &p->head.daemon, &p->head.source,
                                     &p->head.attempt, p->offer.kind);
    if (ticket == UINT64_MAX)
        return; /* out of memory: the source offers again */
    m->places[m->place_count] = *p;
    m->places[m->place_count++].ticket = ticket;
}

void rovei_target_offered(rovei_node *n, rovei_now now, const rovei_move_message *m)
{
    const rovei_move_header *h = &m->head;
    const rovei_attempt *a = rovei_attempt_find(n, &h->attempt);
    if (a && a->target) {
        again(a->target, now, &m->offer);
        return;
    }
    if (a && a->served) {
        rovei_move_say_active(n, h);
        return;
    }
    rovei_place *waiting = place_of(n->moves, &h->attempt);
    if (waiting) {
        if (m->offer.round > waiting->offer.round)
            waiting->offer.round = m->offer.round;
        return;
    }
    rovei_place p = {.head = *h, .offer = m->offer};
    rove_err err = prove(n, now, &p);
    if (err == ROVE_E_NOMEM)
        return;
    if (!err)
        err = may_come(n, &p);
    if (!err) {
        ask(n, &p);
        return;
    }
    refuse(n, &p, err);
    n->stats.frames_refused += err == ROVE_E_WRONG_PEER;
    rovei_daemon *d = rovei_daemon_find(n, &h->daemon);
    if (err == ROVE_E_TARGET_NOT_READY && d && d->target &&
        d->target->step == ROVEI_TARGET_PREPARED)
        rovei_target_say_prepared(d->target); /* what of the older attempt? */
}

/* ---- the place ---- */

/* What the outside answers, as it is said to another node. */
static rove_err reason_of(rove_err verdict)
{
    switch ((int)verdict) {
    case ROVE_E_NOT_READY:
        return ROVE_E_TARGET_NOT_READY;
    case ROVE_E_SHUTTING_DOWN:
        return ROVE_E_TARGET_NO_RUNTIME;
    case ROVE_E_KIND_UNKNOWN:
    case ROVE_E_NOT_FOUND:
        return ROVE_E_TARGET_NO_FACTORY;
    default:
        return verdict;
    }
}

/* What is here of an older epoch gives way to the Offer that is accepted now. */
static void make_way(rovei_node *n, rovei_now now, const rove_entity *daemon)
{
    rovei_daemon *d = rovei_daemon_find(n, daemon);
    if (d && d->target)
        rovei_target_discard(d->target, now, ROVE_E_STALE_EPOCH, true);
}

static rove_err make_target(rovei_node *n, rovei_now now, const rovei_place *p,
                            struct rovei_target **ret)
{
    const rovei_move_header *h = &p->head;
    rovei_move_info info = {.attempt = h->attempt,
                            .daemon = h->daemon,
                            .source = h->source,
                            .target = h->target,
                            .orchestrator = h->orchestrator,
                            .epoch = h->epoch,
                            .phase = ROVEI_PHASE_TRANSFER,
                            .attempts = 1};
    struct rovei_target *t = ROVEI_NEW(n->alloc, struct rovei_target);
    if (!t)
        return ROVE_E_NOMEM;
    rovei_daemon *d = NULL;
    rove_err err =
        rovei_daemon_add(n, now, &h->daemon, p->offer.kind, NULL, ROVEI_ROLE_RECEIVING, &d);
    rovei_attempt *a = NULL;
    if (!err)
        err = rovei_outlet_set(d, rovei_span_of(p->offer.channel));
    if (!err)
        err = rovei_attempt_new(&a, n, now, &info);
    if (err) {
        if (d)
            rovei_daemon_remove(n, d, err);
        ROVEI_DELETE(n->alloc, t);
        return err;
    }
    a->level = h->level;
    a->sinc = h->sinc;
    a->target = t;
    d->epoch = h->epoch;
    d->sinc = h->sinc;
    d->target = t;
    t->a = a;
    t->d = d;
    t->round = p->offer.round;
    t->promised = p->offer.size_hint;
    *ret = t;
    return ROVE_OK;
}

static void come(rovei_node *n, rovei_now now, const rovei_place *p)
{
    struct rovei_target *t;
    make_way(n, now, &p->head.daemon);
    rove_err err = make_target(n, now, p, &t);
    if (err == ROVE_OK) {
        rovei_attempt_progress(t->a, now);
        /* Accepted: from now on this source is believed also without the daemon's key. */
        if (!p->proven)
            (void)!rovei_location_learn(n, now, &p->offer.right, &p->head.source);
        rovei_target_accept(t, now, p->offer.round);
    } else if (err != ROVE_E_NOMEM) {
        refuse(n, p, err == ROVE_E_FULL ? ROVE_E_TARGET_NOT_READY : err);
    }
}

void rovei_target_placed(rovei_node *n, rovei_now now, uint64_t ticket, rove_err verdict)
{
    struct rovei_moves *m = n->moves;
    for (size_t i = 0; i < m->place_count; i++) {
        if (m->places[i].ticket != ticket)
            continue;
        rovei_place p = m->places[i];
        place_drop(m, &m->places[i]);
        const rovei_attempt *a = rovei_attempt_find(n, &p.head.attempt);
        if (a && (a->target || a->served))
            return;
        /* What was true when it was asked may have changed. */
        rove_err err = verdict ? reason_of(verdict) : may_come(n, &p);
        if (err)
            refuse(n, &p, err);
        else
            come(n, now, &p);
        return;
    }
}
