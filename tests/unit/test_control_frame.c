/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames of the control socket: whole ones, torn ones, malformed ones, pushing back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <shell/control_frame.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct pair {
    rovei_channel a, b;
} pair;

static int make(void **state)
{
    int fds[2];
    pair *p = calloc(1, sizeof *p);
    if (!p || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds))
        return -1;
    rovei_channel_init(&p->a, fds[0], &rovei_alloc_libc, 1 << 20);
    rovei_channel_init(&p->b, fds[1], &rovei_alloc_libc, 1 << 20);
    *state = p;
    return 0;
}

static int clean(void **state)
{
    pair *p = *state;
    rovei_channel_fini(&p->a);
    rovei_channel_fini(&p->b);
    free(p);
    return 0;
}

static rove_span span(const char *text)
{
    return (rove_span){text, strlen(text)};
}

static void test_whole(void **state)
{
    pair *p = *state;
    uint8_t type;
    rove_span body;
    assert_int_equal(rovei_channel_next(&p->b, &type, &body), ROVE_E_SHORT);
    assert_int_equal(rovei_channel_put(&p->a, 'J', span("he"), span("llo")), ROVE_OK);
    assert_int_equal(rovei_channel_put(&p->a, 'F', span(""), span("")), ROVE_OK);
    assert_int_equal(rovei_channel_flush(&p->a), ROVE_OK);
    assert_int_equal(rovei_channel_queued(&p->a), 0);
    assert_int_equal(rovei_channel_fill(&p->b), ROVE_OK);
    assert_int_equal(rovei_channel_next(&p->b, &type, &body), ROVE_OK);
    assert_int_equal(type, 'J');
    assert_int_equal(body.size, 5);
    assert_memory_equal(body.data, "hello", 5);
    assert_int_equal(rovei_channel_next(&p->b, &type, &body), ROVE_OK);
    assert_int_equal(type, 'F');
    assert_int_equal(body.size, 0);
    assert_int_equal(rovei_channel_next(&p->b, &type, &body), ROVE_E_SHORT);
    assert_int_equal(rovei_channel_fill(&p->b), ROVE_OK); /* nothing there, and no error */
}

static void test_torn(void **state)
{
    pair *p = *state;
    const uint8_t bytes[] = {4, 0, 0, 0, 'E', 1, 2, 3};
    uint8_t type;
    rove_span body;
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(rovei_channel_next(&p->b, &type, &body), ROVE_E_SHORT);
        assert_int_equal(write(p->a.fd, bytes + i, 1), 1);
        assert_int_equal(rovei_channel_fill(&p->b), ROVE_OK);
    }
    assert_int_equal(rovei_channel_next(&p->b, &type, &body), ROVE_OK);
    assert_int_equal(type, 'E');
    assert_int_equal(body.size, 3);
    assert_memory_equal(body.data, bytes + 5, 3);
}

static void test_malformed(void **state)
{
    pair *p = *state;
    uint8_t type, zero[5] = {0};
    rove_span body;
    assert_int_equal(write(p->a.fd, zero, sizeof zero), sizeof zero);
    assert_int_equal(rovei_channel_fill(&p->b), ROVE_OK);
    assert_int_equal(rovei_channel_next(&p->b, &type, &body), ROVE_E_BOUND);
    uint8_t large[5];
    rovei_store32(large, (1 << 20) + 2);
    large[4] = 'E';
    assert_int_equal(write(p->b.fd, large, sizeof large), sizeof large);
    assert_int_equal(rovei_channel_fill(&p->a), ROVE_OK);
    assert_int_equal(rovei_channel_next(&p->a, &type, &body), ROVE_E_BOUND);
}

/* More than the socket holds: nothing is lost, nothing blocks, the buffer of the reader is bounded
 * by one frame. */
