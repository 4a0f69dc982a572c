/* SPDX-License-Identifier: Apache-2.0
 *
 * The harness: cases that are compared take turns in short rounds, and each figure is the median of
 * its rounds; so a machine that is slow for a while is slow for all of them. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <rove/types.h>

#define BENCH_ROUNDS   5
#define BENCH_NAME_MAX 64

/* One thing that is measured. */
typedef struct bench_case {
    char name[BENCH_NAME_MAX]; /* stable: scripts look for it */
    const char *unit;
    const char *const *figures; /* what one round gives, NULL-terminated; NULL: the one value */
    /* One round. False: this machine lacks what it needs. */
    bool (*round)(void *arg, double *ret);
    void *arg;
} bench_case;

#define BENCH_FIGURES_MAX 4

/* Runs the cases in turn, so many rounds each, and prints the medians. */
void bench_rounds(const bench_case *cases, size_t count, size_t rounds);
/* One figure from many samples, which it sorts: its median and its 99th percentile. */
void bench_samples(const char *name, const char *unit, double *values, size_t count);
/* One figure that is measured once. */
void bench_value(const char *name, const char *unit, double value);
void bench_missing(const char *name);
/* How many times `to` the figure `of` is: the median over their common rounds. Nothing is printed
 * when one of them was not measured. */
void bench_ratio(const char *of, const char *to);

double bench_percentile(double *values, size_t count, double p);

/* Monotonic nanoseconds. */
uint64_t bench_now(void);
/* The work of one round: `full`, or with --quick a small part of it, at least 1. */
uint64_t bench_scale(uint64_t full);
size_t bench_round_count(void);
bool bench_is_quick(void);
/* Ends the program with the sentence of the error, if there is one. */
void bench_must(rove_err err, const char *what);
_Noreturn void bench_fail(const char *what);

void bench_set(bool json, bool quick);

/* ---- the measures, one file each ---- */
void bench_deliver(void);
void bench_lanes(void);
void bench_channels(void);
void bench_round_trip(void);
void bench_handshakes(void);
void bench_moves(void);
void bench_drain(void);
void bench_memory(void);

#endif
