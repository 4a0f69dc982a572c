/* SPDX-License-Identifier: Apache-2.0
 *
 * Key files, the identity's lock and its state file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <shell/files.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct folder {
    char path[64];
    char file[96], state[104];
} folder;

static int make(void **state)
{
    folder *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    snprintf(f->path, sizeof f->path, "/tmp/rove-files-XXXXXX");
    if (!mkdtemp(f->path))
        return -1;
    snprintf(f->file, sizeof f->file, "%s/key", f->path);
    snprintf(f->state, sizeof f->state, "%s.state", f->file);
    *state = f;
    return 0;
}

static int clean(void **state)
{
    folder *f = *state;
    unlink(f->file);
    unlink(f->state);
    chmod(f->path, 0700);
    int result = rmdir(f->path); /* nothing else may be left there */
    free(f);
    return result;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static const char key_text[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F\n";

static void test_load(void **state)
{
    folder *f = *state;
    uint8_t key[32];
    assert_int_equal(rovei_files_load_hex32(f->file, key), ROVE_E_FILE);
    write_file(f->file, key_text, 0600);
    assert_int_equal(rovei_files_load_hex32(f->file, key), ROVE_OK);
    for (unsigned i = 0; i < sizeof key; i++)
        assert_int_equal(key[i], i);
    write_file(f->file, "", 0600);
    assert_int_equal(rovei_files_load_hex32(f->file, key), ROVE_E_FILE);
}

static void test_load_malformed(void **state)
{
    folder *f = *state;
    uint8_t key[32], before[32];
    char text[80];
    memset(key, 0xAA, sizeof key);
    memcpy(before, key, sizeof key);
    const char *tails[] = {"x", "\n\n", " \n", "0\n"};
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        snprintf(text, sizeof text, "%.64s%s", key_text, tails[i]);
        write_file(f->file, text, 0600);
        assert_int_equal(rovei_files_load_hex32(f->file, key), ROVE_E_FILE);
    }
    snprintf(text, sizeof text, "%.63s\n", key_text);
    write_file(f->file, text, 0600);
    assert_int_equal(rovei_files_load_hex32(f->file, key), ROVE_E_FILE);
    snprintf(text, sizeof text, "g%.63s\n", key_text);
    write_file(f->file, text, 0600);
    assert_int_equal(rovei_files_load_hex32(f->file, key), ROVE_E_FILE);
    assert_memory_equal(key, before, sizeof key);
}

static void test_load_others(void **state)
{
    folder *f = *state;
    uint8_t key[32];
    const mode_t modes[] = {0640, 0604, 0620, 0602, 0660, 0666, 0610, 0601};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        write_file(f->file, key_text, modes[i]);
        assert_int_equal(rovei_files_load_hex32(f->file, key), ROVE_E_PERMISSION);
        int fd;
        assert_int_equal(rovei_identity_lock(f->file, &fd), ROVE_E_PERMISSION);
    }
    write_file(f->file, key_text, 0400);
    assert_int_equal(rovei_files_load_hex32(f->file, key), ROVE_OK);
}

static void test_load_no_file(void **state)
{
    folder *f = *state;
    uint8_t key[32];
    assert_int_equal(rovei_files_load_hex32(f->path, key), ROVE_E_FILE); /* a folder */
    assert_int_equal(mkfifo(f->file, 0600), 0);
    assert_int_equal(rovei_files_load_hex32(f->file, key), ROVE_E_FILE); /* and does not hang */
}

