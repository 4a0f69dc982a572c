/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of the highest location records known, and what follows when a higher one comes. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <compute/location_table.h>
#include <string.h>

/* Entries looked at for one to evict before a new one is refused. */
#define EVICT_LOOK 64

/* ---- life ---- */

rove_err rovei_locations_new(struct rovei_locations **ret, rovei_node *n)
{
    struct rovei_locations *l = ROVEI_NEW(n->alloc, struct rovei_locations);
    if (!l)
        return ROVE_E_NOMEM;
    uint64_t seed = rovei_rng_u64(&n->env->rng);
    l->node = n;
    if (rovei_location_tells_new(l)) {
        ROVEI_DELETE(n->alloc, l);
        return ROVE_E_NOMEM;
    }
    rovei_map_init_inside(&l->places, n->alloc, sizeof(rove_entity),
                          offsetof(rovei_place_entry, daemon), seed);
    rovei_map_init(&l->seeks, n->alloc, sizeof(rove_entity), seed);
    rovei_map_init(&l->inquiries, n->alloc, sizeof(uint64_t), seed);
    rovei_map_init(&l->forwarding, n->alloc, sizeof(rove_entity), seed);
    rovei_map_init(&l->correspondents, n->alloc, sizeof(rove_entity), seed);
    rovei_map_init(&l->routes, n->alloc, sizeof(rove_entity), seed);
    rovei_list_init(&l->by_age);
    *ret = l;
    return ROVE_OK;
}

static void forget_kind(const rove_alloc *a, rovei_place_entry *p)
{
    if (p->kind)
        rovei_free(a, p->kind, strlen(p->kind) + 1);
    p->kind = NULL;
}

static void place_free(struct rovei_locations *l, rovei_place_entry *p)
{
    const rove_alloc *a = l->node->alloc;
    rovei_map_remove(&l->places, p->daemon.bytes);
    rovei_location_tellable(l, p, true);
    rovei_list_remove(&p->age);
    rovei_packed_record_free(a, p->record);
    forget_kind(a, p);
    ROVEI_DELETE(a, p);
    l->node->stats.records = l->places.count;
}

void rovei_locations_free(struct rovei_locations *l)
{
    if (!l)
        return;
    const rove_alloc *a = l->node->alloc;
    rovei_location_seeks_free(l);
    rovei_location_tells_free(l);
    ROVEI_LIST_EACH (it, next, &l->by_age)
        place_free(l, ROVEI_CONTAINER(it, rovei_place_entry, age));
    size_t it = 0;
    for (rovei_correspondent *c; (c = rovei_map_next(&l->correspondents, &it));)
        ROVEI_DELETE(a, c);
    ROVEI_CHECK(!l->routes.count);
    rovei_map_fini(&l->places);
    rovei_map_fini(&l->seeks);
    rovei_map_fini(&l->inquiries);
    rovei_map_fini(&l->forwarding);
    rovei_map_fini(&l->correspondents);
    rovei_map_fini(&l->routes);
    ROVEI_DELETE(a, l);
}

/* ---- looking up ---- */

rovei_place_entry *rovei_place_get(const rovei_node *n, const rove_entity *daemon)
{
    return rovei_map_get(&n->locations->places, daemon->bytes);
}

rovei_record rovei_place_record(const rovei_node *n, const rovei_place_entry *p)
{
    rovei_record r;
    rovei_record_unpack(p->record, n, &p->daemon, &r);
    return r;
}

static void show(const rovei_node *n, const rovei_place_entry *p, rovei_location *ret)
{
    rovei_record_unpack(p->record, n, &p->daemon, &ret->record);
    ret->stopped = p->stopped;
    ret->tombstone = p->tombstone;
    ret->kind = p->kind ? p->kind : "";
    ret->since = p->since;
    ret->sinc_number = p->sinc_number;
}

const rovei_location *rovei_location_read(const rovei_node *n, const rove_entity *daemon,
                                          rovei_location *room)
{
    const rovei_place_entry *p = rovei_place_get(n, daemon);
    if (p)
        show(n, p, room);
    return p ? room : NULL;
}

