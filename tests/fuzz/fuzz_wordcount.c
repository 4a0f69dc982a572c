/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of a wordcount daemon: whatever restores also snapshots, and the same
 * bytes from then on. */
#include <base/alloc.h>
#include <base/buf.h>
#include <base/check.h>
#include <host/cell.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const rove_kind *fuzz_wordcount_kind(void);

/* A context that only keeps what is written. */
typedef struct context {
    rove_ctx ctx;
    uint8_t *bytes;
    size_t size, room;
} context;

static rove_err refuse(rove_ctx *ctx, rove_span payload)
{
    (void)ctx;
    (void)payload;
    return ROVE_OK;
}

static rove_err keep(rove_ctx *ctx, rove_span bytes)
{
    context *c = (context *)ctx;
    ROVEI_CHECK(bytes.size <= c->room - c->size);
    if (bytes.size)
        memcpy(c->bytes + c->size, bytes.data, bytes.size);
    c->size += bytes.size;
    return ROVE_OK;
}

static rove_err reserve(rove_ctx *ctx, uint64_t size)
{
    (void)ctx;
    (void)size;
    return ROVE_OK;
}

static void fail(rove_ctx *ctx, const char *format, va_list args)
{
    (void)ctx;
    (void)format;
    (void)args;
}

/* Restores `state` into a new instance and writes its snapshot to `to`. False: it is no state. */
static bool round_trip(rove_span state, context *to)
{
    const rove_kind *kind = fuzz_wordcount_kind();
    void *self;
    if (kind->create(&self, &rovei_alloc_libc, NULL))
        return false;
    bool good = kind->restore(self, &to->ctx, state) == ROVE_OK;
    if (good) {
        rove_event event = {.payload = state};
        ROVEI_CHECK(kind->snapshot(self, &to->ctx) == ROVE_OK);
        ROVEI_CHECK(kind->process(self, &to->ctx, &event) == ROVE_OK);
    }
    kind->destroy(self);
    return good;
}

/* The same in pieces, whose sizes the state itself draws. */
static bool round_trip_in_pieces(rove_span state, context *to)
{
    const rove_kind *kind = fuzz_wordcount_kind();
    const uint8_t *at = state.data;
    void *self, *stream;
    uint64_t size;
    if (kind->create(&self, &rovei_alloc_libc, NULL))
        return false;
    ROVEI_CHECK(kind->restore_open(self, &to->ctx, state.size, &stream) == ROVE_OK);
    bool good = true;
    for (size_t i = 0; i < state.size && good;) {
        size_t part = 1 + at[i] % 29;
        part = part < state.size - i ? part : state.size - i;
        good = kind->restore_write(stream, (rove_span){at + i, part}) == ROVE_OK;
        i += part;
    }
    good = kind->restore_close(stream, &to->ctx, good) == ROVE_OK && good;
    if (good) {
        ROVEI_CHECK(kind->snapshot_open(self, &to->ctx, &size, &stream) == ROVE_OK);
        for (size_t got = 1; got; to->size += got) {
            size_t part = to->room - to->size < 7 ? to->room - to->size : 7;
            ROVEI_CHECK(kind->snapshot_read(stream, to->bytes + to->size, part, &got) == ROVE_OK);
        }
        kind->snapshot_close(stream);
        ROVEI_CHECK(to->size == size);
    }
    kind->destroy(self);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const rove_ctx_ops ops = {
        .emit = refuse, .write = keep, .reserve = reserve, .refuse = fail};
    uint8_t *bytes = rovei_alloc(&rovei_alloc_libc, 2 * size);
    if (!bytes)
        return 0;
    context first = {.ctx = {&ops}, .bytes = bytes, .room = size};
    context second = {.ctx = {&ops}, .bytes = bytes + size, .room = size};
    /* A word that stands twice is added up: so the first round may change bytes, the second not. */
    bool good = round_trip((rove_span){data, size}, &first);
    ROVEI_CHECK(round_trip_in_pieces((rove_span){data, size}, &second) == good);
    ROVEI_CHECK(!good || (first.size == second.size &&
                          (!first.size || memcmp(first.bytes, second.bytes, first.size) == 0)));
    second.size = 0;
    if (good) {
        ROVEI_CHECK(round_trip((rove_span){first.bytes, first.size}, &second));
        ROVEI_CHECK(first.size == second.size);
        ROVEI_CHECK(!first.size || memcmp(first.bytes, second.bytes, first.size) == 0);
    }
    rovei_free(&rovei_alloc_libc, bytes, 2 * size);
    return 0;
}
