/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishing over the control socket: events as they come, several together. Nothing is pushed out
 * that a Rove node has not taken: while there is no room the client is not read. */
#include <base/alloc.h>
#include <base/buf.h>
#include <channel/publisher.h>
#include <shell/control_inside.h>
#include <string.h>

#define BATCH_EVENTS 512u
#define BATCH_BYTES  ((size_t)256 << 10) /* one event may be larger */
#define ERRORS_KEPT  16u

/* What a client publishes. */
typedef struct control_publishing {
    char name[ROVEI_CHANNEL_NAME_MAX + 1];
    bool reliable;
    bool stalled;  /* the batch waits for room */
    bool finished; /* nothing comes behind the batch */
    /* the batch: gathered in `bytes`, then copied to `owner`, which is kept with the events */
    uint8_t *bytes;
    size_t size, room;
    size_t ends[BATCH_EVENTS];
    size_t count, done; /* events; how many of them are published */
    rove_buf *owner;
    /* for the report */
    uint64_t published, first, last, failed;
    uint32_t attempted; /* of the last batch */
    rovei_publish_error errors[ERRORS_KEPT];
    size_t error_count;
} control_publishing;

void control_publish_leave(connection *c)
{
    control_publishing *p = c->publishing;
    if (!p)
        return;
    rove_buf_unref(p->owner);
    rovei_free(c->control->alloc, p->bytes, p->room);
    ROVEI_DELETE(c->control->alloc, p);
    c->publishing = NULL;
}

bool control_publish_stalled(const connection *c)
{
    return c->publishing && c->publishing->stalled;
}

static void give_up(connection *c, rove_err err)
{
    control_publish_leave(c);
    control_end_err(c, err);
}

static void count(control_publishing *p, const rovei_publish_report *r, size_t events)
{
    p->attempted = r->attempted;
    p->failed += r->failed;
    if (r->failed)
        p->error_count = r->failed < ERRORS_KEPT ? r->failed : ERRORS_KEPT;
    if (!r->first)
        return;
    if (!p->first)
        p->first = r->first;
    p->last = r->first + events - 1;
    p->published += events;
}

/* Publishes the next of the batch, at most `most` events. */
static rove_err publish(control_publishing *p, rovei_node *core, rovei_now now, size_t most)
{
    rove_span events[BATCH_EVENTS];
    size_t n = p->count - p->done < most ? p->count - p->done : most;
    for (size_t i = 0; i < n; i++) {
        size_t at = p->done + i ? p->ends[p->done + i - 1] : 0;
        events[i] = (rove_span){rovei_buf_data(p->owner) + at, p->ends[p->done + i] - at};
    }
    rovei_publish_report report = {.errors = p->errors, .room = ERRORS_KEPT};
    const rovei_publish order = {.channel = {p->name, strlen(p->name)},
                                 .events = events,
                                 .count = n,
                                 .owner = p->owner,
                                 .policy = ROVEI_PUBLISH_HOLD,
                                 .reliable = p->reliable};
    rove_err err = rovei_channels_publish(core, now, &order, &report);
    if (err)
        return err;
    count(p, &report, n);
    p->done += n;
    return ROVE_OK;
}

/* Publishes what has come. A channel that keeps fewer gets them in smaller parts. */
static rove_err publish_batch(connection *c, rovei_node *core, rovei_now now)
{
    control_publishing *p = c->publishing;
    rove_err err = ROVE_OK;
    if (p->count && !p->owner)
        p->owner = rovei_buf_copy(c->control->alloc, p->bytes, p->size);
    if (p->count && !p->owner)
        return ROVE_E_NOMEM;
    for (size_t most = BATCH_EVENTS; !err && p->done < p->count;) {
        err = publish(p, core, now, most);
        if (err == ROVE_E_TOO_LARGE && most > 1) {
            most = (p->count - p->done < most ? p->count - p->done : most) / 2;
            most += most == 0;
            err = p->count - p->done > 1 ? ROVE_OK : err;
        }
    }
    if (err)
        return err;
    rove_buf_unref(p->owner);
    p->owner = NULL;
    p->count = p->done = p->size = 0;
    return ROVE_OK;
}

