/* SPDX-License-Identifier: Apache-2.0
 *
 * The archive: known bytes, what is in it, and every kind of damage. */
#include "support.h"

#include <crypto/crypto.h>
#include <identity/entity.h>
#include <state/archive.h>

#define ROOM 2048

typedef struct file {
    uint8_t bytes[ROOM];
    size_t size;
} file;

static rove_err read_file(void *user, uint64_t at, void *room, size_t size)
{
    const file *f = user;
    assert_true(at <= f->size && size <= f->size - at);
    memcpy(room, f->bytes + at, size);
    return ROVE_OK;
}

static rove_entity someone(void)
{
    return entity_of_hex("2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12");
}

static void add(file *f, const void *bytes, size_t size)
{
    assert_true(size <= ROOM - f->size);
    memcpy(f->bytes + f->size, bytes, size);
    f->size += size;
}

static void add_u64(file *f, uint64_t v)
{
    uint8_t bytes[8];
    rovei_store64(bytes, v);
    add(f, bytes, sizeof bytes);
}

static void add_container(file *f, const char *kind, uint64_t epoch, rove_span state)
{
    rovei_container c = {.entity = someone(),
                         .epoch = epoch,
                         .sinc_number = 1,
                         .kind = span_of(kind),
                         .stateless = !state.size,
                         .state_size = state.size};
    uint8_t head[256], digest[ROVEI_CONTAINER_DIGEST];
    size_t size;
    c.head.origin = rovei_entity_origin(&c.entity);
    c.head.sequence = epoch * 10;
    assert_ok(rovei_container_head_size(&c, &size));
    rovei_writer w = rovei_writer_of(head, size);
    rovei_container_write_head(&c, &w);
    assert_ok(w.err);
    assert_ok(rovei_container_digest(&rovei_alloc_libc, (rove_span){head, size}, state, digest));
    add_u64(f, size + state.size + sizeof digest);
    add(f, head, size);
    add(f, state.data, state.size);
    add(f, digest, sizeof digest);
}

static void add_digest(file *f)
{
    uint8_t digest[32];
    struct rovei_digest *d = rovei_digest_new(&rovei_alloc_libc);
    assert_non_null(d);
    rovei_digest_add(d, f->bytes, f->size);
    rovei_digest_end(d, digest);
    rovei_digest_free(d);
    add(f, digest, sizeof digest);
}

static void begin(file *f)
{
    rovei_archive_head h = {.node = someone(), .created_at = 77};
    f->size = ROVEI_ARCHIVE_HEAD;
    rovei_writer w = rovei_writer_of(f->bytes, f->size);
    rovei_archive_write_head(&h, &w);
    assert_ok(w.err);
    assert_int_equal(rovei_writer_room(&w), 0);
}

static void end(file *f, uint64_t count)
{
    add_u64(f, 0);
    add_u64(f, count);
    add_digest(f);
}

static file known(void)
{
    file f;
    begin(&f);
    add_container(&f, "counter", 3, span_of("12345678"));
    add_container(&f, "echo", 5, span_of(""));
    end(&f, 2);
    return f;
}

static rove_err open_file(rovei_archive *a, file *f)
{
    return rovei_archive_open(a, &rovei_alloc_libc, read_file, f, f->size);
}

static void test_head(void **state)
{
    (void)state;
    file f = known();
    assert_memory_equal(f.bytes, "ROVEBKUP\1\0\0\0\0\0\0\0", 16);
    rove_entity node = someone();
    assert_memory_equal(f.bytes + 16, node.bytes, 32);
    assert_memory_equal(f.bytes + 48, "\x4d\0\0\0\0\0\0\0", 8);
}

static void test_entries(void **state)
{
    (void)state;
    file f = known();
    rovei_archive a;
    rovei_archive_entry e;
    rove_err err;
    assert_ok(open_file(&a, &f));
    assert_int_equal(a.count, 2);
    assert_int_equal(a.head.created_at, 77);
    assert_true(rovei_archive_next(&a, &e, &err));
    assert_string_equal(e.kind, "counter");
    assert_int_equal(e.at, ROVEI_ARCHIVE_HEAD + 8);
    assert_int_equal(e.container.epoch, 3);
    assert_int_equal(e.container.state_size, 8);
    assert_false(e.container.stateless);
    assert_memory_equal(f.bytes + e.at, "ROVESNAP", 8);
    assert_memory_equal(f.bytes + e.at + e.size - 40, "12345678", 8);
    assert_true(rovei_archive_next(&a, &e, &err));
    assert_string_equal(e.kind, "echo");
    assert_int_equal(e.container.epoch, 5);
    assert_true(e.container.stateless);
    assert_false(rovei_archive_next(&a, &e, &err));
    assert_ok(err);
}

static void test_none(void **state)
{
    (void)state;
    file f;
    rovei_archive a;
    rovei_archive_entry e;
    rove_err err;
    begin(&f);
    end(&f, 0);
    assert_ok(open_file(&a, &f));
    assert_false(rovei_archive_next(&a, &e, &err));
    assert_ok(err);
}

static void test_every_damage(void **state)
{
    (void)state;
    file f = known();
    rovei_archive a;
    for (size_t i = 0; i < f.size; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            f.bytes[i] ^= (uint8_t)(1 << bit);
            assert_int_not_equal(open_file(&a, &f), ROVE_OK);
            f.bytes[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t size = f.size; size-- > 0;) {
        f.size = size;
        assert_int_not_equal(open_file(&a, &f), ROVE_OK);
    }
}

/* Wrong, with a digest that is right. */
static void test_malformed(void **state)
{
    (void)state;
    rovei_archive a;
    file f;
    begin(&f);
    add_container(&f, "echo", 5, span_of(""));
    end(&f, 2); /* one is missing */
    assert_int_equal(open_file(&a, &f), ROVE_E_FORMAT);
    begin(&f);
    add_container(&f, "echo", 5, span_of(""));
    rovei_store64(f.bytes + ROVEI_ARCHIVE_HEAD, UINT64_MAX);
    end(&f, 1); /* beyond the end */
    assert_int_equal(open_file(&a, &f), ROVE_E_FORMAT);
    begin(&f);
    add_container(&f, "echo", 5, span_of(""));
    rovei_store64(f.bytes + ROVEI_ARCHIVE_HEAD, rovei_load64(f.bytes + ROVEI_ARCHIVE_HEAD) - 1);
    end(&f, 1); /* another size than the container's own */
    assert_int_equal(open_file(&a, &f), ROVE_E_FORMAT);
    begin(&f);
    add_u64(&f, 4);
    end(&f, 0); /* bytes that are no container */
    assert_int_equal(open_file(&a, &f), ROVE_E_FORMAT);
    begin(&f);
    add_u64(&f, 1); /* no end */
    add_u64(&f, 0);
    add_digest(&f);
    assert_int_equal(open_file(&a, &f), ROVE_E_FORMAT);
    f = known();
    f.bytes[8] = 2;
    assert_int_equal(open_file(&a, &f), ROVE_E_VERSION);
    f = known();
    f.bytes[12] = 1;
    assert_int_equal(open_file(&a, &f), ROVE_E_FLAG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),      cmocka_unit_test(test_entries),
        cmocka_unit_test(test_none),      cmocka_unit_test(test_every_damage),
        cmocka_unit_test(test_malformed),
    };
    if (rovei_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