static void test_pushes_back(void **state)
{
    pair *p = *state;
    enum { FRAMES = 64, SIZE = 100000 };
    char *payload = malloc(SIZE);
    assert_non_null(payload);
    for (int i = 0; i < FRAMES; i++) {
        memset(payload, i, SIZE);
        assert_int_equal(rovei_channel_put(&p->a, 'E', span(""), (rove_span){payload, SIZE}),
                         ROVE_OK);
    }
    assert_int_equal(rovei_channel_flush(&p->a), ROVE_OK);
    assert_true(rovei_channel_queued(&p->a) > 0);
    for (int i = 0; i < FRAMES;) {
        uint8_t type;
        rove_span body;
        assert_int_equal(rovei_channel_flush(&p->a), ROVE_OK);
        assert_int_equal(rovei_channel_fill(&p->b), ROVE_OK);
        while (rovei_channel_next(&p->b, &type, &body) == ROVE_OK) {
            assert_int_equal(body.size, SIZE);
            memset(payload, i++, SIZE);
            assert_memory_equal(body.data, payload, SIZE);
        }
    }
    assert_int_equal(rovei_channel_queued(&p->a), 0);
    free(payload);
}

/* A reader that takes nothing out of its buffer stops reading at its bound. */
static void test_bounded_reader(void **state)
{
    pair *p = *state;
    char bytes[65536] = {0};
    bytes[0] = 1;
    for (int i = 0; i < 1000; i++) {
        (void)!write(p->a.fd, bytes, sizeof bytes);
        assert_int_equal(rovei_channel_fill(&p->b), ROVE_OK);
    }
    assert_true(rovei_channel_unread(&p->b) < 4u << 20);
}

static void test_closed(void **state)
{
    pair *p = *state;
    close(p->a.fd);
    p->a.fd = -1;
    assert_int_equal(rovei_channel_fill(&p->b), ROVE_E_CLOSED);
    assert_int_equal(rovei_channel_put(&p->b, 'J', span("x"), span("")), ROVE_OK);
    assert_int_equal(rovei_channel_flush(&p->b), ROVE_E_CLOSED);
}

static void test_taken(void **state)
{
    (void)state;
    uint8_t bytes[ROVEI_TAKEN_SIZE + 1] = {0};
    rovei_taken in = {1, UINT64_MAX, 3}, out;
    rovei_taken_encode(&in, bytes);
    assert_int_equal(rovei_taken_decode(&out, (rove_span){bytes, ROVEI_TAKEN_SIZE}), ROVE_OK);
    assert_memory_equal(&in, &out, sizeof in);
    assert_int_equal(rovei_taken_decode(&out, (rove_span){bytes, ROVEI_TAKEN_SIZE - 1}),
                     ROVE_E_SHORT);
    assert_int_equal(rovei_taken_decode(&out, (rove_span){bytes, sizeof bytes}), ROVE_E_TRAILING);
}

static void test_outcome(void **state)
{
    (void)state;
    uint8_t bytes[ROVEI_OUTCOME_SIZE + 2] = {0};
    rovei_outcome_head in = {.kind = ROVEI_EVENT_LOST,
                             .number = 1,
                             .last = UINT64_MAX,
                             .err = ROVE_E_LOST,
                             .outputs = 7},
                       out;
    rove_span rest;
    rovei_outcome_encode(&in, bytes);
    assert_int_equal(rovei_outcome_decode(&out, (rove_span){bytes, sizeof bytes}, &rest), ROVE_OK);
    assert_int_equal(out.kind, in.kind);
    assert_int_equal(out.number, 1);
    assert_true(out.last == UINT64_MAX);
    assert_int_equal(out.err, ROVE_E_LOST);
    assert_int_equal(out.outputs, 7);
    assert_int_equal(rest.size, 2);
    assert_int_equal(rovei_outcome_decode(&out, (rove_span){bytes, ROVEI_OUTCOME_SIZE - 1}, &rest),
                     ROVE_E_SHORT);
    bytes[0] = 0;
    assert_int_equal(rovei_outcome_decode(&out, (rove_span){bytes, sizeof bytes}, &rest),
                     ROVE_E_FLAG);
    bytes[0] = 5;
    assert_int_equal(rovei_outcome_decode(&out, (rove_span){bytes, sizeof bytes}, &rest),
                     ROVE_E_FLAG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, make, clean),
        cmocka_unit_test_setup_teardown(test_torn, make, clean),
        cmocka_unit_test_setup_teardown(test_malformed, make, clean),
        cmocka_unit_test_setup_teardown(test_pushes_back, make, clean),
        cmocka_unit_test_setup_teardown(test_bounded_reader, make, clean),
        cmocka_unit_test_setup_teardown(test_closed, make, clean),
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