bool rovei_location_next(const rovei_node *n, size_t *it, rovei_location *ret)
{
    const rovei_place_entry *p = rovei_map_next(&n->locations->places, it);
    if (p)
        show(n, p, ret);
    return p != NULL;
}

rove_err rovei_node_find_origin(const rovei_node *n, uint64_t origin, rove_entity *ret)
{
    const rovei_daemon *d = rovei_map_get(&n->origins, &origin);
    if (d) {
        *ret = d->entity;
        return ROVE_OK;
    }
    const rovei_place_entry *found = NULL;
    size_t it = 0;
    for (const rovei_place_entry *p; (p = rovei_map_next(&n->locations->places, &it));)
        if (p->origin == origin && (!found || p->tombstone))
            found = p;
    if (!found)
        return ROVE_E_NOT_FOUND;
    *ret = found->daemon;
    return ROVE_OK;
}

rovei_correspondent *rovei_correspondent_get(rovei_node *n, const rove_entity *peer)
{
    struct rovei_locations *l = n->locations;
    rovei_correspondent *c = rovei_map_get(&l->correspondents, peer->bytes);
    if (c)
        return c;
    if (!rovei_node_reaches(n, peer))
        return NULL; /* so there are never more of them than peers */
    c = ROVEI_NEW(n->alloc, rovei_correspondent);
    if (!c)
        return NULL;
    c->peer = *peer;
    if (rovei_map_put(&l->correspondents, peer->bytes, c)) {
        ROVEI_DELETE(n->alloc, c);
        return NULL;
    }
    return c;
}

void rovei_location_peer_gone(rovei_node *n, const rove_entity *peer)
{
    rovei_correspondent *c = rovei_map_remove(&n->locations->correspondents, peer->bytes);
    if (c)
        ROVEI_DELETE(n->alloc, c);
}

/* ---- keeping ---- */

static bool is_wanted(const rovei_node *n, const rove_entity *daemon)
{
    return rovei_daemon_find(n, daemon) || rovei_map_get(&n->locations->routes, daemon->bytes) ||
           rovei_map_get(&n->locations->seeks, daemon->bytes);
}

/* A record for which there is a place although protected ones fill the table. Those that name this
 * node and are not protected later make room for the next ones. */
static bool concerns(const rovei_node *n, const rovei_record *r)
{
    return rovei_entity_equal(&r->holder, &n->self) || is_wanted(n, &r->daemon);
}

static bool is_protected(const rovei_node *n, rovei_now now, const rovei_place_entry *p)
{
    uint64_t keep = n->env->limits.lane_expiry;
    if ((p->tombstone || p->stopped) && now.mono < rovei_time_add(p->since, keep))
        return true;
    return is_wanted(n, &p->daemon);
}

/* Makes room for a record from elsewhere; false: everything looked at has to stay. */
static bool make_room(rovei_node *n, rovei_now now)
{
    struct rovei_locations *l = n->locations;
    for (int i = 0; l->places.count >= n->env->limits.records_max; i++) {
        if (i == EVICT_LOOK)
            return false;
        rovei_place_entry *p = ROVEI_CONTAINER(l->by_age.next, rovei_place_entry, age);
        if (is_protected(n, now, p)) {
            rovei_list_remove(&p->age);
            rovei_list_add_tail(&l->by_age, &p->age);
        } else {
            place_free(l, p);
        }
    }
    return true;
}

/* Takes `packed` over on success. */
static rove_err place_add(rovei_node *n, rovei_now now, const rovei_record *r, bool own,
                          rovei_packed_record *packed, rovei_place_entry **ret)
{
    /* What this node itself gives away, holds or looks for is bounded elsewhere and must not fail
     * here for want of a place. */
    if (!own && !make_room(n, now) && !concerns(n, r))
        return ROVE_E_FULL;
    rovei_place_entry *p = ROVEI_NEW(n->alloc, rovei_place_entry);
    if (!p)
        return ROVE_E_NOMEM;
    p->daemon = r->daemon;
    rove_err err = rovei_map_put(&n->locations->places, p->daemon.bytes, p);
    if (err) {
        ROVEI_DELETE(n->alloc, p);
        return err;
    }
    p->origin = rovei_entity_origin(&r->daemon);
    p->record = packed;
    rovei_list_init(&p->tell);
    rovei_list_add_tail(&n->locations->by_age, &p->age);
    n->stats.records = n->locations->places.count;
    *ret = p;
    return ROVE_OK;
}

