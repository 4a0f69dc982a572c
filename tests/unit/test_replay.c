/* SPDX-License-Identifier: Apache-2.0
 *
 * The replay window: a table of cases, and a comparison with a model that remembers everything. */
#include "support.h"

#include <mesh/replay.h>

#define W ROVEI_REPLAY_WINDOW

typedef struct step {
    uint64_t counter;
    bool is_new;
} step;

static void run(const step *steps, size_t count)
{
    rovei_replay w;
    rovei_replay_init(&w);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rovei_replay_is_new(&w, steps[i].counter), steps[i].is_new);
        assert_int_equal(rovei_replay_add(&w, steps[i].counter), steps[i].is_new);
    }
}

#define RUN(...)                                                                                   \
    do {                                                                                           \
        const step steps_[] = {__VA_ARGS__};                                                       \
        run(steps_, sizeof steps_ / sizeof *steps_);                                               \
    } while (0)

static void test_table(void **state)
{
    (void)state;
    /* from the start, in order, and each once */
    RUN({0, 1}, {0, 0}, {1, 1}, {1, 0}, {0, 0}, {9, 1}, {8, 1}, {7, 1}, {7, 0}, {8, 0}, {9, 0});
    /* not from zero */
    RUN({5, 1}, {0, 1}, {4, 1}, {0, 0}, {5, 0});
    /* both edges of the window */
    RUN({W, 1}, {0, 0}, {1, 1}, {1, 0}, {W, 0});
    RUN({W - 1, 1}, {0, 1}, {0, 0});
    RUN({W + 1, 1}, {1, 0}, {2, 1}, {0, 0});
    /* a step that leaves exactly one old word, none, and many rounds */
    RUN({0, 1}, {64, 1}, {W + 63, 1}, {64, 0}, {65, 1}, {63, 0});
    RUN({10, 1}, {10 + 8192, 1}, {10, 0}, {10 + 8192 - W + 1, 1}, {10 + 8192, 0});
    RUN({3, 1}, {3 + 3 * 8192, 1}, {2 + 3 * 8192, 1}, {3 + 2 * 8192, 0}, {3 + 3 * 8192, 0});
    /* the ring's bits of an older round must not count: 100 and 100 + 8192 share a bit */
    RUN({100, 1}, {100 + 8191, 1}, {100 + 8192, 1}, {100 + 8192, 0});
    /* the far end */
    RUN({UINT64_MAX - 1, 1}, {UINT64_MAX - 1, 0}, {UINT64_MAX - 2, 1}, {UINT64_MAX, 0}, {0, 0},
        {UINT64_MAX - W, 1}, {UINT64_MAX - W - 1, 0}, {UINT64_MAX, 0}, {UINT64_MAX - 3, 1});
    RUN({UINT64_MAX, 0}, {0, 1}, {UINT64_MAX, 0}, {1, 1}, {UINT64_C(1) << 62, 1});
}

static void test_sweeps(void **state)
{
    (void)state;
    rovei_replay w;
    rovei_replay_init(&w);
    for (uint64_t i = 0; i < 3 * W; i++)
        assert_true(rovei_replay_add(&w, i));
    for (uint64_t i = 0; i < 3 * W; i++)
        assert_false(rovei_replay_add(&w, i));
    rovei_replay_init(&w);
    for (uint64_t i = W; i-- > 0;)
        assert_true(rovei_replay_add(&w, i));
    assert_true(rovei_replay_add(&w, W));
    for (uint64_t i = 0; i <= W; i++)
        assert_false(rovei_replay_add(&w, i));
}

/* is_new changes nothing. */
static void test_question_is_free(void **state)
{
    (void)state;
    rovei_replay w, before;
    rovei_replay_init(&w);
    assert_true(rovei_replay_add(&w, 70));
    before = w;
    assert_true(rovei_replay_is_new(&w, 100000));
    assert_false(rovei_replay_is_new(&w, 70));
    assert_memory_equal(&w, &before, sizeof w);
}

#define MODEL_MAX 120000

static void test_model(void **state)
{
    (void)state;
    static bool seen[MODEL_MAX];
    for (uint64_t seed = 1; seed <= 8; seed++) {
        uint64_t random = seed, highest = 0;
        bool any = false;
        rovei_replay w;
        rovei_replay_init(&w);
        memset(seen, 0, sizeof seen);
        for (int i = 0; i < 30000; i++) {
            uint64_t reach = below(&random, 50) ? 300 : 3 * 8192;
            uint64_t low = highest > reach ? highest - reach : 0;
            uint64_t span = highest - low + (below(&random, 400) ? 8 : 9000);
            uint64_t c = low + below(&random, span + 1);
            if (c >= MODEL_MAX)
                break;
            bool want = !seen[c] && !(any && highest + 1 > c && highest + 1 - c > W);
            assert_int_equal(rovei_replay_add(&w, c), want);
            seen[c] = seen[c] || want;
            if (want && (!any || c > highest))
                highest = c;
            any = any || want;
        }
        assert_true(any);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_sweeps),
        cmocka_unit_test(test_question_is_free),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