static json_object *report(const control_publishing *p)
{
    json_object *o = json_object_new_object(), *errors = json_object_new_array();
    control_add(o, "event", control_text("published"));
    control_add(o, "channel", control_text(p->name));
    control_add(o, "published", control_u64(p->published));
    control_add(o, "first", p->first ? control_u64(p->first) : NULL);
    control_add(o, "last", p->first ? control_u64(p->last) : NULL);
    control_add(o, "subscribers", control_u64(p->attempted));
    control_add(o, "failed", control_u64(p->failed));
    for (size_t i = 0; errors && i < p->error_count; i++) {
        json_object *e = json_object_new_object();
        control_add(e, "node_id", control_id(p->errors[i].node_id));
        control_add(e, "reason", control_reason(p->errors[i].err));
        json_object_array_add(errors, e);
    }
    control_add(o, "errors", errors);
    return o;
}

/* Publishes what there is, and ends the request after the last of it. */
void control_publish_go_on(connection *c, rovei_node *core, rovei_now now)
{
    control_publishing *p = c->publishing;
    if (!p)
        return;
    rove_err err = publish_batch(c, core, now);
    p->stalled = err == ROVE_E_WINDOW;
    if (err && !p->stalled) {
        give_up(c, err);
    } else if (!err && p->finished) {
        json_object *said = report(p);
        control_publish_leave(c);
        control_say(c, said);
        if (!c->closing)
            control_end_err(c, ROVE_OK);
    }
}

static rove_err add(connection *c, rove_span event)
{
    control_publishing *p = c->publishing;
    if (event.size > rovei_node_env(c->control->node)->limits.event_max)
        return ROVE_E_TOO_LARGE;
    size_t need = p->size + event.size;
    if (need > p->room) {
        size_t room = need > 2 * p->room ? need : 2 * p->room;
        void *bytes = rovei_realloc(c->control->alloc, p->bytes, p->room, room);
        if (!bytes)
            return ROVE_E_NOMEM;
        p->bytes = bytes;
        p->room = room;
    }
    if (event.size)
        memcpy(p->bytes + p->size, event.data, event.size);
    p->size = need;
    p->ends[p->count++] = need;
    return ROVE_OK;
}

void control_publish_frame(connection *c, rovei_node *core, rovei_now now, uint8_t type,
                           rove_span body)
{
    control_publishing *p = c->publishing;
    rove_err err = type == ROVEI_FRAME_DROP ? ROVE_E_CANCELLED : ROVE_OK;
    if (type == ROVEI_FRAME_EVENT)
        err = add(c, body);
    p->finished = type == ROVEI_FRAME_FINISH;
    if (err)
        give_up(c, err);
    else if (p->finished || p->count == BATCH_EVENTS || p->size >= BATCH_BYTES)
        control_publish_go_on(c, core, now);
}

void control_publish_room(rovei_control *control, rovei_node *core, rovei_now now, rove_span name)
{
    ROVEI_LIST_EACH (it, next, &control->connections) {
        connection *c = ROVEI_CONTAINER(it, connection, all);
        if (!control_publish_stalled(c) || strlen(c->publishing->name) != name.size ||
            memcmp(c->publishing->name, name.data, name.size) != 0)
            continue;
        control_publish_go_on(c, core, now);
        c->clogged |= !control_publish_stalled(c); /* what came meanwhile is still to be read */
        control_leave(c);
    }
}

void control_publish_begin(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    const char *name = control_field(request, "channel");
    (void)core;
    (void)now;
    if (!name) {
        control_end(c, ROVE_E_USAGE, "the request lacks the channel");
        return;
    }
    rove_err err = rovei_channel_name_check((rove_span){name, strlen(name)});
    control_publishing *p = err ? NULL : ROVEI_NEW(c->control->alloc, control_publishing);
    if (!p) {
        control_end_err(c, err ? err : ROVE_E_NOMEM);
        return;
    }
    memcpy(p->name, name, strlen(name) + 1);
    p->reliable = control_flag(request, "reliable");
    c->publishing = p;
    c->mode = MODE_PUBLISH;
    json_object *o = json_object_new_object();
    control_add(o, "event", control_text("open"));
    control_add(o, "event_max", control_u64(rovei_node_env(c->control->node)->limits.event_max));
    control_say(c, o);
}