/* A record without the daemon's own signature proves nothing about a daemon of which nothing is
 * known, and nothing against one that its own key vouched for. */
bool rovei_location_trusts(const rovei_node *n, const rovei_record *r, const rove_entity *from)
{
    if (!(r->flags & ROVEI_RECORD_BY_HOLDER) || rovei_entity_equal(from, &n->self) ||
        rovei_moves_accepted(n, &r->daemon, from, r->epoch))
        return true;
    const rovei_location *known = rovei_location_get(n, &r->daemon);
    if (!known)
        return false;
    return rovei_record_compare(r, &known->record) == 0 ||
           (r->epoch > known->record.epoch && rovei_entity_equal(&known->record.holder, &r->giver));
}

/* ---- what follows from a higher record ---- */

/* True when `r`, which is above all that was known, is above the right that this node has. */
static bool is_above(const rovei_node *n, const rovei_daemon *d, const rovei_record *r)
{
    rovei_record own = {.epoch = d->epoch, .holder = n->self};
    /* What comes in class net takes an epoch above all that is known when it begins to serve; until
     * then its source may have committed already, and no older record may throw it away. */
    if (d->net_target && d->role != ROVEI_ROLE_ACTIVATING)
        return false;
    if (d->role == ROVEI_ROLE_COMMITTING || d->role == ROVEI_ROLE_COMMITTED)
        /* The record that this node gave is known by then: what is above it is above that. */
        own.epoch = d->epoch + 1;
    if (d->role == ROVEI_ROLE_COMMITTED)
        return r->epoch >= own.epoch;
    return rovei_record_compare(r, &own) > 0;
}

/* The right was given to this very node in class net, whose records know no epochs: the copy that
 * serves here is the one that is meant, and takes a right above it. */
static bool keeps_serving(rovei_node *n, rovei_now now, rovei_daemon *d, const rovei_record *r)
{
    rove_entity here = rovei_entity_of_net(rovei_entity_node_id(&n->self));
    if (d->role != ROVEI_ROLE_SERVING || rovei_daemon_moves(d) ||
        !rovei_entity_equal(&r->holder, &here) || rovei_daemon_outbid(n, now, d, r->epoch))
        return false;
    const rovei_location *at = rovei_location_get(n, &d->entity);
    if (at)
        rovei_location_tell(n, &at->record);
    return true;
}

static void higher_record(rovei_node *n, rovei_now now, const rovei_record *r,
                          const rove_entity *from)
{
    if (r->flags & ROVEI_RECORD_FORCED) {
        rovei_note *note = rovei_node_note(n, ROVEI_NOTE_FORCED);
        if (note) {
            note->daemon = r->daemon;
            note->peer = r->holder;
            note->value = r->epoch;
        }
    }
    rovei_daemon *d = rovei_daemon_find(n, &r->daemon);
    if (d && d->role != ROVEI_ROLE_CLAIMING && !rovei_entity_equal(from, &n->self) &&
        is_above(n, d, r) && !keeps_serving(n, now, d, r))
        rovei_daemon_superseded(n, now, d, r);
    rovei_senders_located(n, now, &r->daemon);
    rovei_spawn_answer(n, now, &r->daemon);
}

/* The record goes into its place, which is made when there is none. */
static rove_err keep(rovei_node *n, rovei_now now, const rovei_record *r, bool own,
                     rovei_place_entry **p)
{
    if (*p)
        return rovei_record_pack(&(*p)->record, n, r);
    rovei_packed_record *packed = NULL;
    rove_err err = rovei_record_pack(&packed, n, r);
    if (!err)
        err = place_add(n, now, r, own, packed, p);
    if (err)
        rovei_packed_record_free(n->alloc, packed);
    return err;
}

