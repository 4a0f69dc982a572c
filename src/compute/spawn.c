/* SPDX-License-Identifier: Apache-2.0
 *
 * Spawning: how this node comes to hold the right to run a daemon. A drawn identity has it at once;
 * for a given one everybody who can be reached is asked first, and only force takes it from
 * somebody who has it. One that comes back from a backup is asked for alike, and its epoch is a
 * forced one all the same: nobody can know how far the right had moved on since. */
#include <base/alloc.h>
#include <channel/outlet.h>
#include <compute/location_table.h>
#include <string.h>

struct rovei_claim {
    rove_buf *ledger;
    uint64_t request;
    bool given, force;
    uint64_t nonce; /* of the inquiry */
    bool restored;  /* from a backup: of this epoch and state incarnation */
    uint64_t epoch, sinc_number;
};

void rovei_spawn_free(rovei_node *n, struct rovei_claim *c)
{
    if (!c)
        return;
    rovei_inquiry *q = rovei_inquiry_find(n, c->nonce);
    if (q)
        rovei_inquiry_free(q);
    rove_buf_unref(c->ledger);
    ROVEI_DELETE(n->alloc, c);
}

void rovei_spawn_note(rovei_node *n, const rovei_daemon *d, rove_err err)
{
    rovei_note *note = rovei_node_note(n, ROVEI_NOTE_SPAWNED);
    if (note) {
        note->request = d->claim->request;
        note->daemon = d->entity;
        note->err = err;
        note->value = err ? 0 : d->epoch;
    }
}

static void claim_end(rovei_node *n, rovei_daemon *d, rove_err err)
{
    rovei_spawn_note(n, d, err);
    rovei_spawn_free(n, d->claim);
    d->claim = NULL;
    if (err)
        rovei_daemon_remove(n, d, err);
}

/* The epoch to which this claim has a right, by what is known so far. */
static rove_err claim_verdict(const rovei_node *n, const rovei_daemon *d, const rovei_inquiry *q,
                              uint64_t *ret_epoch)
{
    const struct rovei_claim *c = d->claim;
    const rovei_location *at = rovei_location_get(n, &d->entity);
    uint64_t known = at && at->record.epoch > c->epoch ? at->record.epoch : c->epoch;
    bool own = at && at->stopped && rovei_entity_equal(&at->record.holder, &n->self);
    uint64_t step = c->force || c->restored ? ROVEI_EPOCH_FORCED : 1;
    if (!c->force) {
        if (q && q->claimed)
            return ROVE_E_LIVES_ELSEWHERE;
        if (!own && (at || (q && q->heard)))
            return ROVE_E_LIVES_ELSEWHERE;
    }
    if (known > ROVEI_EPOCH_MAX - step)
        return ROVE_E_BOUND;
    *ret_epoch = known + step;
    return ROVE_OK;
}

static rove_err claim_take(rovei_node *n, rovei_now now, rovei_daemon *d, uint64_t epoch)
{
    const rovei_location *at = rovei_location_get(n, &d->entity);
    const struct rovei_claim *c = d->claim;
    bool forced = c->force || c->restored;
    d->epoch = epoch;
    d->forced = forced;
    d->given = c->given;
    d->sinc.number = at && at->sinc_number > c->sinc_number ? at->sinc_number : c->sinc_number;
    rovei_daemon_raise_sinc(n, d, forced ? epoch : 0);
    rove_err err = rovei_daemon_serve(n, now, d);
    if (err)
        return err;
    if (c->ledger && rovei_feeds_bind(d, now, rove_buf_span(c->ledger)))
        d->note = "its subscriptions could not be taken over";
    at = rovei_location_get(n, &d->entity);
    if (forced && at)
        rovei_location_tell(n, &at->record);
    if (c->restored)
        d->note = "restored from a backup: events after it are lost, their senders are told";
    return ROVE_OK;
}

static void claim_decide(rovei_node *n, rovei_now now, rovei_daemon *d)
{
    const rovei_inquiry *q = rovei_inquiry_find(n, d->claim->nonce);
    uint64_t epoch = 0;
    rove_err err = claim_verdict(n, d, q, &epoch);
    if (q && !rovei_inquiry_done(q) && !err)
        return; /* somebody may still know more */
    if (!err)
        err = claim_take(n, now, d, epoch);
    claim_end(n, d, err);
}

void rovei_spawn_answer(rovei_node *n, rovei_now now, const rove_entity *daemon)
{
    rovei_daemon *d = rovei_daemon_find(n, daemon);
    /* With an epoch it is being served just now, and this is the echo of its own record. */
    if (d && d->role == ROVEI_ROLE_CLAIMING && d->claim && !d->epoch)
        claim_decide(n, now, d);
}

/* Asks everybody, where that is to be done. */
static rove_err claim_ask(rovei_node *n, rovei_now now, rovei_daemon *d)
{
    struct rovei_claim *c = d->claim;
    if (!c->given && !c->force && !c->restored)
        return ROVE_OK;
    rovei_inquiry *q;
    rove_err err = rovei_inquiry_new(&q, n, now, &d->entity, ROVEI_INQUIRY_SPAWN, NULL,
                                     n->env->limits.peers_max, ROVEI_LOCATE_HOPS_MAX, 0,
                                     n->env->limits.locate_wait);
    if (err == ROVE_OK)
        c->nonce = q->nonce;
    return err;
}

static rove_err claim_restore(rovei_now now, rovei_daemon *d, const rovei_backup *from)
{
    struct rovei_claim *c = d->claim;
    if (!from)
        return ROVE_OK;
    if (from->epoch > ROVEI_EPOCH_MAX || from->sinc.number > ROVEI_EPOCH_MAX)
        return ROVE_E_BOUND;
    c->restored = true;
    c->epoch = from->epoch;
    c->sinc_number = from->sinc.number;
    if (!from->lanes)
        return ROVE_OK;
    rove_err err = rovei_lanes_make(d->node, d);
    return err ? err : rovei_lanes_import(d->lanes, now, rove_buf_span(from->lanes));
}

rove_err rovei_node_spawn(rovei_node *n, rovei_now now, const rovei_spawn *s)
{
    rovei_daemon *d;
    if (!s->key || !s->kind || !s->cell || s->cell >> 63 || strlen(s->kind) >= ROVEI_KIND_ROOM)
        return ROVE_E_USAGE;
    if (rovei_daemon_by_cell(n, s->cell))
        return ROVE_E_EXISTS;
    struct rovei_claim *c = ROVEI_NEW(n->alloc, struct rovei_claim);
    if (!c)
        return ROVE_E_NOMEM;
    *c = (struct rovei_claim){.request = s->request, .given = s->given, .force = s->force};
    rove_err err = rovei_daemon_add(n, now, rovei_keypair_entity(s->key), s->kind, s->key,
                                    ROVEI_ROLE_CLAIMING, &d);
    if (err) {
        rovei_spawn_free(n, c);
        return err;
    }
    d->claim = c;
    if (s->ledger.size)
        c->ledger = rovei_buf_copy(n->alloc, s->ledger.data, s->ledger.size);
    err = s->ledger.size && !c->ledger ? ROVE_E_NOMEM : claim_restore(now, d, s->from);
    if (err == ROVE_OK)
        err = rovei_outlet_set(d, s->channel);
    if (err == ROVE_OK)
        err = claim_ask(n, now, d);
    if (err) {
        rovei_spawn_free(n, c);
        d->claim = NULL;
        rovei_daemon_remove(n, d, err);
        return err;
    }
    rovei_daemon_set_cell(n, d, s->cell);
    claim_decide(n, now, d);
    return ROVE_OK;
}