static void test_create(void **state)
{
    folder *f = *state;
    uint8_t key[32], back[32];
    struct stat st;
    memset(key, 0x5C, sizeof key);
    mode_t old = umask(0);
    assert_int_equal(rovei_files_create_hex32(f->file, key), ROVE_OK);
    umask(old);
    assert_int_equal(stat(f->file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 65);
    assert_int_equal(rovei_files_load_hex32(f->file, back), ROVE_OK);
    assert_memory_equal(key, back, sizeof key);
    memset(key, 1, sizeof key);
    assert_int_equal(rovei_files_create_hex32(f->file, key), ROVE_E_EXISTS);
    assert_int_equal(rovei_files_load_hex32(f->file, key), ROVE_OK);
    assert_memory_equal(key, back, sizeof key);
}

static void test_lock(void **state)
{
    folder *f = *state;
    int first, second = -7;
    assert_int_equal(rovei_identity_lock(f->file, &first), ROVE_E_FILE);
    write_file(f->file, key_text, 0600);
    assert_int_equal(rovei_identity_lock(f->file, &first), ROVE_OK);
    assert_int_equal(rovei_identity_lock(f->file, &second), ROVE_E_LOCKED);
    assert_int_equal(second, -7);
    close(first);
    assert_int_equal(rovei_identity_lock(f->file, &second), ROVE_OK);
    close(second);
}

static void test_state(void **state)
{
    folder *f = *state;
    uint64_t incarnation = 5, time = 6;
    struct stat st;
    assert_int_equal(rovei_identity_state_load(f->file, &incarnation, &time), ROVE_OK);
    assert_int_equal(incarnation, 0);
    assert_int_equal(time, 0);
    assert_int_equal(rovei_identity_state_store(f->file, UINT64_MAX, 17), ROVE_OK);
    assert_int_equal(rovei_identity_state_store(f->file, UINT64_MAX - 1, 18), ROVE_OK);
    assert_int_equal(stat(f->state, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(rovei_identity_state_load(f->file, &incarnation, &time), ROVE_OK);
    assert_true(incarnation == UINT64_MAX - 1);
    assert_int_equal(time, 18);
}

static void test_state_malformed(void **state)
{
    folder *f = *state;
    uint64_t incarnation = 5, time = 6;
    const char *texts[] = {"",
                           "rove-identity-state 1 2\n",
                           "rove-identity-state 1 2 3",
                           "rove-identity-state 1 2 3\nx",
                           "rove-identity-state 2 2 3\n",
                           "rove-identity-state 1 2 18446744073709551616\n",
                           "rove-identity-state 1 -2 3\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_file(f->state, texts[i], 0600);
        assert_int_equal(rovei_identity_state_load(f->file, &incarnation, &time), ROVE_E_FILE);
    }
    assert_int_equal(incarnation, 5);
    assert_int_equal(time, 6);
}

static void test_state_unwritable(void **state)
{
    folder *f = *state;
    char missing[128];
    snprintf(missing, sizeof missing, "%s/none/key", f->path);
    assert_int_equal(rovei_identity_state_store(missing, 1, 2), ROVE_E_FILE);
    /* A folder in the place of the file cannot be replaced by one. */
    assert_int_equal(mkdir(f->state, 0700), 0);
    assert_int_not_equal(rovei_identity_state_store(f->file, 1, 2), ROVE_OK);
    assert_int_equal(rmdir(f->state), 0);
}

static void test_hex(void **state)
{
    (void)state;
    char text[7];
    uint8_t bytes[3];
    rovei_hex_encode("\x00\xab\xff", 3, text);
    assert_string_equal(text, "00abff");
    assert_true(rovei_hex_decode("00aBFf", 6, bytes, 3));
    assert_memory_equal(bytes, "\x00\xab\xff", 3);
    assert_false(rovei_hex_decode("00abf", 5, bytes, 3));
    assert_false(rovei_hex_decode("00abfff", 7, bytes, 3));
    assert_false(rovei_hex_decode("00abfg", 6, bytes, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_load, make, clean),
        cmocka_unit_test_setup_teardown(test_load_malformed, make, clean),
        cmocka_unit_test_setup_teardown(test_load_others, make, clean),
        cmocka_unit_test_setup_teardown(test_load_no_file, make, clean),
        cmocka_unit_test_setup_teardown(test_create, make, clean),
        cmocka_unit_test_setup_teardown(test_lock, make, clean),
        cmocka_unit_test_setup_teardown(test_state, make, clean),
        cmocka_unit_test_setup_teardown(test_state_malformed, make, clean),
        cmocka_unit_test_setup_teardown(test_state_unwritable, make, clean),
        cmocka_unit_test(test_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
