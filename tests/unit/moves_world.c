/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes and link of the tests of moves. */
#include "moves_world.h"

#define DATAGRAM ROVEI_NET_DATAGRAM_MAX

typedef struct packet {
    rovei_list list;
    uint64_t at;
    size_t from, to, size;
    uint8_t bytes[DATAGRAM];
} packet;

/* ---- life ---- */

static bool see(void *user, const rove_entity *to, uint16_t tag, rove_span head, rove_buf *body)
{
    world_node *n = user;
    (void)to;
    if (tag != ROVEI_TAG_MOVE)
        return n->mute && tag == ROVEI_TAG_OUTCOME;
    uint8_t type = *(const uint8_t *)head.data;
    rove_span tail = rove_buf_span(body);
    rove_buf_unref(n->kept[type]);
    n->kept[type] = rovei_buf_alloc(NULL, head.size + tail.size);
    assert_non_null(n->kept[type]);
    memcpy(rovei_buf_data(n->kept[type]), head.data, head.size);
    if (tail.size)
        memcpy(rovei_buf_data(n->kept[type]) + head.size, tail.data, tail.size);
    n->seen[type]++;
    if (type != n->swallow || !n->swallow_count)
        return false;
    n->swallow_count--;
    return true;
}

static void start_all(world *w, size_t count)
{
    w->count = count;
    w->now = (rovei_now){.mono = 1000 * ROVE_SECOND, .wall = 1700000000 * ROVE_SECOND};
    w->delay = ROVE_MILLISECOND;
    rovei_list_init(&w->packets);
    for (size_t i = 0; i < count; i++) {
        world_node *n = &w->nodes[i];
        test_env_init(&n->t, 7000 + i);
        assert_ok(rovei_keypair_generate(&n->id, &n->t.env));
        n->entity = *rovei_keypair_entity(n->id);
        n->next_cell = 1;
        n->tap = (rovei_node_tap){see, n};
    }
    for (size_t i = 0; i < count; i++)
        world_start(w, i);
    world_run(w, ROVE_SECOND);
}

void world_init(world *w, size_t count)
{
    memset(w, 0, sizeof *w);
    start_all(w, count);
}

void world_init_net(world *w, size_t count, const world_outside *outside)
{
    memset(w, 0, sizeof *w);
    w->outside = outside;
    w->net = true;
    start_all(w, count);
}

static rovei_addr addr_of(size_t i)
{
    return (rovei_addr){.family = 4, .ip = {10, 0, 0, (uint8_t)(i + 1)}, .port = 4000};
}

static void list_net(world *w, size_t at, size_t who)
{
    rovei_net_listing l = {.node_id = rovei_entity_node_id(&w->nodes[who].entity), .has_key = true};
    uint8_t secret[32];
    assert_ok(rovei_keypair_x25519(w->nodes[who].id, secret));
    rovei_x25519_public(l.key, secret);
    l.has_addr = at < who;
    if (l.has_addr)
        l.addr = addr_of(who);
    assert_ok(rovei_net_list(rovei_node_net(w->nodes[at].node), w->now, &l));
}

static bool is_apart(const world *w, size_t i, size_t j)
{
    return w->apart || (w->one_apart && (i == w->count - 1 || j == w->count - 1));
}

static void start_apart(world *w, size_t count)
{
    start_all(w, count);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            if (j != i && is_apart(w, i, j))
                list_net(w, i, j);
    world_run(w, ROVE_SECOND);
}

void world_init_apart(world *w, size_t count)
{
    memset(w, 0, sizeof *w);
    w->net = w->apart = true;
    start_apart(w, count);
}

void world_init_one_apart(world *w, size_t count)
{
    memset(w, 0, sizeof *w);
    w->net = w->one_apart = true;
    start_apart(w, count);
}

void world_start(world *w, size_t i)
{
    world_node *n = &w->nodes[i];
    rovei_addr self = addr_of(i);
    assert_null(n->node);
    n->incarnation = w->now.wall > n->incarnation ? w->now.wall : n->incarnation + 1;
    rovei_node_config cfg = {.env = &n->t.env,
                             .identity = n->id,
                             .incarnation = n->incarnation,
                             .handshake_time = n->handshake_time,
                             .net = w->net,
                             .addr_count = 1};
    cfg.addrs[0] = self;
    memset(cfg.psk, 0x42, sizeof cfg.psk);
    assert_ok(rovei_node_new(&n->node, &cfg, w->now));
    rovei_node_set_tap(n->node, &n->tap);
    for (size_t j = 0; j < w->count; j++) {
        rovei_addr other = addr_of(j);
        if (j != i && !is_apart(w, i, j))
            assert_ok(
                rovei_mesh_connect(rovei_node_mesh(n->node), w->now, &w->nodes[j].entity, &other));
    }
}

