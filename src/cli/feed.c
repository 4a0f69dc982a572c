/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of a file as events over the control socket. */
#include "feed.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE ((size_t)65536)
/* What may stand in the socket's buffer before more lines are put behind it. */
#define QUEUE_SIZE ((size_t)262144)

void cli_lines_init(cli_lines *l, int fd, size_t line_max)
{
    *l = (cli_lines){.fd = fd, .line_max = line_max};
}

void cli_lines_free(cli_lines *l)
{
    free(l->bytes);
    *l = (cli_lines){.fd = -1};
}

rove_err cli_lines_fill(cli_lines *l)
{
    if (l->ended)
        return ROVE_OK;
    if (l->at && l->room - l->size < READ_SIZE) {
        memmove(l->bytes, l->bytes + l->at, l->size - l->at);
        l->size -= l->at;
        l->seen -= l->at;
        l->at = 0;
    }
    if (l->room - l->size < READ_SIZE) {
        size_t room = l->room ? 2 * l->room : 4 * READ_SIZE;
        char *bytes = realloc(l->bytes, room);
        if (!bytes)
            return ROVE_E_NOMEM;
        l->bytes = bytes;
        l->room = room;
    }
    ssize_t n = read(l->fd, l->bytes + l->size, READ_SIZE);
    if (n < 0)
        return errno == EINTR ? ROVE_E_CANCELLED : ROVE_E_IO;
    l->size += (size_t)n;
    l->ended = n == 0;
    return ROVE_OK;
}

uint64_t cli_lines_skip(cli_lines *l, uint64_t deadline)
{
    uint64_t count = 0;
    bool open_line = false; /* something stands behind the last newline */
    for (;;) {
        for (size_t i = l->at; i < l->size; i++) {
            open_line = l->bytes[i] != '\n';
            count += !open_line;
        }
        l->at = l->seen = l->size;
        struct pollfd p = {.fd = l->fd, .events = POLLIN};
        if (l->ended || cli_now() >= deadline || poll(&p, 1, 0) != 1 || cli_lines_fill(l))
            return count + open_line;
    }
}

rove_err cli_lines_next(cli_lines *l, rove_span *ret)
{
    if (!l->bytes)
        return l->ended ? ROVE_E_CLOSED : ROVE_E_SHORT;
    const char *line = l->bytes + l->at;
    const char *newline = memchr(l->bytes + l->seen, '\n', l->size - l->seen);
    size_t size = newline ? (size_t)(newline - line) : l->size - l->at;
    if (size > l->line_max)
        return ROVE_E_TOO_LARGE;
    if (!newline) {
        l->seen = l->size;
        if (!l->ended)
            return ROVE_E_SHORT;
        if (!size)
            return ROVE_E_CLOSED;
    }
    *ret = (rove_span){line, size};
    l->at += size + (newline != NULL);
    l->seen = l->at;
    return ROVE_OK;
}

void cli_feed_init(cli_feed *f, cli_client *c, int fd, size_t line_max)
{
    *f = (cli_feed){.client = c};
    cli_lines_init(&f->lines, fd, line_max);
}

void cli_feed_free(cli_feed *f)
{
    free(f->kept);
    cli_lines_free(&f->lines);
}

static bool has_credit(const cli_feed *f, size_t more)
{
    uint64_t under_way = f->put - f->taken.count;
    return !under_way || (under_way < ROVEI_CREDIT_EVENTS && f->bytes + more <= ROVEI_CREDIT_BYTES);
}

static void finish(cli_feed *f, rove_err err)
{
    f->err = err;
    f->want_lines = false;
    f->finished = cli_client_put(f->client, ROVEI_FRAME_FINISH, (rove_span){NULL, 0});
    if (!f->finished)
        f->err = ROVE_E_NOMEM;
}

void cli_feed_fail(cli_feed *f, rove_err err)
{
    finish(f, err);
}

