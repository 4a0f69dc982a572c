/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishing: who it is for, what it pushes out of the history, and the report. */
#include <base/alloc.h>
#include <channel/inside.h>
#include <net/wire.h>
#include <string.h>

/* One publish while it is made. */
typedef struct publish {
    struct rovei_channels *c;
    rovei_now now;
    const rovei_publish *p;
    rovei_channel *ch;
    size_t count; /* of c->picked */
    rovei_publish_report report;
} publish;

static rove_err check_events(const struct rovei_channels *c, const rovei_publish *p,
                             uint64_t *ret_bytes)
{
    const rove_limits *l = &c->node->env->limits;
    uint64_t bytes = 0;
    if (p->count > l->channel_history)
        return ROVE_E_TOO_LARGE;
    for (size_t i = 0; i < p->count; i++) {
        if (p->events[i].size > l->event_max)
            return ROVE_E_TOO_LARGE;
        bytes += ROVEI_HISTORY_ITEM + p->events[i].size;
    }
    *ret_bytes = bytes;
    return p->count > 1 && bytes > l->channel_history_bytes ? ROVE_E_TOO_LARGE : ROVE_OK;
}

/* The recipients, without those whose right has ended. */
static rove_err pick(publish *s, const rovei_channel_config *config)
{
    struct rovei_channels *c = s->c;
    size_t most = rovei_roster_recipients(&s->ch->roster);
    if (most > c->picked_room) {
        rovei_seat **room = rovei_realloc(c->node->alloc, (void *)c->picked,
                                          c->picked_room * sizeof *room, most * sizeof *room);
        if (!room)
            return ROVE_E_NOMEM;
        c->picked = room;
        c->picked_room = most;
    }
    if (most)
        rovei_roster_pick(&s->ch->roster, c->picked);
    for (size_t i = 0; i < most; i++) {
        rovei_member *m = (rovei_member *)(void *)c->picked[i];
        if (rovei_gates_hold(c, s->now, config, m, false)) {
            c->picked[s->count++] = c->picked[i];
        } else if (config && rovei_channel_token_required(config)) {
            c->stats.evicted++;
            rovei_member_remove(c, s->now, m, ROVEI_ENDED_UNAUTHORIZED);
        }
    }
    s->report.attempted = (uint32_t)s->count;
    return ROVE_OK;
}

static void fail(publish *s, const rovei_member *m, rove_err err)
{
    if (s->report.failed < s->report.room)
        s->report.errors[s->report.failed] = (rovei_publish_error){m->seat.node_id, err};
    s->report.failed++;
    if (err == ROVE_E_WINDOW)
        s->c->stats.backpressured++;
}

/* Something that this leg was not sent yet would be pushed out. */
static bool is_behind(const rovei_member *m, uint64_t first)
{
    return rovei_member_is_leg(m) && m->next < first;
}

/* The first leg that would lose something, for a policy that wants none to. */
static const rovei_member *first_behind(const publish *s, uint64_t first)
{
    for (size_t i = 0; i < s->count; i++) {
        const rovei_member *m = (const rovei_member *)(const void *)s->c->picked[i];
        if (is_behind(m, first))
            return m;
    }
    return NULL;
}

static bool held(const publish *s, uint64_t first)
{
    size_t it = 0;
    for (rovei_seat *seat; (seat = rovei_roster_next(&s->ch->roster, &it));)
        if (rovei_leg_holds(s->c, s->now, (const rovei_member *)(const void *)seat, first - 1))
            return true;
    return false;
}

/* ---- the history ---- */

static void displace(struct rovei_channels *c, rovei_channel *ch, size_t count)
{
    c->bytes -= ch->history.bytes;
    for (; count; count--)
        rovei_history_drop(&ch->history);
    c->bytes += ch->history.bytes;
}

/* All histories together are too large: the largest gives up a quarter of its events. The newest
 * event of a channel stays. */
static void keep_total(struct rovei_channels *c)
{
    while (c->bytes > c->node->env->limits.channels_history_bytes) {
        rovei_channel *largest = NULL;
        ROVEI_LIST_EACH (it, next, &c->all) {
            rovei_channel *ch = ROVEI_CONTAINER(it, rovei_channel, all);
            if (ch->history.count > 1 && (!largest || ch->history.bytes > largest->history.bytes))
                largest = ch;
        }
        if (!largest)
            return;
        size_t count = largest->history.count / 4;
        displace(c, largest, count ? count : 1);
    }
}

/* A group's leg has to be told apart which numbers are its own. */
static rove_err assign(publish *s, uint64_t first)
{
    for (size_t i = 0; i < s->count; i++) {
        rovei_member *m = (rovei_member *)(void *)s->c->picked[i];
        if (!rovei_member_is_leg(m) || !m->seat.group)
            continue;
        rovei_channel_run *run = rovei_queue_push(&m->runs);
        if (!run) {
            while (i--) { /* as it was */
                m = (rovei_member *)(void *)s->c->picked[i];
                if (rovei_member_is_leg(m) && m->seat.group)
                    m->runs.count--;
            }
            return ROVE_E_NOMEM;
        }
        *run = (rovei_channel_run){first, s->p->count};
    }
    return ROVE_OK;
}

static rove_err append(publish *s, size_t displaced)
{
    struct rovei_channels *c = s->c;
    rovei_history *h = &s->ch->history;
    uint64_t first = rovei_history_next(h);
    rove_err err = first > ROVEI_CHANNEL_NUMBER_MAX - s->p->count ? ROVE_E_SEQUENCE_END : ROVE_OK;
    if (!err)
        err = rovei_history_reserve(h, s->p->count);
    if (!err)
        err = assign(s, first);
    if (err)
        return err;
    displace(c, s->ch, displaced);
    c->bytes -= h->bytes;
    for (size_t i = 0; i < s->p->count; i++)
        rovei_history_push(h, s->p->owner, s->p->events[i]);
    c->bytes += h->bytes;
    keep_total(c);
    s->ch->published += s->p->count;
    c->stats.published += s->p->count;
    s->report.first = first;
    return ROVE_OK;
}

