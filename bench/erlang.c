/* SPDX-License-Identifier: Apache-2.0
 *
 * The child that runs Erlang. */
#include "erlang.h"

#include "bench.h"
#include "child.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bench_child child;
static bool absent;

bool bench_erlang_round(void *arg, double *ret)
{
    const bench_erlang *e = arg;
    const char *const argv[] = {"escript", BENCH_SOURCE "/erlang.escript", NULL};
    if (!absent && !child.pid)
        absent = !bench_child_start(&child, argv);
    if (absent)
        return false;
    fprintf(child.in, "%s %" PRIu64 " %" PRIu64 "\n", e->what, e->size, e->messages);
    (void)fflush(child.in);
    char line[64], *end = line;
    if (fgets(line, sizeof line, child.out))
        *ret = strtod(line, &end);
    return end != line;
}

void bench_erlang_close(void)
{
    bench_child_end(&child);
}
