/* SPDX-License-Identifier: Apache-2.0
 *
 * Floors that outlive a process: the file beside the identity, and a node that starts again. */
#include "support.h"

#include <fcntl.h>
#include <node/tokens.h>
#include <rove/node.h>
#include <rove/token.h>
#include <shell/call.h>
#include <shell/files.h>
#include <shell/floors_file.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct folder {
    char path[64], identity[96], floors[112];
    test_env t;
} folder;

static int make(void **state)
{
    folder *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    test_env_init(&f->t, 1);
    snprintf(f->path, sizeof f->path, "/tmp/rove-floors-XXXXXX");
    if (!mkdtemp(f->path))
        return -1;
    snprintf(f->identity, sizeof f->identity, "%s/key", f->path);
    snprintf(f->floors, sizeof f->floors, "%s.floors", f->identity);
    *state = f;
    return 0;
}

static int clean(void **state)
{
    folder *f = *state;
    char other[112];
    snprintf(other, sizeof other, "%s.state", f->identity);
    unlink(f->identity);
    unlink(f->floors);
    unlink(other);
    int result = rmdir(f->path); /* nothing else may be left there */
    test_env_fini(&f->t);
    free(f);
    return result;
}

static rove_entity issuer_at(unsigned i)
{
    rove_entity e = {{(uint8_t)i, (uint8_t)(i >> 8), 7}};
    return e;
}

static void put(const folder *f, rove_span bytes)
{
    int fd = open(f->floors, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.data, bytes.size), bytes.size);
    close(fd);
}

/* What the file gives for a node that may have `most` floors. */
static rove_err load(folder *f, size_t most, rovei_token_floors *ret)
{
    rovei_token_floors_init(ret, &f->t.env, most);
    return rovei_floors_load(f->identity, ret);
}

