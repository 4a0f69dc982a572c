/* SPDX-License-Identifier: Apache-2.0
 *
 * Dumps of a node and its runtime. The text goes into one buffer of a bounded size: a list keeps
 * room for what has to follow it, and says how much it left out. */
#include <base/buf.h>
#include <host/moves.h>
#include <host/names.h>
#include <host/runtime.h>
#include <identity/entity.h>
#include <rove/async.h>
#include <rove/dump.h>
#include <shell/call.h>
#include <shell/node_inside.h>
#include <stdarg.h>
#include <stdio.h>

/* Of each list, for its end and for the lists after it; the limits come last and take less. */
#define TAIL_ROOM 6144

typedef struct text {
    char *at;
    size_t used, room;
    bool short_of; /* a part did not fit and was taken back */
} text;

/* Appends whole or not at all. */
__attribute__((format(printf, 2, 3))) static void add(text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(t->at + t->used, t->room - t->used, format, args);
    va_end(args);
    if (size < 0 || (size_t)size >= t->room - t->used)
        t->short_of = true;
    else
        t->used += (size_t)size;
}

static void add_hex(text *t, const char *name, const uint8_t *bytes, size_t size)
{
    add(t, "\"%s\":\"", name);
    for (size_t i = 0; i < size; i++)
        add(t, "%02x", bytes[i]);
    add(t, "\",");
}

static void add_u64(text *t, const char *name, uint64_t value)
{
    add(t, "\"%s\":%llu,", name, (unsigned long long)value);
}

static void add_id(text *t, const char *name, uint64_t value)
{
    add(t, "\"%s\":\"%016llx\",", name, (unsigned long long)value);
}

static void add_flag(text *t, const char *name, bool value)
{
    add(t, "\"%s\":%s,", name, value ? "true" : "false");
}

/* Strings of this library and names of kinds, which need no escapes. */
static void add_name(text *t, const char *name, const char *value)
{
    if (value)
        add(t, "\"%s\":\"%s\",", name, value);
    else
        add(t, "\"%s\":null,", name);
}

static void add_ms(text *t, const char *name, uint64_t ns)
{
    add(t, "\"%s\":%llu.%03llu,", name, (unsigned long long)(ns / 1000000),
        (unsigned long long)(ns / 1000 % 1000));
}

static void close_object(text *t)
{
    if (t->used && t->at[t->used - 1] == ',')
        t->used--;
    add(t, "},");
}

/* A list whose items come one by one; what does not fit is counted. */
typedef struct listing {
    text *t;
    const char *name;
    size_t start, left_out;
} listing;

static listing list_begin(text *t, const char *name)
{
    add(t, "\"%s\":[", name);
    return (listing){t, name, 0, 0};
}

static void item_begin(listing *l)
{
    l->start = l->t->used;
    add(l->t, "{");
}

static void item_end(listing *l)
{
    close_object(l->t);
    if (!l->left_out && !l->t->short_of && l->t->used + TAIL_ROOM <= l->t->room)
        return;
    l->left_out++;
    l->t->used = l->start;
    l->t->short_of = false;
}

static void list_end(listing *l)
{
    text *t = l->t;
    if (t->at[t->used - 1] == ',')
        t->used--;
    add(t, "],");
    if (l->left_out)
        add(t, "\"%s_left_out\":%zu,", l->name, l->left_out);
}

/* ---- the parts ---- */

static void dump_node(text *t, rove_node *node, rovei_node *core)
{
    rove_node_info info;
    rove_node_get_info(node, &info);
    add(t, "\"node\":{");
    add_hex(t, "entity", info.entity.bytes, sizeof info.entity.bytes);
    add_id(t, "node_id", info.node_id);
    add_name(t, "address", info.address);
    add_u64(t, "incarnation", info.incarnation);
    add_flag(t, "driven", node->driven);
    add_flag(t, "socket_full", node->socket_full);
    close_object(t);
    rovei_mesh_stats m = rovei_mesh_stats_get(rovei_node_mesh(core));
    m.drops[ROVEI_DROP_UNREAD] += rovei_node_unread(node);
    add(t, "\"mesh\":{");
    add_u64(t, "datagrams_received", m.datagrams_received);
    add_u64(t, "datagrams_accepted", m.datagrams_accepted);
    add_u64(t, "datagrams_sent", m.datagrams_sent);
    add_u64(t, "handshakes_started", m.handshakes_started);
    add_u64(t, "handshakes_answered", m.handshakes_answered);
    add_u64(t, "handshakes_completed", m.handshakes_completed);
    add_u64(t, "rekeys", m.rekeys);
    add_u64(t, "paths", m.paths);
    close_object(t);
    add(t, "\"drops\":{");
    for (unsigned i = 0; i < ROVEI_DROP_COUNT; i++)
        add_u64(t, rovei_drop_name((rovei_drop)i), m.drops[i]);
    close_object(t);
}

