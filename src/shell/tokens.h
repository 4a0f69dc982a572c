/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node does when it is told to take tokens as revoked. */
#ifndef ROVEI_SHELL_TOKENS_H
#define ROVEI_SHELL_TOKENS_H

#include <shell/node.h>

/* Raises a floor, ends at once what it ends, and keeps the floors in the file beside the identity,
 * if the node has one. E_FULL, E_NOMEM. With E_FILE, E_PERMISSION, E_IO, or E_NOMEM of the file,
 * the floor holds but for this process alone; once more tries the file again. Threads: the node's
 * own. */
ROVE_MUST_USE rove_err rovei_tokens_revoke(rove_node *node, rovei_now now,
                                           const rove_entity *issuer, uint32_t generation);
/* At the start: the floors of former processes. Errors of rovei_floors_load. */
ROVE_MUST_USE rove_err rovei_tokens_start(rove_node *node);

#endif
