/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the source half in class net have in common: a node with a daemon, and a model
 * of a target of the reference. */
#ifndef ROVE_TESTS_NET_SOURCE_KIT_H
#define ROVE_TESTS_NET_SOURCE_KIT_H

#include "stock_model.h"

#define LONG_TIME (300 * ROVE_SECOND)

typedef struct kit {
    outsiders o;
    stock s;
    rove_entity d;
    uint64_t origin;
} kit;

static inline kit *kit_new(size_t nodes, size_t peers)
{
    kit *k = calloc(1, sizeof *k);
    assert_non_null(k);
    outsiders_init(&k->o, nodes, peers);
    stock_init(&k->s, &k->o, 0);
    k->d = world_spawn(&k->o.w, 0, 5);
    k->origin = rovei_entity_origin(&k->d);
    for (int i = 0; i < 3; i++)
        assert_ok(world_deliver(&k->o.w, 0, &k->d, "event"));
    return k;
}

static inline void kit_free(kit *k)
{
    stock_fini(&k->s);
    outsiders_fini(&k->o);
    free(k);
}

static inline rovei_node *kit_node(kit *k)
{
    return k->o.w.nodes[0].node;
}

static inline rovei_move_order kit_order(kit *k)
{
    return (rovei_move_order){.daemon = k->d, .target = rovei_entity_of_net(k->o.peers[0].node_id)};
}

static inline rovei_attempt_id kit_move(kit *k)
{
    rovei_move_order o = kit_order(k);
    rovei_attempt_id id;
    assert_ok(rovei_node_move(kit_node(k), k->o.w.now, &o, &id));
    return id;
}

static inline rovei_move_info kit_info(kit *k, const rovei_attempt_id *a)
{
    return world_info(&k->o.w, 0, a);
}

/* Lets it come to its end and gives how it ended. */
static inline rovei_move_info kit_end(kit *k, const rovei_attempt_id *a)
{
    world_until(&k->o.w, LONG_TIME, kit_info(k, a).outcome != ROVEI_OUTCOME_RUNNING);
    world_run(&k->o.w, 10 * ROVE_MILLISECOND);
    rovei_node_check(kit_node(k));
    return kit_info(k, a);
}

/* It lives with the model, whole, and nowhere else. */
static inline void kit_assert_gone(kit *k)
{
    rovei_daemon_info info;
    stock_daemon *d = stock_find(&k->s, k->origin);
    assert_non_null(d);
    assert_int_equal(d->step, STOCK_COMPLETED);
    assert_int_equal(d->restores, 1);
    assert_null(world_daemon(&k->o.w, 0, &k->d));
    assert_int_equal(world_serving(&k->o.w, &k->d), 0);
    assert_ok(rovei_node_daemon_get(kit_node(k), &k->d, &info));
    assert_int_equal(info.state, ROVEI_DAEMON_MOVED);
    assert_int_equal(rovei_entity_node_id(&info.holder), k->o.peers[0].node_id);
    assert_int_equal(world_deliver(&k->o.w, 0, &k->d, "late"), ROVE_E_MOVED);
}

/* It serves here as if nothing had been. */
static inline void kit_assert_stayed(kit *k)
{
    assert_int_equal(world_role_of(&k->o.w, 0, &k->d), ROVEI_ROLE_SERVING);
    assert_ok(world_deliver(&k->o.w, 0, &k->d, "goes on"));
    rovei_node_check(kit_node(k));
}

static inline void kit_assert_failed(const rovei_move_info *info, rove_err reason, const char *text)
{
    assert_int_equal(info->outcome, ROVEI_OUTCOME_FAILED);
    assert_int_equal(info->reason, reason);
    assert_span(info->text, text ? text : "", text ? strlen(text) : 0);
}

/* Makes its state so large. */
static inline void kit_grow(kit *k, size_t size)
{
    char *text = malloc(size + 1);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + i * 31 % 26);
    text[size] = '\0';
    assert_ok(world_deliver(&k->o.w, 0, &k->d, text));
    free(text);
}

static inline void kit_say(kit *k, size_t who, rovei_netmove_type type, uint64_t sequence)
{
    rovei_netmove_message m = {.type = type, .origin = k->origin};
    m.sequence = sequence;
    outsider_say(&k->o, who, 0, &m);
}

#endif