/* ---- to the subscribers ---- */

/* As many of the events from `*at` on as one packet holds. */
static rovei_flow_frames frame(const rovei_publish *p, size_t *at,
                               uint8_t room[ROVEI_NET_PLAIN_MAX])
{
    rovei_writer w = rovei_writer_of(room, ROVEI_NET_PLAIN_MAX);
    uint16_t count = 0;
    while (*at < p->count && count < ROVEI_NET_EVENTS_MAX &&
           rovei_writer_room(&w) >= ROVEI_NET_FRAME_HEAD + p->events[*at].size) {
        rovei_write_u32(&w, (uint32_t)p->events[*at].size);
        rovei_write_span(&w, p->events[(*at)++]);
        count++;
    }
    return (rovei_flow_frames){{room, rovei_writer_size(&w)}, count};
}

/* A publish that one packet does not hold goes in several; what was sent before an error stays
 * sent. */
static rove_err give_net(publish *s, const rovei_member *m)
{
    rovei_node *n = s->c->node;
    uint8_t room[ROVEI_NET_PLAIN_MAX];
    if (!n->net)
        return ROVE_E_UNREACHABLE;
    for (size_t i = 0; i < s->p->count; i++)
        if (s->p->events[i].size > ROVEI_NET_EVENT_MAX)
            return ROVE_E_TOO_LARGE;
    for (size_t at = 0; at < s->p->count;) {
        rovei_flow_frames frames = frame(s->p, &at, room);
        rove_err err = s->p->policy == ROVEI_PUBLISH_HOLD || s->p->waits
                           ? rovei_net_publish_waiting(n->net, s->now, m->seat.node_id, s->ch->hash,
                                                       s->p->reliable, &frames)
                           : rovei_net_publish(n->net, s->now, m->seat.node_id, s->ch->hash,
                                               s->p->reliable, &frames);
        if (err)
            return err == ROVE_E_FULL ? ROVE_E_WINDOW : err;
    }
    return ROVE_OK;
}

static void give(publish *s, uint64_t first)
{
    for (size_t i = 0; i < s->count; i++) {
        rovei_member *m = (rovei_member *)(void *)s->c->picked[i];
        if (!rovei_member_is_leg(m))
            continue;
        rovei_leg_wake(s->c, m);
        if (m->next < first && m->next < s->ch->history.first) {
            rovei_leg_settle(s->c, m);
            fail(s, m, ROVE_E_WINDOW);
        } else {
            s->report.delivered++;
        }
    }
    for (size_t i = 0; i < s->count; i++) {
        const rovei_member *m = (const rovei_member *)(const void *)s->c->picked[i];
        if (rovei_member_is_leg(m))
            continue;
        rove_err err = give_net(s, m);
        if (!err) {
            s->report.delivered++;
            s->c->stats.net_sent++;
            continue;
        }
        fail(s, m, err);
        if (s->p->policy == ROVEI_PUBLISH_FAIL_FAST)
            return;
    }
}

static rove_err publish_on(publish *s, const rovei_channel_config *config, uint64_t bytes)
{
    const rove_limits *l = &s->c->node->env->limits;
    size_t displaced = rovei_history_displaced(&s->ch->history, s->p->count, bytes,
                                               l->channel_history, l->channel_history_bytes);
    uint64_t first = s->ch->history.first + displaced;
    if (s->p->policy == ROVEI_PUBLISH_HOLD &&
        ((displaced && held(s, first)) || rovei_channel_net_is_full(s->c, s->ch))) {
        s->ch->wants_room = true;
        s->c->stats.backpressured++;
        return ROVE_E_WINDOW;
    }
    rove_err err = pick(s, config);
    if (err)
        return err;
    const rovei_member *behind =
        s->p->policy == ROVEI_PUBLISH_FAIL_FAST ? first_behind(s, first) : NULL;
    if (behind) { /* nothing is published, so that nobody has it twice when it is tried again */
        fail(s, behind, ROVE_E_WINDOW);
        return ROVE_OK;
    }
    uint64_t number = rovei_history_next(&s->ch->history);
    err = append(s, displaced);
    if (err)
        return err;
    give(s, number);
    if (s->p->policy == ROVEI_PUBLISH_BEST_EFFORT && s->report.failed && !s->report.delivered)
        return ROVE_E_NOT_DELIVERED;
    return ROVE_OK;
}

rove_err rovei_channels_publish(rovei_node *n, rovei_now now, const rovei_publish *p,
                                rovei_publish_report *ret)
{
    struct rovei_channels *c = n->channels;
    publish s = {.c = c, .now = now, .p = p};
    uint64_t bytes;
    rove_err err = rovei_channel_name_check(p->channel);
    if (!err)
        err = check_events(c, p, &bytes);
    if (err)
        return err;
    const rovei_channel_config *config = rovei_gates_config(c, p->channel);
    if (!rovei_gates_publish(c, now, config, p->channel))
        return ROVE_E_CHANNEL_DENIED;
    if (ret) {
        s.report.errors = ret->errors;
        s.report.room = ret->errors ? ret->room : 0;
    }
    s.ch = rovei_channel_find(c, p->channel);
    if (s.ch && p->count)
        err = publish_on(&s, config, bytes);
    if (ret && (!err || err == ROVE_E_NOT_DELIVERED))
        *ret = s.report;
    return err;
}
