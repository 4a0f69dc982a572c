/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's data directory: opened before there is a core, fed with the batches of the core's
 * journal, and closed when they are all on the disk (docs/data-directory.md). */
#ifndef ROVEI_SHELL_DATA_H
#define ROVEI_SHELL_DATA_H

#include <node/node.h>
#include <shell/node.h>

typedef struct rovei_data rovei_data;

/* The directory of the node's entity, with the incarnation that it was last used by; 0: it is new.
 * Errors of rovei_store_open. */
ROVE_MUST_USE rove_err rovei_data_open(rovei_data **ret, rove_node *node, const char *dir,
                                       const rove_entity *entity, uint64_t *ret_incarnation);
/* The incarnation that uses it from now on; on the disk when this returns. */
ROVE_MUST_USE rove_err rovei_data_begin(rovei_data *d, uint64_t incarnation);
/* Carries a STORE effect out. On the loop thread. */
void rovei_data_write(rovei_data *d, const rovei_effect *e);
/* The node has ended: writes what its journal still has, if it can be written. */
void rovei_data_finish(rovei_data *d, rovei_node *core);
void rovei_data_close(rovei_data *d); /* NULL is fine */
const char *rovei_data_dir(const rovei_data *d);

/* shell/node.c: NULL for a node without a directory. */
rovei_data *rovei_node_data(const rove_node *node);

#endif