void world_stop(world *w, size_t i)
{
    world_node *n = &w->nodes[i];
    rovei_node_free(n->node);
    n->node = NULL;
    for (size_t j = 0; j < WORLD_CELLS; j++)
        world_cell_fini(&n->cells[j]);
    for (size_t j = 0; j < n->held_count; j++)
        rovei_effect_fini(&n->held[j]);
    n->held_count = 0;
    for (size_t j = 0; j < n->note_count; j++)
        rovei_note_fini(&n->notes[j]);
    free(n->notes);
    n->notes = NULL;
    n->note_count = n->note_room = 0;
}

void world_fini(world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        world_node *n = &w->nodes[i];
        world_stop(w, i);
        for (size_t j = 0; j < 32; j++)
            rove_buf_unref(n->kept[j]);
        rovei_keypair_unref(n->has_key);
        rovei_keypair_unref(n->id);
    }
    for (size_t i = 0; i < w->count; i++)
        test_env_fini(&w->nodes[i].t);
    ROVEI_LIST_EACH (it, next, &w->packets)
        free(ROVEI_CONTAINER(it, packet, list));
}

void world_cut(world *w, size_t a, size_t b, bool cut)
{
    w->cut[a][b] = w->cut[b][a] = cut;
}

/* Takes the note over. */
static void keep_note(world_node *n, const rovei_note *note)
{
    if (n->note_count == n->note_room) {
        n->note_room = n->note_room ? n->note_room * 2 : 64;
        n->notes = realloc(n->notes, n->note_room * sizeof *n->notes);
        assert_non_null(n->notes);
    }
    n->notes[n->note_count++] = *note;
}

static bool drain(world *w, world_node *n)
{
    bool any = false;
    rovei_effect e;
    while (n->node && rovei_node_poll_effect(n->node, &e)) {
        any = true;
        if (n->hold >> e.kind & 1) {
            assert_true(n->held_count < sizeof n->held / sizeof *n->held);
            n->held[n->held_count++] = e;
            continue;
        }
        world_carry_out(w, n, &e);
        rovei_effect_fini(&e);
    }
    rovei_note note;
    while (rovei_node_poll_note(n->node, &note)) {
        any = true;
        if (note.kind == ROVEI_NOTE_HANDSHAKE_TIME)
            n->handshake_time = note.value;
        keep_note(n, &note);
        while (note.kind == ROVEI_NOTE_APPLIED && note.number < note.value) {
            note.number++; /* one for each event */
            keep_note(n, &note);
        }
    }
    return any;
}

/* ---- the link and time ---- */

static void carry(world *w, size_t from, const rovei_addr *to, const uint8_t *bytes, size_t size)
{
    size_t i = to->ip[3] - 1u;
    if (i >= w->count && w->outside) {
        w->outside->receive(w, from, to, bytes, size);
        return;
    }
    assert_true(i < w->count);
    if (w->cut[from][i] || (w->lose && below(&w->chance, 100) < w->lose))
        return;
    packet *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->at = w->now.mono + w->delay;
    p->from = from;
    p->to = i;
    p->size = size;
    memcpy(p->bytes, bytes, size);
    rovei_list_add_tail(&w->packets, &p->list);
}

static void turn(world *w, size_t i)
{
    world_node *n = &w->nodes[i];
    uint8_t bytes[DATAGRAM];
    rovei_addr to;
    if (!n->node)
        return;
    if (rovei_node_deadline(n->node) <= w->now.mono)
        rovei_node_expire(n->node, w->now);
    do
        rovei_node_turn(n->node, w->now);
    while (drain(w, n));
    for (size_t size; (size = rovei_node_transmit(n->node, w->now, bytes, sizeof bytes, &to)) != 0;)
        carry(w, i, &to, bytes, size);
    if (w->turns++ % 8 == 0)
        rovei_node_check(n->node);
}

