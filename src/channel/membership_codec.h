/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages by which a node joins and leaves a channel of another: the same bytes in both
 * classes (docs/protocol/channels.md, "Membership"). */
#ifndef ROVEI_CHANNEL_MEMBERSHIP_CODEC_H
#define ROVEI_CHANNEL_MEMBERSHIP_CODEC_H

#include <base/cursor.h>
#include <channel/name.h>

typedef enum rovei_membership_type {
    ROVEI_MEMBERSHIP_SUBSCRIBE = 0,
    ROVEI_MEMBERSHIP_UNSUBSCRIBE = 1,
    ROVEI_MEMBERSHIP_ACK = 2,
} rovei_membership_type;

/* Why a request was refused, as the answer says it. */
typedef enum rovei_membership_reason {
    ROVEI_REASON_NONE = 0,
    ROVEI_REASON_UNAUTHORIZED = 1,
    ROVEI_REASON_UNKNOWN_CHANNEL = 2,
    ROVEI_REASON_RATE_LIMITED = 3,
    ROVEI_REASON_TOO_MANY_CHANNELS = 4,
} rovei_membership_reason;
/* The error that stands for a refusal; NONE counts as not authorised. */
rove_err rovei_membership_err(rovei_membership_reason reason);
/* As the reference names it: "Unauthorized"; static. */
const char *rovei_membership_reason_name(rovei_membership_reason reason);

#define ROVEI_MEMBERSHIP_TOKEN_MAX 65535
#define ROVEI_MEMBERSHIP_ACK_SIZE  11
/* The largest message: both names and a token of the greatest length that the field can give. */
#define ROVEI_MEMBERSHIP_MAX                                                                       \
    (1 + 8 + 1 + ROVEI_CHANNEL_NAME_MAX + 2 + ROVEI_MEMBERSHIP_TOKEN_MAX + 1 +                     \
     ROVEI_CHANNEL_NAME_MAX)

typedef struct rovei_membership {
    rovei_membership_type type;
    uint64_t nonce;
    rove_span channel; /* SUBSCRIBE, UNSUBSCRIBE: borrowed when read */
    rove_span token;   /* SUBSCRIBE: bytes of a chain, which nobody has looked at; empty: none */
    rove_span group;   /* SUBSCRIBE: queue group; empty: none */
    bool accepted;     /* ACK */
    rovei_membership_reason reason; /* ACK */
} rovei_membership;

size_t rovei_membership_size(const rovei_membership *m);
/* Names and token are within their bounds; E_FULL in the writer when it does not fit. */
void rovei_membership_write(rovei_writer *w, const rovei_membership *m);
/* Checks everything, the rule of names too; on an error `ret` is undefined. E_SHORT (also for one
 * byte where the length of a token should be), E_FLAG (type, accepted, reason), E_BOUND (a length
 * beyond the end), E_FORMAT (a group that is not UTF-8), E_TRAILING, the errors of names. */
ROVE_MUST_USE rove_err rovei_membership_read(rove_span bytes, rovei_membership *ret);
/* It is for the publisher's half: anything but an ACK. */
bool rovei_membership_is_request(rove_span bytes);

#endif