static void dump_counters(text *t, rovei_node *core)
{
    rovei_node_stats s = rovei_node_stats_get(core);
    add(t, "\"counters\":{");
    add_u64(t, "daemons", s.daemons);
    add_u64(t, "senders", s.senders);
    add_u64(t, "records", s.records);
    add_u64(t, "events_applied", s.events_applied);
    add_u64(t, "events_repeated", s.events_repeated);
    add_u64(t, "events_refused", s.events_refused);
    add_u64(t, "events_resent", s.events_resent);
    add_u64(t, "events_unknown", s.events_unknown);
    add_u64(t, "events_lost", s.events_lost);
    add_u64(t, "redirects", s.redirects);
    add_u64(t, "moves_completed", s.moves_completed);
    add_u64(t, "moves_aborted", s.moves_aborted);
    add_u64(t, "moves_refused", s.moves_refused);
    add_u64(t, "moves_cancelled", s.moves_cancelled);
    add_u64(t, "frames_malformed", s.frames_malformed);
    add_u64(t, "frames_refused", s.frames_refused);
    add_u64(t, "feed_errors", s.feed_errors);
    add_u64(t, "feed_lost", s.feed_lost);
    add_u64(t, "feed_dropped", s.feed_dropped);
    add_u64(t, "orders_taken", s.orders_taken);
    add_u64(t, "orders_refused", s.orders_refused);
    add_u64(t, "orders_repeated", s.orders_repeated);
    add_u64(t, "spawns_served", s.spawns_served);
    add_u64(t, "spawns_refused", s.spawns_refused);
    add_u64(t, "spawns_repeated", s.spawns_repeated);
    add_u64(t, "spawns_dropped", s.spawns_dropped);
    close_object(t);
}

static void dump_pendings(text *t, const char *name, const rovei_pendings *p)
{
    add(t, "\"%s\":{", name);
    add_u64(t, "calls", atomic_load(&p->calls));
    add_u64(t, "events", atomic_load(&p->events));
    add_u64(t, "event_bytes", atomic_load(&p->bytes));
    close_object(t);
}

static size_t length(const rovei_list *list)
{
    size_t count = 0;
    for (const rovei_list *it = list->next; it != list; it = it->next)
        count++;
    return count;
}

static const char *life_name(int life)
{
    static const char *const names[] = {"registering", "ready", "shutting_down"};
    return names[life];
}

static void dump_runtime(text *t, const struct rovei_host *h)
{
    if (!h) {
        add(t, "\"runtime\":null,");
        return;
    }
    add(t, "\"runtime\":{");
    add_name(t, "life", life_name(atomic_load(&h->life)));
    add_u64(t, "workers", h->workers.count);
    add_u64(t, "listed", rovei_registry_count(&h->registry));
    add_u64(t, "cells", h->cells.count);
    add_u64(t, "spawns", length(&h->spawns));
    add_u64(t, "move_waits", length(&h->waits));
    add_u64(t, "move_watches", length(&h->move_watches));
    add_u64(t, "observers", atomic_load(&h->observers.count));
    dump_pendings(t, "pending", &h->pendings);
    close_object(t);
}

static void dump_peers(text *t, rovei_node *core)
{
    listing l = list_begin(t, "peers");
    rovei_peer_info p;
    for (size_t it = 0; rovei_node_peer_next(core, &it, &p);) {
        char address[64] = "";
        if (p.addr.family)
            rovei_address_format(&p.addr, address, sizeof address);
        item_begin(&l);
        add_id(t, "node_id", p.node_id);
        add_name(t, "class", p.session_class == ROVEI_CLASS_NET ? "net" : "rove");
        add_name(t, "state", rovei_peer_state_name(p.state));
        add_name(t, "address", address);
        add_id(t, "session", p.association);
        add_u64(t, "incarnation", p.incarnation);
        add_ms(t, "rtt_ms", p.rtt);
        add_flag(t, "unanswered", p.unanswered);
        item_end(&l);
    }
    list_end(&l);
}

static void dump_queue(text *t, const struct rovei_host *h, uint64_t cell)
{
    const rovei_resident *r = h && cell ? rovei_map_get(&h->cells, &cell) : NULL;
    if (!r)
        return;
    unsigned state = atomic_load(&r->mailbox.state);
    add_flag(t, "queued", state & ROVEI_MAILBOX_PENDING);
    add_flag(t, "busy", state & ROVEI_MAILBOX_RUNNING);
    add_u64(t, "references", atomic_load(&r->refs));
}