static void deliver(world *w)
{
    ROVEI_LIST_EACH (it, next, &w->packets) {
        packet *p = ROVEI_CONTAINER(it, packet, list);
        if (p->at > w->now.mono)
            break;
        rovei_list_remove(it);
        rovei_addr from = addr_of(p->from);
        if (w->nodes[p->to].node)
            rovei_node_receive(w->nodes[p->to].node, w->now, &from, p->bytes, p->size);
        free(p);
    }
}

static uint64_t next_time(const world *w, uint64_t end)
{
    uint64_t at = end;
    if (!rovei_list_empty(&w->packets))
        at = rovei_time_min(at, ROVEI_CONTAINER(w->packets.next, packet, list)->at);
    for (size_t i = 0; i < w->count; i++)
        if (w->nodes[i].node)
            at = rovei_time_min(at, rovei_node_deadline(w->nodes[i].node));
    if (w->outside)
        at = rovei_time_min(at, w->outside->deadline(w));
    return at;
}

void world_run(world *w, uint64_t time)
{
    uint64_t end = w->now.mono + time;
    for (size_t still = 0;;) {
        deliver(w);
        for (size_t i = 0; i < w->count; i++)
            turn(w, i);
        if (w->outside)
            w->outside->turn(w);
        uint64_t at = next_time(w, end);
        if (at > w->now.mono)
            still = 0;
        else if (w->now.mono >= end)
            return;
        else
            assert_true(++still < 1000);
        if (at <= w->now.mono)
            continue;
        w->now.wall += at - w->now.mono;
        w->now.mono = at;
    }
}

/* ---- what tests do and see ---- */

rovei_daemon *world_daemon(world *w, size_t i, const rove_entity *daemon)
{
    return rovei_daemon_find(w->nodes[i].node, daemon);
}

rove_entity world_spawn(world *w, size_t i, uint64_t seed)
{
    world_node *n = &w->nodes[i];
    uint8_t bytes[32];
    random_bytes(&seed, bytes, sizeof bytes);
    world_cell *c = world_cell_new(n);
    assert_ok(rovei_keypair_from_seed(&c->key, &n->t.env, bytes));
    c->daemon = *rovei_keypair_entity(c->key);
    c->state = CELL_SERVING;
    rovei_chain_init(&c->chain, rovei_keypair_origin(c->key));
    rovei_spawn s = {.key = c->key, .kind = "log", .cell = c->number};
    assert_ok(rovei_node_spawn(n->node, w->now, &s));
    rove_entity daemon = c->daemon;
    world_until(w, 5 * ROVE_SECOND, world_serving(w, &daemon) == 1);
    return daemon;
}

rovei_attempt_id world_move(world *w, size_t from, size_t to, const rove_entity *daemon,
                            uint64_t retry)
{
    rovei_move_order o = {
        .daemon = *daemon, .target = w->nodes[to].entity, .retry_not_ready = retry};
    rovei_attempt_id id;
    assert_ok(rovei_node_move(w->nodes[from].node, w->now, &o, &id));
    return id;
}

rovei_move_info world_info(world *w, size_t i, const rovei_attempt_id *attempt)
{
    rovei_move_info info;
    assert_ok(rovei_node_move_get(w->nodes[i].node, attempt, &info));
    return info;
}

const rovei_note *world_ended(world *w, size_t i, const rovei_attempt_id *attempt)
{
    const world_node *n = &w->nodes[i];
    const rovei_note *found = NULL;
    for (size_t j = 0; j < n->note_count; j++) {
        const rovei_note *note = &n->notes[j];
        if (note->kind != ROVEI_NOTE_MOVE_ENDED ||
            memcmp(&note->attempt, attempt, sizeof *attempt) != 0)
            continue;
        assert_null(found);
        found = note;
    }
    return found;
}

size_t world_serving(const world *w, const rove_entity *daemon)
{
    size_t count = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (!w->nodes[i].node)
            continue;
        const rovei_daemon *d = rovei_daemon_find(w->nodes[i].node, daemon);
        count += d && rovei_daemon_serves(d);
    }
    return count;
}

void world_replay(world *w, size_t from, size_t to, uint8_t type)
{
    rove_buf *kept = w->nodes[from].kept[type];
    assert_non_null(kept);
    rovei_node_inject(w->nodes[to].node, w->now, &w->nodes[from].entity, ROVEI_TAG_MOVE, kept);
}
