/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes without a loop thread, and loops that drive them: either sleeping exactly as long as they
 * are told or not at all. Timers that come round by themselves are set so far away that a wake
 * which is missing is not made up for by one of them. */
#ifndef ROVE_TESTS_DRIVEN_H
#define ROVE_TESTS_DRIVEN_H

#include "nodes.h"
#include <poll.h>
#include <time.h>

#define FAR (50 * ROVE_SECOND)

static inline uint64_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * ROVE_SECOND + (uint64_t)t.tv_nsec;
}

/* ---- a loop of one's own ---- */

typedef struct loop {
    place *places;
    size_t count;
    bool busy; /* never asks and never sleeps */
    size_t turns;
} loop;

static inline struct timespec until(uint64_t deadline)
{
    uint64_t now = clock_now(), left = deadline > now ? deadline - now : 0;
    return (struct timespec){.tv_sec = (time_t)(left / ROVE_SECOND),
                             .tv_nsec = (long)(left % ROVE_SECOND)};
}

static inline void loop_step(loop *l)
{
    uint64_t deadlines[3], next = ROVE_TIME_NEVER;
    struct pollfd fds[3];
    for (size_t i = 0; i < l->count && !l->busy; i++) {
        deadlines[i] = rove_node_deadline(l->places[i].node);
        next = deadlines[i] < next ? deadlines[i] : next;
        fds[i] = (struct pollfd){.fd = rove_node_fd(l->places[i].node), .events = POLLIN};
    }
    if (!l->busy) {
        struct timespec t = until(next);
        int ready = ppoll(fds, l->count, next == ROVE_TIME_NEVER ? NULL : &t, NULL);
        assert_true(ready > 0 || t.tv_sec < 10); /* else nobody woke it, and a far timer did */
    }
    for (size_t i = 0; i < l->count; i++)
        if (l->busy || fds[i].revents || deadlines[i] <= clock_now())
            assert_ok(rove_node_process(l->places[i].node));
    l->turns++;
}

#define LOOP_UNTIL(l, condition)                                                                   \
    while (!(condition))                                                                           \
    loop_step(l)

static inline void driven_open(place *p, unsigned workers)
{
    *p = (place){.control.outputs = 1};
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    assert_false(cfg.driven);
    cfg.driven = true;
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    cfg.limits.heartbeat = FAR;
    cfg.limits.suspect_after = 2 * FAR;
    cfg.limits.fail_after = 3 * FAR;
    cfg.limits.move_stall = 4 * FAR;
    assert_ok(rove_node_new(&p->node, &cfg));
    rove_node_get_info(p->node, &p->info);
    rove_runtime_config rc;
    rove_runtime_config_init(&rc);
    rc.workers = workers;
    assert_ok(rove_runtime_new(&p->rt, p->node, &rc));
    assert_ok(rove_runtime_register_kind(p->rt, NULL, &probe_kind, &p->control));
    assert_ok(rove_runtime_start(p->rt));
}

static inline bool knows(place *a, place *b)
{
    rove_err err = rove_node_wait_peer(a->node, &b->info.entity, 0);
    assert_true(err == ROVE_OK || err == ROVE_E_TIMED_OUT);
    return err == ROVE_OK;
}

static inline void meet(loop *l)
{
    for (size_t i = 1; i < l->count; i++) {
        place *a = &l->places[0], *b = &l->places[i];
        assert_ok(rove_node_connect(a->node, &b->info.entity, b->info.address));
        LOOP_UNTIL(l, knows(a, b) && knows(b, a));
    }
}

static inline void two_open(loop *l, place places[2], unsigned workers)
{
    *l = (loop){.places = places, .count = 2};
    driven_open(&places[0], workers);
    driven_open(&places[1], workers);
    meet(l);
}

static inline void two_close(place places[2])
{
    for (size_t i = 0; i < 2; i++) {
        place_close(&places[i]);
        assert_int_equal(places[i].control.created, places[i].control.destroyed);
    }
}

/* ---- a sender whose outcomes are counted, and which may be told to go on by itself ---- */

typedef struct tally {
    rove_sender *sender;
    uint64_t applied, last;
    uint64_t more; /* events that each outcome sends after it */
    bool ended;
} tally;

static inline void count_outcome(void *user, const rove_sent *sent)
{
    tally *t = user;
    if (sent->kind == ROVE_SENT_ENDED) {
        t->ended = true;
        return;
    }
    assert_int_equal(sent->kind, ROVE_SENT_APPLIED);
    assert_ok(sent->err);
    assert_int_equal(sent->number, ++t->last);
    size_t it = 0;
    rove_link link;
    rove_span payload;
    char want[24];
    int size = snprintf(want, sizeof want, "%" PRIu64, ++t->applied);
    assert_true(rove_sent_next(sent, &it, &link, &payload));
    assert_span(payload, want, (size_t)size);
    if (t->more) {
        t->more--;
        assert_ok(rove_sender_send(t->sender, span_of("x"), false, NULL));
    }
}

static inline void tally_open(tally *t, place *at, const rove_entity *daemon)
{
    *t = (tally){0};
    rove_sender_config cfg;
    rove_sender_config_init(&cfg);
    cfg.sent = count_outcome;
    cfg.user = t;
    assert_ok(rove_sender_open(&t->sender, at->node, daemon, &cfg));
}

static inline void tally_send(tally *t, size_t count)
{
    while (count--)
        assert_ok(rove_sender_send(t->sender, span_of("x"), false, NULL));
}

static inline void tally_close(tally *t, loop *l)
{
    rove_sender_close(t->sender);
    LOOP_UNTIL(l, t->ended);
    rove_sender_free(t->sender);
}

static inline rove_daemon spawn_here(place *at, rove_entity *ret_entity)
{
    rove_daemon d;
    assert_ok(rove_runtime_spawn(at->rt, "probe", NULL, NULL, &d));
    assert_ok(rove_runtime_entity(at->rt, d, ret_entity));
    return d;
}

static inline bool has_moved(place *from, rove_migration m)
{
    rove_migration_info info;
    assert_ok(rove_migration_get(from->rt, m, &info));
    assert_true(info.outcome == ROVE_OUTCOME_RUNNING || info.outcome == ROVE_OUTCOME_COMPLETED);
    return info.outcome == ROVE_OUTCOME_COMPLETED;
}

static inline bool readable(place *p)
{
    struct pollfd fd = {.fd = rove_node_fd(p->node), .events = POLLIN};
    assert_true(poll(&fd, 1, 0) >= 0);
    return fd.revents != 0;
}

static inline void settle(loop *l)
{
    for (size_t i = 0; i < l->count; i++)
        while (readable(&l->places[i]) || rove_node_deadline(l->places[i].node) <= clock_now())
            assert_ok(rove_node_process(l->places[i].node));
}

#endif
