/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers of class net that say anything to a node, at any time, about any daemon: often what would
 * be right of another peer or at another time. Daemons that nobody gave away serve on undisturbed;
 * and when the peers fall silent nothing is left half done. */
#include "outsiders.h"

#include <state/snapshot.h>

#define STAYING 3 /* daemons that nobody gives away */
#define GIFTS   3
#define PEERS   OUTSIDERS_MAX

typedef struct gift {
    uint64_t origin;
    rove_entity entity;
    uint8_t bytes[1024];
    size_t size;
} gift;

typedef struct malice {
    outsiders o; /* the first member */
    uint64_t random;
    bool obeys; /* the node does what they order */
    rove_entity staying[STAYING], moved;
    gift gifts[GIFTS];
    /* what a peer saw of the daemon that is moved, so that it can say what is right */
    uint64_t sequence;
    rove_link head;
} malice;

static uint64_t any(malice *m, uint64_t bound)
{
    return below(&m->random, bound);
}

static void make_gift(malice *m, gift *g, uint64_t seed)
{
    uint8_t bytes[32], secret[32], target[32];
    rovei_keypair *key;
    random_bytes(&seed, bytes, sizeof bytes);
    assert_ok(rovei_keypair_from_seed(&key, &m->o.peers[0].t.env, bytes));
    g->entity = *rovei_keypair_entity(key);
    g->origin = rovei_keypair_origin(key);
    rovei_snapshot s = {.entity = g->entity,
                        .through_seq = 3,
                        .link = {g->origin, 0, 3, 77},
                        .created_at = 42, /* which the cells of the world ask for */
                        .state = {"given", 5}};
    assert_ok(rovei_keypair_x25519(m->o.w.nodes[0].id, secret));
    rovei_x25519_public(target, secret);
    assert_ok(rovei_snapshot_seal(&s, &m->o.peers[0].t.env, key, target));
    assert_ok(rovei_snapshot_size(&s, &g->size));
    rovei_writer w = rovei_writer_of(g->bytes, sizeof g->bytes);
    rovei_snapshot_encode(&s, &w);
    assert_ok(w.err);
    rovei_keypair_unref(key);
}

/* They listen, all of them to everything. */
static void overhear(outsiders *o, size_t who, rove_span message)
{
    (void)who;
    malice *m = (malice *)o;
    rovei_netmove_message got;
    rovei_snapshot s;
    if (rovei_netmove_decode(&got, message, NULL) || got.type != ROVEI_NETMOVE_SNAPSHOT_READY ||
        rovei_snapshot_decode(&s, got.chunk.bytes))
        return;
    m->sequence = got.chunk.seq_through;
    m->head = s.link;
}

static uint64_t any_origin(malice *m)
{
    switch (any(m, 8)) {
    case 0:
    case 1:
        return rovei_entity_origin(&m->staying[any(m, STAYING)]);
    case 2:
    case 3:
        return rovei_entity_origin(&m->moved);
    case 7:
        return next_random(&m->random);
    default:
        return m->gifts[any(m, GIFTS)].origin;
    }
}

static uint64_t any_sequence(malice *m)
{
    return any(m, 2) ? 3 : any(m, 2) ? m->sequence : any(m, 4) ? any(m, 9) : UINT64_MAX - any(m, 3);
}

/* Some of a snapshot, whole or damaged, under its own origin or another's. */
static void any_chunk(malice *m, rovei_netmove_message *ret, uint8_t copy[1024])
{
    const gift *g = &m->gifts[any(m, GIFTS)];
    memcpy(copy, g->bytes, g->size);
    rovei_snapshot s;
    if (any(m, 3) == 0)
        copy[any(m, g->size)] ^= (uint8_t)(1 + any(m, 255));
    if (!rovei_snapshot_decode(&s, (rove_span){copy, g->size}) && s.created_at != 42)
        memcpy(copy, g->bytes, g->size);
    if (any(m, 4))
        ret->origin = g->origin;
    ret->chunk = (rovei_netmove_chunk){any(m, 4) ? 3 : any_sequence(m), 0, 1, {copy, g->size}};
    if (any(m, 5) == 0) {
        ret->chunk.total = (uint32_t)(1 + any(m, 5));
        ret->chunk.index = (uint32_t)any(m, ret->chunk.total);
        ret->chunk.bytes.size = any(m, g->size);
    }
}