/* Appends a line to those that are kept. */
static bool keep_line(cli_feed *f, rove_span line)
{
    if (f->kept_at == f->kept_size || f->kept_at >= f->kept_room / 2) {
        if (f->kept_at != f->kept_size)
            memmove(f->kept, f->kept + f->kept_at, f->kept_size - f->kept_at);
        f->kept_size -= f->kept_at;
        f->kept_at = 0;
    }
    size_t room = f->kept_room ? f->kept_room : READ_SIZE;
    while (room - f->kept_size < line.size)
        room *= 2;
    if (room > f->kept_room) {
        char *kept = realloc(f->kept, room);
        if (!kept)
            return false;
        f->kept = kept;
        f->kept_room = room;
    }
    if (line.size)
        memcpy(f->kept + f->kept_size, line.data, line.size);
    f->kept_size += line.size;
    return true;
}

/* The node has taken all up to the event of this number. */
static void forget_taken(cli_feed *f, uint64_t count)
{
    for (uint64_t n = f->taken.count; n < count; n++) {
        uint32_t size = f->sizes[n % ROVEI_CREDIT_EVENTS];
        f->bytes -= size;
        if (f->keep)
            f->kept_at += size;
    }
    f->taken.count = count;
}

bool cli_feed_again(cli_feed *f, uint64_t taken)
{
    if (taken < f->taken.count || taken > f->put)
        return false;
    forget_taken(f, taken);
    const char *at = f->kept + f->kept_at;
    for (uint64_t n = taken; n < f->put && !f->err; n++) {
        uint32_t size = f->sizes[n % ROVEI_CREDIT_EVENTS];
        if (!cli_client_put(f->client, ROVEI_FRAME_EVENT, (rove_span){at, size}))
            f->err = ROVE_E_NOMEM;
        at += size;
    }
    if (f->finished)
        finish(f, f->err);
    return true;
}

void cli_feed_step(cli_feed *f)
{
    f->want_lines = false;
    while (!f->finished && !f->err && rovei_channel_queued(&f->client->channel) < QUEUE_SIZE) {
        cli_lines before = f->lines;
        rove_span line;
        rove_err err = cli_lines_next(&f->lines, &line);
        if (err == ROVE_E_SHORT) {
            f->want_lines = true;
            return;
        }
        if (err) {
            finish(f, err == ROVE_E_CLOSED ? ROVE_OK : err);
            return;
        }
        if (!has_credit(f, line.size)) {
            f->lines = before;
            return;
        }
        if ((f->keep && !keep_line(f, line)) ||
            !cli_client_put(f->client, ROVEI_FRAME_EVENT, line)) {
            f->err = ROVE_E_NOMEM;
            return;
        }
        f->sizes[f->put++ % ROVEI_CREDIT_EVENTS] = (uint32_t)line.size;
        f->bytes += line.size;
    }
}

bool cli_feed_taken(cli_feed *f, rove_span body)
{
    rovei_taken t;
    if (rovei_taken_decode(&t, body) || t.count < f->taken.count || t.count > f->put)
        return false;
    forget_taken(f, t.count);
    f->taken = t;
    if (t.stalled > f->stalled)
        f->stalled = t.stalled;
    return true;
}

void cli_totals_add(cli_totals *t, const rovei_outcome_head *h)
{
    uint64_t count = h->last >= h->number ? h->last - h->number + 1 : 0;
    switch (h->kind) {
    case ROVEI_EVENT_APPLIED:
        t->applied++;
        t->errors += h->err != ROVE_OK;
        break;
    case ROVEI_EVENT_REFUSED:
        t->refused++;
        break;
    case ROVEI_EVENT_UNKNOWN:
        t->unknown++;
        break;
    case ROVEI_EVENT_LOST:
        t->lost += count;
        t->applied -= count < t->applied ? count : t->applied;
        break;
    }
}

void cli_totals_close(cli_totals *t)
{
    uint64_t known = t->applied + t->refused + t->unknown + t->lost;
    if (t->sent > known)
        t->unknown += t->sent - known;
}
