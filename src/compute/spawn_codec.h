/* SPDX-License-Identifier: Apache-2.0
 *
 * Spawning on another node: the bytes of the tag SPAWN (docs/protocol/placement.md, "Spawning
 * elsewhere"). */
#ifndef ROVEI_COMPUTE_SPAWN_CODEC_H
#define ROVEI_COMPUTE_SPAWN_CODEC_H

#include <base/cursor.h>
#include <channel/name.h>
#include <identity/envelope.h>
#include <rove/kind.h>

typedef enum rovei_spawn_type {
    ROVEI_SPAWN_REQUEST = 1,
    ROVEI_SPAWN_ANSWER = 2,
} rovei_spawn_type;

#define ROVEI_SPAWN_IDENTITY 0x01 /* a sealed identity follows the kind */
#define ROVEI_SPAWN_FORCE    0x02 /* whatever is known of that identity */
#define ROVEI_SPAWN_CHANNEL  0x04 /* the name of a channel for its outputs follows */

typedef struct rovei_spawn_message {
    rovei_spawn_type type;
    uint8_t flags;                     /* REQUEST: ROVEI_SPAWN_... */
    uint64_t id;                       /* drawn by who asks; not 0 */
    char kind[ROVE_KIND_NAME_MAX + 1]; /* REQUEST: 1 to 64 bytes without a zero */
    uint8_t identity[ROVEI_ENVELOPE_SIZE];
    char channel[ROVEI_CHANNEL_NAME_MAX + 1];
    rove_err err;       /* ANSWER */
    rove_entity daemon; /* ANSWER, without an error; else zero */
    uint64_t epoch;     /* likewise */
} rovei_spawn_message;

#define ROVEI_SPAWN_SIZE_MAX                                                                       \
    (12 + ROVE_KIND_NAME_MAX + ROVEI_ENVELOPE_SIZE + 1 + ROVEI_CHANNEL_NAME_MAX)
void rovei_spawn_encode(rovei_writer *w, const rovei_spawn_message *m);
/* E_FLAG (type, flags, a field that this type leaves zero), E_BOUND (the name's size, a number that
 * is no error of others), E_FORMAT (the id, a zero in the name, a name that no channel has, an
 * answer with both an error and a daemon or with neither), E_SHORT, E_TRAILING. */
ROVE_MUST_USE rove_err rovei_spawn_decode(rovei_spawn_message *ret, rove_span bytes);

#endif
