/* SPDX-License-Identifier: Apache-2.0
 *
 * What the demo streams: a file, or the texts that every Debian has, often enough. */
#ifndef ROVEI_CLI_DEMO_INPUT_H
#define ROVEI_CLI_DEMO_INPUT_H

#include <rove/types.h>

typedef struct demo_input {
    int fd; /* at its beginning */
    uint64_t lines;
    uint64_t longest;      /* bytes of its longest line */
    uint64_t longest_line; /* the number of that */
} demo_input;

/* `path` NULL: the default. CLI_DONE, or CLI_FAILED after saying why. */
int demo_input_open(demo_input *ret, const char *path);
void demo_input_close(demo_input *in);

#endif
