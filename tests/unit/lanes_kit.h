/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of lanes share, over the nodes of moves_world.h: senders with what they were told,
 * and a hand in the frames between nodes. */
#ifndef ROVE_TESTS_LANES_KIT_H
#define ROVE_TESTS_LANES_KIT_H

#include "moves_world.h"

#include <compute/location_table.h>
#include <compute/sender_inside.h>

#define KIT_TYPES 64

/* Looks at the frames of lanes and places that one node sends. */
typedef struct kit_tap {
    world *w;
    size_t from;
    rovei_node_tap tap;
    unsigned seen[KIT_TYPES];    /* frames of lanes, by type */
    unsigned swallow[KIT_TYPES]; /* so many of the type are lost; UINT_MAX: all */
    rove_buf *kept[KIT_TYPES];   /* the first frame of each type since kit_forget */
    unsigned asked;              /* messages with the tag LOCATE */
} kit_tap;

/* A world with a tap on every node. */
typedef struct kit {
    world w;
    kit_tap taps[WORLD_NODES];
} kit;

kit *kit_new(size_t nodes);
void kit_free(kit *k);
void kit_tap_on(kit *k, size_t node); /* again, after world_start */
void kit_forget(kit *k);              /* counts and kept frames */
/* Hands the kept frame of a type, sent by `from`, to `to` once more. */
void kit_replay(kit *k, size_t from, size_t to, rovei_lane_type type);
/* A frame made by the test, as if `from` had sent it. */
void kit_inject(kit *k, size_t from, size_t to, const rovei_lane_frame *f);

uint64_t kit_open(kit *k, size_t node, const rove_entity *daemon);
rove_err kit_try(kit *k, size_t node, uint64_t sender, const char *text, uint64_t *ret_number);
uint64_t kit_send(kit *k, size_t node, uint64_t sender, const char *text);
/* Sends "<prefix><i>" for i from first to last, waiting for room where there is none. */
void kit_stream(kit *k, size_t node, uint64_t sender, const char *prefix, unsigned first,
                unsigned last);
rovei_sender *kit_sender(kit *k, size_t node, uint64_t sender);
rovei_lane *kit_lane(kit *k, size_t host, size_t node, uint64_t sender);

/* ---- what a sender was told ---- */
size_t kit_count(kit *k, size_t node, uint64_t sender, rovei_note_kind kind);
/* The note about one number; fails when there is more than one. NULL: none. */
const rovei_note *kit_note(kit *k, size_t node, uint64_t sender, rovei_note_kind kind,
                           uint64_t number);
/* The events first..last of the handle were applied, told once each and in order. */
void kit_assert_applied(kit *k, size_t node, uint64_t sender, uint64_t first, uint64_t last);
/* Events of the handle that were reported lost. */
uint64_t kit_lost(kit *k, size_t node, uint64_t sender);
/* The text of the only output in a note. */
void kit_assert_output(const rovei_note *note, const char *text);
/* "<prefix><i>" for i from first to last stands in the log of the cell once each, in order. */
void kit_assert_log(const world_cell *c, const char *prefix, unsigned first, unsigned last);

/* The daemon's state goes back to `image` (rovei_lanes_export), as at a restart. */
rove_buf *kit_save(kit *k, size_t host, const rove_entity *daemon);
void kit_go_back(kit *k, size_t host, const rove_entity *daemon, rove_buf *image);

#endif
