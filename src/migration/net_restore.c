/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot of class net becomes a daemon that waits: its identity, its image, its record, and
 * what is said when one of them fails. */
#include <base/alloc.h>
#include <base/check.h>
#include <compute/location_table.h>
#include <crypto/crypto.h>
#include <migration/net_machine.h>
#include <string.h>

/* ---- restoring ---- */

static const char *envelope_text(rove_err err)
{
    switch ((int)err) {
    case ROVE_E_ENVELOPE_SIGNER:
        return "identity envelope: signer_pub is not a valid ed25519 point";
    case ROVE_E_ENVELOPE_OPEN:
        return "identity envelope: seal_open failed (wrong target key or tampered ciphertext)";
    case ROVE_E_ENVELOPE_ORIGIN:
        return "identity envelope: decrypted seed's origin_hash does not match expected";
    default:
        return "identity envelope: attestation signature invalid";
    }
}

/* An envelope is never passed over: one that does not open ends the move. */
static rove_err open_identity(const rovei_node *n, const rovei_snapshot *s, rovei_keypair **ret,
                              rovei_text *why)
{
    uint8_t secret[32];
    *ret = NULL;
    if (!s->has_envelope)
        return ROVE_OK;
    rove_err err = rovei_keypair_x25519(n->identity, secret);
    if (!err)
        err = rovei_snapshot_open(ret, n->env, s, secret);
    rovei_wipe(secret, sizeof secret);
    if (!err || err == ROVE_E_NOMEM)
        return err;
    rovei_text_set(why, ROVEI_NETMOVE_NOT_OPENED);
    rovei_text_add(why, envelope_text(err));
    return ROVE_E_IDENTITY_TRANSPORT;
}

static rove_err make_image(const rovei_node *n, const rovei_snapshot *s, rovei_image *ret)
{
    rovei_image image = {.head = s->link, .created_at = s->created_at};
    image.state = rovei_buf_copy(n->alloc, s->state.data, s->state.size);
    if (s->bindings.size)
        image.ledger = rovei_buf_copy(n->alloc, s->bindings.data, s->bindings.size);
    if (!image.state || (s->bindings.size && !image.ledger)) {
        rovei_image_fini(&image);
        return ROVE_E_NOMEM;
    }
    /* The format has no place for the head's payload: by its rule the state stands in for it. */
    image.head_payload = rove_buf_ref(image.state);
    *ret = image;
    return ROVE_OK;
}

static rove_err ask_restore(const struct rovei_net_target *t, rovei_keypair *key,
                            rovei_image *image)
{
    rovei_node *n = t->a->node;
    rove_buf *kind = rovei_buf_copy(n->alloc, t->d->kind, strlen(t->d->kind));
    rovei_effect *e = kind ? rovei_node_effect(n, ROVEI_EFFECT_RESTORE) : NULL;
    if (!e) {
        rove_buf_unref(kind);
        return ROVE_E_NOMEM;
    }
    e->daemon = t->d->entity;
    e->attempt = t->a->info.attempt;
    e->peer = t->a->info.source;
    e->daemon_kind = kind;
    e->key = key ? rovei_keypair_ref(key) : NULL;
    e->image = *image;
    *image = (rovei_image){0};
    return ROVE_OK;
}

/* Who else knows of the daemon is asked while it is restored: its epoch has to be above all that
 * they know. Without memory the own knowledge has to do. */
static void ask_around(struct rovei_net_target *t, rovei_now now)
{
    rovei_node *n = t->a->node;
    rovei_inquiry *q;
    if (rovei_inquiry_new(&q, n, now, &t->d->entity, ROVEI_INQUIRY_ARRIVAL, NULL,
                          n->env->limits.peers_max, ROVEI_LOCATE_HOPS_MAX, 0,
                          n->env->limits.locate_wait))
        return;
    t->inquiry = q->nonce;
    if (rovei_inquiry_done(q)) {
        t->inquiry = 0;
        rovei_inquiry_free(q);
    }
}

