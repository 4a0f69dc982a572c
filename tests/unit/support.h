/* SPDX-License-Identifier: Apache-2.0
 *
 * What the unit tests share: hex, a seeded generator, an allocator that counts, checks and fails
 * on demand, and an environment built from them. */
#ifndef ROVE_TESTS_SUPPORT_H
#define ROVE_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <base/alloc.h>
#include <base/env.h>
#include <base/list.h>
#include <cmocka.h>
#include <crypto/crypto.h>
#include <crypto/slab.h>
#include <stdlib.h>
#include <string.h>

#define assert_ok(call) assert_int_equal((call), ROVE_OK)

/* ---- hex ---- */

static inline unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

/* Decodes into `ret`, which has room for `room` bytes; gives the number of bytes. */
static inline size_t hex_to(void *ret, size_t room, const char *hex)
{
    size_t size = strlen(hex) / 2;
    assert_true(size <= room && strlen(hex) % 2 == 0);
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)ret)[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    return size;
}

static inline void assert_hex(const void *bytes, size_t size, const char *hex)
{
    uint8_t *want = malloc(strlen(hex) / 2 + 1);
    assert_non_null(want);
    assert_int_equal(hex_to(want, strlen(hex) / 2 + 1, hex), size);
    assert_memory_equal(bytes, want, size);
    free(want);
}

static inline rove_entity entity_of_hex(const char *hex)
{
    rove_entity e;
    assert_int_equal(hex_to(e.bytes, sizeof e.bytes, hex), sizeof e.bytes);
    return e;
}

static inline rove_span span_of(const char *text)
{
    return (rove_span){text, strlen(text)};
}

static inline void assert_span(rove_span got, const void *bytes, size_t size)
{
    assert_int_equal(got.size, size);
    if (size)
        assert_memory_equal(got.data, bytes, size);
}

/* ---- a generator for property tests (splitmix64) ---- */

static inline uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static inline uint64_t below(uint64_t *state, uint64_t bound)
{
    return bound ? next_random(state) % bound : 0;
}

static inline void random_bytes(uint64_t *state, void *ret, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)ret)[i] = (uint8_t)next_random(state);
}

/* ---- an allocator that knows what it gave ---- */

typedef struct test_alloc {
    rove_alloc alloc;
    size_t live, calls;
    size_t fail_at; /* the call that is refused, from 0; SIZE_MAX for none */
} test_alloc;

#define TEST_ALLOC_HEAD 16

static inline void *test_alloc_get(void *user, size_t size)
{
    test_alloc *t = user;
    if (t->calls++ == t->fail_at)
        return NULL;
    uint8_t *block = malloc(TEST_ALLOC_HEAD + size);
    assert_non_null(block);
    memcpy(block, &size, sizeof size);
    memset(block + TEST_ALLOC_HEAD, 0xA5, size);
    t->live++;
    return block + TEST_ALLOC_HEAD;
}

static inline void test_alloc_put(void *user, void *block, size_t size)
{
    test_alloc *t = user;
    size_t given;
    memcpy(&given, (uint8_t *)block - TEST_ALLOC_HEAD, sizeof given);
    assert_int_equal(given, size);
    t->live--;
    free((uint8_t *)block - TEST_ALLOC_HEAD);
}

static inline void *test_alloc_move(void *user, void *block, size_t old_size, size_t size)
{
    void *moved = test_alloc_get(user, size);
    if (moved) {
        memcpy(moved, block, old_size < size ? old_size : size);
        test_alloc_put(user, block, old_size);
    }
    return moved;
}

static inline void test_alloc_init(test_alloc *t)
{
    *t = (test_alloc){.alloc = {test_alloc_get, test_alloc_move, test_alloc_put, t},
                      .fail_at = SIZE_MAX};
}

/* Runs `attempt` (an expression of type rove_err) with the first, second, ... allocation refused,
 * until it gets by without one. Each refusal has to come out as E_NOMEM and to leave nothing. */
#define SWEEP_NOMEM(t, attempt)                                                                    \
    do {                                                                                           \
        size_t live_before_ = (t)->live;                                                           \
        for (size_t at_ = 0;; at_++) {                                                             \
            (t)->calls = 0;                                                                        \
            (t)->fail_at = at_;                                                                    \
            rove_err err_ = (attempt);                                                             \
            (t)->fail_at = SIZE_MAX;                                                               \
            if (err_ == ROVE_OK) {                                                                 \
                assert_true((t)->calls <= at_);                                                    \
                break;                                                                             \
            }                                                                                      \
            assert_int_equal(err_, ROVE_E_NOMEM);                                                  \
            assert_int_equal((t)->live, live_before_);                                             \
        }                                                                                          \
    } while (0)

/* ---- an environment ---- */

typedef struct test_env {
    rovei_env env;
    test_alloc alloc;
    uint64_t random;
} test_env;

static inline void test_env_fill(void *user, void *ret, size_t size)
{
    random_bytes(user, ret, size);
}

static inline void test_env_init(test_env *t, uint64_t seed)
{
    assert_ok(rovei_crypto_init());
    test_alloc_init(&t->alloc);
    t->random = seed;
    t->env = (rovei_env){.alloc = t->alloc.alloc, .rng = {test_env_fill, &t->random}};
    rove_limits_init(&t->env.limits);
    assert_ok(rovei_slab_new(&t->env.slab, &t->env.alloc));
}

/* Also proves that every block and every secret was given back. */
static inline void test_env_fini(test_env *t)
{
    assert_int_equal(rovei_slab_used(t->env.slab), 0);
    rovei_slab_free(t->env.slab);
    assert_int_equal(t->alloc.live, 0);
}

#endif