static void any_message(malice *m, size_t who, uint64_t origin)
{
    uint8_t bytes[1024];
    uint64_t nodes[PEERS + 2] = {rovei_entity_node_id(&m->o.w.nodes[0].entity),
                                 next_random(&m->random)};
    for (size_t i = 0; i < PEERS; i++)
        nodes[2 + i] = m->o.peers[i].node_id;
    rovei_netmove_message msg = {.type = (rovei_netmove_type)any(m, ROVEI_NETMOVE_TYPES),
                                 .origin = origin};
    if (msg.type == ROVEI_NETMOVE_MIGRATION_FAILED && any(m, 8))
        msg.type = ROVEI_NETMOVE_BUFFERED_EVENTS; /* it would end everything soon */
    switch (msg.type) {
    case ROVEI_NETMOVE_TAKE_SNAPSHOT:
    case ROVEI_NETMOVE_CUTOVER_NOTIFY:
        msg.node = nodes[any(m, PEERS + 2)];
        break;
    case ROVEI_NETMOVE_SNAPSHOT_READY:
        any_chunk(m, &msg, bytes);
        break;
    case ROVEI_NETMOVE_RESTORE_COMPLETE:
    case ROVEI_NETMOVE_ACTIVATE_ACK:
        msg.sequence = any_sequence(m);
        break;
    case ROVEI_NETMOVE_REPLAY_COMPLETE:
        msg.replayed.sequence = any_sequence(m);
        msg.replayed.head = m->head;
        msg.replayed.head.parent += any(m, 3) == 0;
        break;
    case ROVEI_NETMOVE_MIGRATION_FAILED:
        msg.failed = (rovei_netmove_reason){(rovei_netmove_code)any(m, 7), 3, {NULL, 0}};
        break;
    case ROVEI_NETMOVE_BUFFERED_EVENTS: {
        rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
        for (msg.events.count = 0; any(m, 3); msg.events.count++) {
            const rovei_netmove_event e = {
                {9, 0, any(m, 6), any(m, 2)}, {"an event", any(m, 9)}, any(m, 3)};
            if (rovei_writer_room(&w) < 64)
                break;
            rovei_netmove_event_write(&w, &e);
        }
        msg.events.items = (rove_span){bytes, rovei_writer_size(&w)};
        break;
    }
    case ROVEI_NETMOVE_CLEANUP_COMPLETE:
    case ROVEI_NETMOVE_ACTIVATE_TARGET:
        break;
    }
    outsider_say(&m->o, who, 0, &msg);
}

static void check_staying(malice *m)
{
    for (size_t i = 0; i < STAYING && !m->obeys; i++) {
        assert_int_equal(world_role_of(&m->o.w, 0, &m->staying[i]), ROVEI_ROLE_SERVING);
        assert_ok(world_deliver(&m->o.w, 0, &m->staying[i], "goes on"));
    }
    rovei_node_check(m->o.w.nodes[0].node);
    rovei_net_moves_check(m->o.w.nodes[0].node);
}

static void move_away(malice *m)
{
    const rovei_move_order order = {
        .daemon = m->moved, .target = rovei_entity_of_net(m->o.peers[any(m, PEERS)].node_id)};
    rovei_attempt_id id;
    (void)!rovei_node_move(m->o.w.nodes[0].node, m->o.w.now, &order, &id);
}

/* Nothing is under way any more but a move that was committed, whose target says nothing. */
static void check_quiet(malice *m)
{
    rovei_node *n = m->o.w.nodes[0].node;
    const rovei_daemon *d;
    rovei_move_info info;
    world_run(&m->o.w, 900 * ROVE_SECOND);
    check_staying(m);
    /* A copy that was replayed waits until its peer says what becomes of it. */
    for (size_t who = 0; who < PEERS; who++)
        for (size_t i = 0; i < GIFTS; i++) {
            const rovei_netmove_message failed = {.type = ROVEI_NETMOVE_MIGRATION_FAILED,
                                                  .origin = m->gifts[i].origin};
            outsider_say(&m->o, who, 0, &failed);
        }
    world_run(&m->o.w, ROVE_SECOND);
    for (size_t it = 0; rovei_node_move_next(n, &it, &info);)
        if (info.outcome == ROVEI_OUTCOME_RUNNING)
            assert_true(info.local_source && info.committed_at);
    for (size_t i = 0; i <= STAYING; i++) {
        d = rovei_daemon_find(n, i < STAYING ? &m->staying[i] : &m->moved);
        assert_true(!d || d->role == ROVEI_ROLE_SERVING || d->role == ROVEI_ROLE_COMMITTED);
    }
    for (size_t i = 0; i < GIFTS; i++) {
        d = rovei_daemon_find(n, &m->gifts[i].entity);
        assert_true(!d || d->role == ROVEI_ROLE_SERVING);
        assert_true(world_serving(&m->o.w, &m->gifts[i].entity) <= 1);
    }
}

static void run_seed(uint64_t seed, bool obeys)
{
    malice *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->random = seed;
    m->obeys = obeys;
    outsiders_init(&m->o, 1, PEERS);
    m->o.w.nodes[0].policy = obeys ? ROVE_OK : ROVE_E_REFUSED;
    rovei_node_ask_policy(m->o.w.nodes[0].node, true);
    m->o.heard = overhear;
    for (size_t i = 0; i < STAYING; i++)
        m->staying[i] = world_spawn(&m->o.w, 0, 100 + i);
    m->moved = world_spawn(&m->o.w, 0, 200);
    for (size_t i = 0; i < GIFTS; i++)
        make_gift(m, &m->gifts[i], 300 + i);
    for (unsigned round = 0; round < 100; round++) {
        if (any(m, 10) == 0)
            move_away(m);
        /* Mostly one of them, about one daemon. */
        const size_t who = any(m, PEERS);
        const uint64_t origin = any_origin(m);
        for (uint64_t n = any(m, 12); n; n--)
            any_message(m, any(m, 6) ? who : any(m, PEERS), any(m, 6) ? origin : any_origin(m));
        world_run(&m->o.w, any(m, 20) ? any(m, 300) * ROVE_MILLISECOND : any(m, 100) * ROVE_SECOND);
        check_staying(m);
    }
    check_quiet(m);
    outsiders_fini(&m->o);
    free(m);
}

static void anything(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 16; seed++)
        run_seed(seed, seed % 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
