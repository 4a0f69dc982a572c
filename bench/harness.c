/* SPDX-License-Identifier: Apache-2.0
 *
 * Rounds, medians, ratios, and the two ways to print them. */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORDS_MAX 256
#define QUICK_PART  50

/* What was measured so far, for the ratios. */
struct record {
    char name[BENCH_NAME_MAX];
    double values[BENCH_ROUNDS];
    size_t count;
};

static struct record records[RECORDS_MAX];
static size_t record_count;
static bool as_json, quick;

void bench_set(bool json, bool quick_run)
{
    as_json = json;
    quick = quick_run;
}

bool bench_is_quick(void)
{
    return quick;
}

uint64_t bench_scale(uint64_t full)
{
    return quick ? (full + QUICK_PART - 1) / QUICK_PART : full;
}

size_t bench_round_count(void)
{
    return quick ? 1 : BENCH_ROUNDS;
}

uint64_t bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * ROVE_SECOND + (uint64_t)t.tv_nsec;
}

_Noreturn void bench_fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

void bench_must(rove_err err, const char *what)
{
    if (err) {
        fprintf(stderr, "bench: %s: %s\n", what, rove_strerror(err));
        exit(1);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_percentile(double *values, size_t count, double p)
{
    qsort(values, count, sizeof *values, by_value);
    return values[(size_t)(p * (double)(count - 1) + 0.5)];
}

/* ---- printing ---- */

void bench_value(const char *name, const char *unit, double value)
{
    if (as_json)
        printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", name, value, unit);
    else
        printf("  %-44s %14.1f %s\n", name, value, unit);
    (void)fflush(stdout);
}

void bench_missing(const char *name)
{
    if (as_json)
        printf("{\"name\":\"%s\",\"value\":null,\"note\":\"not installed\"}\n", name);
    else
        printf("  %-44s %14s\n", name, "not installed");
    (void)fflush(stdout);
}

static void print_rounds(const struct record *r, const char *unit)
{
    double sorted[BENCH_ROUNDS];
    memcpy(sorted, r->values, r->count * sizeof *sorted);
    double median = bench_percentile(sorted, r->count, 0.5);
    double low = sorted[0], high = sorted[r->count - 1];
    if (as_json)
        printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"low\":%.3f,\"high\":%.3f,"
               "\"rounds\":%zu}\n",
               r->name, median, unit, low, high, r->count);
    else
        printf("  %-44s %14.1f %-10s (%.1f to %.1f)\n", r->name, median, unit, low, high);
    (void)fflush(stdout);
}

/* ---- rounds ---- */

static struct record *record_new(const bench_case *c, size_t figure)
{
    if (record_count == RECORDS_MAX)
        bench_fail("too many figures");
    struct record *r = &records[record_count++];
    (void)snprintf(r->name, sizeof r->name, "%s%s%s", c->name, c->figures ? "." : "",
                   c->figures ? c->figures[figure] : "");
    return r;
}

static size_t figure_count(const bench_case *c)
{
    size_t count = 0;
    while (c->figures && c->figures[count])
        count++;
    return c->figures ? count : 1;
}

void bench_rounds(const bench_case *cases, size_t count, size_t rounds)
{
    size_t first = record_count;
    for (size_t i = 0; i < count; i++)
        for (size_t f = 0; f < figure_count(&cases[i]); f++)
            (void)record_new(&cases[i], f);
    for (size_t round = 0; round < rounds; round++) {
        struct record *r = &records[first];
        for (size_t i = 0; i < count; i++) {
            double values[BENCH_FIGURES_MAX];
            bool done = cases[i].round(cases[i].arg, values);
            for (size_t f = 0; f < figure_count(&cases[i]); f++, r++)
                if (done)
                    r->values[r->count++] = values[f];
        }
    }
    const struct record *r = &records[first];
    for (size_t i = 0; i < count; i++)
        for (size_t f = 0; f < figure_count(&cases[i]); f++, r++) {
            if (r->count)
                print_rounds(r, cases[i].unit);
            else
                bench_missing(r->name);
        }
}

void bench_samples(const char *name, const char *unit, double *values, size_t count)
{
    char line[BENCH_NAME_MAX];
    (void)snprintf(line, sizeof line, "%s.p50", name);
    bench_value(line, unit, bench_percentile(values, count, 0.5));
    (void)snprintf(line, sizeof line, "%s.p99", name);
    bench_value(line, unit, bench_percentile(values, count, 0.99));
}

static const struct record *record_of(const char *name)
{
    for (size_t i = 0; i < record_count; i++)
        if (!strcmp(records[i].name, name) && records[i].count)
            return &records[i];
    return NULL;
}

void bench_ratio(const char *of, const char *to)
{
    const struct record *a = record_of(of), *b = record_of(to);
    if (!a || !b)
        return;
    size_t count = a->count < b->count ? a->count : b->count;
    double ratios[BENCH_ROUNDS];
    for (size_t i = 0; i < count; i++)
        ratios[i] = a->values[i] / b->values[i];
    double median = bench_percentile(ratios, count, 0.5);
    if (as_json)
        printf("{\"name\":\"ratio\",\"of\":\"%s\",\"to\":\"%s\",\"value\":%.3f}\n", of, to, median);
    else
        printf("  %-44s %14.2f times %s\n", of, median, to);
    (void)fflush(stdout);
}
