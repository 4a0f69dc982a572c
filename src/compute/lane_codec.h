/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of lanes, one per message of the tags LANE and OUTCOME (docs/protocol/lanes.md). */
#ifndef ROVEI_COMPUTE_LANE_CODEC_H
#define ROVEI_COMPUTE_LANE_CODEC_H

#include <compute/location.h>
#include <state/chain.h>

typedef enum rovei_lane_type {
    /* sender to host */
    ROVEI_LANE_OPEN = 1,
    ROVEI_LANE_EVENTS,
    ROVEI_LANE_CONFIRM,
    ROVEI_LANE_ASK_POSITION,
    ROVEI_LANE_GAP,
    ROVEI_LANE_CLOSE,
    /* host to sender */
    ROVEI_LANE_OPENED = 0x21,
    ROVEI_LANE_REFUSED,
    ROVEI_LANE_OUTCOMES,
    ROVEI_LANE_POSITION,
    ROVEI_LANE_NO_LANE,
    ROVEI_LANE_MOVING,
    ROVEI_LANE_NOT_HERE,
    ROVEI_LANE_RECORD,
    ROVEI_LANE_CLOSE_DONE,
    ROVEI_LANE_ENDED,
} rovei_lane_type;
enum {
    ROVEI_NOT_HERE_RECORD = 1,  /* the highest record known follows */
    ROVEI_NOT_HERE_STOPPED = 2, /* this node was its holder and has stopped it */
};

#define ROVEI_LANE_SEQUENCE_MAX (UINT64_C(1) << 62)
#define ROVEI_LANE_TEXT_MAX     1024 /* bytes of an error's text; longer ones are cut */
#define ROVEI_LANE_ERROR_MAX    999  /* greatest error number in a frame */
#define ROVEI_LANE_HEADER_SIZE  (4 + 32 + 8 + 16)
#define ROVEI_LANE_EVENTS_SIZE  (ROVEI_LANE_HEADER_SIZE + 8 + 8 + 4) /* before the events */
#define ROVEI_LANE_OUTCOME_SIZE (1 + 2 + 4 + 4 + 4)                  /* before text and outputs */
#define ROVEI_LANE_PLAIN_SIZE   (1 + 4)                              /* of a run of them */
#define ROVEI_LANE_FRAME_MAX    (ROVEI_LANE_HEADER_SIZE + 8 + ROVEI_RECORD_SIZE_MAX)
/* Outputs of one event that a message can carry. */
#define ROVEI_LANE_OUTPUTS_MAX (ROVEI_MESSAGE_MAX - 4096)

typedef struct rovei_lane_frame {
    rovei_lane_type type;
    rovei_level level;
    rove_entity daemon;
    uint64_t lane;
    rovei_sinc sinc;
    uint64_t first;      /* EVENTS, OUTCOMES: sequence of the first of them */
    uint64_t upto;       /* EVENTS, CONFIRM, ASK_POSITION: outcomes confirmed; GAP: gone up to */
    uint64_t position;   /* OPENED, OUTCOMES, POSITION, ENDED: what has its outcome at the host */
    uint64_t held;       /* POSITION: what is applied or waits in order at the host */
    uint32_t count;      /* EVENTS, OUTCOMES: events, not items */
    rove_err err;        /* REFUSED */
    uint8_t flags;       /* NOT_HERE */
    rove_span run;       /* EVENTS, OUTCOMES: the items, borrowed */
    rovei_record record; /* RECORD, ENDED; NOT_HERE where flagged; else undefined */
} rovei_lane_frame;

/* Writes the frame; of EVENTS and OUTCOMES the fixed part and then `run`, which may be empty when
 * the caller writes the items behind it. */
void rovei_lane_frame_write(rovei_writer *w, const rovei_lane_frame *f);
/* Checks everything, the items too; on an error `ret` is undefined. E_SHORT, E_TRAILING, E_FLAG,
 * E_BOUND, E_FORMAT. */
ROVE_MUST_USE rove_err rovei_lane_frame_read(rove_span bytes, rovei_lane_frame *ret);
static inline bool rovei_lane_is_to_host(rovei_lane_type type)
{
    return type < ROVEI_LANE_OPENED;
}

typedef enum rovei_outcome_kind {
    ROVEI_OUTCOME_APPLIED = 0,
    ROVEI_OUTCOME_ERROR = 1,   /* applied, and process reported an error */
    ROVEI_OUTCOME_REFUSED = 2, /* not applied; the position has moved on */
    ROVEI_OUTCOME_PLAIN = 3,   /* of a run of events: applied, with nothing to tell */
} rovei_outcome_kind;

typedef struct rovei_lane_outcome {
    rovei_outcome_kind kind;
    uint32_t events; /* PLAIN: so many; else 1 */
    rove_err err;
    uint32_t output_count;
    rove_span text, outputs; /* outputs in the framing of state/chain.h */
} rovei_lane_outcome;
/* `outputs` may be left to a shared body: then only its size is written. */
void rovei_lane_outcome_write(rovei_writer *w, const rovei_lane_outcome *o, bool outputs);
/* The next item of a run; checks like the frame's reader, whose errors the reader keeps. */
bool rovei_lane_outcome_read(rovei_reader *r, rovei_lane_outcome *ret);

#endif