uint64_t rovei_net_target_epoch(const rovei_node *n, const rove_entity *daemon)
{
    const rovei_location *l = rovei_location_get(n, daemon);
    return (l ? l->record.epoch : 0) + ROVEI_EPOCH_FORCED;
}

static rove_err make_target(rovei_node *n, rovei_now now, const rovei_net_arrival *arrival,
                            struct rovei_net_target **ret)
{
    rovei_move_info info = {.attempt = arrival->attempt,
                            .daemon = arrival->entity,
                            .source = rovei_entity_of_net(arrival->from),
                            .target = n->self,
                            .orchestrator = arrival->orchestrator == n->net_moves->self
                                                ? n->self
                                                : rovei_entity_of_net(arrival->orchestrator),
                            .epoch = rovei_net_target_epoch(n, &arrival->entity),
                            .phase = ROVEI_PHASE_TRANSFER,
                            .bytes = arrival->snapshot.state.size,
                            .attempts = 1};
    if (info.epoch > ROVEI_EPOCH_MAX)
        return ROVE_E_BOUND;
    struct rovei_net_target *t = ROVEI_NEW(n->alloc, struct rovei_net_target);
    if (!t)
        return ROVE_E_NOMEM;
    rovei_daemon *d = NULL;
    rovei_attempt *a = NULL;
    rove_err err =
        rovei_daemon_add(n, now, &arrival->entity, arrival->kind, NULL, ROVEI_ROLE_RECEIVING, &d);
    if (!err)
        err = rovei_attempt_new(&a, n, now, &info);
    if (err) {
        if (d)
            rovei_daemon_remove(n, d, err);
        ROVEI_DELETE(n->alloc, t);
        return err;
    }
    rovei_net_pending_init(t, n);
    a->level = ROVEI_LEVEL_MEMORY;
    a->net_target = t;
    d->net_target = t;
    d->epoch = info.epoch;
    t->a = a;
    t->d = d;
    t->roles = (rovei_net_roles){arrival->from, n->net_moves->self, arrival->orchestrator};
    t->seq_through = arrival->seq_through;
    t->replayed = arrival->snapshot.through_seq;
    t->head = arrival->snapshot.link;
    *ret = t;
    return ROVE_OK;
}

static rove_err restore(struct rovei_net_target *t, rovei_now now, const rovei_snapshot *s,
                        rovei_text *why)
{
    rovei_node *n = t->a->node;
    rovei_image image = {0};
    rovei_keypair *key;
    rove_err err = open_identity(n, s, &key, why);
    if (!err)
        err = make_image(n, s, &image);
    rove_buf *ledger = image.ledger ? rove_buf_ref(image.ledger) : NULL;
    if (!err)
        err = ask_restore(t, key, &image);
    rovei_image_fini(&image);
    if (err) {
        rove_buf_unref(ledger);
        rovei_keypair_unref(key);
        return err;
    }
    t->ledger = ledger;
    t->d->key = key;
    t->step = ROVEI_NET_TARGET_RESTORING;
    rovei_daemon_set_role(n, now, t->d, ROVEI_ROLE_RESTORING);
    rovei_attempt_phase(t->a, ROVEI_PHASE_RESTORE);
    ask_around(t, now);
    return ROVE_OK;
}

/* The same snapshot again: its answer was lost. False: it is another one, which takes the place of
 * what has not served. */
static bool is_again(struct rovei_net_target *t, rovei_now now, uint64_t digest,
                     rovei_net_stamp stamp)
{
    if (t->digest != digest && t->step < ROVEI_NET_TARGET_ACTIVATING) {
        rovei_net_target_discard(t, now, ROVE_E_STALE, NULL);
        return false;
    }
    if (t->digest == digest)
        t->stamp = stamp;
    if (t->digest == digest && t->step == ROVEI_NET_TARGET_RESTORED)
        rovei_net_target_say_restored(t, now);
    else if (t->step != ROVEI_NET_TARGET_RESTORING)
        rovei_netmove_out_of_phase(t->a->node, ROVEI_NETMOVE_SNAPSHOT_READY);
    return true;
}

