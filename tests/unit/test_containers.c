/* SPDX-License-Identifier: Apache-2.0
 *
 * The hash table, the heap of deadlines and the set of ranges, each against a naive model. */
#include "support.h"

#include <base/map.h>
#include <base/ranges.h>
#include <base/timer.h>

/* ---- map ---- */

#define KEYS 400

static void check_map(const rovei_map *m, void *const *model, size_t count)
{
    assert_int_equal(m->count, count);
    size_t seen = 0, it = 0;
    while (rovei_map_next(m, &it))
        seen++;
    assert_int_equal(seen, count);
    for (uint64_t k = 0; k < KEYS; k++) {
        uint8_t key[64] = {(uint8_t)k, (uint8_t)(k >> 8)};
        assert_ptr_equal(rovei_map_get(m, key), model[k]);
    }
}

struct thing {
    int pad;
    uint8_t key[64];
};

static void map_against_model(size_t key_size, bool inside, uint64_t seed)
{
    static struct thing things[KEYS][2];
    test_alloc a;
    test_alloc_init(&a);
    rovei_map m;
    if (inside)
        rovei_map_init_inside(&m, &a.alloc, key_size, offsetof(struct thing, key),
                              next_random(&seed));
    else
        rovei_map_init(&m, &a.alloc, key_size, next_random(&seed));
    void *model[KEYS] = {0};
    size_t count = 0;
    for (int step = 0; step < 4000; step++) {
        /* The range of keys widens and narrows, so that the table fills and empties. */
        uint64_t k = below(&seed, step % 2000 < 1000 ? KEYS : KEYS / 8);
        uint8_t key[64] = {(uint8_t)k, (uint8_t)(k >> 8)};
        if (below(&seed, 2)) {
            struct thing *value = &things[k][below(&seed, 2)];
            memcpy(value->key, key, sizeof key);
            assert_ok(rovei_map_put(&m, key, value));
            count += !model[k];
            model[k] = value;
        } else {
            assert_ptr_equal(rovei_map_remove(&m, key), model[k]);
            count -= !!model[k];
            model[k] = NULL;
        }
        if (step % 50 == 0)
            check_map(&m, model, count);
    }
    check_map(&m, model, count);
    rovei_map_fini(&m);
    assert_int_equal(a.live, 0);
}

static void test_map_model(void **state)
{
    (void)state;
    static const size_t sizes[] = {2, 3, 8, 16, 31, 32, 64};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int inside = 0; inside < 2; inside++)
            map_against_model(sizes[i], inside, 100 + i);
}

static void test_map_empty(void **state)
{
    (void)state;
    rovei_map m;
    size_t it = 0;
    uint64_t key = 1;
    rovei_map_init(&m, &rovei_alloc_libc, sizeof key, 0);
    assert_null(rovei_map_get(&m, &key));
    assert_null(rovei_map_remove(&m, &key));
    assert_null(rovei_map_next(&m, &it));
    rovei_map_fini(&m);
    rovei_map_fini(&m);
}

static void test_map_nomem(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    rovei_map m;
    int thing, other;
    rovei_map_init(&m, &a.alloc, sizeof(uint64_t), 1);
    uint64_t refused = 0;
    for (uint64_t key = 0; key < 200; key++) {
        a.calls = 0;
        a.fail_at = 0;
        rove_err err = rovei_map_put(&m, &key, &thing);
        a.fail_at = SIZE_MAX;
        if (err) {
            assert_int_equal(err, ROVE_E_NOMEM);
            assert_int_equal(m.count, key);
            assert_null(rovei_map_get(&m, &key));
            refused++;
            assert_ok(rovei_map_put(&m, &key, &thing));
        }
    }
    assert_true(refused > 3);
    /* A replacement needs no memory. */
    a.fail_at = a.calls;
    uint64_t key = 7;
    assert_ok(rovei_map_put(&m, &key, &other));
    assert_ptr_equal(rovei_map_get(&m, &key), &other);
    rovei_map_fini(&m);
    assert_int_equal(a.live, 0);
}

/* ---- timers ---- */

#define TIMERS 60

struct alarm {
    rovei_timer timer;
    uint64_t want; /* the model's deadline */
    uint64_t order;
    unsigned fired;
};

struct alarms {
    rovei_timers timers;
    struct alarm a[TIMERS];
    struct alarm *log[TIMERS];
    size_t logged;
};

