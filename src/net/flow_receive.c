/* SPDX-License-Identifier: Apache-2.0
 *
 * The sequences of one stream as they arrive: what is new, what is missing, what is given up. */
#include <base/check.h>
#include <net/flow_receive.h>
#include <string.h>

void rovei_flow_receive_init(rovei_flow_receive *s, bool reliable)
{
    *s = (rovei_flow_receive){.reliable = reliable};
}

static void run_remove(rovei_flow_receive *s, uint32_t i)
{
    s->count--;
    memmove(&s->runs[i], &s->runs[i + 1], (s->count - i) * sizeof s->runs[0]);
}

static void run_insert(rovei_flow_receive *s, uint32_t i, rovei_flow_run run)
{
    memmove(&s->runs[i + 1], &s->runs[i], (s->count - i) * sizeof s->runs[0]);
    s->runs[i] = run;
    s->count++;
}

/* Puts a sequence above `next` into the runs. */
static rovei_flow_verdict place_above(rovei_flow_receive *s, uint64_t now, uint64_t sequence)
{
    uint32_t i = 0;
    while (i < s->count && s->runs[i].end < sequence)
        i++;
    rovei_flow_run *run = i < s->count ? &s->runs[i] : NULL;
    if (run && sequence >= run->first && sequence < run->end)
        return ROVEI_FLOW_DUPLICATE;
    if (run && sequence == run->end) {
        run->end++;
        if (i + 1 < s->count && run[1].first == run->end) {
            run->end = run[1].end;
            run_remove(s, i + 1);
        }
        return ROVEI_FLOW_NEW;
    }
    if (run && sequence + 1 == run->first) {
        run->first--;
        return ROVEI_FLOW_NEW;
    }
    if (s->count == ROVEI_FLOW_RUNS)
        return ROVEI_FLOW_REFUSED;
    /* A run inside of a hole divides it, and both parts are as old as it was. */
    run_insert(s, i, (rovei_flow_run){sequence, sequence + 1, run ? run->since : now});
    s->fresh_hole = true;
    return ROVEI_FLOW_NEW;
}

static rovei_flow_verdict place(rovei_flow_receive *s, uint64_t now, uint64_t sequence)
{
    if (sequence < s->next)
        return ROVEI_FLOW_DUPLICATE;
    /* The end of a run is one above its last number, so the last of all is none. */
    if (sequence == UINT64_MAX)
        return ROVEI_FLOW_REFUSED;
    if (sequence > s->next) {
        if (sequence - s->next <= ROVEI_FLOW_HORIZON)
            return place_above(s, now, sequence);
        if (!s->beyond_since || sequence < s->beyond)
            s->beyond = sequence;
        if (!s->beyond_since)
            s->beyond_since = now ? now : 1;
        return ROVEI_FLOW_REFUSED;
    }
    s->next++;
    if (s->count && s->runs[0].first == s->next) {
        s->next = s->runs[0].end;
        run_remove(s, 0);
        s->fresh_hole = s->count > 0;
    }
    return ROVEI_FLOW_NEW;
}

static void consume(rovei_flow_receive *s, uint64_t packets, uint32_t cost)
{
    uint64_t bytes = cost && packets > UINT64_MAX / cost ? UINT64_MAX : packets * cost;
    s->consumed = rovei_time_add(s->consumed, bytes);
}

/* Moves `next` over a hole. The sender counts the lost bytes as under way until it hears that they
 * were taken in: the largest packet so far stands for each, and the sender cuts off what is too
 * much. */
static uint64_t give_up(rovei_flow_receive *s, uint64_t upto)
{
    uint64_t lost = upto - s->next;
    consume(s, lost, s->largest);
    s->next = upto;
    if (s->count && s->runs[0].first == upto) {
        s->next = s->runs[0].end;
        run_remove(s, 0);
    }
    return lost;
}

/* What was refused as too far ahead may be near enough by now. */
static void look_beyond(rovei_flow_receive *s)
{
    if (s->beyond <= s->next || s->beyond - s->next <= ROVEI_FLOW_HORIZON)
        s->beyond_since = 0;
}

rovei_flow_verdict rovei_flow_receive_take(rovei_flow_receive *s, uint64_t now, uint64_t sequence,
                                           uint32_t cost)
{
    rovei_flow_verdict verdict = place(s, now, sequence);
    if (verdict == ROVEI_FLOW_DUPLICATE && now - s->heard >= ROVEI_FLOW_NEW_LIFE) {
        rovei_flow_receive_init(s, s->reliable);
        verdict = place(s, now, sequence);
    }
    s->heard = now;
    if (s->largest < cost)
        s->largest = cost;
    if (!s->reliable) {
        /* Nobody waits for a hole here, it only costs credit. */
        while (verdict == ROVEI_FLOW_REFUSED && sequence != UINT64_MAX) {
            (void)give_up(s, s->count ? s->runs[0].first : sequence);
            verdict = place(s, now, sequence);
        }
        s->fresh_hole = false;
        verdict = ROVEI_FLOW_NEW;
    }
    look_beyond(s);
    if (verdict == ROVEI_FLOW_NEW)
        consume(s, 1, cost);
    return verdict;
}

uint64_t rovei_flow_receive_expire(rovei_flow_receive *s, uint64_t now)
{
    uint64_t lost = 0;
    while (s->count && now - s->runs[0].since >= ROVEI_FLOW_HOLE_LIFE)
        lost += give_up(s, s->runs[0].first);
    look_beyond(s);
    if (!s->count && s->beyond_since && now - s->beyond_since >= ROVEI_FLOW_HOLE_LIFE) {
        lost += give_up(s, s->beyond);
        s->beyond_since = 0;
    }
    return lost;
}

/* The lowest `n` bits, n up to 64. */
static uint64_t low_bits(uint64_t n)
{
    return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

uint64_t rovei_flow_receive_missing(const rovei_flow_receive *s)
{
    if (!s->count)
        return 0;
    uint64_t base = s->next + 1;
    uint64_t missing = low_bits(s->runs[s->count - 1].end - 1 - base);
    for (uint32_t i = 0; i < s->count && s->runs[i].first - base < 64; i++)
        missing &= ~(low_bits(s->runs[i].end - base) & ~low_bits(s->runs[i].first - base));
    return missing;
}

void rovei_flow_receive_check(const rovei_flow_receive *s)
{
    ROVEI_CHECK(s->count <= ROVEI_FLOW_RUNS);
    uint64_t below = s->next;
    for (uint32_t i = 0; i < s->count; i++) {
        ROVEI_CHECK(s->runs[i].first > below && s->runs[i].end > s->runs[i].first);
        ROVEI_CHECK(i == 0 || s->runs[i].since >= s->runs[i - 1].since);
        below = s->runs[i].end;
    }
    ROVEI_CHECK(s->count == 0 || below - 1 - s->next <= ROVEI_FLOW_HORIZON);
}
