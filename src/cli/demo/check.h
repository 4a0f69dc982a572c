/* SPDX-License-Identifier: Apache-2.0
 *
 * Judges a daemon by its outputs alone: each is a link of its chain and says which line it answers.
 * Knows nothing of how events travel. */
#ifndef ROVEI_CLI_DEMO_CHECK_H
#define ROVEI_CLI_DEMO_CHECK_H

#include <rove/types.h>

typedef struct demo_check {
    uint8_t *seen; /* one bit for each line, from 1 */
    size_t room;   /* bytes of it */
    uint64_t sent;
    uint64_t processed, distinct, duplicated, out_of_order;
    uint64_t highest; /* line that an output was for */
    uint64_t links;   /* links that follow their predecessor */
    bool broken;      /* one did not */
    rove_link last;
    uint8_t *payload; /* behind `last` */
    size_t payload_size, payload_room;
} demo_check;

void demo_check_init(demo_check *c, uint64_t origin);
void demo_check_free(demo_check *c);
/* One output, in the order of the chain. E_FORMAT when it does not name a line, E_NOMEM. */
ROVE_MUST_USE rove_err demo_check_output(demo_check *c, const rove_link *link, rove_span payload);
/* Lines that no output answers. */
uint64_t demo_check_lost(const demo_check *c, uint64_t sent);

#endif
