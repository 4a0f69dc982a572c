/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of words out of a wordcount daemon's state. */
#include "table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <wordcount.h>

typedef struct row {
    rove_span word;
    uint64_t count;
} row;

static int compare(const void *a, const void *b)
{
    const row *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    size_t least = x->word.size < y->word.size ? x->word.size : y->word.size;
    int order = memcmp(x->word.data, y->word.data, least);
    if (order)
        return order;
    return x->word.size < y->word.size ? -1 : x->word.size > y->word.size;
}

rove_err demo_table_write(rove_span state, FILE *to, size_t most)
{
    rove_span rest = state, word;
    uint64_t count;
    size_t rows = 0, at = 0;
    while (wordcount_next(&rest, &word, &count))
        rows++;
    if (rest.size)
        return ROVE_E_FORMAT;
    row *table = malloc((rows + 1) * sizeof *table);
    if (!table)
        return ROVE_E_NOMEM;
    for (rest = state; wordcount_next(&rest, &word, &count);)
        table[at++] = (row){word, count};
    qsort(table, rows, sizeof *table, compare);
    for (size_t i = 0; i < rows && (!most || i < most); i++) {
        fprintf(to, "%" PRIu64 " ", table[i].count);
        fwrite(table[i].word.data, 1, table[i].word.size, to);
        fputc('\n', to);
    }
    free(table);
    return fflush(to) || ferror(to) ? ROVE_E_IO : ROVE_OK;
}
