/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of words out of a wordcount daemon's state. */
#ifndef ROVEI_CLI_DEMO_TABLE_H
#define ROVEI_CLI_DEMO_TABLE_H

#include <rove/types.h>
#include <stdio.h>

/* Writes "count word" by count, descending, then by word: all of it, or the first `most` lines
 * (0 = all). E_FORMAT when the state is no table, E_NOMEM, E_IO. */
ROVE_MUST_USE rove_err demo_table_write(rove_span state, FILE *to, size_t most);

#endif
