/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory, counted bytes, the cursors, and the list of errors. */
#include "support.h"

#include <base/buf.h>
#include <base/cursor.h>
#include <base/list.h>

/* ---- memory ---- */

static void test_memory(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    assert_null(rovei_calloc(&a.alloc, SIZE_MAX / 2, 3));
    assert_null(rovei_calloc(&a.alloc, 3, SIZE_MAX / 2));
    uint64_t *p = rovei_calloc(&a.alloc, 4, sizeof *p);
    assert_non_null(p);
    assert_int_equal(p[0] | p[1] | p[2] | p[3], 0);
    rovei_free(&a.alloc, p, 4 * sizeof *p);
    void *nothing = rovei_alloc(&a.alloc, 0);
    assert_non_null(nothing);
    nothing = rovei_realloc(&a.alloc, nothing, 0, 100);
    rovei_free(&a.alloc, nothing, 100);
    rovei_free(&a.alloc, NULL, 100);
    assert_int_equal(a.live, 0);
}

static void test_grow(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    void *items = NULL;
    size_t room = 0;
    for (size_t count = 0; count < 100; count++) {
        assert_ok(rovei_grow(&a.alloc, &items, &room, count, sizeof(int), 100));
        assert_true(room > count && room <= 100);
        ((int *)items)[count] = (int)count;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(((int *)items)[i], i);
    assert_int_equal(rovei_grow(&a.alloc, &items, &room, 100, sizeof(int), 100), ROVE_E_FULL);
    a.fail_at = a.calls;
    void *before = items;
    assert_int_equal(rovei_grow(&a.alloc, &items, &room, 100, sizeof(int), 1000), ROVE_E_NOMEM);
    assert_ptr_equal(items, before);
    assert_int_equal(room, 100);
    assert_int_equal(rovei_grow(&a.alloc, &items, &room, 100, SIZE_MAX / 8, 1000), ROVE_E_NOMEM);
    rovei_free(&a.alloc, items, room * sizeof(int));
    assert_int_equal(a.live, 0);
}

static void test_buf(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    rove_buf *buf = NULL, *empty;
    assert_ok(rove_buf_new(&buf, span_of("payload"), &a.alloc));
    assert_ok(rove_buf_new(&empty, (rove_span){NULL, 0}, &a.alloc));
    assert_span(rove_buf_span(buf), "payload", 7);
    assert_int_equal(rove_buf_span(empty).size, 0);
    assert_int_equal(rove_buf_span(NULL).size, 0);
    assert_null(rove_buf_ref(NULL));
    rove_buf_unref(NULL);
    assert_ptr_equal(rove_buf_ref(buf), buf);
    rove_buf_unref(buf);
    assert_span(rove_buf_span(buf), "payload", 7);
    rove_buf_unref(buf);
    rove_buf_unref(empty);
    assert_int_equal(a.live, 0);

    rove_buf *libc = NULL;
    assert_ok(rove_buf_new(&libc, span_of("x"), NULL));
    rove_buf_unref(libc);
    assert_int_equal(rove_buf_new(NULL, span_of("x"), NULL), ROVE_E_USAGE);
    assert_int_equal(rove_buf_new(&libc, (rove_span){NULL, 1}, NULL), ROVE_E_USAGE);
}

static void test_buf_truncate(void **state)
{
    (void)state;
    test_alloc a;
    test_alloc_init(&a);
    rove_buf *buf = rovei_buf_alloc(&a.alloc, 100);
    assert_non_null(buf);
    memcpy(rovei_buf_data(buf), "abcdef", 6);
    rovei_buf_truncate(buf, 3);
    assert_span(rove_buf_span(buf), "abc", 3);
    assert_int_equal(rovei_buf_size(buf), 3);
    assert_int_equal(rovei_buf_size(NULL), 0);
    rove_buf_unref(buf);
    assert_int_equal(a.live, 0);
    assert_null(rovei_buf_alloc(&a.alloc, SIZE_MAX));
    SWEEP_NOMEM(&a, rove_buf_new(&buf, span_of("x"), &a.alloc));
    rove_buf_unref(buf);
    assert_int_equal(a.live, 0);
}

/* ---- lists ---- */

struct numbered {
    int number;
    rovei_list node;
};

static void test_list(void **state)
{
    (void)state;
    rovei_list head;
    struct numbered n[5];
    rovei_list_init(&head);
    assert_true(rovei_list_empty(&head));
    for (int i = 0; i < 5; i++) {
        n[i].number = i;
        rovei_list_add_tail(&head, &n[i].node);
    }
    rovei_list_remove(&n[4].node);
    rovei_list_remove(&n[4].node);
    rovei_list_add_head(&head, &n[4].node);
    int seen = 0;
    ROVEI_LIST_EACH (it, next, &head) {
        struct numbered *found = ROVEI_CONTAINER(it, struct numbered, node);
        seen = seen * 10 + found->number;
        rovei_list_remove(it);
    }
    assert_int_equal(seen, 40123);
    assert_true(rovei_list_empty(&head));
}

/* ---- cursors ---- */

static void test_integers(void **state)
{
    (void)state;
    uint8_t bytes[15];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_write_u8(&w, 0x01);
    rovei_write_u16(&w, 0x0302);
    rovei_write_u32(&w, 0x07060504);
    rovei_write_u64(&w, UINT64_C(0x0F0E0D0C0B0A0908));
    assert_int_equal(w.err, ROVE_OK);
    assert_int_equal(rovei_writer_size(&w), 15);
    assert_int_equal(rovei_writer_room(&w), 0);
    assert_hex(bytes, 15, "0102030405060708090a0b0c0d0e0f");
    rovei_reader r = rovei_reader_of((rove_span){bytes, sizeof bytes});
    assert_int_equal(rovei_read_u8(&r), 0x01);
    assert_int_equal(rovei_read_u16(&r), 0x0302);
    assert_int_equal(rovei_read_u32(&r), 0x07060504);
    assert_int_equal(rovei_read_u64(&r), UINT64_C(0x0F0E0D0C0B0A0908));
    assert_ok(rovei_reader_end(&r));
    uint8_t all_ones[8];
    memset(all_ones, 0xFF, sizeof all_ones);
    assert_int_equal(rovei_load16(all_ones), UINT16_MAX);
    assert_int_equal(rovei_load32(all_ones), UINT32_MAX);
    assert_int_equal(rovei_load64(all_ones), UINT64_MAX);
}

static void test_reader_sticks(void **state)
{
    (void)state;
    uint8_t copied[4] = {1, 2, 3, 4};
    rovei_reader r = rovei_reader_of(span_of("abc"));
    assert_int_equal(rovei_read_u32(&r), 0);
    assert_int_equal(r.err, ROVE_E_SHORT);
    assert_int_equal(rovei_read_u8(&r), 0);
    assert_int_equal(rovei_reader_left(&r), 3);
    rovei_read_bytes(&r, copied, 2);
    assert_int_equal(copied[0] | copied[1], 0);
    assert_int_equal(copied[2], 3);
    assert_int_equal(rovei_read_span(&r, 1).size, 0);
    assert_int_equal(rovei_read_link(&r).sequence, 0);
    rove_entity e = rovei_read_entity(&r);
    assert_int_equal(e.bytes[0], 0);
    rovei_reader_fail(&r, ROVE_E_FLAG);
    assert_int_equal(rovei_reader_end(&r), ROVE_E_SHORT);
    r = rovei_reader_of(span_of("abc"));
    rovei_reader_fail(&r, ROVE_E_FLAG);
    assert_int_equal(rovei_read_u8(&r), 0);
    assert_int_equal(rovei_reader_end(&r), ROVE_E_FLAG);
}

static void test_reader_edges(void **state)
{
    (void)state;
    rovei_reader r = rovei_reader_of((rove_span){NULL, 0});
    assert_int_equal(rovei_read_span(&r, 0).size, 0);
    rovei_read_bytes(&r, NULL, 0);
    assert_ok(rovei_reader_end(&r));
    assert_int_equal(rovei_read_span(&r, UINT64_MAX).size, 0);
    assert_int_equal(r.err, ROVE_E_SHORT);
    r = rovei_reader_of(span_of("abc"));
    assert_span(rovei_read_span(&r, 2), "ab", 2);
    assert_int_equal(rovei_reader_end(&r), ROVE_E_TRAILING);
}

static void test_counts(void **state)
{
    (void)state;
    uint8_t bytes[4 + 30];
    memset(bytes, 0, sizeof bytes);
    rove_span span = {bytes, sizeof bytes};
    rovei_store32(bytes, 3);
    rovei_reader r = rovei_reader_of(span);
    assert_int_equal(rovei_read_count32(&r, 10, 3), 3);
    r = rovei_reader_of(span);
    assert_int_equal(rovei_read_count32(&r, 11, 3), 0);
    assert_int_equal(r.err, ROVE_E_SHORT);
    r = rovei_reader_of(span);
    assert_int_equal(rovei_read_count32(&r, 10, 2), 0);
    assert_int_equal(r.err, ROVE_E_BOUND);
    rovei_store32(bytes, UINT32_MAX);
    r = rovei_reader_of(span);
    assert_int_equal(rovei_read_count32(&r, SIZE_MAX / 2, UINT32_MAX), 0);
    assert_int_equal(r.err, ROVE_E_SHORT);
    r = rovei_reader_of(span_of("abc"));
    assert_int_equal(rovei_read_count32(&r, 1, 9), 0);
    assert_int_equal(r.err, ROVE_E_SHORT);
}

static void test_writer_full(void **state)
{
    (void)state;
    uint8_t bytes[4] = {9, 9, 9, 9};
    rovei_writer w = rovei_writer_of(bytes, 3);
    rovei_write_u8(&w, 1);
    rovei_write_u32(&w, 0);
    assert_int_equal(w.err, ROVE_E_FULL);
    rovei_write_u8(&w, 2);
    assert_int_equal(rovei_writer_size(&w), 1);
    assert_hex(bytes, 4, "01090909");
    w = rovei_writer_of(NULL, 0);
    rovei_write_bytes(&w, NULL, 0);
    rovei_write_span(&w, (rove_span){NULL, 0});
    assert_int_equal(w.err, ROVE_OK);
    assert_int_equal(rovei_writer_size(&w), 0);
    rovei_write_u64(&w, 0);
    assert_int_equal(w.err, ROVE_E_FULL);
}

static void test_composites(void **state)
{
    (void)state;
    uint64_t seed = 5;
    uint8_t bytes[32 + 32];
    rove_entity e;
    random_bytes(&seed, e.bytes, sizeof e.bytes);
    rove_link link = {1, UINT64_MAX, 3, next_random(&seed)};
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_write_entity(&w, &e);
    rovei_write_link(&w, &link);
    rovei_reader r = rovei_reader_of((rove_span){bytes, sizeof bytes});
    rove_entity e2 = rovei_read_entity(&r);
    rove_link link2 = rovei_read_link(&r);
    assert_ok(rovei_reader_end(&r));
    assert_memory_equal(&e, &e2, sizeof e);
    assert_memory_equal(&link, &link2, sizeof link);
}

/* Writes a random run of values and reads it back; then cuts it everywhere. */
static void test_cursor_property(void **state)
{
    (void)state;
    uint64_t seed = 6;
    for (int round = 0; round < 200; round++) {
        uint8_t bytes[256];
        uint64_t script = next_random(&seed), values[16];
        rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
        for (unsigned i = 0; i < 16; i++) {
            values[i] = next_random(&seed);
            switch (script >> 2 * i & 3) {
            case 0:
                rovei_write_u8(&w, (uint8_t)(values[i] &= UINT8_MAX));
                break;
            case 1:
                rovei_write_u16(&w, (uint16_t)(values[i] &= UINT16_MAX));
                break;
            case 2:
                rovei_write_u32(&w, (uint32_t)(values[i] &= UINT32_MAX));
                break;
            default:
                rovei_write_u64(&w, values[i]);
            }
        }
        size_t size = rovei_writer_size(&w);
        for (size_t cut = 0; cut <= size; cut++) {
            rovei_reader r = rovei_reader_of((rove_span){bytes, cut});
            for (unsigned i = 0; i < 16; i++) {
                unsigned width = script >> 2 * i & 3;
                uint64_t v = width == 0   ? rovei_read_u8(&r)
                             : width == 1 ? rovei_read_u16(&r)
                             : width == 2 ? rovei_read_u32(&r)
                                          : rovei_read_u64(&r);
                assert_int_equal(v, rovei_reader_ok(&r) ? values[i] : 0);
            }
            assert_int_equal(rovei_reader_end(&r), cut == size ? ROVE_OK : ROVE_E_SHORT);
        }
    }
}

/* ---- errors ---- */

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int number;
    } all[] = {
#define ENTRY(name, number, class, text) {#name, number},
        ROVE_ERR_LIST(ENTRY)
#undef ENTRY
    };
    /* Numbers and names are one to one. */
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_int_equal(all[i].number, i);
        assert_string_equal(rove_err_name((rove_err)-all[i].number), all[i].name);
        assert_true(strlen(rove_strerror((rove_err)-all[i].number)) > 5);
    }
    assert_string_equal(rove_err_name(ROVE_E_SHORT), "E_SHORT");
    assert_string_equal(rove_err_name((rove_err)1), "E_?");
    assert_string_equal(rove_err_name((rove_err)-4000), "E_?");
    assert_int_equal(rove_err_class_of(ROVE_OK), ROVE_CLASS_NONE);
    assert_int_equal(rove_err_class_of(ROVE_E_MAGIC), ROVE_CLASS_PEER);
    assert_int_equal(rove_err_class_of(ROVE_E_FULL), ROVE_CLASS_RETRY);
    assert_int_equal(rove_err_class_of(ROVE_E_NOMEM), ROVE_CLASS_LOCAL);
    assert_int_equal(rove_err_class_of(ROVE_E_USAGE), ROVE_CLASS_USAGE);
    assert_int_equal(rove_err_class_of(ROVE_E_INTERNAL), ROVE_CLASS_FATAL);
    assert_int_equal(rove_err_class_of((rove_err)5), ROVE_CLASS_FATAL);
    assert_non_null(rove_strerror((rove_err)5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_buf),           cmocka_unit_test(test_buf_truncate),
        cmocka_unit_test(test_list),          cmocka_unit_test(test_integers),
        cmocka_unit_test(test_reader_sticks), cmocka_unit_test(test_reader_edges),
        cmocka_unit_test(test_counts),        cmocka_unit_test(test_writer_full),
        cmocka_unit_test(test_composites),    cmocka_unit_test(test_cursor_property),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
