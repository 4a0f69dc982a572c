/* SPDX-License-Identifier: Apache-2.0
 *
 * Identifiers that several machines of the core share. */
#ifndef ROVEI_COMPUTE_IDS_H
#define ROVEI_COMPUTE_IDS_H

#include <base/cursor.h>

/* The incarnation of a daemon's state: a new one whenever the state may have gone back. Higher
 * number wins; (0, 0) means "not known yet". */
typedef struct rovei_sinc {
    uint64_t number;
    uint64_t random;
} rovei_sinc;

static inline bool rovei_sinc_equal(rovei_sinc a, rovei_sinc b)
{
    return a.number == b.number && a.random == b.random;
}
rovei_sinc rovei_sinc_read(rovei_reader *r);
void rovei_sinc_write(rovei_writer *w, rovei_sinc s);

/* One order to move a daemon: 128 random bits. */
typedef struct rovei_attempt_id {
    uint8_t bytes[16];
} rovei_attempt_id;

/* Acknowledgement levels. Only `memory` is offered yet; the others have their place in formats. */
typedef enum rovei_level {
    ROVEI_LEVEL_MEMORY = 0,
    ROVEI_LEVEL_DISK = 1,
    ROVEI_LEVEL_STANDBY = 2,
} rovei_level;

/* Subprotocols of class rove: the tags of our streams. */
#define ROVEI_TAG_MOVE       0x5256
#define ROVEI_TAG_LANE       0x5257 /* sender to host */
#define ROVEI_TAG_OUTCOME    0x5258 /* host to sender */
#define ROVEI_TAG_LOCATE     0x5259 /* where is a daemon */
#define ROVEI_TAG_CHANNEL    0x525A /* membership of channels and what is published on them */
#define ROVEI_TAG_SPAWN      0x525B /* a daemon is to be spawned there */
#define ROVEI_TAG_CAPABILITY 0x525C /* announcements */

#endif
