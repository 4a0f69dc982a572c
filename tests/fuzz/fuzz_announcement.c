/* SPDX-License-Identifier: Apache-2.0
 *
 * Announcements from outside: what is read is written as the canonical text, which is read as the
 * same; and a gossip that takes several from peers keeps its invariants. The first byte chooses the
 * allocation that fails. */
#include "support.h"

#include <capability/announcement.h>
#include <capability/gossip.h>
#include <capability/index.h>
#include <crypto/crypto.h>
#include <crypto/slab.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(void *user, void *ret, size_t size)
{
    (void)user;
    memset(ret, 7, size);
}

static uint8_t text[ROVEI_ANNOUNCEMENT_MAX], other[ROVEI_ANNOUNCEMENT_MAX];

static void round_trip(const rove_alloc *a, rove_span input)
{
    rovei_announcement *first, *again;
    if (rovei_announcement_read(&first, a, input))
        return;
    size_t size = rovei_announcement_write(first, first->hop_count, text, sizeof text);
    if (size && rovei_announcement_read(&again, a, (rove_span){text, size}) == ROVE_OK) {
        size_t second = rovei_announcement_write(again, again->hop_count, other, sizeof other);
        ROVEI_CHECK(second == size && !memcmp(text, other, size));
        rove_err good = rovei_announcement_verify(first);
        ROVEI_CHECK(rovei_announcement_verify(again) == good);
        rovei_announcement_strip(again);
        rovei_announcement_unref(again);
    }
    rovei_announcement_unref(first);
}

static void gossip(const rovei_env *env, rove_span input)
{
    static const uint8_t seed[32] = {1}, peer_seed[32] = {2};
    rovei_keypair *key = NULL, *peer = NULL;
    rovei_index *index = NULL;
    rovei_gossip *g = NULL;
    rovei_now now = {ROVE_SECOND, UINT64_C(1700000000) * ROVE_SECOND};
    if (!rovei_keypair_from_seed(&key, env, seed) &&
        !rovei_keypair_from_seed(&peer, env, peer_seed) && !rovei_index_new(&index, env)) {
        rovei_gossip_config cfg = {
            .env = env, .identity = key, .index = index, .take_unsigned = true};
        uint64_t to, from = rovei_keypair_node_id(peer);
        rove_buf *message;
        if (!rovei_gossip_new(&g, &cfg, now) &&
            !rovei_gossip_peer_up(g, now, from, rovei_keypair_entity(peer))) {
            rovei_gossip_receive(g, now, from, input);
            rovei_gossip_check(g);
            now.mono += ROVE_SECOND;
            rovei_gossip_expire(g, now);
            while (rovei_gossip_poll(g, &to, &message))
                rove_buf_unref(message);
            rovei_gossip_peer_gone(g, now, from);
            rovei_gossip_check(g);
        }
    }
    rovei_gossip_free(g);
    rovei_index_free(index);
    rovei_keypair_unref(peer);
    rovei_keypair_unref(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    fuzz_alloc f;
    fuzz_alloc_init(&f, SIZE_MAX);
    rovei_env env = {.alloc = f.alloc, .rng = {fill, NULL}};
    rove_limits_init(&env.limits);
    ROVEI_CHECK(rovei_crypto_init() == ROVE_OK);
    ROVEI_CHECK(rovei_slab_new(&env.slab, &env.alloc) == ROVE_OK);
    f.fail_at = data[0] == 0xFF ? SIZE_MAX : f.calls + data[0];
    rove_span input = {data + 1, size - 1};
    round_trip(&env.alloc, input);
    gossip(&env, input);
    f.fail_at = SIZE_MAX;
    rovei_slab_free(env.slab);
    ROVEI_CHECK(f.live == 0);
    return 0;
}
