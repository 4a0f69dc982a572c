/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node publishes, to a client of the control socket. One that does not read is not given
 * more: the listener is held, and so, in the end, is the publisher. */
#include <base/alloc.h>
#include <base/cursor.h>
#include <shell/control_inside.h>
#include <shell/listener.h>
#include <shell/token_text.h>
#include <string.h>

typedef struct control_listening {
    rovei_listener listener;
    bool held;
} control_listening;

void control_listen_leave(connection *c, rovei_now now)
{
    control_listening *l = c->listening;
    if (!l)
        return;
    rovei_listener_close(&l->listener, now);
    ROVEI_DELETE(c->control->alloc, l);
    c->listening = NULL;
}

void control_listen_finish(connection *c, rovei_now now)
{
    control_listen_leave(c, now);
    control_end_err(c, ROVE_OK);
}

static void hold(connection *c, rovei_now now, bool held)
{
    if (c->listening->held == held)
        return;
    c->listening->held = held;
    rovei_listener_hold(&c->listening->listener, now, held);
}

void control_listen_room(connection *c, rovei_now now)
{
    if (c->listening && !control_is_clogged(c))
        hold(c, now, false);
}

static void say_event(connection *c, rovei_now now, const rovei_note *note)
{
    uint8_t number[8];
    rovei_store64(number, note->number);
    if (rovei_channel_put(&c->channel, ROVEI_FRAME_HEARD, (rove_span){number, sizeof number},
                          note->text))
        control_close(c);
    else if (control_is_clogged(c))
        hold(c, now, true);
}

static void say_gap(connection *c, const rovei_note *note)
{
    json_object *o = json_object_new_object();
    control_add(o, "event", control_text("gap"));
    control_add(o, "first", control_u64(note->number));
    control_add(o, "last", control_u64(note->value));
    control_say(c, o);
}

static void say_state(connection *c, const char *event, rove_err err)
{
    json_object *o = json_object_new_object();
    control_add(o, "event", control_text(event));
    control_add(o, "reason", control_reason(err));
    control_say(c, o);
}

static void on_note(void *user, rovei_node *core, rovei_now now, const rovei_note *note)
{
    connection *c = user;
    (void)core;
    switch ((int)note->kind) {
    case ROVEI_NOTE_SUBSCRIBED:
        if (note->err) {
            control_listen_leave(c, now);
            control_end_err(c, note->err);
        } else {
            say_state(c, "subscribed", ROVE_OK);
        }
        break;
    case ROVEI_NOTE_PUBLISHED:
        say_event(c, now, note);
        break;
    case ROVEI_NOTE_FEED_GAP:
        say_gap(c, note);
        break;
    case ROVEI_NOTE_FEED_ENDED:
        say_state(c, "ended", note->err);
        break;
    default:
        return;
    }
    control_resume_later(c);
}

/* The token of the request, in `room`. */
static rove_err take_token(json_object *request, uint8_t room[ROVE_TOKEN_CHAIN_MAX], rove_span *ret)
{
    const char *text = control_field(request, "token");
    rove_token_chain chain;
    if (!text)
        return ROVE_OK;
    rove_err err = rovei_token_read(&chain, (rove_span){text, strlen(text)});
    if (!err)
        *ret = (rove_span){room, rovei_token_chain_encode(&chain, room)};
    return err;
}

static rove_err open_one(connection *c, rovei_now now, json_object *request, const char *channel)
{
    uint8_t room[ROVE_TOKEN_CHAIN_MAX];
    rove_listen_options options;
    rove_listen_options_init(&options);
    options.group = control_field(request, "group");
    const char *publisher = control_field(request, "publisher");
    if (publisher && !control_parse_id(publisher, &options.publisher))
        return ROVE_E_USAGE;
    rove_err err = take_token(request, room, &options.token);
    if (err)
        return err;
    c->listening = ROVEI_NEW(c->control->alloc, control_listening);
    if (!c->listening)
        return ROVE_E_NOMEM;
    err = rovei_listener_open(&c->listening->listener, c->control->node, now, channel, &options,
                              on_note, c);
    if (err)
        control_listen_leave(c, now);
    return err;
}

void control_listen_begin(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    const char *channel = control_field(request, "channel");
    (void)core;
    if (!channel) {
        control_end(c, ROVE_E_USAGE, "the request lacks the channel");
        return;
    }
    rove_err err = open_one(c, now, request, channel);
    if (err)
        control_end_err(c, err);
    else
        c->mode = MODE_LISTEN;
}
