/* SPDX-License-Identifier: Apache-2.0
 *
 * What the demo concludes from outputs, and the order of its table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/alloc.h>
#include <base/buf.h>
#include <cli/demo/check.h>
#include <cli/demo/table.h>
#include <state/chain.h>
#include <stdlib.h>
#include <string.h>

#define ORIGIN UINT64_C(0x1122334455667788)

typedef struct world {
    demo_check check;
    rovei_chain chain;
} world;

static int make(void **state)
{
    world *w = calloc(1, sizeof *w);
    if (!w)
        return -1;
    demo_check_init(&w->check, ORIGIN);
    rovei_chain_init(&w->chain, ORIGIN);
    *state = w;
    return 0;
}

static int clean(void **state)
{
    world *w = *state;
    demo_check_free(&w->check);
    rovei_chain_fini(&w->chain);
    free(w);
    return 0;
}

/* The daemon emits; `heard` says whether the check gets it. */
static void emit(world *w, const char *text, bool heard)
{
    rove_link link;
    rove_buf *payload = rovei_buf_copy(&rovei_alloc_libc, text, strlen(text));
    assert_non_null(payload);
    assert_int_equal(rovei_chain_append(&w->chain, payload, 0, &link), ROVE_OK);
    if (heard)
        assert_int_equal(demo_check_output(&w->check, &link, (rove_span){text, strlen(text)}),
                         ROVE_OK);
    rove_buf_unref(payload);
}

static void test_good(void **state)
{
    world *w = *state;
    emit(w, "1 5", true);
    emit(w, "2 0", true);
    emit(w, "3 11", true);
    assert_int_equal(w->check.processed, 3);
    assert_int_equal(w->check.links, 3);
    assert_int_equal(w->check.duplicated, 0);
    assert_int_equal(w->check.out_of_order, 0);
    assert_int_equal(demo_check_lost(&w->check, 3), 0);
    assert_int_equal(demo_check_lost(&w->check, 5), 2);
    assert_false(w->check.broken);
}

static void test_bad_order(void **state)
{
    world *w = *state;
    emit(w, "1 5", true);
    emit(w, "3 5", true);
    emit(w, "2 5", true);
    emit(w, "3 5", true);
    assert_int_equal(w->check.processed, 4);
    assert_int_equal(w->check.duplicated, 1);
    assert_int_equal(w->check.out_of_order, 1);
    assert_int_equal(demo_check_lost(&w->check, 3), 0);
    assert_false(w->check.broken);
}

static void test_missing_link(void **state)
{
    world *w = *state;
    emit(w, "1 5", true);
    emit(w, "2 5", false);
    emit(w, "3 5", true);
    emit(w, "4 5", true);
    assert_true(w->check.broken);
    assert_int_equal(w->check.links, 2);
    assert_int_equal(demo_check_lost(&w->check, 4), 1);
}

static void test_altered(void **state)
{
    world *w = *state;
    rove_link link = rovei_link_genesis(ORIGIN, 0), next;
    assert_int_equal(rovei_link_next(&next, &link, (rove_span){"", 0}, 0), ROVE_OK);
    assert_int_equal(demo_check_output(&w->check, &next, (rove_span){"1 1", 3}), ROVE_OK);
    assert_false(w->check.broken);
    link = next;
    assert_int_equal(rovei_link_next(&next, &link, (rove_span){"1 2", 3}, 0), ROVE_OK);
    assert_int_equal(demo_check_output(&w->check, &next, (rove_span){"2 1", 3}), ROVE_OK);
    assert_true(w->check.broken);
}

static void test_no_line(void **state)
{
    world *w = *state;
    const char *texts[] = {"", "x", "0 1", "1", "12a 3", "99999999999999999999 1"};
    rove_link link = rovei_link_genesis(ORIGIN, 0), next;
    assert_int_equal(rovei_link_next(&next, &link, (rove_span){"", 0}, 0), ROVE_OK);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(
            demo_check_output(&w->check, &next, (rove_span){texts[i], strlen(texts[i])}),
            ROVE_E_FORMAT);
    assert_int_equal(w->check.processed, 0);
}

static void test_table(void **state)
{
    (void)state;
    static const uint8_t table[] = {
        2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 'b', 'b',      /* */
        2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 'b',           /* */
        0, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 't', 'h', 'e', /* */
        2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 'a',
    };
    char text[64] = {0};
    FILE *to = fmemopen(text, sizeof text - 1, "w");
    assert_non_null(to);
    assert_int_equal(demo_table_write((rove_span){table, sizeof table}, to, 0), ROVE_OK);
    assert_string_equal(text, "256 the\n2 a\n2 b\n2 bb\n");
    rewind(to);
    memset(text, 0, sizeof text);
    assert_int_equal(demo_table_write((rove_span){table, sizeof table}, to, 2), ROVE_OK);
    assert_string_equal(text, "256 the\n2 a\n");
    assert_int_equal(demo_table_write((rove_span){table, sizeof table - 1}, to, 0), ROVE_E_FORMAT);
    fclose(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, make, clean),
        cmocka_unit_test_setup_teardown(test_bad_order, make, clean),
        cmocka_unit_test_setup_teardown(test_missing_link, make, clean),
        cmocka_unit_test_setup_teardown(test_altered, make, clean),
        cmocka_unit_test_setup_teardown(test_no_line, make, clean),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
