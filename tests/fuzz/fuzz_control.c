/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two ends of the control socket decode: frames out of a stream, and their bodies. */
#include "support.h"

#include <base/check.h>
#include <shell/control_frame.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_bodies(rove_span body)
{
    rovei_taken taken;
    rovei_outcome_head head;
    rove_span rest;
    uint8_t bytes[ROVEI_OUTCOME_SIZE];
    if (rovei_taken_decode(&taken, body) == ROVE_OK) {
        rovei_taken_encode(&taken, bytes);
        ROVEI_CHECK(body.size == ROVEI_TAKEN_SIZE && memcmp(bytes, body.data, body.size) == 0);
    }
    if (rovei_outcome_decode(&head, body, &rest) == ROVE_OK) {
        rovei_outcome_encode(&head, bytes);
        ROVEI_CHECK(body.size == ROVEI_OUTCOME_SIZE + rest.size);
        ROVEI_CHECK(memcmp(bytes, body.data, ROVEI_OUTCOME_SIZE) == 0);
    }
}

/* The same bytes in two pieces and with memory that runs out; frames of two parts; and an end that
 * comes at any time. */
static void check_pieces(const uint8_t *data, size_t size)
{
    int fds[2];
    if (size < 3 || size > 65536 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds))
        return;
    fuzz_alloc alloc;
    fuzz_alloc_init(&alloc, data[0] < 32 ? data[0] : SIZE_MAX);
    rovei_channel in, out;
    rovei_channel_init(&in, fds[0], &alloc.alloc, 256);
    rovei_channel_init(&out, fds[1], &alloc.alloc, 256);
    size_t cut = 1 + data[1] % (size - 1), frames = 0;
    for (int piece = 0; piece < 2; piece++) {
        rove_span part = {data + (piece ? cut : 0), piece ? size - cut : cut};
        if (write(fds[1], part.data, part.size) != (ssize_t)part.size)
            break;
        uint8_t type;
        rove_span body;
        while (rovei_channel_fill(&in) == ROVE_OK &&
               rovei_channel_next(&in, &type, &body) == ROVE_OK)
            frames++;
        ROVEI_CHECK(rovei_channel_unread(&in) <= size);
    }
    ROVEI_CHECK(frames <= size / 5);
    rove_span head = {data, size - cut}, body = {data, cut};
    for (size_t i = data[2] % 32; i > 0; i--) {
        size_t queued = rovei_channel_queued(&out);
        rove_err err = rovei_channel_put(&out, 'O', head, body);
        ROVEI_CHECK(err == ROVE_OK || err == ROVE_E_NOMEM || err == ROVE_E_TOO_LARGE);
        ROVEI_CHECK(rovei_channel_queued(&out) == queued + (err ? 0 : size + 5));
        if (i == 5)
            ROVEI_CHECK(rovei_channel_flush(&out) == ROVE_OK);
    }
    const rove_span large = {data, SIZE_MAX / 8};
    ROVEI_CHECK(rovei_channel_put(&out, 'O', head, large) == ROVE_E_TOO_LARGE);
    rovei_channel_fini(&in);
    rove_err err = rovei_channel_flush(&out);
    ROVEI_CHECK(err == ROVE_OK || err == ROVE_E_CLOSED);
    if (rovei_channel_fill(&out) == ROVE_OK)
        ROVEI_CHECK(data[0] < 32 || rovei_channel_unread(&out) > 256);
    rovei_channel_fini(&out);
    ROVEI_CHECK(alloc.live == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    check_pieces(data, size);
    check_bodies((rove_span){data, size});
    if (size > 65536 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds))
        return 0;
    rovei_channel in, out;
    rovei_channel_init(&in, fds[0], &rovei_alloc_libc, 4096);
    rovei_channel_init(&out, fds[1], &rovei_alloc_libc, 4096);
    if (write(fds[1], data, size) == (ssize_t)size && rovei_channel_fill(&in) == ROVE_OK) {
        uint8_t type;
        rove_span body;
        size_t at = 0;
        while (rovei_channel_next(&in, &type, &body) == ROVE_OK) {
            check_bodies(body);
            /* Put again it is the same frame. */
            ROVEI_CHECK(rovei_channel_put(&out, type, body, (rove_span){NULL, 0}) == ROVE_OK);
            ROVEI_CHECK(memcmp(out.out + out.out_at + at, data + at, 5 + body.size) == 0);
            at += 5 + body.size;
        }
        /* And sent back it is read as the same. */
        rovei_channel back = {.fd = in.fd, .alloc = &rovei_alloc_libc, .frame_max = 4096};
        ROVEI_CHECK(rovei_channel_flush(&out) == ROVE_OK && rovei_channel_queued(&out) == 0);
        ROVEI_CHECK(at == 0 || rovei_channel_fill(&back) == ROVE_OK);
        ROVEI_CHECK(rovei_channel_unread(&back) == at);
        ROVEI_CHECK(at == 0 || memcmp(back.in, data, at) == 0);
        back.fd = -1; /* it is `in`'s */
        rovei_channel_fini(&back);
    }
    rovei_channel_fini(&in);
    rovei_channel_fini(&out);
    return 0;
}