static void test_kept(void **state)
{
    folder *f = *state;
    rovei_token_floors floors, back;
    assert_ok(load(f, 1000, &floors)); /* no file: no floor */
    assert_int_equal(rovei_token_floors_count(&floors), 0);
    for (unsigned i = 0; i < 1000; i++) {
        rove_entity e = issuer_at(i);
        assert_ok(rovei_token_floors_raise(&floors, &e, i ? i : UINT32_MAX));
    }
    assert_ok(rovei_floors_store(f->identity, &floors));
    struct stat st;
    assert_int_equal(stat(f->floors, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_ok(load(f, 1000, &back));
    assert_int_equal(rovei_token_floors_count(&back), 1000);
    for (unsigned i = 0; i < 1000; i++) {
        rove_entity e = issuer_at(i);
        assert_int_equal(rovei_token_floors_get(&back, &e), i ? i : UINT32_MAX);
    }
    rovei_token_floors_fini(&back);
    assert_int_equal(load(f, 999, &back), ROVE_E_FULL);
    rovei_token_floors_fini(&back);
    rovei_token_floors_fini(&floors);
}

static void assert_damaged(folder *f)
{
    rovei_token_floors floors;
    assert_int_equal(load(f, 10, &floors), ROVE_E_FILE);
    assert_int_equal(rovei_token_floors_count(&floors), 0);
    rovei_token_floors_fini(&floors);
}

static void test_damaged(void **state)
{
    folder *f = *state;
    rovei_token_floors floors;
    rovei_token_floors_init(&floors, &f->t.env, 10);
    rove_entity a = issuer_at(1), b = issuer_at(2);
    assert_ok(rovei_token_floors_raise(&floors, &a, 3));
    assert_ok(rovei_token_floors_raise(&floors, &b, 4));
    assert_ok(rovei_floors_store(f->identity, &floors));
    rovei_token_floors_fini(&floors);
    char *text;
    size_t size;
    assert_ok(rovei_files_read_private(f->floors, 1000, &text, &size));
    for (size_t i = 0; i < size; i++) {
        text[i] ^= 1;
        put(f, (rove_span){text, size});
        assert_damaged(f);
        text[i] ^= 1;
    }
    for (size_t i = 0; i < size; i++) {
        put(f, (rove_span){text, i});
        assert_damaged(f);
    }
    text[size] = '\n'; /* where the terminator was */
    put(f, (rove_span){text, size + 1});
    assert_damaged(f);
    put(f, (rove_span){text, size});
    assert_ok(load(f, 10, &floors));
    rovei_token_floors_fini(&floors);
    free(text);
}

/* With a digest that fits: none of it could have been written. */
static void test_malformed(void **state)
{
    folder *f = *state;
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
    const char *texts[] = {
        "",
        "rove-floors 2 0\n",
        "rove-floors 1 \n",
        "rove-floors 1 -1\n",
        "rove-floors 1 18446744073709551616\n",
        "rove-floors 1 18446744073709551615\n",
        "rove-floors 1 1\n",
        "rove-floors 1 0\nx",
        "rove-floors 1 0\n" ZEROS " 1\n",
        "rove-floors 1 1\n" ZEROS " 0\n",
        "rove-floors 1 1\n" ZEROS " 4294967296\n",
        "rove-floors 1 1\n" ZEROS " 1",
        "rove-floors 1 1\n" ZEROS "\n",
        "rove-floors 1 1\n" ZEROS,
        "rove-floors 1 1\n" ZEROS " 1 \n",
        "rove-floors 1 1\nx" ZEROS " 1\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[512];
        uint8_t digest[32];
        size_t size = strlen(texts[i]);
        rovei_blake2s(digest, texts[i], size);
        memcpy(text, texts[i], size);
        rovei_hex_encode(digest, sizeof digest, text + size);
        text[size + 64] = '\n';
        put(f, (rove_span){text, size + 65});
        assert_damaged(f);
    }
}

static void test_no_file_of_ours(void **state)
{
    folder *f = *state;
    rovei_token_floors floors;
    rovei_token_floors_init(&floors, &f->t.env, 10);
    assert_ok(rovei_floors_store(f->identity, &floors));
    assert_ok(rovei_floors_load(f->identity, &floors)); /* none is fine too */
    assert_int_equal(chmod(f->floors, 0640), 0);
    assert_int_equal(rovei_floors_load(f->identity, &floors), ROVE_E_PERMISSION);
    assert_int_equal(unlink(f->floors), 0);
    assert_int_equal(mkfifo(f->floors, 0600), 0);
    assert_int_equal(rovei_floors_load(f->identity, &floors), ROVE_E_FILE);
    assert_int_equal(unlink(f->floors), 0);
    int fd = open(f->floors, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0); /* is not read at all */
    close(fd);
    assert_int_equal(rovei_floors_load(f->identity, &floors), ROVE_E_FILE);
    rovei_token_floors_fini(&floors);
}

/* ---- a node ---- */

static rove_err start(const folder *f, rove_node **ret)
{
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = (const uint8_t *)"the key of all nodes of a test..";
    cfg.identity_file = f->identity;
    return rove_node_new(ret, &cfg);
}

typedef struct asking {
    rove_entity issuer;
    uint32_t floor;
} asking;

static void ask_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    (void)now;
    asking *a = arg;
    a->floor = rovei_token_floors_get(&rovei_node_tokens(core)->floors, &a->issuer);
}

static uint32_t floor_of(rove_node *node, const rove_entity *issuer)
{
    asking a = {.issuer = *issuer};
    rovei_node_call(node, ask_on_loop, &a);
    return a.floor;
}

static void test_outlives(void **state)
{
    folder *f = *state;
    const uint8_t seed[32] = {9};
    rove_entity a = issuer_at(1), b = issuer_at(2);
    rove_node *node;
    assert_ok(rovei_files_create_hex32(f->identity, seed));
    assert_ok(start(f, &node));
    assert_int_not_equal(access(f->floors, F_OK), 0); /* nothing to be remembered yet */
    assert_ok(rove_node_revoke(node, &a, 5));
    assert_ok(rove_node_revoke(node, &b, 6));
    assert_ok(rove_node_revoke(node, &a, 4)); /* never down, in the file neither */
    rove_node_free(node);
    assert_ok(start(f, &node));
    assert_int_equal(floor_of(node, &a), 5);
    assert_int_equal(floor_of(node, &b), 6);
    rove_node_free(node);
    put(f, span_of("rove-floors 1 0\n"));
    assert_int_equal(start(f, &node), ROVE_E_FILE);
}

/* A floor that cannot be written holds all the same, and is written when it can be. */
static void test_unwritable(void **state)
{
    folder *f = *state;
    const uint8_t seed[32] = {9};
    rove_entity a = issuer_at(1);
    rove_node *node;
    assert_ok(rovei_files_create_hex32(f->identity, seed));
    assert_ok(start(f, &node));
    assert_int_equal(mkdir(f->floors, 0700), 0); /* no file can take its place */
    assert_int_not_equal(rove_node_revoke(node, &a, 5), ROVE_OK);
    assert_int_equal(floor_of(node, &a), 5);
    assert_int_not_equal(rove_node_revoke(node, &a, 5), ROVE_OK);
    assert_int_equal(rmdir(f->floors), 0);
    assert_ok(rove_node_revoke(node, &a, 5));
    rove_node_free(node);
    assert_ok(start(f, &node));
    assert_int_equal(floor_of(node, &a), 5);
    rove_node_free(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept, make, clean),
        cmocka_unit_test_setup_teardown(test_damaged, make, clean),
        cmocka_unit_test_setup_teardown(test_malformed, make, clean),
        cmocka_unit_test_setup_teardown(test_no_file_of_ours, make, clean),
        cmocka_unit_test_setup_teardown(test_outlives, make, clean),
        cmocka_unit_test_setup_teardown(test_unwritable, make, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
