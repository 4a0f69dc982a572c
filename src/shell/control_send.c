/* SPDX-License-Identifier: Apache-2.0
 *
 * Events from a client of the control socket into a lane, and their outcomes back. What the lane
 * has no room for waits here, within the credit that a client has. */
#include <base/buf.h>
#include <identity/entity.h>
#include <shell/control_sending.h>
#include <shell/files.h>
#include <string.h>

void control_sending_forget_waiting(sending *s)
{
    ROVEI_LIST_EACH (it, next, &s->waiting) {
        waiting_event *w = ROVEI_CONTAINER(it, waiting_event, all);
        rovei_list_remove(&w->all);
        rove_buf_unref(w->payload);
        ROVEI_DELETE(s->control->alloc, w);
    }
    s->waiting_count = s->waiting_bytes = 0;
    s->waiting_since = 0;
}

void control_sending_close(sending *s, rovei_node *core, rovei_now now)
{
    if (!s->sender)
        return;
    rovei_node_unroute_sender(s->control->node, s->sender);
    rovei_node_sender_close(core, now, s->sender, false);
    s->sender = 0;
}

/* The sending is over, and the request with it. */
static void end(sending *s, rove_err err)
{
    s->ended = true;
    s->end = err;
    control_sending_forget_waiting(s);
    if (s->connection)
        control_end_err(s->connection, err);
}

/* The lane cannot go on: what has no outcome stays without. */
static void fail(sending *s, rovei_node *core, rovei_now now, rove_err err)
{
    control_sending_close(s, core, now);
    end(s, err);
}

/* ---- into the lane ---- */

static void tell_taken(sending *s)
{
    uint8_t body[ROVEI_TAKEN_SIZE];
    if (s->taken.count == s->told)
        return;
    rovei_taken_encode(&s->taken, body);
    s->told = s->taken.count;
    s->taken.stalled = 0;
    if (rovei_channel_put(&s->connection->channel, ROVEI_FRAME_TAKEN,
                          (rove_span){body, sizeof body}, (rove_span){NULL, 0}))
        control_close(s->connection);
}

/* Hands the first waiting event to the lane: OK, or why it was not taken. */
static rove_err hand_over(sending *s, rovei_node *core, rovei_now now)
{
    waiting_event *w = ROVEI_CONTAINER(s->waiting.next, waiting_event, all);
    uint64_t number;
    rove_err err = rovei_node_sender_send(core, now, s->sender, w->payload, &number);
    if (err) {
        if (!s->waiting_since)
            s->waiting_since = now.mono;
        return err;
    }
    uint64_t waited = s->waiting_since ? now.mono - s->waiting_since : 0;
    if (waited > s->taken.stalled)
        s->taken.stalled = waited;
    s->waiting_since = 0;
    s->taken.count++;
    s->taken.at = now.mono;
    s->waiting_count--;
    s->waiting_bytes -= rovei_buf_size(w->payload);
    rovei_list_remove(&w->all);
    rove_buf_unref(w->payload);
    ROVEI_DELETE(s->control->alloc, w);
    return ROVE_OK;
}

/* A client that does not read its outcomes, or does not confirm them, is given no more room. */
static bool is_behind(const sending *s)
{
    return rovei_channel_queued(&s->connection->channel) > OUT_HIGH ||
           rovei_outcome_log_bytes(&s->log) > OUT_HIGH;
}

void control_send_room(connection *c, rovei_node *core, rovei_now now)
{
    rove_err err = ROVE_OK;
    sending *s = c->sending;
    if (c->mode != MODE_SEND || !s || !s->sender)
        return;
    while (!err && s->waiting_count && !is_behind(s))
        err = hand_over(s, core, now);
    tell_taken(s);
    if (c->closing)
        return;
    if (err && err != ROVE_E_WINDOW) {
        fail(s, core, now, err);
    } else if (s->finishing && !s->waiting_count && !s->finished) {
        s->finished = true;
        rovei_node_sender_close(core, now, s->sender, false);
    }
}

/* ---- what comes back ---- */

