/* SPDX-License-Identifier: Apache-2.0
 *
 * The model of a target of the reference. */
#include "stock_model.h"

#include <state/snapshot.h>

static bool lost(stock *s, bool leaving, rovei_netmove_type type)
{
    if (s->lose[leaving][type]) {
        s->lose[leaving][type]--;
        return true;
    }
    return below(&s->random, 1000) < s->loss;
}

void stock_say(stock *s, const rovei_netmove_message *m)
{
    for (int i = 0; i < (s->twice ? 2 : 1); i++)
        if (!lost(s, true, m->type))
            outsider_say(s->o, s->who, 0, m);
}

static void say_failed(stock *s, uint64_t origin, rovei_netmove_code code, const char *text)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_MIGRATION_FAILED, .origin = origin};
    m.failed.code = code;
    if (text)
        m.failed.text = span_of(text);
    stock_say(s, &m);
}

static void drop_chunks(stock_daemon *d)
{
    free(d->bytes);
    free(d->have);
    d->bytes = NULL;
    d->have = NULL;
    d->total = d->count = 0;
}

static void drop_copy(stock_daemon *d)
{
    free(d->state);
    d->state = NULL;
    d->step = STOCK_NONE;
}

stock_daemon *stock_find(stock *s, uint64_t origin)
{
    for (size_t i = 0; i < STOCK_DAEMONS; i++)
        if (s->daemons[i].origin == origin)
            return &s->daemons[i];
    return NULL;
}

static stock_daemon *daemon_of(stock *s, uint64_t origin)
{
    stock_daemon *d = stock_find(s, origin);
    for (size_t i = 0; !d && i < STOCK_DAEMONS; i++)
        if (!s->daemons[i].origin) {
            d = &s->daemons[i];
            d->origin = origin;
        }
    assert_non_null(d);
    return d;
}

/* True: the snapshot is whole. */
static bool feed(stock_daemon *d, const rovei_netmove_chunk *c)
{
    if (d->total && c->seq_through != d->sequence)
        drop_chunks(d);
    if (!d->total) {
        d->total = c->total;
        d->sequence = c->seq_through;
        d->bytes = malloc((size_t)c->total * ROVEI_NETMOVE_CHUNK_MAX);
        d->have = calloc(c->total, sizeof *d->have);
        assert_true(d->bytes && d->have);
    }
    if (d->total != c->total)
        return false;
    d->count += !d->have[c->index];
    d->have[c->index] = true;
    memcpy(d->bytes + (size_t)c->index * ROVEI_NETMOVE_CHUNK_MAX, c->bytes.data, c->bytes.size);
    if (c->index + 1 == c->total)
        d->size = (size_t)c->index * ROVEI_NETMOVE_CHUNK_MAX + c->bytes.size;
    return d->count == d->total;
}

static bool open_key(stock *s, const rovei_snapshot *snapshot, bool *ret_has)
{
    uint8_t secret[32];
    rovei_keypair *key = NULL;
    outsider *p = &s->o->peers[s->who];
    assert_ok(rovei_keypair_x25519(p->id, secret));
    if (rovei_snapshot_open(&key, &p->t.env, snapshot, secret))
        return false;
    *ret_has = key != NULL;
    rovei_keypair_unref(key);
    return true;
}

static void restored(stock *s, stock_daemon *d)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_RESTORE_COMPLETE, .origin = d->origin};
    m.sequence = d->sequence;
    stock_say(s, &m);
}

static void restore(stock *s, stock_daemon *d)
{
    rovei_snapshot snapshot;
    bool has_key = false;
    uint64_t origin = d->origin;
    if (rovei_snapshot_decode(&snapshot, (rove_span){d->bytes, d->size}))
        say_failed(s, origin, ROVEI_NETMOVE_STATE_FAILED,
                   "failed to parse snapshot bytes on target");
    else if (d->step == STOCK_RESTORED)
        restored(s, d);
    else if (s->not_ready)
        say_failed(s, origin, ROVEI_NETMOVE_NOT_READY, NULL);
    else if (s->no_factory || d->step == STOCK_COMPLETED)
        say_failed(s, origin, ROVEI_NETMOVE_NO_FACTORY, NULL);
    else if (!open_key(s, &snapshot, &has_key))
        say_failed(s, origin, ROVEI_NETMOVE_STATE_FAILED,
                   "identity envelope open failed: identity envelope: seal_open failed (wrong "
                   "target key or tampered ciphertext)");
    else if (!has_key && !s->own_key)
        say_failed(s, origin, ROVEI_NETMOVE_STATE_FAILED, ROVEI_NETMOVE_NO_KEY);
    else if (s->refuse)
        say_failed(s, origin, ROVEI_NETMOVE_STATE_FAILED, s->refuse);
    else {
        d->head = snapshot.link;
        d->has_key = has_key;
        d->state_size = snapshot.state.size;
        free(d->state);
        d->state = malloc(d->state_size ? d->state_size : 1);
        assert_non_null(d->state);
        if (d->state_size)
            memcpy(d->state, snapshot.state.data, d->state_size);
        d->step = STOCK_RESTORED;
        d->restores++;
        restored(s, d);
    }
    drop_chunks(d);
}

