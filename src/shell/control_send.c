/* SPDX-License-Identifier: Apache-2.0
 *
 * Events from a client of the control socket into a lane, and their outcomes back. What the lane
 * has no room for waits here, within the credit that a client has. */
#include <base/buf.h>
#include <shell/control_inside.h>

static void forget_waiting(connection *c)
{
    ROVEI_LIST_EACH (it, next, &c->waiting) {
        waiting_event *w = ROVEI_CONTAINER(it, waiting_event, all);
        rovei_list_remove(&w->all);
        rove_buf_unref(w->payload);
        ROVEI_DELETE(c->control->alloc, w);
    }
    c->waiting_count = c->waiting_bytes = 0;
}

/* The lane cannot go on: what has no outcome stays without. */
static void fail(connection *c, rovei_node *core, rovei_now now, rove_err err)
{
    control_send_closed(c, core, now);
    control_end_err(c, err);
}

static void tell_taken(connection *c)
{
    uint8_t body[ROVEI_TAKEN_SIZE];
    if (c->taken.count == c->told)
        return;
    rovei_taken_encode(&c->taken, body);
    c->told = c->taken.count;
    c->taken.stalled = 0;
    if (rovei_channel_put(&c->channel, ROVEI_FRAME_TAKEN, (rove_span){body, sizeof body},
                          (rove_span){NULL, 0}))
        control_close(c);
}

/* Hands the first waiting event to the lane: OK, or why it was not taken. */
static rove_err hand_over(connection *c, rovei_node *core, rovei_now now)
{
    waiting_event *w = ROVEI_CONTAINER(c->waiting.next, waiting_event, all);
    uint64_t number;
    rove_err err = rovei_node_sender_send(core, now, c->sender, w->payload, &number);
    if (err) {
        if (!c->waiting_since)
            c->waiting_since = now.mono;
        return err;
    }
    uint64_t waited = c->waiting_since ? now.mono - c->waiting_since : 0;
    if (waited > c->taken.stalled)
        c->taken.stalled = waited;
    c->waiting_since = 0;
    c->taken.count++;
    c->taken.at = now.mono;
    c->waiting_count--;
    c->waiting_bytes -= rovei_buf_size(w->payload);
    rovei_list_remove(&w->all);
    rove_buf_unref(w->payload);
    ROVEI_DELETE(c->control->alloc, w);
    return ROVE_OK;
}

void control_send_room(connection *c, rovei_node *core, rovei_now now)
{
    rove_err err = ROVE_OK;
    if (c->mode != MODE_SEND || !c->sender)
        return;
    while (!err && c->waiting_count && rovei_channel_queued(&c->channel) <= OUT_HIGH)
        err = hand_over(c, core, now);
    tell_taken(c);
    if (c->closing)
        return;
    if (err && err != ROVE_E_WINDOW) {
        fail(c, core, now, err);
    } else if (c->finishing && !c->waiting_count) {
        c->finishing = false;
        rovei_node_sender_close(core, now, c->sender, false);
    }
}

static void resume(rovei_task *task, rovei_node *core, rovei_now now)
{
    connection *c = ROVEI_CONTAINER(task, connection, resume);
    c->resuming = false;
    if (!c->closing)
        control_send_room(c, core, now);
    control_leave(c);
}

static void resume_later(connection *c)
{
    if (c->resuming)
        return;
    c->resuming = true;
    c->resume.run = resume;
    rovei_postbox_post(rovei_node_postbox(c->control->node), &c->resume);
}

static void tell_outcome(connection *c, rovei_event_outcome kind, uint64_t number,
                         const rovei_note *note)
{
    rovei_outcome_head head = {.kind = kind,
                               .number = number,
                               .last = kind == ROVEI_EVENT_LOST ? note->value : number,
                               .err = note->err,
                               .outputs = note->output_count};
    bool outputs = kind == ROVEI_EVENT_APPLIED && !note->err;
    uint8_t bytes[ROVEI_OUTCOME_SIZE];
    rovei_outcome_encode(&head, bytes);
    if (rovei_channel_put(&c->channel, ROVEI_FRAME_OUTCOME, (rove_span){bytes, sizeof bytes},
                          outputs ? note->outputs : note->text))
        control_close(c);
}

static void tell_state(connection *c, const char *what)
{
    json_object *o = json_object_new_object();
    control_add(o, "event", control_text(what));
    control_say(c, o);
}