/* False: the sending is gone, since nobody is there any more. */
static bool tell_outcome(sending *s, rovei_node *core, rovei_now now, rovei_event_outcome kind,
                         uint64_t number, const rovei_note *note)
{
    rovei_outcome_head head = {.kind = kind,
                               .number = number,
                               .last = kind == ROVEI_EVENT_LOST ? note->value : number,
                               .err = note->err,
                               .outputs = note->output_count};
    bool outputs = kind == ROVEI_EVENT_APPLIED && !note->err;
    uint8_t bytes[ROVEI_OUTCOME_SIZE];
    rovei_outcome_encode(&head, bytes);
    rove_span first = {bytes, sizeof bytes}, rest = outputs ? note->outputs : note->text;
    rovei_control *control = s->control;
    if (s->named && rovei_outcome_log_add(&s->log, first, rest)) {
        s->named = false; /* one is missing: nobody can come back to it */
        rovei_outcome_log_fini(&s->log);
        if (!s->connection) {
            control_sending_free(s, core, now);
            return false;
        }
    }
    if (!s->connection)
        control_sending_bound(control, core, now);
    else if (rovei_channel_put(&s->connection->channel, ROVEI_FRAME_OUTCOME, first, rest))
        control_close(s->connection);
    else
        return true;
    return control_sending_is_there(control, s);
}

static void tell_state(sending *s, const char *what)
{
    json_object *o = json_object_new_object();
    control_add(o, "event", control_text(what));
    control_say(s->connection, o);
}

static void on_note(void *user, rovei_node *core, rovei_now now, const rovei_note *note)
{
    sending *s = user;
    connection *c = s->connection;
    bool there = true;
    switch (note->kind) {
    case ROVEI_NOTE_APPLIED:
        for (uint64_t n = note->number; there && n <= note->value; n++)
            there = tell_outcome(s, core, now, ROVEI_EVENT_APPLIED, n, note);
        break;
    case ROVEI_NOTE_REFUSED:
        (void)tell_outcome(s, core, now, ROVEI_EVENT_REFUSED, note->number, note);
        break;
    case ROVEI_NOTE_UNKNOWN:
        (void)tell_outcome(s, core, now, ROVEI_EVENT_UNKNOWN, note->number, note);
        break;
    case ROVEI_NOTE_LOST:
        (void)tell_outcome(s, core, now, ROVEI_EVENT_LOST, note->number, note);
        break;
    case ROVEI_NOTE_UNREACHABLE:
    case ROVEI_NOTE_REACHED:
        if (c)
            tell_state(s, note->kind == ROVEI_NOTE_REACHED ? "reached" : "unreachable");
        break;
    case ROVEI_NOTE_SENDER_ENDED:
        rovei_node_unroute_sender(s->control->node, s->sender);
        s->sender = 0;
        end(s, ROVE_OK);
        break;
    case ROVEI_NOTE_ROOM:
    case ROVEI_NOTE_SPAWNED:
    case ROVEI_NOTE_MOVE:
    case ROVEI_NOTE_MOVE_ENDED:
    case ROVEI_NOTE_PEER:
    case ROVEI_NOTE_HANDSHAKE_TIME:
    case ROVEI_NOTE_FORCED:
    case ROVEI_NOTE_ASIDE:
    case ROVEI_NOTE_CHANNEL_ROOM:
    case ROVEI_NOTE_SUBSCRIBED:
    case ROVEI_NOTE_UNSUBSCRIBED:
    case ROVEI_NOTE_PUBLISHED:
    case ROVEI_NOTE_FEED_GAP:
    case ROVEI_NOTE_FEED_ENDED:
    case ROVEI_NOTE_SPAWNED_THERE:
        break;
    }
    if (c)
        control_resume_later(c);
}

/* ---- beginning, and going on ---- */

static void say_open(connection *c, const sending *s)
{
    json_object *o = json_object_new_object();
    control_add(o, "event", control_text("open"));
    control_add(o, "event_max", control_u64(rovei_node_env(c->control->node)->limits.event_max));
    control_add(o, "taken", control_u64(s->taken.count));
    control_say(c, o);
}

static void begin(connection *c, rovei_node *core, rovei_now now, json_object *request,
                  const uint8_t *client)
{
    rove_entity daemon;
    if (!control_daemon(c, core, request, &daemon))
        return;
    sending *s = control_sending_new(c, client);
    rove_err err = s ? rovei_node_sender_open(core, now, &daemon, &s->sender) : ROVE_E_NOMEM;
    if (!err) {
        err = rovei_node_route_sender(c->control->node, s->sender, on_note, s);
        if (err)
            rovei_node_sender_close(core, now, s->sender, true);
    }
    if (err) {
        if (s) {
            s->sender = 0;
            control_sending_free(s, core, now);
        }
        control_end_err(c, err);
        return;
    }
    s->daemon = daemon;
    c->mode = MODE_SEND;
    say_open(c, s);
}

