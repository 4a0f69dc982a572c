/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding and decoding of membership messages. Older senders end a Subscribe right after the name,
 * or right after the token: both are read. */
#include <base/text.h>
#include <channel/membership_codec.h>

rove_err rovei_membership_err(rovei_membership_reason reason)
{
    switch (reason) {
    case ROVEI_REASON_UNKNOWN_CHANNEL:
        return ROVE_E_CHANNEL_UNKNOWN;
    case ROVEI_REASON_RATE_LIMITED:
        return ROVE_E_CHANNEL_THROTTLED;
    case ROVEI_REASON_TOO_MANY_CHANNELS:
        return ROVE_E_CHANNELS_FULL;
    case ROVEI_REASON_NONE:
    case ROVEI_REASON_UNAUTHORIZED:
        break;
    }
    return ROVE_E_CHANNEL_UNAUTHORIZED;
}

const char *rovei_membership_reason_name(rovei_membership_reason reason)
{
    static const char *const names[] = {"None", "Unauthorized", "UnknownChannel", "RateLimited",
                                        "TooManyChannels"};
    return (unsigned)reason < sizeof names / sizeof names[0] ? names[reason] : "?";
}

size_t rovei_membership_size(const rovei_membership *m)
{
    switch (m->type) {
    case ROVEI_MEMBERSHIP_SUBSCRIBE:
        return 10 + m->channel.size + 2 + m->token.size + (m->group.size ? 1 + m->group.size : 0);
    case ROVEI_MEMBERSHIP_UNSUBSCRIBE:
        return 10 + m->channel.size;
    case ROVEI_MEMBERSHIP_ACK:
        break;
    }
    return ROVEI_MEMBERSHIP_ACK_SIZE;
}

void rovei_membership_write(rovei_writer *w, const rovei_membership *m)
{
    rovei_write_u8(w, (uint8_t)m->type);
    rovei_write_u64(w, m->nonce);
    if (m->type == ROVEI_MEMBERSHIP_ACK) {
        rovei_write_u8(w, m->accepted);
        rovei_write_u8(w, (uint8_t)m->reason);
        return;
    }
    rovei_write_u8(w, (uint8_t)m->channel.size);
    rovei_write_span(w, m->channel);
    if (m->type == ROVEI_MEMBERSHIP_UNSUBSCRIBE)
        return;
    rovei_write_u16(w, (uint16_t)m->token.size);
    rovei_write_span(w, m->token);
    /* Older receivers refuse a message in which bytes follow the token: without a group none do. */
    if (m->group.size) {
        rovei_write_u8(w, (uint8_t)m->group.size);
        rovei_write_span(w, m->group);
    }
}

/* ---- reading ---- */

static rove_span read_counted(rovei_reader *r, size_t size)
{
    if (size > rovei_reader_left(r))
        rovei_reader_fail(r, ROVE_E_BOUND);
    return rovei_read_span(r, size);
}

static void read_name(rovei_reader *r, rovei_membership *m)
{
    m->channel = read_counted(r, rovei_read_u8(r));
    if (!rovei_reader_ok(r))
        return;
    rove_err err = rovei_channel_name_check(m->channel);
    if (err)
        rovei_reader_fail(r, err);
}

static void read_credentials(rovei_reader *r, rovei_membership *m)
{
    if (!rovei_reader_ok(r) || !rovei_reader_left(r))
        return;
    m->token = read_counted(r, rovei_read_u16(r));
    if (!rovei_reader_ok(r) || !rovei_reader_left(r))
        return;
    m->group = read_counted(r, rovei_read_u8(r));
    if (!rovei_is_utf8(m->group))
        rovei_reader_fail(r, ROVE_E_FORMAT);
}

static void read_ack(rovei_reader *r, rovei_membership *m)
{
    uint8_t accepted = rovei_read_u8(r);
    uint8_t reason = rovei_read_u8(r);
    if (accepted > 1 || reason > ROVEI_REASON_TOO_MANY_CHANNELS)
        rovei_reader_fail(r, ROVE_E_FLAG);
    m->accepted = accepted == 1;
    m->reason = (rovei_membership_reason)reason;
}

rove_err rovei_membership_read(rove_span bytes, rovei_membership *ret)
{
    rovei_reader r = rovei_reader_of(bytes);
    uint8_t type = rovei_read_u8(&r);
    if (type > ROVEI_MEMBERSHIP_ACK)
        return ROVE_E_FLAG;
    *ret = (rovei_membership){.type = (rovei_membership_type)type, .nonce = rovei_read_u64(&r)};
    if (ret->type == ROVEI_MEMBERSHIP_ACK)
        read_ack(&r, ret);
    else
        read_name(&r, ret);
    if (ret->type == ROVEI_MEMBERSHIP_SUBSCRIBE)
        read_credentials(&r, ret);
    return rovei_reader_end(&r);
}

bool rovei_membership_is_request(rove_span bytes)
{
    return !bytes.size || *(const uint8_t *)bytes.data != ROVEI_MEMBERSHIP_ACK;
}
