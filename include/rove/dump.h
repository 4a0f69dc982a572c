/* SPDX-License-Identifier: Apache-2.0
 *
 * Dumps: what a node and its runtime are doing just now, for people and bug reports. */
#ifndef ROVE_DUMP_H
#define ROVE_DUMP_H

#include <rove/node.h>

ROVE_BEGIN_DECLS

/* Gives one JSON object as text: the node, counters, dropped datagrams by reason, calls under way,
 * the runtime, and the lists of peers, daemons and moves; last the limits. Names and meanings of
 * the members may change; the text is meant to be read, not to be parsed for ever. It is of one
 * instant, and has no secrets: no keys, no states, no payloads. A list that would make the text
 * longer than the limit dump_bytes ends with the member "left_out", which says how many are
 * missing. Ownership: one reference, the caller's. The form with a completion is
 * rove_node_dump_async (rove/async.h). Errors: ROVE_E_USAGE, ROVE_E_REENTRANT (inside of a daemon),
 * ROVE_E_NOMEM. Threads: any. Blocking: for a turn of the node's thread. */
ROVE_API ROVE_MUST_USE rove_err rove_node_dump(rove_node *node, rove_buf **ret);

ROVE_END_DECLS

#endif
