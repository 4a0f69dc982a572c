/* SPDX-License-Identifier: Apache-2.0
 *
 * Senders that check the outcomes of their events. */
#include "kit.h"

void pump_open(pump *p, spot *at, const rove_entity *daemon, uint32_t who, uint32_t target,
               size_t size)
{
    *p = (pump){.who = who, .target = target, .size = size < 8 ? 8 : size};
    p->room = calloc(1, p->size);
    must(p->room);
    must_ok(rove_sender_open(&p->sender, at->node, daemon, NULL));
}

static void fill(const pump *p, uint32_t number)
{
    uint32_t head[2] = {p->who, number};
    memset(p->room, (int)(number & 0xFF), p->size);
    memcpy(p->room, head, sizeof head);
}

static void feed(pump *p)
{
    while (p->sent < p->target) {
        uint64_t number;
        fill(p, p->sent + 1);
        rove_err err = rove_sender_send(p->sender, (rove_span){p->room, p->size}, false, &number);
        if (err == ROVE_E_WINDOW)
            return;
        must_ok(err);
        must(number == ++p->sent);
    }
}

static void check_outcome(pump *p, const rove_sent *sent)
{
    size_t it = 0;
    rove_link link;
    rove_span payload;
    tally_output out;
    if (sent->kind == ROVE_SENT_UNREACHABLE || sent->kind == ROVE_SENT_REACHED)
        return;
    must(sent->kind == ROVE_SENT_APPLIED);
    must_ok(sent->err);
    must(sent->number == ++p->applied);
    must(sent->output_count == 1 && rove_sent_next(sent, &it, &link, &payload));
    must(payload.size == sizeof out);
    memcpy(&out, payload.data, sizeof out);
    fill(p, p->applied);
    must(out.who == p->who && out.number == p->applied && out.count > p->count);
    must(out.sum == sum_of(p->room, p->size));
    p->count = out.count;
}

void pump_run(pump *p, uint32_t applied)
{
    while (p->applied < applied) {
        rove_sent sent;
        feed(p);
        must_ok(rove_sender_next(p->sender, PATIENCE, &sent));
        check_outcome(p, &sent);
        rove_sent_fini(&sent);
    }
}

void pump_finish(pump *p)
{
    rove_sent sent;
    pump_run(p, p->target);
    rove_sender_close(p->sender);
    must(rove_sender_send(p->sender, (rove_span){"x", 1}, true, NULL) == ROVE_E_CLOSED);
    must_ok(rove_sender_next(p->sender, PATIENCE, &sent));
    must(sent.kind == ROVE_SENT_ENDED);
    rove_sent_fini(&sent);
    must(rove_sender_next(p->sender, PATIENCE, &sent) == ROVE_E_CLOSED);
    pump_drop(p);
}

void pump_drop(pump *p)
{
    rove_sender_free(p->sender);
    free(p->room);
}

static void *pump_main(void *arg)
{
    pump_finish(arg);
    return NULL;
}

void pump_start(pump *p)
{
    must(pthread_create(&p->thread, NULL, pump_main, p) == 0);
}

void pump_join(pump *p)
{
    pthread_join(p->thread, NULL);
}
