/* SPDX-License-Identifier: Apache-2.0
 *
 * Each broken rule is noticed: by a random seed below 1,000, or by the scenario that was written
 * for it. Built with ROVEI_MUTANTS. A mutant may also trip an assertion of the core, so each runs
 * in a process of its own. */
#include "scenario.h"
#include "seed.h"
#include <base/mutant.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SEEDS 1000

enum rovei_mutant_id rovei_mutant;

typedef struct mutant {
    const char *name;
    enum rovei_mutant_id id;
} mutant;

static const mutant mutants[] = {
#define MUTANT_ROW(id, name) {name, ROVEI_MUTANT_##id},
    ROVEI_MUTANT_LIST(MUTANT_ROW)
#undef MUTANT_ROW
};

/* These are to be caught by random seeds; the others by their scenarios. */
static const char *const random_ones[] = {
    "no-divert",
    "ack-on-receive",
    "no-dedup",
    "positions-late",
    "serve-before-commit",
    "resume-after-commit",
    "redirect-ignores-epoch",
    "replay-accepted",
    "path-unchallenged",
    "amplifies",
    "cutover-from-anyone",
    "failure-from-anyone",
    "final-batch-races",
    "no-resend-to-stock",
    "feeds-no-resume",
    "feed-position-left-behind",
    "feed-took-unseen",
    "target-feeds-early",
    "source-keeps-membership",
    "revoked-leg-goes-on",
    "begin-is-a-gap",
    "answer-before-place",
};

static const mutant *mutant_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++)
        if (!strcmp(mutants[i].name, name))
            return &mutants[i];
    fail_msg("no mutant %s", name);
    return NULL;
}

/* Runs until something fails; the seed on the pipe tells how far it came. */
static void child(const mutant *m, int to)
{
    rovei_mutant = m->id;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        if (write(to, &seed, sizeof seed) != sizeof seed)
            _exit(2);
        sim_seed_result r;
        sim_seed_run(&(sim_seed_options){.seed = seed}, &r);
        if (!r.good)
            _exit(1);
    }
    _exit(0);
}

static void caught_at_random(void **state)
{
    const mutant *m = mutant_by_name(*state);
    int ends[2];
    assert_return_code(pipe(ends), 0);
    pid_t pid = fork();
    assert_return_code(pid, 0);
    if (pid == 0) {
        close(ends[0]);
        child(m, ends[1]);
    }
    close(ends[1]);
    uint64_t seed = 0, next;
    while (read(ends[0], &next, sizeof next) == (ssize_t)sizeof next)
        seed = next;
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    bool caught = (WIFEXITED(status) && WEXITSTATUS(status) == 1) ||
                  (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    print_message("# %s: %s at seed %" PRIu64 "\n", m->name, caught ? "caught" : "NOT caught",
                  seed);
    assert_true(caught);
}

static void caught_by_scenario(void **state)
{
    const sim_scenario *s = *state;
    const mutant *m = mutant_by_name(s->mutant);
    pid_t pid = fork();
    assert_return_code(pid, 0);
    if (pid == 0) {
        rovei_mutant = m->id;
        _exit(sim_scenario_run(s, NULL) ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true((WIFEXITED(status) && WEXITSTATUS(status) == 1) ||
                (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
}

/* The same scenarios in the same build hold when no rule is broken. */
static void scenarios_hold(void **state)
{
    (void)state;
    rovei_mutant = ROVEI_MUTANT_NONE;
    for (size_t i = 0; i < sim_scenario_count; i++)
        assert_true(sim_scenario_run(&sim_scenarios[i], stderr));
}

int main(void)
{
    size_t random_count = sizeof random_ones / sizeof random_ones[0];
    struct CMUnitTest *tests = calloc(random_count + sim_scenario_count + 1, sizeof *tests);
    if (!tests)
        return 1;
    size_t count = 0;
    for (size_t i = 0; i < random_count; i++)
        tests[count++] = (struct CMUnitTest){.name = random_ones[i],
                                             .test_func = caught_at_random,
                                             .initial_state = (void *)(uintptr_t)random_ones[i]};
    for (size_t i = 0; i < sim_scenario_count; i++)
        if (sim_scenarios[i].mutant)
            tests[count++] =
                (struct CMUnitTest){.name = sim_scenarios[i].name,
                                    .test_func = caught_by_scenario,
                                    .initial_state = (void *)(uintptr_t)&sim_scenarios[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(scenarios_hold);
    int status = _cmocka_run_group_tests("mutants", tests, count, NULL, NULL);
    free(tests);
    return status;
}
