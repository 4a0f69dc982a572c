/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of a kv daemon: what is taken, whole or in pieces, gives the same bytes again in both
 * forms; and any bytes may be an event. */
#include <base/alloc.h>
#include <base/check.h>
#include <rove/kind.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const rove_kind *fuzz_kv_kind(void);

/* A context that compares what is written with what is wanted. */
typedef struct context {
    rove_ctx ctx;
    const uint8_t *want;
    size_t left;
} context;

static rove_err emit(rove_ctx *ctx, rove_span payload)
{
    (void)ctx;
    (void)payload;
    return ROVE_OK;
}

static rove_err compare(rove_ctx *ctx, rove_span bytes)
{
    context *c = (context *)ctx;
    ROVEI_CHECK(bytes.size <= c->left);
    ROVEI_CHECK(!bytes.size || memcmp(bytes.data, c->want, bytes.size) == 0);
    c->want += bytes.size;
    c->left -= bytes.size;
    return ROVE_OK;
}

static rove_err reserve(rove_ctx *ctx, uint64_t size)
{
    ROVEI_CHECK(size == ((context *)ctx)->left);
    return ROVE_OK;
}

static void refuse(rove_ctx *ctx, const char *format, va_list args)
{
    (void)ctx;
    (void)format;
    (void)args;
}

/* Pieces of a size that follows from the input. */
static rove_err stream_in(const rove_kind *kind, void *self, context *c, rove_span state)
{
    const uint8_t *at = state.data;
    void *stream;
    rove_err err = kind->restore_open(self, &c->ctx, state.size, &stream);
    ROVEI_CHECK(err == ROVE_OK);
    size_t piece = 1 + state.size % 13;
    for (size_t left = state.size; left && !err;) {
        size_t n = piece < left ? piece : left;
        err = kind->restore_write(stream, (rove_span){at, n});
        at += n;
        left -= n;
    }
    rove_err closed = kind->restore_close(stream, &c->ctx, !err);
    return err ? err : closed;
}

static void stream_out(const rove_kind *kind, void *self, context *c, size_t size)
{
    uint8_t room[17];
    void *stream;
    uint64_t told;
    size_t n;
    ROVEI_CHECK(kind->snapshot_open(self, &c->ctx, &told, &stream) == ROVE_OK && told == size);
    do {
        ROVEI_CHECK(kind->snapshot_read(stream, room, sizeof room, &n) == ROVE_OK);
        ROVEI_CHECK(compare(&c->ctx, (rove_span){room, n}) == ROVE_OK);
    } while (n);
    ROVEI_CHECK(c->left == 0);
    kind->snapshot_close(stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const rove_ctx_ops ops = {
        .emit = emit, .write = compare, .reserve = reserve, .refuse = refuse};
    const rove_kind *kind = fuzz_kv_kind();
    const context whole = {.ctx = {&ops}, .want = data, .left = size};
    context c = whole;
    rove_span state = {data, size};
    void *self, *other;
    if (kind->create(&self, &rovei_alloc_libc, NULL))
        return 0;
    if (kind->create(&other, &rovei_alloc_libc, NULL)) {
        kind->destroy(self);
        return 0;
    }
    rove_err err = kind->restore(self, &c.ctx, state);
    ROVEI_CHECK(!err == !stream_in(kind, other, &c, state));
    if (!err) {
        c = whole;
        ROVEI_CHECK(kind->snapshot(self, &c.ctx) == ROVE_OK && c.left == 0);
        c = whole;
        stream_out(kind, other, &c, size);
        rove_event event = {.payload = state};
        (void)kind->process(self, &c.ctx, &event);
    }
    kind->destroy(self);
    kind->destroy(other);
    return 0;
}
