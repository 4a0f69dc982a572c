/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys, sealing and opening of class net. */
#include <base/check.h>
#include <crypto/slab.h>
#include <net/session.h>
#include <string.h>

#define NONCE_SIZE 12

static uint8_t *seal_key(const rovei_net_session *s)
{
    return s->keys;
}

static uint8_t *open_key(const rovei_net_session *s)
{
    return s->keys + 32;
}

void rovei_net_derive(uint8_t ret[32], const uint8_t hash[32], const char *label)
{
    static const char extract[] = "net-kdf-v1";
    uint8_t key[32];
    rovei_blake2s_mac(key, hash, 32, extract, sizeof extract - 1);
    rovei_blake2s_mac(ret, key, sizeof key, label, strlen(label));
    rovei_wipe(key, sizeof key);
}

uint32_t rovei_net_nonce_prefix(uint64_t session_id)
{
    return (uint32_t)session_id ^ (uint32_t)(session_id >> 32);
}

rove_err rovei_net_session_init(rovei_net_session *s, const rovei_env *env, const uint8_t hash[32],
                                bool initiator)
{
    uint8_t *keys = rovei_slab_get(env->slab);
    if (!keys)
        return ROVE_E_NOMEM;
    *s = (rovei_net_session){
        .env = env, .id = rovei_load64(hash), .initiator = initiator, .keys = keys};
    s->nonce_prefix = rovei_net_nonce_prefix(s->id);
    /* Both names are the initiator's: what it transmits under, what it receives under. */
    rovei_net_derive(initiator ? seal_key(s) : open_key(s), hash, "initiator-tx");
    rovei_net_derive(initiator ? open_key(s) : seal_key(s), hash, "initiator-rx");
    rovei_replay_init(&s->window);
    return ROVE_OK;
}

void rovei_net_session_fini(rovei_net_session *s)
{
    if (!s->keys)
        return;
    rovei_slab_put(s->env->slab, s->keys);
    s->keys = NULL;
}

static void nonce_of(uint8_t ret[NONCE_SIZE], const rovei_net_session *s, uint64_t counter)
{
    rovei_store32(ret, s->nonce_prefix);
    rovei_store64(ret + 4, counter);
}

size_t rovei_net_session_seal(rovei_net_session *s, const rovei_net_header *h, uint8_t *ret,
                              size_t plain_size)
{
    ROVEI_CHECK(plain_size <= ROVEI_NET_PLAIN_MAX && s->sent < UINT64_MAX);
    rovei_net_header full = *h;
    full.session = s->id;
    full.nonce_prefix = s->nonce_prefix;
    full.counter = s->sent++;
    full.plain_size = (uint16_t)plain_size;
    rovei_net_header_write(ret, &full);
    uint8_t nonce[NONCE_SIZE], aad[ROVEI_NET_AAD_SIZE];
    nonce_of(nonce, s, full.counter);
    rovei_net_aad(aad, ret);
    uint8_t *text = ret + ROVEI_NET_HEADER_SIZE;
    rovei_chachapoly_seal_nonce(seal_key(s), nonce, (rove_span){aad, sizeof aad}, text, plain_size,
                                text);
    return plain_size + ROVEI_NET_OVERHEAD;
}

void rovei_net_session_heartbeat(rovei_net_session *s, uint8_t ret[ROVEI_NET_OVERHEAD])
{
    const rovei_net_header h = {.flags = ROVEI_NET_FLAG_HEARTBEAT};
    rovei_net_session_seal(s, &h, ret, 0);
}

/* The window of the mesh remembers more than this class lets in. */
static bool is_new(const rovei_replay *w, uint64_t counter)
{
    bool too_old = counter < w->next && w->next - 1 - counter >= ROVEI_NET_WINDOW;
    return !too_old && rovei_replay_is_new(w, counter);
}

rove_err rovei_net_session_open(rovei_net_session *s, const rovei_net_packet *p, uint8_t *dgram,
                                rove_span *ret)
{
    ROVEI_CHECK(p->type != ROVEI_NET_PACKET_HANDSHAKE && p->body_size >= ROVEI_TAG_SIZE);
    if (!is_new(&s->window, p->header.counter))
        return ROVE_E_REPLAY;
    /* The nonce's prefix in the packet is nobody's word; the session has its own. */
    uint8_t nonce[NONCE_SIZE], aad[ROVEI_NET_AAD_SIZE];
    nonce_of(nonce, s, p->header.counter);
    rovei_net_aad(aad, dgram + p->start);
    uint8_t *text = dgram + p->start + ROVEI_NET_HEADER_SIZE;
    rove_err err = rovei_chachapoly_open_nonce(open_key(s), nonce, (rove_span){aad, sizeof aad},
                                               text, p->body_size, text);
    if (err)
        return err;
    ROVEI_CHECK(rovei_replay_add(&s->window, p->header.counter));
    *ret = (rove_span){text, p->body_size - ROVEI_TAG_SIZE};
    return ROVE_OK;
}
