/* SPDX-License-Identifier: Apache-2.0
 *
 * Location records: who signs what, and the records that this node makes
 * (docs/protocol/locations.md). */
#include <crypto/crypto.h>
#include <node/core.h>
#include <string.h>

/* Both signatures begin with a name of their own, so that neither can stand for the other or for
 * anything else that a key signs. */
static const char record_name[16] = "rove location 1";
static const char giver_name[16] = "rove giver 1";

#define GIVER_SIZE (sizeof giver_name + 32 + 8 + 32 + 32)

static size_t giver_message(const rovei_record *r, uint8_t ret[GIVER_SIZE])
{
    rovei_writer w = rovei_writer_of(ret, GIVER_SIZE);
    rovei_write_bytes(&w, giver_name, sizeof giver_name);
    rovei_write_entity(&w, &r->daemon);
    rovei_write_u64(&w, r->epoch);
    rovei_write_entity(&w, &r->holder);
    rovei_write_entity(&w, &r->giver);
    return rovei_writer_size(&w);
}

#define SIGNED_MAX (sizeof record_name + ROVEI_RECORD_SIZE_MAX)

static size_t record_message(const rovei_record *r, uint8_t ret[SIGNED_MAX])
{
    rovei_writer w = rovei_writer_of(ret, SIGNED_MAX);
    rovei_write_bytes(&w, record_name, sizeof record_name);
    rovei_record_write_signed(&w, r);
    return rovei_writer_size(&w);
}

static bool all_zero(const uint8_t *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i])
            return false;
    return true;
}

static rove_err verify_shape(const rovei_record *r)
{
    bool forced = r->flags & ROVEI_RECORD_FORCED;
    bool given = !rovei_entity_is_zero(&r->giver);
    if (!r->epoch || r->epoch > ROVEI_EPOCH_MAX || r->addr_count > ROVEI_RECORD_ADDRS)
        return ROVE_E_BOUND;
    if (given == (forced || r->epoch == 1))
        return ROVE_E_FORMAT;
    if (forced && r->epoch < ROVEI_EPOCH_FORCED)
        return ROVE_E_FORMAT;
    if (!given && !all_zero(r->giver_signature, sizeof r->giver_signature))
        return ROVE_E_FORMAT;
    return ROVE_OK;
}

rove_err rovei_record_verify(const rovei_record *r)
{
    uint8_t message[SIGNED_MAX], giver[GIVER_SIZE];
    rove_err err = verify_shape(r);
    if (err)
        return err;
    size_t size = record_message(r, message);
    bool given = !rovei_entity_is_zero(&r->giver);
    if (given) {
        size_t giver_size = giver_message(r, giver);
        err = rovei_ed25519_verify(&r->giver, r->giver_signature, giver, giver_size);
        if (err)
            return err;
    }
    if (!(r->flags & ROVEI_RECORD_BY_HOLDER))
        return rovei_ed25519_verify(&r->daemon, r->signature, message, size);
    err = rovei_ed25519_verify(&r->holder, r->signature, message, size);
    if (err && given)
        err = rovei_ed25519_verify(&r->giver, r->signature, message, size);
    return err;
}

/* Signs with the daemon's key, or in its place with this node's. */
static rove_err sign(const rovei_node *n, const rovei_keypair *key, rovei_record *r)
{
    uint8_t message[SIGNED_MAX];
    if (rovei_keypair_is_read_only(key)) {
        r->flags |= ROVEI_RECORD_BY_HOLDER;
        key = n->identity;
    }
    size_t size = record_message(r, message);
    return rovei_keypair_sign(key, message, size, r->signature);
}

static rove_err sign_giver(const rovei_node *n, rovei_record *r)
{
    uint8_t message[GIVER_SIZE];
    r->giver = n->self;
    size_t size = giver_message(r, message);
    return rovei_keypair_sign(n->identity, message, size, r->giver_signature);
}

static void fill(rovei_record *r, const rovei_node *n, rovei_now now, const rovei_keypair *key,
                 uint64_t epoch, const rove_entity *holder)
{
    memset(r, 0, sizeof *r);
    r->daemon = *rovei_keypair_entity(key);
    r->epoch = epoch;
    r->holder = *holder;
    r->not_after = rovei_time_add(now.wall, n->env->limits.record_life);
}

static void set_addrs(rovei_record *r, const rovei_addr *addrs, size_t count)
{
    for (size_t i = 0; i < count && r->addr_count < ROVEI_RECORD_ADDRS; i++)
        if (addrs[i].family)
            r->addrs[r->addr_count++] = addrs[i];
}

rove_err rovei_record_own(const rovei_node *n, rovei_now now, const rovei_keypair *key,
                          uint64_t epoch, bool forced, rovei_record *ret)
{
    rovei_record r;
    fill(&r, n, now, key, epoch, &n->self);
    const rovei_location *known = rovei_location_get(n, &r.daemon);
    rove_err err = ROVE_OK;
    /* A new signature of the present right keeps who gave it; a daemon that was stopped here and
     * comes back is given by this node to itself. */
    if (known && rovei_record_compare(&known->record, &r) == 0) {
        r.giver = known->record.giver;
        memcpy(r.giver_signature, known->record.giver_signature, sizeof r.giver_signature);
        forced |= (known->record.flags & ROVEI_RECORD_FORCED) != 0;
    } else if (epoch > 1 && !forced) {
        err = sign_giver(n, &r);
    }
    if (err)
        return err;
    r.flags = forced ? ROVEI_RECORD_FORCED : 0;
    set_addrs(&r, n->addrs, n->addr_count);
    err = sign(n, key, &r);
    if (!err)
        *ret = r;
    return err;
}

rove_err rovei_record_give(const rovei_node *n, rovei_now now, const rovei_keypair *key,
                           uint64_t epoch, const rove_entity *holder, const rovei_addr *addrs,
                           size_t addr_count, rovei_record *ret)
{
    rovei_record r;
    fill(&r, n, now, key, epoch, holder);
    set_addrs(&r, addrs, addr_count);
    rove_err err = sign_giver(n, &r);
    if (!err)
        err = sign(n, key, &r);
    if (!err)
        *ret = r;
    return err;
}
