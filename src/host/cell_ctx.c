/* SPDX-License-Identifier: Apache-2.0
 *
 * The context that a kind's functions are handed: what they emit or write goes straight into the
 * counted bytes that leave, so that one event with one output costs one allocation. */
#include <base/alloc.h>
#include <base/buf.h>
#include <host/cell_impl.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 1024
/* Slack above which a finished buf is cut to its size. */
#define SLACK_MAX 4096

static rovei_frame *frame_of(rove_ctx *ctx)
{
    return (rovei_frame *)(void *)ctx;
}

static rove_err fail_with(rovei_frame *f, rove_err err)
{
    if (f->err == ROVE_OK)
        f->err = err;
    return f->err;
}

/* Resizes the frame's buf, which nobody else holds yet. */
static bool resize(rovei_frame *f, size_t room)
{
    const rove_alloc *a = &f->cell->env->alloc;
    if (room > SIZE_MAX - sizeof(rove_buf))
        return false;
    if (!f->buf) {
        f->buf = rovei_buf_alloc(a, room);
        return f->buf != NULL;
    }
    rove_buf *buf = rovei_realloc(a, f->buf, sizeof *buf + f->buf->room, sizeof *buf + room);
    if (!buf)
        return false;
    buf->room = buf->size = room;
    f->buf = buf;
    return true;
}

rove_err rovei_frame_room(rovei_frame *f, size_t need)
{
    size_t room = f->buf ? f->buf->room : 0;
    if (need <= room - f->used)
        return ROVE_OK;
    size_t least = f->used + need;
    size_t more = room > SIZE_MAX / 2 ? SIZE_MAX : room * 2;
    if (least < need)
        return fail_with(f, ROVE_E_NOMEM);
    bool grown = resize(f, more > least ? more : least);
    if (!grown && more > least)
        grown = resize(f, least); /* less will do */
    if (!grown)
        return fail_with(f, ROVE_E_NOMEM);
    return ROVE_OK;
}

rove_err rovei_frame_take(rovei_frame *f, rove_buf **ret)
{
    if (!f->buf && f->doing == ROVEI_DOING_SNAPSHOT && !resize(f, 0))
        return ROVE_E_NOMEM;
    if (f->buf) {
        if (f->buf->room - f->used > SLACK_MAX)
            (void)resize(f, f->used); /* a refusal to shrink only costs memory */
        rovei_buf_truncate(f->buf, f->used);
    }
    *ret = f->buf;
    f->buf = NULL;
    return ROVE_OK;
}

rove_buf *rovei_frame_take_text(rovei_frame *f, rove_err returned)
{
    rove_buf *text = f->text;
    f->text = NULL;
    if (!text && returned != ROVE_E_PROCESS) {
        const char *sentence = rove_strerror(returned);
        text = rovei_buf_copy(&f->cell->env->alloc, sentence, strlen(sentence));
    }
    return text;
}

static rove_err ctx_emit(rove_ctx *ctx, rove_span payload)
{
    rovei_frame *f = frame_of(ctx);
    const rove_limits *limits = &f->cell->env->limits;
    if (f->doing != ROVEI_DOING_PROCESS || (payload.size && !payload.data))
        return ROVE_E_USAGE;
    if (f->err)
        return f->err;
    if (payload.size > limits->event_max || payload.size > UINT32_MAX - ROVEI_LINK_SIZE ||
        payload.size + ROVEI_EVENT_FRAME_OVERHEAD > limits->outputs_max ||
        f->used > limits->outputs_max - payload.size - ROVEI_EVENT_FRAME_OVERHEAD ||
        f->count == UINT32_MAX)
        return fail_with(f, ROVE_E_TOO_LARGE);
    rove_err err = rovei_frame_room(f, payload.size + ROVEI_EVENT_FRAME_OVERHEAD);
    if (err)
        return err;
    uint8_t *at = rovei_buf_data(f->buf) + f->used;
    rovei_store32(at, (uint32_t)(ROVEI_LINK_SIZE + payload.size));
    if (payload.size)
        memcpy(at + ROVEI_EVENT_FRAME_OVERHEAD, payload.data, payload.size);
    f->used += payload.size + ROVEI_EVENT_FRAME_OVERHEAD;
    f->count++;
    return ROVE_OK;
}

static rove_err ctx_write(rove_ctx *ctx, rove_span bytes)
{
    rovei_frame *f = frame_of(ctx);
    uint64_t most = f->cell->env->limits.state_max;
    if (f->doing != ROVEI_DOING_SNAPSHOT || (bytes.size && !bytes.data))
        return ROVE_E_USAGE;
    if (f->err)
        return f->err;
    if (bytes.size > most || f->used > most - bytes.size)
        return fail_with(f, ROVE_E_TOO_LARGE);
    rove_err err = rovei_frame_room(f, bytes.size);
    if (err || !bytes.size)
        return err;
    memcpy(rovei_buf_data(f->buf) + f->used, bytes.data, bytes.size);
    f->used += bytes.size;
    return ROVE_OK;
}

static rove_err ctx_reserve(rove_ctx *ctx, uint64_t size)
{
    rovei_frame *f = frame_of(ctx);
    uint64_t most = f->cell->env->limits.state_max;
    if (f->doing != ROVEI_DOING_SNAPSHOT)
        return ROVE_E_USAGE;
    if (f->err)
        return f->err;
    if (size > SIZE_MAX || size > most || f->used > most - size)
        return fail_with(f, ROVE_E_TOO_LARGE);
    return rovei_frame_room(f, (size_t)size);
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 0)))
#endif
static void
ctx_refuse(rove_ctx *ctx, const char *format, va_list args)
{
    rovei_frame *f = frame_of(ctx);
    char text[TEXT_MAX + 1];
    int size = vsnprintf(text, sizeof text, format, args);
    if (size < 0)
        return;
    size_t kept = (size_t)size < TEXT_MAX ? (size_t)size : TEXT_MAX;
    rove_buf *buf = rovei_buf_copy(&f->cell->env->alloc, text, kept);
    if (!buf)
        return;
    rove_buf_unref(f->text);
    f->text = buf;
}

static const rove_entity *ctx_entity(rove_ctx *ctx)
{
    return rovei_keypair_entity(frame_of(ctx)->cell->key);
}

static rove_err ctx_sign(rove_ctx *ctx, rove_span message, uint8_t ret_signature[64])
{
    return rovei_keypair_sign(frame_of(ctx)->cell->key, message.data, message.size, ret_signature);
}

const rove_ctx_ops rovei_ctx_ops = {
    .emit = ctx_emit,
    .write = ctx_write,
    .reserve = ctx_reserve,
    .refuse = ctx_refuse,
    .entity = ctx_entity,
    .sign = ctx_sign,
};
