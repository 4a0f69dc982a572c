/* SPDX-License-Identifier: Apache-2.0
 *
 * The joined pair of transports. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/cursor.h>
#include <rove/limits.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"

/* ---- memory and randomness ---- */

static bool refused(pair_memory *m)
{
    m->calls++;
    return m->refuse_at && m->calls >= m->refuse_at && m->calls <= m->refuse_at + m->refuse_for;
}

static void grew(pair_memory *m, size_t size)
{
    m->bytes += size;
    if (m->bytes > m->most)
        m->most = m->bytes;
}

static void *count_alloc(void *user, size_t size)
{
    pair_memory *m = user;
    void *block = refused(m) ? NULL : malloc(size ? size : 1);
    if (block)
        grew(m, size);
    return block;
}

static void *count_realloc(void *user, void *block, size_t old_size, size_t size)
{
    pair_memory *m = user;
    void *grown = refused(m) ? NULL : realloc(block, size ? size : 1);
    if (grown) {
        m->bytes -= old_size;
        grew(m, size);
    }
    return grown;
}

static void count_free(void *user, void *block, size_t size)
{
    pair_memory *m = user;
    if (block)
        m->bytes -= size;
    free(block);
}

uint64_t pair_random(pair_rng *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void fill_random(void *user, void *ret, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)ret)[i] = (uint8_t)pair_random(user);
}

/* ---- life ---- */

void pair_init(pair *p, uint64_t seed)
{
    memset(p, 0, sizeof *p);
    p->random.state = seed;
    p->delay = 5 * ROVE_MILLISECOND;
    p->now = (rovei_now){.mono = ROVE_SECOND, .wall = ROVE_SECOND};
    p->check_every = 16;
    for (size_t i = 0; i < 2; i++) {
        p->env[i].alloc = (rove_alloc){count_alloc, count_realloc, count_free, &p->memory[i]};
        p->env[i].rng = (rovei_rng){fill_random, &p->random};
        rove_limits_init(&p->env[i].limits);
    }
}

void pair_start(pair *p)
{
    for (size_t i = 0; i < 2; i++)
        ROVEI_CHECK(rovei_transport_new(&p->t[i], &p->env[i], p->now) == ROVE_OK);
}

void pair_fini(pair *p)
{
    for (size_t i = 0; i < 2; i++) {
        rovei_transport_free(p->t[i]);
        ROVEI_CHECK(p->memory[i].bytes == 0);
    }
    for (size_t i = 0; i < p->count; i++)
        free(p->queued[i]);
    free(p->queued);
}

/* ---- the link ---- */

static bool earlier(const pair_packet *a, const pair_packet *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void heap_push(pair *p, pair_packet *packet)
{
    if (p->count == p->room) {
        p->room = p->room ? p->room * 2 : 64;
        p->queued = realloc(p->queued, p->room * sizeof(pair_packet *));
        ROVEI_CHECK(p->queued);
    }
    size_t i = p->count++;
    for (; i > 0 && earlier(packet, p->queued[(i - 1) / 2]); i = (i - 1) / 2)
        p->queued[i] = p->queued[(i - 1) / 2];
    p->queued[i] = packet;
}

static pair_packet *heap_pop(pair *p)
{
    pair_packet *top = p->queued[0], *last = p->queued[--p->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= p->count)
            break;
        if (child + 1 < p->count && earlier(p->queued[child + 1], p->queued[child]))
            child++;
        if (!earlier(p->queued[child], last))
            break;
        p->queued[i] = p->queued[child];
        i = child;
    }
    p->queued[i] = last;
    return top;
}

static bool chance(pair *p, uint32_t per_mille)
{
    return per_mille > 0 && pair_random(&p->random) % 1000 < per_mille;
}