static void fire_and_log(rovei_timer *timer, void *user, rovei_now now)
{
    struct alarms *all = user;
    struct alarm *alarm = ROVEI_CONTAINER(timer, struct alarm, timer);
    assert_false(rovei_timer_is_set(timer));
    assert_true(alarm->want <= now.mono);
    alarm->fired++;
    all->log[all->logged++] = alarm;
}

static void expire_and_check(struct alarms *all, uint64_t now)
{
    size_t due = 0;
    for (size_t i = 0; i < TIMERS; i++)
        due += all->a[i].want <= now;
    all->logged = 0;
    rovei_timers_expire(&all->timers, (rovei_now){now, 0});
    assert_int_equal(all->logged, due);
    for (size_t i = 0; i < all->logged; i++) {
        struct alarm *x = all->log[i];
        if (i) {
            struct alarm *before = all->log[i - 1];
            assert_true(before->want < x->want ||
                        (before->want == x->want && before->order < x->order));
        }
    }
    for (size_t i = 0; i < all->logged; i++)
        all->log[i]->want = ROVE_TIME_NEVER;
}

static void test_timers_model(void **state)
{
    (void)state;
    uint64_t seed = 7, now = 0, order = 0;
    test_alloc a;
    test_alloc_init(&a);
    struct alarms all = {.logged = 0};
    rovei_timers_init(&all.timers, &a.alloc);
    assert_int_equal(rovei_timers_deadline(&all.timers), ROVE_TIME_NEVER);
    for (size_t i = 0; i < TIMERS; i++) {
        assert_ok(rovei_timers_reserve(&all.timers, &all.a[i].timer, fire_and_log, &all));
        all.a[i].want = ROVE_TIME_NEVER;
    }
    a.fail_at = a.calls; /* from here on nothing may need memory */
    for (int step = 0; step < 5000; step++) {
        struct alarm *x = &all.a[below(&seed, TIMERS)];
        if (below(&seed, 4)) {
            x->want = below(&seed, 10) ? now + below(&seed, 40) : ROVE_TIME_NEVER;
            x->order = order++;
            rovei_timer_set(&all.timers, &x->timer, x->want);
            assert_int_equal(rovei_timer_is_set(&x->timer), x->want != ROVE_TIME_NEVER);
        } else {
            now += below(&seed, 15);
            expire_and_check(&all, now);
        }
        uint64_t earliest = ROVE_TIME_NEVER;
        for (size_t i = 0; i < TIMERS; i++)
            earliest = rovei_time_min(earliest, all.a[i].want);
        assert_int_equal(rovei_timers_deadline(&all.timers), earliest);
    }
    for (size_t i = 0; i < TIMERS; i++)
        rovei_timers_release(&all.timers, &all.a[i].timer);
    assert_int_equal(rovei_timers_deadline(&all.timers), ROVE_TIME_NEVER);
    rovei_timers_fini(&all.timers);
    assert_int_equal(a.live, 0);
}

struct meddler {
    rovei_timers timers;
    rovei_timer self, other, third;
    int self_fired, other_fired, third_fired;
};

static void fire_self(rovei_timer *timer, void *user, rovei_now now)
{
    struct meddler *m = user;
    (void)now;
    m->self_fired++;
    rovei_timer_set(&m->timers, timer, 0);
    rovei_timers_release(&m->timers, &m->third);
}

static void fire_other(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    (void)now;
    ((struct meddler *)user)->other_fired++;
}

static void fire_third(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    (void)now;
    ((struct meddler *)user)->third_fired++;
}

/* A timer that sets itself to the past fires once per call and holds up nobody; one that is
 * released while it is due does not fire. */
