/* SPDX-License-Identifier: Apache-2.0
 *
 * Every scripted scenario holds, and seeds that failed once hold too. */
#include "scenario.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void play(void **state)
{
    const sim_scenario *s = *state;
    assert_true(sim_scenario_run(s, stderr));
}

/* Seeds that once showed a broken rule; most of what they found has a scenario of its own.
 * 363: memory was out when an association came up, and its peer was never reached again.
 * 597: an older record of a daemon came while it was prepared in class net, and threw it away.
 * 783: so did the end of an earlier move, which the network had kept back.
 * 1167: a daemon waited for a right on its new host until its place in the channel had expired.
 * 2184: a late set of the target's own was refused, which to it was the end of the move.
 * 3138: an order was carried out after the membership that it was about had ended.
 * 8276: a subscriber that seemed to have failed was not told that it is none any more.
 * 11259: a daemon was given on before its former host had heard so, and its host crashed.
 * 13082: publications that came while a daemon froze were let go of when the move was given up. */
static const uint64_t regressions[] = {363, 597, 783, 1167, 2184, 3138, 8276, 11259, 13082};

static void once_failed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof regressions / sizeof regressions[0]; i++) {
        sim_seed_result r;
        sim_seed_run(&(sim_seed_options){.seed = regressions[i], .story = stderr}, &r);
        assert_true(r.good);
    }
}

/* The same seed is the same run, to the last line of its story. */
static void seeds_replay_exactly(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        sim_seed_result first, second;
        sim_seed_run(&(sim_seed_options){.seed = seed}, &first);
        sim_seed_run(&(sim_seed_options){.seed = seed}, &second);
        assert_int_equal(first.digest, second.digest);
        assert_int_equal(first.until, second.until);
        assert_int_equal(first.totals.steps, second.totals.steps);
    }
}

static void other_seeds_differ(void **state)
{
    (void)state;
    sim_seed_result first, second;
    sim_seed_run(&(sim_seed_options){.seed = 1}, &first);
    sim_seed_run(&(sim_seed_options){.seed = 2}, &second);
    assert_int_not_equal(first.digest, second.digest);
}

int main(void)
{
    size_t count = sim_scenario_count + 3;
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    if (!tests)
        return 1;
    for (size_t i = 0; i < sim_scenario_count; i++)
        tests[i] = (struct CMUnitTest){
            .name = sim_scenarios[i].name,
            .test_func = play,
            .initial_state = (void *)(uintptr_t)&sim_scenarios[i],
        };
    tests[sim_scenario_count] = (struct CMUnitTest)cmocka_unit_test(once_failed);
    tests[sim_scenario_count + 1] = (struct CMUnitTest)cmocka_unit_test(seeds_replay_exactly);
    tests[sim_scenario_count + 2] = (struct CMUnitTest)cmocka_unit_test(other_seeds_differ);
    int status = _cmocka_run_group_tests("scenarios", tests, count, NULL, NULL);
    free(tests);
    return status;
}
