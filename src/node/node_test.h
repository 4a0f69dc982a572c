/* SPDX-License-Identifier: Apache-2.0
 *
 * For the simulator and the tests alone: a look at, and a hand in, the messages between the
 * machines of different nodes, above the sessions. Nothing in the library calls these. */
#ifndef ROVEI_NODE_NODE_TEST_H
#define ROVEI_NODE_NODE_TEST_H

#include <node/node.h>

/* Sees each message before it is sent; true swallows it (as if it were lost for ever). */
typedef struct rovei_node_tap {
    bool (*see)(void *user, const rove_entity *to, uint16_t tag, rove_span head, rove_buf *body);
    void *user;
} rovei_node_tap;
/* NULL takes the tap off. The struct stays the caller's. */
void rovei_node_set_tap(rovei_node *n, rovei_node_tap *tap);
/* Hands a message in as if it had just come from `from`. A reference is taken. */
void rovei_node_inject(rovei_node *n, rovei_now now, const rove_entity *from, uint16_t tag,
                       rove_buf *message);

#endif
