/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's messages in words, for the story and for scenarios that pick some of them. */
#ifndef SIM_WORDS_H
#define SIM_WORDS_H

#include "world.h"

struct sim_message {
    uint16_t tag;
    unsigned type; /* rovei_move_type, rovei_lane_type, or the first byte */
    sim_daemon *daemon;
    const char *name;         /* "Commit" */
    rovei_attempt_id attempt; /* of a move */
    uint64_t number; /* ticket of a Prepared or Commit; first sequence of Events; lane otherwise */
    uint32_t count;  /* Events, Outcomes */
    uint64_t sinc;
    uint64_t channel;      /* hash, of a message of a leg */
    bool answer_of_holder; /* only the serving holder may say it */
};

/* False when the bytes are not a message. */
bool sim_message_read(sim_world *w, uint16_t tag, rove_span bytes, sim_message *ret);

#endif
