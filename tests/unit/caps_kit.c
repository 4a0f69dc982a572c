/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of tags from texts. */
#include "caps_kit.h"
#include <stdlib.h>
#include <string.h>

#define BLOCKS 4096
static void *blocks[BLOCKS];
static size_t block_count;

static void *keep(void *block)
{
    if (!block || block_count == BLOCKS)
        abort();
    return blocks[block_count++] = block;
}

void caps_kit_clear(void)
{
    while (block_count)
        free(blocks[--block_count]);
}

static int by_bytes(const void *a, const void *b)
{
    const rove_span *x = a, *y = b;
    return rovei_span_order(*x, *y);
}

static size_t lines_of(const char *text, rove_span **ret)
{
    size_t count = 0, room = 1;
    for (const char *p = text; *p; p++)
        room += *p == '\n';
    rove_span *lines = keep(calloc(room, sizeof *lines));
    for (char *line = strtok(keep(strdup(text)), "\n"); line; line = strtok(NULL, "\n"))
        lines[count++] = (rove_span){line, strlen(line)};
    qsort(lines, count, sizeof *lines, by_bytes);
    *ret = lines;
    return count;
}

rovei_caps caps_of(const char *tags, const char *metadata)
{
    rovei_caps caps = {0};
    rove_span *lines;
    caps.tag_count = lines_of(tags, &lines);
    caps.tags = lines;
    caps.metadata_count = lines_of(metadata ? metadata : "", &lines);
    rovei_caps_pair *pairs = keep(calloc(caps.metadata_count + 1, sizeof *pairs));
    for (size_t i = 0; i < caps.metadata_count; i++) {
        const char *text = lines[i].data, *sign = strchr(text, '=');
        pairs[i].key = (rove_span){text, (size_t)(sign - text)};
        pairs[i].value = (rove_span){sign + 1, strlen(sign + 1)};
    }
    caps.metadata = pairs;
    return caps;
}
