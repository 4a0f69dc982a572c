/* SPDX-License-Identifier: Apache-2.0
 *
 * The data directory itself, who may use it and what it says of itself; and states, as files. */
#include "store_kit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the directory ---- */

static const char format[] =
    "rove-data 1 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\n";

static void test_new(void **state)
{
    store_bed *b = *state;
    struct stat st;
    uint8_t *text;
    assert_ok(store_open(b, STORE_MAP));
    assert_int_equal(stat(b->dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(store_path(b, "records"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    size_t size = file_read(store_path(b, "FORMAT"), &text);
    assert_span((rove_span){text, size}, format, strlen(format));
    free(text);
    store_reopen(b);
    store_close(b);
    snprintf(b->dir, sizeof b->dir, "%s/none/data", b->parent);
    assert_int_equal(store_open(b, STORE_MAP), ROVE_E_FILE);
}

static void test_format(void **state)
{
    static const struct {
        const char *text;
        rove_err err;
    } wrong[] = {
        {"rove-data 2 ?\n", ROVE_E_STORE_NEWER},
        {"rove-data 18446744073709551615 ?\n", ROVE_E_STORE_NEWER},
        {"rove-data 1 6a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\n",
         ROVE_E_STORE_FOREIGN},
        {"rove-data 0 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\n",
         ROVE_E_STORE_CORRUPT},
        {"rove-data 1 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\nx",
         ROVE_E_STORE_CORRUPT},
        {"rove-data 1 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
         ROVE_E_STORE_CORRUPT},
        {"rove-data 1 5a\n", ROVE_E_STORE_CORRUPT},
        {"rove-data 1\n", ROVE_E_STORE_CORRUPT},
        {"rove-data x 5a\n", ROVE_E_STORE_CORRUPT},
        {"", ROVE_E_STORE_CORRUPT},
        {"rove", ROVE_E_STORE_CORRUPT},
    };
    store_bed *b = *state;
    assert_ok(store_open(b, STORE_MAP));
    assert_ok(store_put(b, "k", "v", 1));
    store_close(b);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        file_write(store_path(b, "FORMAT"), wrong[i].text, strlen(wrong[i].text));
        assert_int_equal(store_open(b, STORE_MAP), wrong[i].err);
        if (wrong[i].err == ROVE_E_STORE_CORRUPT)
            assert_string_equal(b->what, "FORMAT");
    }
    file_write(store_path(b, "FORMAT"), format, strlen(format));
    assert_ok(store_open(b, STORE_MAP));
    assert_value(b, "k", "v", 1); /* nothing was done to it */
}

static void test_others(void **state)
{
    store_bed *b = *state;
    rovei_store *second = NULL;
    assert_ok(store_open(b, STORE_MAP));
    assert_int_equal(rovei_store_open(&second, b->dir, &b->node, STORE_MAP, b->what),
                     ROVE_E_STORE_LOCKED);
    assert_null(second);
    store_close(b);
    b->node.bytes[31] ^= 1;
    assert_int_equal(store_open(b, STORE_MAP), ROVE_E_STORE_FOREIGN);
    b->node.bytes[31] ^= 1;
    static const mode_t lax[] = {0750, 0705, 0701, 0720, 0777};
    for (size_t i = 0; i < sizeof lax / sizeof lax[0]; i++) {
        assert_int_equal(chmod(b->dir, lax[i]), 0);
        assert_int_equal(store_open(b, STORE_MAP), ROVE_E_STORE_ACCESS);
    }
    assert_int_equal(chmod(b->dir, 0700), 0);
    assert_ok(store_open(b, STORE_MAP));
}

/* A folder with something else in it is not made into a data directory. */
static void test_not_a_data_directory(void **state)
{
    store_bed *b = *state;
    assert_int_equal(mkdir(b->dir, 0700), 0);
    file_write(store_path(b, "letter"), "dear", 4);
    assert_int_equal(store_open(b, STORE_MAP), ROVE_E_STORE_FOREIGN);
    assert_int_equal(unlink(store_path(b, "letter")), 0);
    assert_ok(store_open(b, STORE_MAP));
    store_close(b);
    assert_int_equal(rmdir(store_path(b, "states")), 0);
    assert_int_equal(store_open(b, STORE_MAP), ROVE_E_STORE_CORRUPT);
    assert_string_equal(b->what, "states");
    snprintf(b->dir, sizeof b->dir, "%s/file", b->parent);
    file_write(b->dir, "", 0);
    assert_int_equal(store_open(b, STORE_MAP), ROVE_E_FILE);
}

/* One whose making was interrupted is made on. */
static void test_made_in_part(void **state)
{
    store_bed *b = *state;
    assert_ok(store_open(b, STORE_MAP));
    store_close(b);
    assert_int_equal(rename(store_path(b, "FORMAT"), b->parent), -1);
    assert_int_equal(unlink(store_path(b, "FORMAT")), 0);
    file_write(store_path(b, "FORMAT.new"), "rov", 3);
    assert_ok(store_open(b, STORE_MAP));
    store_close(b);
    assert_int_equal(unlink(store_path(b, "FORMAT")), 0);
    assert_int_equal(unlink(store_path(b, "records")), 0);
    assert_int_equal(rmdir(store_path(b, "states")), 0);
    assert_ok(store_open(b, STORE_MAP));
    store_reopen(b);
}

/* As somebody whom rights bind. */
static bool become_nobody(void)
{
    return geteuid() != 0 || seteuid(65534) == 0;
}

static int without_rights(store_bed *b)
{
    if (!become_nobody())
        return 1;
    rove_err err = store_open(b, STORE_MAP);
    return err == ROVE_E_STORE_READ_ONLY ? 0 : 2;
}

static int of_another(store_bed *b)
{
    if (!become_nobody())
        return 1;
    return store_open(b, STORE_MAP) == ROVE_E_STORE_ACCESS ? 0 : 2;
}

static void test_read_only(void **state)
{
    store_bed *b = *state;
    assert_int_equal(chmod(b->parent, 0711), 0);
    assert_int_equal(mkdir(b->dir, 0700), 0);
    if (geteuid() == 0) { /* else there is nobody else to be */
        assert_int_equal(in_a_child(of_another, b), 0);
        assert_int_equal(chown(b->dir, 65534, 65534), 0);
        assert_int_equal(store_open(b, STORE_MAP), ROVE_E_STORE_ACCESS);
    }
    assert_int_equal(chmod(b->dir, 0500), 0);
    assert_int_equal(in_a_child(without_rights, b), 0);
    assert_int_equal(chmod(b->dir, 0700), 0);
}

/* ---- states ---- */

static void fill(uint8_t *bytes, size_t size, unsigned seed)
{
    uint64_t random = seed;
    random_bytes(&random, bytes, size);
}

static rove_err write_state(store_bed *b, const char *name, const uint8_t *bytes, size_t size)
{
    rovei_stored_writer w;
    rove_err err = rovei_stored_begin(&w, b->store, name);
    for (size_t at = 0; !err && at < size;) {
        size_t piece = size - at < 1000 ? size - at : 1000;
        err = rovei_stored_write(&w, (rove_span){bytes + at, piece});
        at += piece;
    }
    if (!err)
        err = rovei_stored_commit(&w);
    rovei_stored_drop(&w);
    return err;
}

/* Reads all; gives the first error. */
static rove_err read_state(store_bed *b, const char *name, uint8_t *ret, size_t room,
                           size_t *ret_size)
{
    rovei_stored_reader r;
    *ret_size = 0;
    rove_err err = rovei_stored_open(&r, b->store, name);
    for (size_t got = 1; !err && got;) {
        assert_true(*ret_size <= room);
        size_t left = room - *ret_size;
        err = rovei_stored_read(&r, ret + *ret_size, left < 700 ? left : 700, &got);
        *ret_size += got;
    }
    if (!err)
        assert_int_equal(r.size, *ret_size);
    rovei_stored_close(&r);
    return err;
}

static void assert_state(store_bed *b, const char *name, const uint8_t *bytes, size_t size)
{
    size_t got;
    uint8_t *read = malloc(size + 1);
    assert_non_null(read);
    assert_ok(read_state(b, name, read, size + 1, &got));
    assert_span((rove_span){read, got}, bytes, size);
    free(read);
}

static rove_err count_state(void *user, const char *name)
{
    (void)name;
    ++*(unsigned *)user;
    return ROVE_OK;
}

static unsigned count_states(store_bed *b)
{
    unsigned count = 0;
    assert_ok(rovei_stored_each(b->store, count_state, &count));
    return count;
}

static void test_states(void **state)
{
    static uint8_t bytes[70000];
    static const size_t sizes[] = {0, 1, 699, 700, 701, 4096, sizeof bytes};
    store_bed *b = *state;
    rovei_stored_reader r;
    assert_ok(store_open(b, STORE_MAP));
    assert_int_equal(rovei_stored_open(&r, b->store, "none"), ROVE_E_NOT_FOUND);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char name[] = "state-a";
        name[6] = (char)('a' + i % 3); /* the later ones replace earlier ones */
        fill(bytes, sizes[i], i);
        assert_ok(write_state(b, name, bytes, sizes[i]));
        assert_state(b, name, bytes, sizes[i]);
        store_reopen(b);
        assert_state(b, name, bytes, sizes[i]);
    }
    assert_int_equal(count_states(b), 3);
    assert_ok(rovei_stored_remove(b->store, "state-a"));
    assert_ok(rovei_stored_remove(b->store, "state-a"));
    assert_int_equal(count_states(b), 2);
    assert_int_equal(rovei_stored_open(&r, b->store, "state-a"), ROVE_E_NOT_FOUND);
}

static void test_bad_names(void **state)
{
    static const char *const names[] = {"", ".", "..", "A", "a.new", "a/b", "a b", "\xc3\xa4"};
    store_bed *b = *state;
    rovei_stored_writer w;
    rovei_stored_reader r;
    char longest[ROVEI_STATE_NAME_MAX + 2];
    assert_ok(store_open(b, STORE_MAP));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(rovei_stored_begin(&w, b->store, names[i]), ROVE_E_USAGE);
        rovei_stored_drop(&w);
        assert_int_equal(rovei_stored_open(&r, b->store, names[i]), ROVE_E_USAGE);
        assert_int_equal(rovei_stored_remove(b->store, names[i]), ROVE_E_USAGE);
    }
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(write_state(b, longest, NULL, 0), ROVE_E_USAGE);
    longest[sizeof longest - 2] = '\0';
    assert_ok(write_state(b, longest, NULL, 0));
    assert_state(b, longest, NULL, 0);
}

/* What is not finished changes nothing, and leaves nothing. */
static void test_unfinished(void **state)
{
    store_bed *b = *state;
    rovei_stored_writer w, left;
    assert_ok(store_open(b, STORE_MAP));
    assert_ok(write_state(b, "s", (const uint8_t *)"old", 3));
    assert_ok(rovei_stored_begin(&w, b->store, "s"));
    assert_ok(rovei_stored_write(&w, span_of("new")));
    assert_int_equal(access(store_path(b, "states/s.new"), F_OK), 0);
    rovei_stored_drop(&w);
    assert_int_equal(access(store_path(b, "states/s.new"), F_OK), -1);
    assert_state(b, "s", (const uint8_t *)"old", 3);
    /* A crash does not drop it. */
    assert_ok(rovei_stored_begin(&left, b->store, "s"));
    assert_ok(rovei_stored_write(&left, span_of("new")));
    file_write(store_path(b, "states/t.new"), "x", 1);
    store_reopen(b);
    assert_int_equal(access(store_path(b, "states/s.new"), F_OK), -1);
    assert_int_equal(access(store_path(b, "states/t.new"), F_OK), -1);
    assert_int_equal(count_states(b), 1);
    assert_state(b, "s", (const uint8_t *)"old", 3);
    rovei_stored_drop(&left);
}

static void test_damaged_states(void **state)
{
    store_bed *b = *state;
    uint8_t bytes[100], *file, read[200];
    char path[160];
    size_t got;
    assert_ok(store_open(b, STORE_MAP));
    fill(bytes, sizeof bytes, 3);
    assert_ok(write_state(b, "s", bytes, sizeof bytes));
    snprintf(path, sizeof path, "%s", store_path(b, "states/s"));
    size_t size = file_read(path, &file);
    assert_int_equal(size, 8 + sizeof bytes + 8 + 32);
    assert_memory_equal(file, "ROVESTA\x01", 8);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        file[bit / 8] ^= (uint8_t)(1u << bit % 8);
        file_write(path, file, size);
        file[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(read_state(b, "s", read, sizeof read, &got), ROVE_E_STORE_CORRUPT);
    }
    for (size_t cut = 0; cut < size; cut++) {
        file_write(path, file, cut);
        assert_int_equal(read_state(b, "s", read, sizeof read, &got), ROVE_E_STORE_CORRUPT);
    }
    file_write(path, file, size);
    assert_state(b, "s", bytes, sizeof bytes);
    free(file);
}

static int state_on_a_full_disk(store_bed *b)
{
    static uint8_t bytes[300000];
    struct rlimit limit;
    (void)signal(SIGXFSZ, SIG_IGN);
    if (store_open(b, STORE_MAP) || write_state(b, "s", bytes, 100) ||
        getrlimit(RLIMIT_FSIZE, &limit))
        return 1;
    limit.rlim_cur = 200000;
    if (setrlimit(RLIMIT_FSIZE, &limit))
        return 2;
    if (write_state(b, "s", bytes, sizeof bytes) != ROVE_E_STORE_FULL)
        return 3;
    if (access(store_path(b, "states/s.new"), F_OK) == 0)
        return 4;
    assert_state(b, "s", bytes, 100);
    store_close(b);
    return 0;
}

static void test_full_disk(void **state)
{
    assert_int_equal(in_a_child(state_on_a_full_disk, *state), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_bed_make, store_bed_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new),       TEST(test_format),         TEST(test_others),
        TEST(test_read_only), TEST(test_states),         TEST(test_not_a_data_directory),
        TEST(test_bad_names), TEST(test_unfinished),     TEST(test_made_in_part),
        TEST(test_full_disk), TEST(test_damaged_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