/* Whether the request names the daemon of this sending, by entity or origin. */
static bool is_of_daemon(const sending *s, json_object *request)
{
    const char *name = control_field(request, "daemon");
    rove_entity entity;
    uint64_t origin;
    if (name && rovei_hex_decode(name, strlen(name), entity.bytes, sizeof entity.bytes))
        return rovei_entity_equal(&entity, &s->daemon);
    return name && control_parse_id(name, &origin) && origin == rovei_entity_origin(&s->daemon);
}

/* The client is there again and has so many outcomes: it gets the others, and goes on. */
static void go_on(connection *c, sending *s, uint64_t have)
{
    size_t it = 0;
    rove_span outcome;
    if (have < s->log.dropped || rovei_outcome_log_drop(&s->log, have)) {
        control_end(c, ROVE_E_USAGE, "the client cannot have that number of outcomes");
        return;
    }
    connection *before = s->connection;
    if (before) { /* which nobody uses any more */
        control_sending_detach(s);
        control_close(before);
        control_leave(before);
    }
    control_sending_attach(s, c);
    c->mode = MODE_SEND;
    s->told = s->taken.count;
    say_open(c, s);
    while (!c->closing && rovei_outcome_log_next(&s->log, &it, &outcome))
        if (rovei_channel_put(&c->channel, ROVEI_FRAME_OUTCOME, outcome, (rove_span){NULL, 0}))
            control_close(c);
    if (!c->closing && s->ended)
        control_end_err(c, s->end);
}

void control_send_begin(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    uint8_t client[ROVEI_CLIENT_SIZE];
    json_object *have = NULL;
    const char *name = control_field(request, "client");
    if (!name) {
        begin(c, core, now, request, NULL);
        return;
    }
    if (!rovei_hex_decode(name, strlen(name), client, sizeof client)) {
        control_end(c, ROVE_E_USAGE, "a client's name has 32 hex digits");
        return;
    }
    sending *s = control_sending_find(c->control, client);
    if (s && !is_of_daemon(s, request))
        control_end(c, ROVE_E_USAGE, "a client of that name sends to another daemon");
    else if (s)
        go_on(c, s,
              json_object_object_get_ex(request, "have", &have) ? json_object_get_uint64(have) : 0);
    else if (control_flag(request, "resume"))
        control_end(c, ROVE_E_NOT_FOUND,
                    "the node knows nothing of this sending any more: it was started anew, or the "
                    "limit client_keep has passed");
    else
        begin(c, core, now, request, client);
}

/* ---- frames ---- */

static void take_event(sending *s, rovei_node *core, rovei_now now, rove_span body)
{
    if (body.size > rovei_node_env(s->control->node)->limits.event_max) {
        fail(s, core, now, ROVE_E_TOO_LARGE);
        return;
    }
    if (s->finishing || (s->waiting_count && (s->waiting_count >= ROVEI_CREDIT_EVENTS ||
                                              s->waiting_bytes > ROVEI_CREDIT_BYTES))) {
        fail(s, core, now, ROVE_E_FLOW);
        return;
    }
    waiting_event *w = ROVEI_NEW(s->control->alloc, waiting_event);
    if (!w || rove_buf_new(&w->payload, body, s->control->alloc)) {
        if (w)
            ROVEI_DELETE(s->control->alloc, w);
        fail(s, core, now, ROVE_E_NOMEM);
        return;
    }
    rovei_list_add_tail(&s->waiting, &w->all);
    s->waiting_count++;
    s->waiting_bytes += body.size;
}

void control_send_frame(connection *c, rovei_node *core, rovei_now now, uint8_t type,
                        rove_span body)
{
    sending *s = c->sending;
    if (!s || !s->sender)
        return;
    if (type == ROVEI_FRAME_EVENT) {
        take_event(s, core, now, body);
    } else if (type == ROVEI_FRAME_FINISH) {
        s->finishing = true;
    } else {
        control_sending_forget_waiting(s);
        s->finishing = false;
        s->finished = true;
        rovei_node_sender_close(core, now, s->sender, true);
    }
}

void control_send_confirm(connection *c, rovei_node *core, rovei_now now, rove_span body)
{
    sending *s = c->sending;
    rovei_reader r = rovei_reader_of(body);
    uint64_t number = rovei_read_u64(&r);
    bool good = rovei_reader_end(&r) == ROVE_OK;
    if (good && (!s || !s->named))
        return; /* it crossed the end */
    if (!good || number < s->log.dropped || rovei_outcome_log_drop(&s->log, number)) {
        control_end(c, ROVE_E_FORMAT, "the client cannot have that number of outcomes");
        c->eof = true;
        return;
    }
    if (s->ended && number == s->log.count)
        control_sending_free(s, core, now);
}