rove_err rovei_location_reserve(rovei_node *n, const rove_entity *daemon)
{
    rovei_place_entry *p = rovei_place_get(n, daemon);
    return p ? rovei_record_make_room(&p->record, n) : ROVE_OK;
}

/* How `r` stands to what is kept, and whether it is to be kept instead. */
static bool is_news(const rovei_node *n, const rovei_place_entry *p, const rovei_record *r,
                    int *ret_order)
{
    *ret_order = 1;
    if (!p)
        return true;
    rovei_record known = rovei_place_record(n, p);
    *ret_order = rovei_record_compare(r, &known);
    if (ROVEI_MUTANT(REDIRECT_IGNORES_EPOCH) && *ret_order < 0 && !rovei_daemon_find(n, &r->daemon))
        *ret_order = 1;
    return *ret_order > 0 || (*ret_order == 0 && r->not_after > known.not_after);
}

rove_err rovei_location_learn(rovei_node *n, rovei_now now, const rovei_record *r,
                              const rove_entity *from)
{
    bool own = rovei_entity_equal(from, &n->self);
    rovei_place_entry *p = rovei_place_get(n, &r->daemon);
    int order;
    if (!is_news(n, p, r, &order))
        return ROVE_OK;
    rove_err err = own ? ROVE_OK : rovei_record_verify(r);
    if (!err && !rovei_location_trusts(n, r, from))
        err = ROVE_E_REFUSED;
    if (!err)
        err = keep(n, now, r, own, &p);
    if (err)
        return err;
    rovei_location_reach(n, now, &r->daemon);
    if (order == 0)
        return ROVE_OK;
    p->since = now.mono;
    if (rovei_entity_equal(&r->holder, &n->self))
        p->tombstone = false;
    p->stopped = false;
    rovei_list_remove(&p->age);
    rovei_list_add_tail(&n->locations->by_age, &p->age);
    rovei_location_tellable(n->locations, p, false);
    rovei_record kept = *r; /* `r` may lie inside of what changes now */
    higher_record(n, now, &kept, from);
    return ROVE_OK;
}

static void name_kind(const rove_alloc *a, rovei_place_entry *p, const char *kind)
{
    size_t size = strlen(kind) + 1;
    char *name = rovei_alloc(a, size);
    if (!name)
        return; /* it stays what it was, or not known */
    memcpy(name, kind, size);
    forget_kind(a, p);
    p->kind = name;
}

void rovei_location_mark(rovei_node *n, rovei_now now, const rove_entity *daemon, bool stopped,
                         bool tombstone, const char *kind)
{
    rovei_place_entry *p = rovei_place_get(n, daemon);
    if (!p)
        return;
    p->stopped = stopped;
    p->tombstone = tombstone;
    p->since = now.mono;
    if (kind && kind[0])
        name_kind(n->alloc, p, kind);
    const rovei_daemon *d = rovei_daemon_find(n, daemon);
    if (d)
        p->sinc_number = d->sinc.number;
}

void rovei_locations_check(const rovei_node *n)
{
    const struct rovei_locations *l = n->locations;
    size_t count = 0;
    ROVEI_LIST_EACH (it, next, &l->by_age) {
        const rovei_place_entry *p = ROVEI_CONTAINER(it, rovei_place_entry, age);
        rovei_record r = rovei_place_record(n, p);
        ROVEI_CHECK(rovei_map_get(&l->places, p->daemon.bytes) == p);
        ROVEI_CHECK(r.epoch && r.epoch <= ROVEI_EPOCH_MAX);
        ROVEI_CHECK(!p->stopped || rovei_entity_equal(&r.holder, &n->self));
        count++;
    }
    ROVEI_CHECK(count == l->places.count);
    size_t tellable = 0;
    ROVEI_LIST_EACH (it, next, &l->tellable)
        tellable++;
    ROVEI_CHECK(tellable == l->tellable_count);
    ROVEI_CHECK(l->forwarding.count <= l->inquiries.count);
}
