/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast a pair of transports moves messages in memory, on one core, without keys and sockets:
 * bench_transport [size [seconds [streams]]]; the usual cases when none is given. */
#include <base/buf.h>
#include <inttypes.h>
#include <mesh/transport.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROOM  1150
#define BATCH 64
#define LINK  4096 /* packets that fit on the link each way */

static void *bench_alloc(void *user, size_t size)
{
    (void)user;
    return malloc(size ? size : 1);
}

static void *bench_realloc(void *user, void *block, size_t old_size, size_t size)
{
    (void)user;
    (void)old_size;
    return realloc(block, size ? size : 1);
}

static void bench_free(void *user, void *block, size_t size)
{
    (void)user;
    (void)size;
    free(block);
}

static void bench_fill(void *user, void *ret, size_t size)
{
    (void)user;
    memset(ret, 0x5a, size);
}

static uint64_t clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * ROVE_SECOND + (uint64_t)ts.tv_nsec;
}

/* Moves one turn's packets from `a` to `b`. */
static uint64_t carry(rovei_transport *a, rovei_transport *b, rovei_now now)
{
    static uint8_t packets[BATCH][ROOM];
    size_t sizes[BATCH];
    uint64_t moved = 0;
    for (;;) {
        size_t n = 0;
        while (n < BATCH && (sizes[n] = rovei_transport_build(a, now, packets[n], ROOM)) > 0)
            n++;
        for (size_t i = 0; i < n; i++) {
            if (rovei_transport_receive(b, now, packets[i], sizes[i])) {
                fputs("a packet was not taken\n", stderr);
                exit(1);
            }
        }
        moved += n;
        if (n < BATCH || moved >= LINK)
            return moved;
    }
}

static void fail_unless(rove_err err)
{
    if (err) {
        fprintf(stderr, "%s\n", rove_strerror(err));
        exit(1);
    }
}

static void run(size_t size, double seconds, size_t streams)
{
    if (streams == 0)
        return;
    static rovei_env env;
    env.alloc = (rove_alloc){bench_alloc, bench_realloc, bench_free, NULL};
    env.rng = (rovei_rng){bench_fill, NULL};
    rove_limits_init(&env.limits);
    rovei_now now = {.mono = clock_ns()};
    rovei_transport *t[2];
    fail_unless(rovei_transport_new(&t[0], &env, now));
    fail_unless(rovei_transport_new(&t[1], &env, now));
    uint64_t stream, sent = 0, got = 0, packets = 0, start = clock_ns(), end;
    for (size_t i = 0; i < streams; i++)
        fail_unless(rovei_transport_open(t[0], 1, &stream));
    uint8_t *bytes = calloc(1, size + 1);
    rove_buf *body = NULL;
    fail_unless(rove_buf_new(&body, (rove_span){bytes, size}, &env.alloc));
    /* As many messages per turn as a busy owner would have. */
    size_t per_turn = size < 4096 ? 256 : 4;
    for (;;) {
        now.mono = end = clock_ns();
        if ((double)(end - start) > seconds * 1e9)
            break;
        for (size_t i = 0; i < per_turn; i++) {
            if (rovei_transport_stats_get(t[0]).bytes_queued > (4u << 20))
                break;
            stream = 1 + sent++ % streams;
            fail_unless(rovei_transport_send(t[0], stream, (rove_span){0}, body));
        }
        packets += carry(t[0], t[1], now);
        rovei_transport_event e;
        while (rovei_transport_poll(t[1], &e)) {
            got++;
            rove_buf_unref(e.message);
        }
        packets += carry(t[1], t[0], now);
        for (size_t i = 0; i < 2; i++) {
            if (rovei_transport_deadline(t[i]) <= now.mono)
                rovei_transport_expire(t[i], now);
        }
    }
    double took = (double)(end - start);
    printf("%6zu B, %5zu streams: %10.0f messages/s  %8.1f MB/s  %7.1f ns per packet (%" PRIu64
           " lost)\n",
           size, streams, (double)got * 1e9 / took, (double)got * (double)size * 1e3 / took,
           took / (double)packets, rovei_transport_stats_get(t[0]).packets_lost);
    rove_buf_unref(body);
    free(bytes);
    rovei_transport_free(t[0]);
    rovei_transport_free(t[1]);
}

int main(int argc, char **argv)
{
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1.0;
    if (argc > 1) {
        run((size_t)strtoull(argv[1], NULL, 10), seconds,
            argc > 3 ? (size_t)strtoull(argv[3], NULL, 10) : 1);
        return 0;
    }
    static const size_t sizes[] = {64, 1024, 65536};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        run(sizes[i], seconds, 1);
    run(64, seconds, 5000);
    return 0;
}