static void test_timers_set_while_firing(void **state)
{
    (void)state;
    struct meddler m = {.self_fired = 0};
    rovei_timers_init(&m.timers, &rovei_alloc_libc);
    assert_ok(rovei_timers_reserve(&m.timers, &m.self, fire_self, &m));
    assert_ok(rovei_timers_reserve(&m.timers, &m.other, fire_other, &m));
    assert_ok(rovei_timers_reserve(&m.timers, &m.third, fire_third, &m));
    rovei_timer_set(&m.timers, &m.self, 5);
    rovei_timer_set(&m.timers, &m.third, 6);
    rovei_timer_set(&m.timers, &m.other, 8);
    rovei_timers_expire(&m.timers, (rovei_now){10, 0});
    assert_int_equal(m.self_fired, 1);
    assert_int_equal(m.other_fired, 1);
    assert_int_equal(m.third_fired, 0);
    assert_int_equal(rovei_timers_deadline(&m.timers), 11);
    rovei_timers_expire(&m.timers, (rovei_now){11, 0});
    assert_int_equal(m.self_fired, 2);
    rovei_timer_set(&m.timers, &m.other, 3);
    assert_int_equal(rovei_timers_deadline(&m.timers), 3);
    rovei_timers_release(&m.timers, &m.self);
    rovei_timers_release(&m.timers, &m.self);
    rovei_timers_release(&m.timers, &m.other);
    rovei_timer zero = {0};
    rovei_timers_release(&m.timers, &zero);
    rovei_timers_fini(&m.timers);
}

static void test_timers_nomem(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    rovei_timers t;
    rovei_timer timer;
    rovei_timers_init(&t, &a.alloc);
    SWEEP_NOMEM(&a, rovei_timers_reserve(&t, &timer, fire_other, NULL));
    rovei_timers_release(&t, &timer);
    rovei_timers_fini(&t);
    assert_int_equal(a.live, 0);
}

/* ---- ranges ---- */

#define SPACE 300

static void check_ranges(const rovei_ranges *s, const bool *model, uint64_t base)
{
    for (uint64_t v = 0; v < SPACE; v++)
        assert_int_equal(rovei_ranges_has(s, base + v), model[v]);
    for (uint32_t i = 0; i < s->count; i++) {
        assert_true(s->r[i].first <= s->r[i].last);
        if (i)
            assert_true(s->r[i].last < s->r[i - 1].first - 1);
    }
}

/* What the bound forgets: everything below the highest 64 runs. */
static void forget_lowest(bool *model)
{
    unsigned runs = 0;
    for (size_t v = SPACE; v-- > 0;) {
        if (model[v] && (v + 1 == SPACE || !model[v + 1]))
            runs++;
        if (runs > ROVEI_RANGES_MAX)
            model[v] = false;
    }
}

static void ranges_against_model(uint64_t base, uint64_t seed)
{
    rovei_ranges s;
    bool model[SPACE] = {false};
    rovei_ranges_init(&s);
    for (int step = 0; step < 1500; step++) {
        uint64_t v = below(&seed, SPACE);
        if (below(&seed, 60) == 0) {
            v = below(&seed, SPACE / 2);
            rovei_ranges_drop_through(&s, base + v);
            for (uint64_t i = 0; i <= v; i++)
                model[i] = false;
        } else {
            assert_int_equal(rovei_ranges_add(&s, base + v), !model[v]);
            model[v] = true;
            forget_lowest(model);
        }
        check_ranges(&s, model, base);
    }
}

static void test_ranges_model(void **state)
{
    (void)state;
    ranges_against_model(0, 8);
    ranges_against_model(UINT64_MAX - SPACE + 1, 9);
    ranges_against_model(UINT64_C(1) << 40, 10);
}

static void test_ranges_bound(void **state)
{
    (void)state;
    rovei_ranges s;
    rovei_ranges_init(&s);
    for (uint64_t i = 0; i < ROVEI_RANGES_MAX; i++)
        assert_true(rovei_ranges_add(&s, 1000 + 2 * i));
    assert_int_equal(s.count, ROVEI_RANGES_MAX);
    assert_true(rovei_ranges_add(&s, 10));
    assert_false(rovei_ranges_has(&s, 10));
    assert_true(rovei_ranges_add(&s, 5000));
    assert_false(rovei_ranges_has(&s, 1000));
    assert_true(rovei_ranges_has(&s, 1002));
    assert_true(rovei_ranges_add(&s, 1003));
    assert_int_equal(s.count, ROVEI_RANGES_MAX - 1);
    rovei_ranges_drop_through(&s, UINT64_MAX);
    assert_int_equal(s.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_model),
        cmocka_unit_test(test_map_empty),
        cmocka_unit_test(test_map_nomem),
        cmocka_unit_test(test_timers_model),
        cmocka_unit_test(test_timers_set_while_firing),
        cmocka_unit_test(test_timers_nomem),
        cmocka_unit_test(test_ranges_model),
        cmocka_unit_test(test_ranges_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
