/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions and answers about places: the bytes of the tag LOCATE (docs/protocol/locations.md). */
#ifndef ROVEI_COMPUTE_LOCATE_CODEC_H
#define ROVEI_COMPUTE_LOCATE_CODEC_H

#include <compute/location.h>

typedef enum rovei_locate_type {
    ROVEI_LOCATE_ASK = 1,
    ROVEI_LOCATE_ANSWER = 2,
    ROVEI_LOCATE_TELL = 3, /* unasked */
} rovei_locate_type;
enum {
    ROVEI_LOCATE_RECORD = 1,  /* a record follows */
    ROVEI_LOCATE_STOPPED = 2, /* the answerer was its holder and has stopped it */
    ROVEI_LOCATE_CLAIMED = 4, /* it is about to be spawned or arrives, or could not be asked for */
    ROVEI_LOCATE_HEARD = 8,   /* somebody knows a record that the answerer did not keep */
};

typedef struct rovei_locate {
    rovei_locate_type type;
    uint8_t hops; /* ASK: how many times it may be passed on */
    uint8_t flags;
    uint64_t nonce;
    rove_entity daemon;
    uint64_t known; /* ASK: epoch of the record that the asker has and that did not help; or 0 */
    rovei_record record; /* where flagged */
} rovei_locate;

#define ROVEI_LOCATE_HOPS_MAX 1
#define ROVEI_LOCATE_SIZE_MAX (4 + 8 + 32 + ROVEI_RECORD_SIZE_MAX)
void rovei_locate_write(rovei_writer *w, const rovei_locate *m);
/* E_FLAG, E_BOUND, E_FORMAT (a record of another daemon), E_SHORT, E_TRAILING. */
ROVE_MUST_USE rove_err rovei_locate_read(rove_span bytes, rovei_locate *ret);

#endif
