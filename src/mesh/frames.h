/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of a packet (docs/protocol/streams.md): their bytes, both ways. A packet's plaintext
 * is its number, then frames until the end. */
#ifndef ROVEI_MESH_FRAMES_H
#define ROVEI_MESH_FRAMES_H

#include <base/cursor.h>
#include <base/ranges.h>

/* 10 and 11 belong to packets about a path (path.h), which have no other frames. */
typedef enum rovei_frame_type {
    ROVEI_FRAME_PADDING = 0,
    ROVEI_FRAME_PING = 1,
    ROVEI_FRAME_ACK = 2,
    ROVEI_FRAME_LIMITS = 3,
    ROVEI_FRAME_MAX_DATA = 4,
    ROVEI_FRAME_MAX_STREAM_DATA = 5,
    ROVEI_FRAME_RESET = 6,
    ROVEI_FRAME_REFUSED = 7,
    ROVEI_FRAME_STREAM = 8,
    ROVEI_FRAME_STREAM_FIN = 9,
} rovei_frame_type;

#define ROVEI_PACKET_HEADER 8 /* the packet number */

/* Sizes of frames; a STREAM's without its bytes, an ACK's without its further ranges. */
#define ROVEI_FRAME_PING_SIZE            1
#define ROVEI_FRAME_ACK_SIZE             18
#define ROVEI_FRAME_ACK_RANGE            8
#define ROVEI_FRAME_LIMITS_SIZE          21
#define ROVEI_FRAME_MAX_DATA_SIZE        9
#define ROVEI_FRAME_MAX_STREAM_DATA_SIZE 17
#define ROVEI_FRAME_RESET_SIZE           19
#define ROVEI_FRAME_REFUSED_SIZE         9
#define ROVEI_FRAME_STREAM_SIZE          21

/* An offset of a stream never passes this, so that sums of offsets cannot overflow. */
#define ROVEI_OFFSET_MAX (UINT64_C(1) << 62)

typedef struct rovei_frame_ack {
    uint32_t delay;                       /* microseconds since the largest number came */
    uint32_t count;                       /* 1 to ROVEI_RANGES_MAX */
    rovei_range ranges[ROVEI_RANGES_MAX]; /* descending, with gaps between them */
} rovei_frame_ack;

typedef struct rovei_frame_limits {
    uint64_t stream_window; /* what each stream may send without a MAX_STREAM_DATA */
    uint64_t peer_window;   /* what all may send together without a MAX_DATA */
    uint32_t streams;       /* streams that may be open at once */
} rovei_frame_limits;

typedef struct rovei_frame_stream {
    uint64_t stream, offset;
    uint16_t tag;
    bool fin;
    rove_span data;
} rovei_frame_stream;

typedef struct rovei_frame {
    rovei_frame_type type;
    union {
        size_t padding; /* zero bytes in a row */
        rovei_frame_ack ack;
        rovei_frame_limits limits;
        uint64_t max_data;
        struct {
            uint64_t stream, limit;
        } max_stream_data;
        struct {
            uint64_t stream, final;
            uint16_t tag;
        } reset;
        uint64_t refused;
        rovei_frame_stream stream;
    };
} rovei_frame;

/* The next frame. E_FORMAT (unknown type, stream 0, an ACK without ranges), E_BOUND (an offset or a
 * count too large, a range below packet 1), E_SHORT. Views point into the input. */
ROVE_MUST_USE rove_err rovei_frame_read(rovei_reader *r, rovei_frame *ret);
/* Any frame; the error sticks to the writer. */
void rovei_frame_write(rovei_writer *w, const rovei_frame *f);

/* Writes an ACK of the `count` first ranges of `ranges`, as many as fit into the writer, and gives
 * how many; ranges further apart or longer than 2^32 are cut there. 0: nothing was written. */
uint32_t rovei_frame_write_ack(rovei_writer *w, const rovei_range *ranges, uint32_t count,
                               uint32_t delay);
/* The head of a STREAM frame of `size` bytes at a place with room for ROVEI_FRAME_STREAM_SIZE. */
void rovei_frame_put_stream(uint8_t *at, uint64_t stream, uint64_t offset, uint16_t tag,
                            uint16_t size, bool fin);

#endif