static void on_chunk(stock *s, const rovei_netmove_message *m)
{
    stock_daemon *d = daemon_of(s, m->origin);
    if (s->no_runtime)
        say_failed(s, m->origin, ROVEI_NETMOVE_NO_RUNTIME, NULL);
    else if (feed(d, &m->chunk))
        restore(s, d);
}

static void on_events(stock *s, const rovei_netmove_message *m)
{
    stock_daemon *d = daemon_of(s, m->origin);
    rovei_netmove_message a = {.type = ROVEI_NETMOVE_REPLAY_COMPLETE, .origin = m->origin};
    if (d->step != STOCK_RESTORED) {
        s->stalls++;
        return;
    }
    a.replayed.head = d->head;
    a.replayed.sequence = d->head.sequence;
    if (s->wrong_head)
        a.replayed.head.parent ^= 1;
    stock_say(s, &a);
}

static void on_activate(stock *s, const rovei_netmove_message *m)
{
    stock_daemon *d = daemon_of(s, m->origin);
    rovei_netmove_message a = {.type = ROVEI_NETMOVE_ACTIVATE_ACK, .origin = m->origin};
    if (d->step == STOCK_NONE) {
        s->stalls++;
        return;
    }
    d->step = STOCK_COMPLETED;
    a.sequence = d->head.sequence;
    stock_say(s, &a);
}

static void on_failed(stock *s, const rovei_netmove_message *m)
{
    stock_daemon *d = daemon_of(s, m->origin);
    size_t size = m->failed.text.size;
    assert_true(size < sizeof s->last_text);
    if (size)
        memcpy(s->last_text, m->failed.text.data, size);
    s->last_text[size] = '\0';
    drop_chunks(d);
    if (d->step == STOCK_RESTORED)
        drop_copy(d);
}

static void measure(stock *s, size_t size)
{
    uint64_t now = s->o->w.now.mono;
    if (now - s->window >= 5 * ROVE_MILLISECOND) {
        s->window = now;
        s->window_bytes = 0;
    }
    s->window_bytes += size;
    if (s->window_bytes > s->widest)
        s->widest = s->window_bytes;
}

static void heard(outsiders *o, size_t who, rove_span bytes)
{
    stock *s = o->user;
    rovei_netmove_message m;
    if (who != s->who)
        return;
    assert_ok(rovei_netmove_decode(&m, bytes, NULL));
    s->seen[m.type]++;
    measure(s, bytes.size);
    if (s->deaf || lost(s, false, m.type))
        return;
    switch ((int)m.type) {
    case ROVEI_NETMOVE_SNAPSHOT_READY:
        on_chunk(s, &m);
        break;
    case ROVEI_NETMOVE_BUFFERED_EVENTS:
        assert_int_equal(m.events.count, 0);
        on_events(s, &m);
        break;
    case ROVEI_NETMOVE_ACTIVATE_TARGET:
        on_activate(s, &m);
        break;
    case ROVEI_NETMOVE_MIGRATION_FAILED:
        on_failed(s, &m);
        break;
    default:
        s->stalls++;
    }
}

void stock_init(stock *s, outsiders *o, size_t who)
{
    memset(s, 0, sizeof *s);
    s->o = o;
    s->who = who;
    s->random = 7;
    o->heard = heard;
    o->user = s;
}

void stock_fini(stock *s)
{
    for (size_t i = 0; i < STOCK_DAEMONS; i++) {
        drop_chunks(&s->daemons[i]);
        drop_copy(&s->daemons[i]);
    }
    s->o->heard = NULL;
}