static void put_on_link(pair *p, size_t from, const uint8_t *bytes, size_t size)
{
    if (p->cut || p->mute[from] || chance(p, p->loss)) {
        p->dropped++;
        return;
    }
    uint64_t leaves = p->now.mono;
    if (p->rate) {
        uint64_t start = p->busy_until[from] > leaves ? p->busy_until[from] : leaves;
        if ((start - leaves) / 1000 * p->rate / 1000000 > p->queue) {
            p->dropped++;
            return;
        }
        p->busy_until[from] = leaves = start + size * ROVE_SECOND / p->rate;
    }
    uint32_t copies = chance(p, p->twice) ? 2 : 1;
    for (uint32_t i = 0; i < copies; i++) {
        pair_packet *packet = malloc(sizeof *packet);
        ROVEI_CHECK(packet);
        packet->at = leaves + p->delay + (p->jitter ? pair_random(&p->random) % p->jitter : 0);
        packet->order = p->order++;
        packet->to = 1 - from;
        packet->size = size;
        memcpy(packet->bytes, bytes, size);
        heap_push(p, packet);
    }
}

/* ---- running ---- */

static void take_events(pair *p, size_t side)
{
    rovei_transport_event e;
    while (!p->no_poll[side] && rovei_transport_poll(p->t[side], &e)) {
        if (p->on_event)
            p->on_event(p, side, &e);
        rove_buf_unref(e.message);
    }
}

static void build_all(pair *p)
{
    for (size_t i = 0; i < 2; i++) {
        uint8_t bytes[PAIR_ROOM];
        size_t size, packets = 0;
        while ((size = rovei_transport_build(p->t[i], p->now, bytes, sizeof bytes)) > 0) {
            ROVEI_CHECK(size <= sizeof bytes && ++packets < 200000);
            put_on_link(p, i, bytes, size);
        }
        uint64_t deadline = rovei_transport_deadline(p->t[i]);
        ROVEI_CHECK(deadline > p->now.mono);
    }
}

static void deliver_due(pair *p)
{
    while (p->count > 0 && p->queued[0]->at <= p->now.mono) {
        pair_packet *packet = heap_pop(p);
        rove_err err =
            rovei_transport_receive(p->t[packet->to], p->now, packet->bytes, packet->size);
        if (err && rove_err_class_of(err) == ROVE_CLASS_PEER && !p->error[packet->to])
            p->error[packet->to] = err;
        p->delivered++;
        free(packet);
    }
}

bool pair_run(pair *p, uint64_t for_ns, pair_until_fn *until)
{
    uint64_t end = p->now.mono + for_ns;
    for (;;) {
        take_events(p, 0);
        take_events(p, 1);
        build_all(p);
        if (until && until(p))
            return true;
        uint64_t next = p->count > 0 ? p->queued[0]->at : ROVE_TIME_NEVER;
        for (size_t i = 0; i < 2; i++)
            next = rovei_time_min(next, rovei_transport_deadline(p->t[i]));
        if (next > end) {
            p->now.wall += end - p->now.mono;
            p->now.mono = end;
            return false;
        }
        p->now.wall += next - p->now.mono;
        p->now.mono = next;
        deliver_due(p);
        for (size_t i = 0; i < 2; i++) {
            if (rovei_transport_deadline(p->t[i]) <= p->now.mono)
                rovei_transport_expire(p->t[i], p->now);
        }
        if (p->check_every && ++p->steps % p->check_every == 0) {
            rovei_transport_check(p->t[0]);
            rovei_transport_check(p->t[1]);
        }
    }
}

bool pair_quiet(pair *p)
{
    for (size_t i = 0; i < 2; i++) {
        rovei_transport_stats s = rovei_transport_stats_get(p->t[i]);
        if (s.bytes_queued > 0 || s.bytes_in_flight > 0 || s.streams_out > 0 || s.streams_in > 0)
            return false;
    }
    return true;
}

void pair_fill(uint8_t *ret, size_t size, uint64_t stream, uint64_t number)
{
    uint64_t v = stream * UINT64_C(0x9e3779b97f4a7c15) + number;
    for (size_t i = 0; i < size; i++)
        ret[i] = (uint8_t)((v + i * 31 + (i >> 8)) ^ (v >> 11));
}
