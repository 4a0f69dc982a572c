/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls with a completion: each is told once, later, on the node's own thread, and none is lost
 * when its owner ends. */
#include "nodes.h"
#include "told.h"

/* ---- a node ---- */

static void test_connect(void **state)
{
    (void)state;
    place a, b;
    place_open(&a, 1);
    place_open(&b, 1);
    told connected = TOLD_INIT, met = TOLD_INIT;
    char address[64];
    snprintf(address, sizeof address, "localhost%s", strrchr(b.info.address, ':'));
    assert_ok(rove_node_wait_peer_async(a.node, &b.info.entity, ROVE_TIME_NEVER, tell, &met));
    assert_ok(rove_node_connect_async(a.node, &b.info.entity, address, tell, &connected));
    assert_told(&connected, ROVE_OK);
    assert_told(&met, ROVE_OK);
    assert_true(pthread_equal(connected.thread, met.thread));
    told again = TOLD_INIT;
    assert_ok(rove_node_wait_peer_async(a.node, &b.info.entity, 0, tell, &again));
    assert_told(&again, ROVE_OK);
    place_close(&a);
    place_close(&b);
}

static void test_connect_errors(void **state)
{
    (void)state;
    place a;
    place_open(&a, 1);
    rove_entity nobody = {{9}};
    char longest[400];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    told t = TOLD_INIT;
    assert_int_equal(rove_node_connect_async(a.node, &nobody, longest, tell, &t), ROVE_E_ADDRESS);
    assert_int_equal(rove_node_connect_async(a.node, &nobody, NULL, tell, &t), ROVE_E_USAGE);
    assert_int_equal(rove_node_connect_async(a.node, NULL, "127.0.0.1:1", tell, &t), ROVE_E_USAGE);
    assert_int_equal(rove_node_connect_async(a.node, &nobody, "127.0.0.1:1", NULL, &t),
                     ROVE_E_USAGE);
    assert_int_equal(told_times(&t), 0);
    assert_ok(rove_node_connect_async(a.node, &nobody, "no port", tell, &t));
    assert_told(&t, ROVE_E_ADDRESS);
    told self = TOLD_INIT;
    assert_ok(rove_node_connect_async(a.node, &a.info.entity, "127.0.0.1:1", tell, &self));
    assert_told(&self, ROVE_E_SAME_NODE);
    place_close(&a);
}

static void test_wait_peer_times_out(void **state)
{
    (void)state;
    place a;
    place_open(&a, 1);
    rove_entity nobody = {{9}};
    told t = TOLD_INIT;
    assert_ok(rove_node_wait_peer_async(a.node, &nobody, ROVE_MILLISECOND, tell, &t));
    assert_told(&t, ROVE_E_TIMED_OUT);
    assert_int_equal(rove_node_wait_peer(a.node, &nobody, ROVE_MILLISECOND), ROVE_E_TIMED_OUT);
    place_close(&a);
}

/* What is under way when the node is freed is told before that returns. */
static void test_node_free_tells(void **state)
{
    (void)state;
    place a;
    place_open(&a, 1);
    rove_entity nobody = {{9}};
    told waits[8];
    told names[8];
    for (int i = 0; i < 8; i++) {
        waits[i] = names[i] = (told)TOLD_INIT;
        assert_ok(rove_node_wait_peer_async(a.node, &nobody, ROVE_TIME_NEVER, tell, &waits[i]));
        assert_ok(rove_node_connect_async(a.node, &nobody, "localhost:1", tell, &names[i]));
    }
    place_close(&a);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(told_times(&waits[i]), 1);
        assert_int_equal(waits[i].err, ROVE_E_SHUTTING_DOWN);
        assert_int_equal(told_times(&names[i]), 1);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    rove_limits limits;
    rove_limits_init(&limits);
    limits.pending_calls = 2;
    place a;
    place_open_with(&a, 1, &limits);
    rove_entity nobody = {{9}};
    told t = TOLD_INIT, more = TOLD_INIT;
    for (int i = 0; i < 2; i++)
        assert_ok(rove_node_wait_peer_async(a.node, &nobody, ROVE_TIME_NEVER, tell, &t));
    assert_int_equal(rove_node_wait_peer_async(a.node, &nobody, ROVE_TIME_NEVER, tell, &more),
                     ROVE_E_FULL);
    place_close(&a);
    assert_int_equal(told_times(&t), 2);
    assert_int_equal(told_times(&more), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_connect_errors),
        cmocka_unit_test(test_wait_peer_times_out),
        cmocka_unit_test(test_node_free_tells),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
