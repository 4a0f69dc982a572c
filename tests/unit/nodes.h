/* SPDX-License-Identifier: Apache-2.0
 *
 * Real nodes on loopback, each with a runtime that knows the kind "probe". */
#ifndef ROVE_TESTS_NODES_H
#define ROVE_TESTS_NODES_H

#include "kinds.h"
#include "support.h"
#include <host/pause.h>
#include <host/runtime.h>
#include <pthread.h>
#include <rove/sender.h>

typedef struct place {
    rove_node *node;
    rove_runtime *rt;
    rove_node_info info;
    probe_control control;
} place;

static const uint8_t test_psk[32] = "the key of all nodes of a test..";

static inline void place_open_with(place *p, unsigned workers, const rove_limits *limits)
{
    *p = (place){.control.outputs = 1};
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    if (limits)
        cfg.limits = *limits;
    assert_ok(rove_node_new(&p->node, &cfg));
    rove_node_get_info(p->node, &p->info);
    rove_runtime_config rc;
    rove_runtime_config_init(&rc);
    rc.workers = workers;
    assert_ok(rove_runtime_new(&p->rt, p->node, &rc));
    assert_ok(rove_runtime_register_kind(p->rt, NULL, &probe_kind, &p->control));
}

static inline void place_open(place *p, unsigned workers)
{
    place_open_with(p, workers, NULL);
}

static inline void place_ready(place *p, unsigned workers)
{
    place_open(p, workers);
    assert_ok(rove_runtime_start(p->rt));
}

static inline void place_close(place *p)
{
    rove_runtime_unref(p->rt);
    rove_node_free(p->node);
}

static inline void connect_places(place *a, place *b)
{
    assert_ok(rove_node_connect(a->node, &b->info.entity, b->info.address));
    assert_ok(rove_node_wait_peer(a->node, &b->info.entity, 10 * ROVE_SECOND));
    assert_ok(rove_node_wait_peer(b->node, &a->info.entity, 10 * ROVE_SECOND));
}

static inline rove_err deliver(place *p, rove_daemon d, const char *text, rove_result *ret)
{
    rove_event event = {.link = {.origin = 4711, .sequence = 1}, .payload = span_of(text)};
    return rove_runtime_deliver(p->rt, d, &event, 0, ret, NULL, NULL);
}

static inline rove_link only_link(const rove_result *result)
{
    size_t it = 0;
    rove_link link;
    rove_span payload;
    assert_int_equal(result->output_count, 1);
    assert_true(rove_result_next(result, &it, &link, &payload));
    return link;
}

static inline void assert_output(const rove_result *result, const char *want)
{
    size_t it = 0;
    rove_link link;
    rove_span payload;
    assert_int_equal(result->output_count, 1);
    assert_true(rove_result_next(result, &it, &link, &payload));
    assert_span(payload, want, strlen(want));
    assert_false(rove_result_next(result, &it, &link, &payload));
}

static inline void deliver_expecting(place *p, rove_daemon d, const char *want)
{
    rove_result result;
    assert_ok(deliver(p, d, "x", &result));
    assert_output(&result, want);
    rove_result_fini(&result);
}

static inline void deliver_and_forget(place *p, rove_daemon d)
{
    rove_result result;
    rove_err err = deliver(p, d, "x", &result);
    (void)err;
    rove_result_fini(&result);
}

#endif
