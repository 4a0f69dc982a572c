/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames over a non-blocking stream socket. */
#include <crypto/crypto.h>
#include <errno.h>
#include <shell/control_frame.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE ((size_t)65536)

void rovei_channel_init(rovei_channel *c, int fd, const rove_alloc *alloc, size_t frame_max)
{
    *c = (rovei_channel){.fd = fd, .alloc = alloc, .frame_max = frame_max};
}

void rovei_channel_fini(rovei_channel *c)
{
    if (c->secret) {
        rovei_wipe(c->in, c->in_room);
        rovei_wipe(c->out, c->out_room);
    }
    rovei_free(c->alloc, c->in, c->in_room);
    rovei_free(c->alloc, c->out, c->out_room);
    if (c->fd >= 0)
        close(c->fd);
    *c = (rovei_channel){.fd = -1, .alloc = c->alloc};
}

void rovei_taken_encode(const rovei_taken *t, uint8_t ret[ROVEI_TAKEN_SIZE])
{
    rovei_store64(ret, t->count);
    rovei_store64(ret + 8, t->at);
    rovei_store64(ret + 16, t->stalled);
}

rove_err rovei_taken_decode(rovei_taken *ret, rove_span body)
{
    rovei_reader r = rovei_reader_of(body);
    rovei_taken t = {.count = rovei_read_u64(&r)};
    t.at = rovei_read_u64(&r);
    t.stalled = rovei_read_u64(&r);
    rove_err err = rovei_reader_end(&r);
    if (!err)
        *ret = t;
    return err;
}

void rovei_outcome_encode(const rovei_outcome_head *h, uint8_t ret[ROVEI_OUTCOME_SIZE])
{
    ret[0] = (uint8_t)h->kind;
    rovei_store64(ret + 1, h->number);
    rovei_store64(ret + 9, h->last);
    rovei_store32(ret + 17, (uint32_t)(int32_t)h->err);
    rovei_store32(ret + 21, h->outputs);
}

rove_err rovei_outcome_decode(rovei_outcome_head *ret, rove_span body, rove_span *ret_rest)
{
    rovei_reader r = rovei_reader_of(body);
    uint8_t kind = rovei_read_u8(&r);
    rovei_outcome_head h = {.number = rovei_read_u64(&r)};
    h.last = rovei_read_u64(&r);
    h.err = (rove_err)(int32_t)rovei_read_u32(&r);
    h.outputs = rovei_read_u32(&r);
    if (kind < ROVEI_EVENT_APPLIED || kind > ROVEI_EVENT_LOST)
        rovei_reader_fail(&r, ROVE_E_FLAG);
    if (!rovei_reader_ok(&r))
        return r.err;
    h.kind = (rovei_event_outcome)kind;
    *ret = h;
    *ret_rest = (rove_span){r.at, rovei_reader_left(&r)};
    return ROVE_OK;
}

/* Room for `more` bytes behind `*size`; what was consumed before `*at` makes room first. */
static rove_err make_room(const rove_alloc *a, uint8_t **bytes, size_t *at, size_t *size,
                          size_t *room, size_t more)
{
    if (*at && (*at == *size || *at >= *room / 2)) {
        memmove(*bytes, *bytes + *at, *size - *at);
        *size -= *at;
        *at = 0;
    }
    if (more <= *room - *size)
        return ROVE_OK;
    if (more > SIZE_MAX / 4 - *size)
        return ROVE_E_NOMEM;
    size_t fresh = *room ? *room : READ_SIZE;
    while (fresh - *size < more)
        fresh *= 2;
    uint8_t *moved = rovei_realloc(a, *bytes, *room, fresh);
    if (!moved)
        return ROVE_E_NOMEM;
    *bytes = moved;
    *room = fresh;
    return ROVE_OK;
}

rove_err rovei_channel_fill(rovei_channel *c)
{
    /* One frame at most beyond what is already here, so that the buffer stays bounded. */
    if (rovei_channel_unread(c) > c->frame_max + ROVEI_FRAME_HEAD)
        return ROVE_OK;
    rove_err err = make_room(c->alloc, &c->in, &c->in_at, &c->in_size, &c->in_room, READ_SIZE);
    if (err)
        return err;
    ssize_t n;
    do
        n = read(c->fd, c->in + c->in_size, c->in_room - c->in_size);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        c->in_size += (size_t)n;
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return ROVE_E_CLOSED;
    return n < 0 && errno != EAGAIN ? ROVE_E_IO : ROVE_OK;
}

rove_err rovei_channel_next(rovei_channel *c, uint8_t *ret_type, rove_span *ret_body)
{
    if (rovei_channel_unread(c) < ROVEI_FRAME_HEAD)
        return ROVE_E_SHORT;
    const uint8_t *frame = c->in + c->in_at;
    uint32_t size = rovei_load32(frame);
    if (size == 0 || size - 1 > c->frame_max)
        return ROVE_E_BOUND;
    if (rovei_channel_unread(c) < 4 + (size_t)size)
        return ROVE_E_SHORT;
    *ret_type = frame[4];
    *ret_body = (rove_span){frame + ROVEI_FRAME_HEAD, size - 1};
    c->in_at += 4 + (size_t)size;
    c->secret = c->secret || *ret_type == ROVEI_FRAME_SEED;
    return ROVE_OK;
}

rove_err rovei_channel_put(rovei_channel *c, uint8_t type, rove_span head, rove_span body)
{
    if (head.size > ROVEI_OUTCOME_MAX || body.size > ROVEI_OUTCOME_MAX - head.size)
        return ROVE_E_TOO_LARGE;
    size_t size = head.size + body.size;
    rove_err err = make_room(c->alloc, &c->out, &c->out_at, &c->out_size, &c->out_room,
                             ROVEI_FRAME_HEAD + size);
    if (err)
        return err;
    uint8_t *at = c->out + c->out_size;
    rovei_store32(at, (uint32_t)(1 + size));
    at[4] = type;
    c->secret = c->secret || type == ROVEI_FRAME_SEED;
    at += ROVEI_FRAME_HEAD;
    if (head.size)
        memcpy(at, head.data, head.size);
    if (body.size)
        memcpy(at + head.size, body.data, body.size);
    c->out_size += ROVEI_FRAME_HEAD + size;
    return ROVE_OK;
}

rove_err rovei_channel_flush(rovei_channel *c)
{
    while (c->out_at < c->out_size) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_size - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return ROVE_OK;
        if (n < 0)
            return errno == EPIPE || errno == ECONNRESET ? ROVE_E_CLOSED : ROVE_E_IO;
        c->out_at += (size_t)n;
    }
    c->out_at = c->out_size = 0;
    return ROVE_OK;
}