static void dump_daemons(text *t, rovei_node *core, const struct rovei_host *h, rovei_now now)
{
    listing l = list_begin(t, "daemons");
    rovei_daemon_info d;
    for (size_t it = 0; rovei_node_daemon_next(core, &it, &d);) {
        item_begin(&l);
        add_id(t, "origin", rovei_entity_origin(&d.entity));
        add_name(t, "kind", d.kind);
        add_name(t, "state", rovei_daemon_state_name(d.state));
        add_u64(t, "epoch", d.epoch);
        add_id(t, "holder", rovei_entity_node_id(&d.holder));
        add_u64(t, "cell", d.cell);
        add_u64(t, "lanes", d.lanes);
        add_ms(t, "for_ms", now.mono > d.since ? now.mono - d.since : 0);
        if (d.in_move)
            add_hex(t, "attempt", d.attempt.bytes, sizeof d.attempt.bytes);
        add_name(t, "note", d.note);
        dump_queue(t, h, d.cell);
        item_end(&l);
    }
    list_end(&l);
}

static void dump_moves(text *t, rovei_node *core, rovei_now now)
{
    listing l = list_begin(t, "moves");
    rovei_move_info i;
    for (size_t it = 0; rovei_node_move_next(core, &it, &i);) {
        rove_migration_info m = rovei_migration_info(&i, now);
        item_begin(&l);
        add_hex(t, "attempt", m.migration.attempt, sizeof m.migration.attempt);
        add_id(t, "origin", m.daemon.origin);
        add_id(t, "from", rovei_entity_node_id(&m.source));
        add_id(t, "to", rovei_entity_node_id(&m.target));
        add_id(t, "by", rovei_entity_node_id(&m.orchestrator));
        add_u64(t, "epoch", m.epoch);
        add_name(t, "phase", rove_phase_name(m.phase));
        add_name(t, "outcome", rovei_outcome_name(i.outcome));
        add_name(t, "reason", m.reason ? rove_err_name(m.reason) : NULL);
        add_flag(t, "closed", i.closed);
        add_u64(t, "attempts", m.attempts);
        add_u64(t, "unbound", m.unbound);
        add_u64(t, "bytes", m.bytes);
        add_ms(t, "elapsed_ms", m.elapsed);
        add_ms(t, "blackout_ms", m.blackout);
        item_end(&l);
    }
    list_end(&l);
}

static void dump_limits(text *t, const rove_limits *limits)
{
    add(t, "\"limits\":{");
#define DUMP_LIMIT(name, unit, preset, least, most, why) add_u64(t, #name, limits->name);
    ROVE_LIMIT_LIST(DUMP_LIMIT)
#undef DUMP_LIMIT
    close_object(t);
}

/* ---- the calls ---- */

struct dump_call {
    rove_node *node;
    rove_buf *text;
    rove_err err;
};

static void dump(void *arg, rovei_node *core, rovei_now now)
{
    struct dump_call *c = arg;
    rove_node *node = c->node;
    const rove_alloc *a = &node->env.alloc;
    text t = {.room = (size_t)node->env.limits.dump_bytes};
    t.at = rovei_alloc(a, t.room);
    if (!t.at) {
        c->err = ROVE_E_NOMEM;
        return;
    }
    add(&t, "{");
    dump_node(&t, node, core);
    dump_counters(&t, core);
    dump_pendings(&t, "pending", &node->pendings);
    dump_runtime(&t, node->host);
    dump_peers(&t, core);
    dump_daemons(&t, core, node->host, now);
    dump_moves(&t, core, now);
    dump_limits(&t, &node->env.limits);
    close_object(&t);
    c->text = rovei_buf_copy(a, t.at, t.used - 1); /* without the last comma */
    c->err = c->text ? ROVE_OK : ROVE_E_NOMEM;
    rovei_free(a, t.at, t.room);
}

rove_err rove_node_dump(rove_node *node, rove_buf **ret)
{
    if (!node || !ret)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    struct dump_call c = {.node = node};
    rovei_node_call(node, dump, &c);
    if (c.err == ROVE_OK)
        *ret = c.text;
    return c.err;
}

struct dumping {
    rovei_pending pending;
    struct dump_call call;
    rove_dump_fn *done;
    void *user;
};

static void dump_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    struct dumping *d = ROVEI_CONTAINER(task, struct dumping, pending.task);
    dump(&d->call, core, now);
    d->done(d->user, d->call.err, d->call.text);
    rove_buf_unref(d->call.text);
    rovei_pending_end(&d->pending);
}

rove_err rove_node_dump_async(rove_node *node, rove_dump_fn *done, void *user)
{
    if (!node || !done)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    struct dumping *d;
    rove_err err = ROVEI_PENDING_NEW(&d, &node->pendings);
    if (err)
        return err;
    d->call.node = node;
    d->done = done;
    d->user = user;
    rovei_pending_post(&d->pending, dump_run);
    return ROVE_OK;
}