static void on_note(void *user, rovei_node *core, rovei_now now, const rovei_note *note)
{
    (void)core;
    (void)now;
    connection *c = user;
    switch (note->kind) {
    case ROVEI_NOTE_APPLIED:
        for (uint64_t n = note->number; n <= note->value; n++)
            tell_outcome(c, ROVEI_EVENT_APPLIED, n, note);
        break;
    case ROVEI_NOTE_REFUSED:
        tell_outcome(c, ROVEI_EVENT_REFUSED, note->number, note);
        break;
    case ROVEI_NOTE_UNKNOWN:
        tell_outcome(c, ROVEI_EVENT_UNKNOWN, note->number, note);
        break;
    case ROVEI_NOTE_LOST:
        tell_outcome(c, ROVEI_EVENT_LOST, note->number, note);
        break;
    case ROVEI_NOTE_UNREACHABLE:
        tell_state(c, "unreachable");
        break;
    case ROVEI_NOTE_REACHED:
        tell_state(c, "reached");
        break;
    case ROVEI_NOTE_SENDER_ENDED:
        rovei_node_unroute_sender(c->control->node, c->sender);
        c->sender = 0;
        forget_waiting(c);
        control_end_err(c, ROVE_OK);
        break;
    case ROVEI_NOTE_ROOM:
    case ROVEI_NOTE_SPAWNED:
    case ROVEI_NOTE_MOVE:
    case ROVEI_NOTE_MOVE_ENDED:
    case ROVEI_NOTE_PEER:
    case ROVEI_NOTE_HANDSHAKE_TIME:
    case ROVEI_NOTE_FORCED:
        break;
    }
    resume_later(c);
}

void control_send_begin(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    rove_entity daemon;
    uint64_t sender = 0;
    if (!control_daemon(c, core, request, &daemon))
        return;
    rove_err err = rovei_node_sender_open(core, now, &daemon, &sender);
    if (err) {
        control_end_err(c, err);
        return;
    }
    err = rovei_node_route_sender(c->control->node, sender, on_note, c);
    if (err) {
        rovei_node_sender_close(core, now, sender, true);
        control_end_err(c, err);
        return;
    }
    c->mode = MODE_SEND;
    c->sender = sender;
    c->taken = (rovei_taken){0};
    c->told = c->waiting_since = 0;
    c->finishing = false;
    json_object *o = json_object_new_object();
    control_add(o, "event", control_text("open"));
    control_add(o, "event_max", control_u64(rovei_node_env(c->control->node)->limits.event_max));
    control_say(c, o);
}

static void take_event(connection *c, rovei_node *core, rovei_now now, rove_span body)
{
    if (body.size > rovei_node_env(c->control->node)->limits.event_max) {
        fail(c, core, now, ROVE_E_TOO_LARGE);
        return;
    }
    if (c->finishing || (c->waiting_count && (c->waiting_count >= ROVEI_CREDIT_EVENTS ||
                                              c->waiting_bytes > ROVEI_CREDIT_BYTES))) {
        fail(c, core, now, ROVE_E_FLOW);
        return;
    }
    waiting_event *w = ROVEI_NEW(c->control->alloc, waiting_event);
    if (!w || rove_buf_new(&w->payload, body, c->control->alloc)) {
        if (w)
            ROVEI_DELETE(c->control->alloc, w);
        fail(c, core, now, ROVE_E_NOMEM);
        return;
    }
    rovei_list_add_tail(&c->waiting, &w->all);
    c->waiting_count++;
    c->waiting_bytes += body.size;
}

void control_send_frame(connection *c, rovei_node *core, rovei_now now, uint8_t type,
                        rove_span body)
{
    if (!c->sender)
        return;
    if (type == ROVEI_FRAME_EVENT) {
        take_event(c, core, now, body);
    } else if (type == ROVEI_FRAME_FINISH) {
        c->finishing = true;
    } else {
        forget_waiting(c);
        c->finishing = false;
        rovei_node_sender_close(core, now, c->sender, true);
    }
}

void control_send_closed(connection *c, rovei_node *core, rovei_now now)
{
    forget_waiting(c);
    if (!c->sender)
        return;
    rovei_node_unroute_sender(c->control->node, c->sender);
    /* What was handed over still goes its way; then the lane is closed. */
    rovei_node_sender_close(core, now, c->sender, false);
    c->sender = 0;
}
