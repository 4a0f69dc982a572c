/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshake messages and their payloads. */
#include <base/check.h>
#include <identity/entity.h>
#include <mesh/handshake.h>
#include <string.h>

static const char prologue[] = "rove session 2";
static const char mac_label[] = "rove handshake mac";

void rovei_hello_write(rovei_writer *w, const rovei_hello *hello, bool answer)
{
    rovei_write_entity(w, &hello->entity);
    rovei_write_u64(w, hello->incarnation);
    rovei_write_u64(w, hello->time);
    rovei_write_u64(w, hello->association);
    rovei_write_u16(w, hello->version_min);
    rovei_write_u16(w, hello->version_max);
    if (answer)
        rovei_write_u16(w, hello->version);
}

rove_err rovei_hello_read(rovei_hello *ret, rove_span bytes, bool answer)
{
    rovei_reader r = rovei_reader_of(bytes);
    rovei_hello h = {.entity = rovei_read_entity(&r)};
    h.incarnation = rovei_read_u64(&r);
    h.time = rovei_read_u64(&r);
    h.association = rovei_read_u64(&r);
    h.version_min = rovei_read_u16(&r);
    h.version_max = rovei_read_u16(&r);
    if (answer)
        h.version = rovei_read_u16(&r);
    rove_err err = rovei_reader_end(&r);
    if (err)
        return err;
    if (h.version_min == 0 || h.version_min > h.version_max)
        return ROVE_E_FORMAT;
    if (answer && (h.version < h.version_min || h.version > h.version_max))
        return ROVE_E_FORMAT;
    *ret = h;
    return ROVE_OK;
}

uint16_t rovei_hello_choose(const rovei_hello *peer)
{
    uint16_t most = peer->version_max < ROVEI_PROTOCOL_MAX ? peer->version_max : ROVEI_PROTOCOL_MAX;
    uint16_t least =
        peer->version_min > ROVEI_PROTOCOL_MIN ? peer->version_min : ROVEI_PROTOCOL_MIN;
    return least <= most ? most : 0;
}

void rovei_mac_key(uint8_t ret[32], const uint8_t psk[32], const rove_entity *receiver)
{
    uint8_t input[sizeof mac_label - 1 + 64];
    memcpy(input, mac_label, sizeof mac_label - 1);
    memcpy(input + sizeof mac_label - 1, psk, 32);
    memcpy(input + sizeof mac_label - 1 + 32, receiver->bytes, 32);
    rovei_blake2s(ret, input, sizeof input);
    rovei_wipe(input, sizeof input);
}

static void mac_of(uint8_t ret[ROVEI_MAC_SIZE], const uint8_t key[32], rove_span bytes)
{
    uint8_t digest[32];
    rovei_blake2s_mac(digest, key, 32, bytes.data, bytes.size);
    memcpy(ret, digest, ROVEI_MAC_SIZE);
}

rove_err rovei_mac_check(const rovei_packet *p, const uint8_t key[32])
{
    uint8_t mac[ROVEI_MAC_SIZE];
    mac_of(mac, key, p->maced);
    return rovei_equal(mac, p->mac1, sizeof mac) ? ROVE_OK : ROVE_E_AUTH;
}

rove_err rovei_handshake_init(rovei_noise *n, const rovei_env *env, bool initiator,
                              const rovei_noise_keys *keys)
{
    return rovei_noise_init(n, env, &rovei_noise_ikpsk2, initiator,
                            (rove_span){prologue, sizeof prologue - 1}, keys);
}

/* Header already in `w`: adds the Noise message and the macs. */
static rove_err write_rest(rovei_writer *w, rovei_noise *n, rove_span payload,
                           const uint8_t mac_key[32])
{
    rovei_noise_bind(n, (rove_span){w->start, rovei_writer_size(w)});
    size_t size = payload.size + rovei_noise_overhead(n->pattern, n->step);
    ROVEI_CHECK(rovei_writer_room(w) == size + 2 * ROVEI_MAC_SIZE);
    rove_err err = rovei_noise_write(n, payload, w->at);
    if (err)
        return err;
    w->at += size;
    uint8_t macs[2 * ROVEI_MAC_SIZE] = {0};
    mac_of(macs, mac_key, (rove_span){w->start, rovei_writer_size(w)});
    rovei_write_bytes(w, macs, sizeof macs);
    return ROVE_OK;
}

rove_err rovei_initiation_write(rovei_noise *n, uint32_t sender, const rovei_hello *hello,
                                const uint8_t mac_key[32], uint8_t ret[ROVEI_INITIATION_SIZE])
{
    uint8_t payload[ROVEI_HELLO_SIZE];
    rovei_writer pw = rovei_writer_of(payload, sizeof payload);
    rovei_hello_write(&pw, hello, false);
    rovei_writer w = rovei_writer_of(ret, ROVEI_INITIATION_SIZE);
    rovei_packet_write_initiation(&w, sender);
    return write_rest(&w, n, (rove_span){payload, sizeof payload}, mac_key);
}

rove_err rovei_response_write(rovei_noise *n, uint32_t sender, uint32_t receiver,
                              const rovei_hello *hello, const uint8_t mac_key[32],
                              uint8_t ret[ROVEI_RESPONSE_SIZE])
{
    uint8_t payload[ROVEI_ANSWER_SIZE];
    rovei_writer pw = rovei_writer_of(payload, sizeof payload);
    rovei_hello_write(&pw, hello, true);
    rovei_writer w = rovei_writer_of(ret, ROVEI_RESPONSE_SIZE);
    rovei_packet_write_response(&w, sender, receiver);
    return write_rest(&w, n, (rove_span){payload, sizeof payload}, mac_key);
}

/* Opens the Noise message and decodes its payload; binds the header only if that succeeds. */
static rove_err read_rest(rovei_noise *n, const rovei_packet *p, rovei_hello *ret, bool answer)
{
    uint8_t payload[ROVEI_ANSWER_SIZE], hash[32];
    size_t size = p->noise.size - rovei_noise_overhead(n->pattern, n->step);
    ROVEI_CHECK(size <= sizeof payload);
    memcpy(hash, n->hash, sizeof hash);
    rovei_noise_bind(n, p->header);
    rove_err err = rovei_noise_read(n, p->noise, payload);
    if (err) {
        memcpy(n->hash, hash, sizeof hash);
        return err;
    }
    return rovei_hello_read(ret, (rove_span){payload, size}, answer);
}

rove_err rovei_initiation_read(rovei_noise *n, const rovei_packet *p, rovei_hello *ret)
{
    rovei_hello hello;
    uint8_t image[32];
    rove_err err = read_rest(n, p, &hello, false);
    if (err)
        return err;
    /* Both A and -A have this image, so it is the entity that is kept, never the static key. */
    err = rovei_ed25519_image(image, &hello.entity);
    if (err)
        return err == ROVE_E_NO_IMAGE ? err : ROVE_E_IDENTITY;
    if (memcmp(image, n->remote_static, sizeof image) != 0)
        return ROVE_E_IDENTITY;
    *ret = hello;
    return ROVE_OK;
}

rove_err rovei_response_read(rovei_noise *n, const rovei_packet *p, const rove_entity *expected,
                             rovei_hello *ret)
{
    rovei_hello hello;
    rove_err err = read_rest(n, p, &hello, true);
    if (err)
        return err;
    if (!rovei_entity_equal(&hello.entity, expected))
        return ROVE_E_IDENTITY;
    *ret = hello;
    return ROVE_OK;
}