rove_err rovei_net_target_begin(rovei_node *n, rovei_now now, const rovei_net_arrival *arrival,
                                rovei_text *why)
{
    rove_span bytes = rove_buf_span(arrival->whole);
    uint64_t digest = rovei_xxh3(bytes.data, bytes.size);
    const rovei_daemon *d = rovei_daemon_find(n, &arrival->entity);
    /* Another one was faster, while policy was asked. */
    if (d && d->net_target && d->net_target->roles.orchestrator != arrival->orchestrator)
        return ROVE_E_TARGET_NOT_READY;
    if (d && d->net_target && is_again(d->net_target, now, digest, arrival->stamp))
        return ROVE_OK;
    struct rovei_net_target *t;
    rove_err err = make_target(n, now, arrival, &t);
    if (err)
        return err;
    t->digest = digest;
    t->stamp = arrival->stamp;
    err = restore(t, now, &arrival->snapshot, why);
    if (err)
        rovei_net_target_discard(t, now, err, NULL); /* the caller says why */
    return err;
}

/* ---- restored ---- */

/* What ended the restore, as the reference would put it. */
static void restore_failed(struct rovei_net_target *t, rovei_now now, const rovei_completion *c)
{
    rovei_text text;
    rovei_netmove_refused(t->a->node, ROVEI_NETMOVE_SNAPSHOT_READY);
    if (c->err == ROVE_E_IDENTITY_MISSING) {
        rovei_net_target_discard(t, now, c->err, ROVEI_NETMOVE_NOT_OPENED ROVEI_NETMOVE_NO_KEY);
        return;
    }
    rovei_text_set(&text, "restore failed: ");
    if (c->err == ROVE_E_BINDINGS)
        rovei_text_add(&text, "snapshot bindings_bytes failed to decode \xE2\x80\x94 tampered or "
                              "corrupt snapshot");
    else if (rovei_buf_size(c->text))
        rovei_text_add_span(&text, rove_buf_span(c->text));
    else
        rovei_text_add(&text, rove_strerror(c->err));
    rove_err err = c->err;
    if (err == ROVE_E_NOMEM)
        err = ROVE_E_TARGET_NOT_READY; /* worth a second try */
    rovei_net_not_restored(&text);
    rovei_net_target_discard(t, now, err, text.chars);
}

void rovei_net_target_restored(struct rovei_net_target *t, rovei_now now, rovei_completion *c)
{
    rovei_node *n = t->a->node;
    rovei_daemon *d = t->d;
    if (t->step != ROVEI_NET_TARGET_RESTORING)
        return;
    if (c->err) {
        restore_failed(t, now, c);
        return;
    }
    rovei_daemon_set_cell(n, d, c->cell);
    if (c->key) {
        rovei_keypair_unref(d->key);
        d->key = c->key;
        c->key = NULL;
    }
    if (!d->key || !rovei_entity_equal(rovei_keypair_entity(d->key), &d->entity)) {
        rovei_net_target_discard(t, now, ROVE_E_IDENTITY_MISSING,
                                 ROVEI_NETMOVE_NOT_OPENED ROVEI_NETMOVE_NO_KEY);
        return;
    }
    /* Nobody waits for the answers: what was said between the freeze and the answer is not known
     * of a publisher of class net anyway. */
    if (rovei_feeds_bind(d, now, rove_buf_span(t->ledger)))
        d->note = "its subscriptions could not be taken over";
    rove_buf_unref(t->ledger);
    t->ledger = NULL;
    rovei_net_target_set_step(t, now, ROVEI_NET_TARGET_RESTORED);
    rovei_attempt_repeat(t->a, now);
    rovei_attempt_progress(t->a, now);
    rovei_net_target_say_restored(t, now);
}
