/* SPDX-License-Identifier: Apache-2.0
 *
 * Spawning: how this node comes to hold the right to run a daemon. A drawn identity has it at once;
 * for a given one everybody who can be reached is asked first, and only force takes it from
 * somebody who has it. */
#include <base/alloc.h>
#include <compute/location_table.h>
#include <string.h>

struct rovei_claim {
    uint64_t request;
    bool given, force;
    uint64_t nonce; /* of the inquiry */
};

void rovei_spawn_free(rovei_node *n, struct rovei_claim *c)
{
    if (!c)
        return;
    rovei_inquiry *q = rovei_inquiry_find(n, c->nonce);
    if (q)
        rovei_inquiry_free(q);
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
    const rovei_location *at = rovei_location_get(n, &d->entity);
    uint64_t known = at ? at->record.epoch : 0;
    bool own = at && at->stopped && rovei_entity_equal(&at->record.holder, &n->self);
    uint64_t step = d->claim->force ? ROVEI_EPOCH_FORCED : 1;
    if (!d->claim->force) {
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
    bool forced = d->claim->force;
    d->epoch = epoch;
    d->forced = forced;
    d->given = d->claim->given;
    d->sinc.number = at ? at->sinc_number : 0;
    rovei_daemon_raise_sinc(n, d, forced ? epoch : 0);
    rove_err err = rovei_daemon_serve(n, now, d);
    if (err)
        return err;
    at = rovei_location_get(n, &d->entity);
    if (forced && at)
        rovei_location_tell(n, &at->record);
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

rove_err rovei_node_spawn(rovei_node *n, rovei_now now, const rovei_spawn *s)
{
    rovei_daemon *d;
    if (!s->key || !s->kind || !s->cell || s->cell >> 63 || strlen(s->kind) >= sizeof d->kind)
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
    if (s->given || s->force) {
        rovei_inquiry *q;
        err = rovei_inquiry_new(&q, n, now, &d->entity, ROVEI_INQUIRY_SPAWN, NULL,
                                n->env->limits.peers_max, ROVEI_LOCATE_HOPS_MAX, 0,
                                n->env->limits.locate_wait);
        if (err) {
            rovei_spawn_free(n, c);
            d->claim = NULL;
            rovei_daemon_remove(n, d, err);
            return err;
        }
        c->nonce = q->nonce;
    }
    rovei_daemon_set_cell(n, d, s->cell);
    claim_decide(n, now, d);
    return ROVE_OK;
}
