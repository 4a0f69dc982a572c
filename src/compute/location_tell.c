/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells: records that go out unasked. A forced epoch at once to everybody; to a peer that comes up,
 * a few at a time, those that it may lack and another copy may have to yield to. */
#include <base/check.h>
#include <compute/location_table.h>
#include <string.h>

/* A peer's work with a record that is new to it is two signatures. */
#define TELL_ENTRIES  64  /* entries of the round that one turn looks at */
#define TELL_MESSAGES 256 /* and messages after which it ends */
#define TELL_PAUSE    (100 * ROVE_MILLISECOND)

static rove_err tell_one(rovei_node *n, const rove_entity *peer, const rovei_record *record)
{
    rovei_locate m;
    memset(&m, 0, sizeof m);
    m.type = ROVEI_LOCATE_TELL;
    m.flags = ROVEI_LOCATE_RECORD;
    m.daemon = record->daemon;
    m.record = *record;
    return rovei_locate_send(n, peer, &m);
}

void rovei_location_tell(rovei_node *n, const rovei_record *record)
{
    rovei_peer_info info;
    size_t it = 0;
    while (rovei_mesh_peer_next(n->mesh, &it, &info))
        if (rovei_node_reaches(n, &info.entity))
            (void)!tell_one(n, &info.entity, record);
}

/* ---- what a peer may lack ---- */

static bool is_tellable(const rovei_node *n, const rovei_record *r)
{
    if (r->flags & ROVEI_RECORD_FORCED)
        return true;
    const rovei_daemon *d = rovei_daemon_find(n, &r->daemon);
    return rovei_entity_equal(&r->holder, &n->self) && (r->epoch > 1 || (d && d->given));
}

void rovei_location_tellable(struct rovei_locations *l, rovei_place_entry *p, bool gone)
{
    bool is = !rovei_list_empty(&p->tell);
    bool should = false;
    if (!gone) {
        rovei_record r = rovei_place_record(l->node, p);
        should = is_tellable(l->node, &r);
    }
    if (is && !should) {
        if (l->tell_next == &p->tell)
            l->tell_next = p->tell.next;
        rovei_list_remove(&p->tell);
        l->tellable_count--;
    } else if (should && !is) {
        rovei_list_add_tail(&l->tellable, &p->tell);
        l->tellable_count++;
    }
}

/* Only what still stands: another's forced epoch, or a daemon that is served here. */
static bool still_stands(const rovei_node *n, const rovei_record *r)
{
    const rovei_daemon *d = rovei_daemon_find(n, &r->daemon);
    return (r->flags & ROVEI_RECORD_FORCED) || (d && rovei_daemon_serves(d));
}

/* Tells of one entry all peers whose round is not over, and counts them. */
static size_t tell_entry(struct rovei_locations *l, const rovei_record *r)
{
    bool stands = still_stands(l->node, r);
    size_t it = 0, told = 0;
    for (rovei_correspondent *c; (c = rovei_map_next(&l->correspondents, &it));) {
        if (!c->tell_left)
            continue;
        told++;
        c->tell_left--;
        /* What could not be sent comes again in another round. */
        if (stands && tell_one(l->node, &c->peer, r) && rovei_node_reaches(l->node, &c->peer))
            c->tell_left = l->tellable_count;
    }
    return told;
}

static bool somebody_waits(const struct rovei_locations *l)
{
    size_t it = 0;
    for (const rovei_correspondent *c; (c = rovei_map_next(&l->correspondents, &it));)
        if (c->tell_left)
            return true;
    return false;
}

static void fire_tell(rovei_timer *timer, void *user, rovei_now now)
{
    struct rovei_locations *l = user;
    size_t told = 0;
    for (int i = 0; i < TELL_ENTRIES && told < TELL_MESSAGES && l->tellable_count; i++) {
        if (l->tell_next == &l->tellable)
            l->tell_next = l->tellable.next;
        const rovei_place_entry *p = ROVEI_CONTAINER(l->tell_next, rovei_place_entry, tell);
        rovei_record r = rovei_place_record(l->node, p);
        size_t more = tell_entry(l, &r);
        if (!more)
            return;
        told += more;
        l->tell_next = l->tell_next->next;
    }
    if (l->tellable_count && somebody_waits(l))
        rovei_timer_set(&l->node->timers, timer, rovei_time_add(now.mono, TELL_PAUSE));
}

void rovei_location_tell_peer(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    struct rovei_locations *l = n->locations;
    rovei_correspondent *c = l->tellable_count ? rovei_correspondent_get(n, peer) : NULL;
    if (!c)
        return;
    c->tell_left = l->tellable_count;
    if (!rovei_timer_is_set(&l->tell))
        rovei_timer_set(&n->timers, &l->tell, now.mono);
}

rove_err rovei_location_tells_new(struct rovei_locations *l)
{
    rovei_list_init(&l->tellable);
    l->tell_next = &l->tellable;
    return rovei_timers_reserve(&l->node->timers, &l->tell, fire_tell, l);
}

void rovei_location_tells_free(struct rovei_locations *l)
{
    rovei_timers_release(&l->node->timers, &l->tell);
}

/* ---- a Tell that comes ---- */

void rovei_location_told(rovei_node *n, rovei_now now, const rove_entity *from,
                         const rovei_record *record)
{
    const rovei_location *at = rovei_location_get(n, &record->daemon);
    int order = at ? rovei_record_compare(record, &at->record) : 0;
    rove_entity before = at ? at->record.holder : *from;
    if (order < 0) { /* it is the other one who has to yield */
        (void)!tell_one(n, from, &at->record);
        return;
    }
    if (rovei_location_learn(n, now, record, from)) {
        n->stats.frames_refused++;
        return;
    }
    /* Who held it may not see the one who told. */
    if (order > 0 && !rovei_entity_equal(&before, from) && !rovei_entity_equal(&before, &n->self) &&
        !rovei_entity_equal(&before, &record->holder) && rovei_node_reaches(n, &before))
        (void)!tell_one(n, &before, record);
}
