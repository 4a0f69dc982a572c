/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshake messages of class net. */
#include <base/check.h>
#include <net/handshake.h>
#include <string.h>

#define LABEL         "net-handshake-v1"
#define PROLOGUE_SIZE (sizeof LABEL - 1 + 16)

/* Of both ids only the low halves count, in either framing. */
static void prologue_of(uint8_t ret[PROLOGUE_SIZE], uint64_t initiator, uint64_t responder)
{
    memcpy(ret, LABEL, sizeof LABEL - 1);
    rovei_store64(ret + sizeof LABEL - 1, rovei_net_low(initiator));
    rovei_store64(ret + sizeof LABEL - 1 + 8, rovei_net_low(responder));
}

static rove_err start(rovei_net_handshake *h, const rovei_net_self *self, uint64_t peer,
                      const uint8_t *peer_key)
{
    uint8_t prologue[PROLOGUE_SIZE];
    bool initiator = peer_key != NULL;
    prologue_of(prologue, initiator ? self->node_id : peer, initiator ? peer : self->node_id);
    const rovei_noise_keys keys = {
        .static_secret = self->secret,
        .static_public = self->public_key,
        .remote_static = peer_key,
        .psk = self->psk,
    };
    *h = (rovei_net_handshake){.self = self, .peer = peer};
    return rovei_noise_init(&h->noise, self->env, &rovei_noise_nkpsk0, initiator,
                            (rove_span){prologue, sizeof prologue}, &keys);
}

void rovei_net_handshake_fini(rovei_net_handshake *h)
{
    rovei_noise_fini(&h->noise);
    rovei_wipe(h, sizeof *h);
}

/* The headers in front of the handshake's next message of `size` bytes; gives their size. */
static size_t write_headers(const rovei_net_handshake *h, uint8_t *ret, size_t size)
{
    size_t start = 0;
    if (h->routed) {
        const rovei_net_route route = {
            .ttl = ROVEI_NET_HANDSHAKE_TTL,
            .source = rovei_net_low(h->self->node_id),
            .dest = h->peer,
        };
        rovei_net_route_write(ret, &route);
        start = ROVEI_NET_ROUTE_SIZE;
    }
    const rovei_net_header header = {
        .flags = ROVEI_NET_FLAG_HANDSHAKE,
        .plain_size = (uint16_t)size,
    };
    rovei_net_header_write(ret + start, &header);
    return start + ROVEI_NET_HEADER_SIZE;
}

static rove_err write_message(rovei_net_handshake *h, rove_span payload, uint8_t *ret,
                              size_t *ret_size)
{
    size_t size = payload.size + rovei_noise_overhead(h->noise.pattern, h->noise.step);
    size_t start = write_headers(h, ret, size);
    rove_err err = rovei_noise_write(&h->noise, payload, ret + start);
    if (err)
        return err;
    *ret_size = start + size;
    return ROVE_OK;
}

rove_err rovei_net_dial(rovei_net_handshake *h, const rovei_net_self *self, uint64_t peer,
                        const uint8_t peer_key[32], bool routed,
                        uint8_t ret[ROVEI_NET_HANDSHAKE_MAX], size_t *ret_size)
{
    rove_err err = start(h, self, peer, peer_key);
    if (err)
        return err;
    h->routed = routed;
    uint8_t node_id[8];
    rovei_store64(node_id, self->node_id);
    err = write_message(h, (rove_span){node_id, routed ? sizeof node_id : 0}, ret, ret_size);
    if (err)
        rovei_net_handshake_fini(h);
    return err;
}

bool rovei_net_dial_fits(const rovei_net_handshake *h, const rovei_net_packet *p)
{
    if (p->type != ROVEI_NET_PACKET_HANDSHAKE || p->routed != h->routed ||
        p->body_size < ROVEI_NET_NOISE)
        return false;
    /* The payload of message 2 is empty, but stock takes one that is not, and so does this. Only
     * what has the length of a routed message 1 is taken for one. */
    return !p->routed ||
           (p->route.dest == h->self->node_id && p->route.source == rovei_net_low(h->peer) &&
            p->body_size != ROVEI_NET_NOISE_ROUTED);
}

rove_err rovei_net_dial_end(rovei_net_handshake *h, const rovei_net_packet *p, const uint8_t *dgram)
{
    uint8_t payload[ROVEI_NOISE_MAX]; /* nothing that this version knows */
    return rovei_noise_read(&h->noise, rovei_net_packet_body(p, dgram), payload);
}

const uint8_t *rovei_net_ephemeral(const rovei_net_packet *p, const uint8_t *dgram)
{
    rove_span message = rovei_net_packet_body(p, dgram);
    return message.size < 32 ? NULL : message.data;
}

rove_err rovei_net_answer_routed(rovei_net_handshake *h, const rovei_net_self *self,
                                 const rovei_net_packet *p, const uint8_t *dgram)
{
    ROVEI_CHECK(p->routed);
    uint8_t payload[ROVEI_NOISE_MAX];
    rove_span message = rovei_net_packet_body(p, dgram);
    if (message.size < ROVEI_NET_NOISE_ROUTED)
        return ROVE_E_SHORT;
    rove_err err = start(h, self, p->route.source, NULL);
    if (err)
        return err;
    h->routed = true;
    err = rovei_noise_read(&h->noise, message, payload);
    if (!err) {
        h->peer = rovei_load64(payload);
        if (rovei_net_low(h->peer) != p->route.source)
            err = ROVE_E_IDENTITY;
    }
    if (err)
        rovei_net_handshake_fini(h);
    return err;
}

rove_err rovei_net_answer_direct(rovei_net_handshake *h, const rovei_net_self *self,
                                 const rovei_net_packet *p, const uint8_t *dgram)
{
    ROVEI_CHECK(!p->routed);
    rove_err err = start(h, self, 0, NULL);
    if (err)
        return err;
    err = rovei_noise_read_blind(&h->noise, rovei_net_packet_body(p, dgram), &h->trial);
    if (err)
        rovei_net_handshake_fini(h);
    return err;
}

rove_err rovei_net_answer_try(rovei_net_handshake *h, uint64_t node_id)
{
    uint8_t prologue[PROLOGUE_SIZE], payload[ROVEI_NOISE_MAX];
    prologue_of(prologue, node_id, h->self->node_id);
    rove_err err =
        rovei_noise_try(&h->noise, &h->trial, (rove_span){prologue, sizeof prologue}, payload);
    if (!err)
        h->peer = node_id;
    return err;
}

rove_err rovei_net_answer_write(rovei_net_handshake *h, uint8_t ret[ROVEI_NET_HANDSHAKE_MAX],
                                size_t *ret_size)
{
    return write_message(h, (rove_span){NULL, 0}, ret, ret_size);
}

rove_err rovei_net_handshake_session(const rovei_net_handshake *h, rovei_net_session *ret)
{
    ROVEI_CHECK(rovei_noise_is_done(&h->noise));
    return rovei_net_session_init(ret, h->self->env, h->noise.hash, h->noise.initiator);
}
