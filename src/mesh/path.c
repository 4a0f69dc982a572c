/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a peer is sent to, and how that changes. A packet that authenticates may still have been
 * carried here by somebody else, from an address of his own. So a new address is only challenged:
 * what is sent goes where it went until the answer has come from there. */
#include <base/mutant.h>
#include <mesh/peer.h>
#include <string.h>

#define CHALLENGES_MAX 5u /* then the address is forgotten until it is heard from again */

/* ---- the bytes ---- */

bool rovei_path_is(const uint8_t *plain, size_t size)
{
    return size >= ROVEI_PACKET_HEADER && rovei_load64(plain) == 0;
}

rove_err rovei_path_read(const uint8_t *plain, size_t size, rovei_path_packet *ret)
{
    rovei_reader r = rovei_reader_of((rove_span){plain, size});
    rovei_path_packet p;
    uint64_t number = rovei_read_u64(&r);
    uint8_t type = rovei_read_u8(&r);
    rovei_read_bytes(&r, p.token, sizeof p.token);
    rove_err err = rovei_reader_end(&r);
    if (err)
        return err;
    if (number != 0 || (type != ROVEI_PATH_CHALLENGE && type != ROVEI_PATH_ANSWER))
        return ROVE_E_FORMAT;
    p.type = (rovei_path_type)type;
    *ret = p;
    return ROVE_OK;
}

void rovei_path_write(uint8_t ret[ROVEI_PATH_SIZE], const rovei_path_packet *p)
{
    rovei_writer w = rovei_writer_of(ret, ROVEI_PATH_SIZE);
    rovei_write_u64(&w, 0);
    rovei_write_u8(&w, (uint8_t)p->type);
    rovei_write_bytes(&w, p->token, sizeof p->token);
}

/* ---- a new address ---- */

static void make_due(rovei_peer *p, bool *due)
{
    *due = true;
    if (rovei_list_empty(&p->urgent))
        rovei_list_add_tail(&p->mesh->urgent, &p->urgent);
}

void rovei_path_drop(rovei_peer *p)
{
    p->path = (rovei_path){0};
    rovei_timer_set(&p->mesh->timers, &p->probe, ROVE_TIME_NEVER);
}

void rovei_path_stop(rovei_peer *p)
{
    rovei_path_drop(p);
    p->path_rest = 0;
    p->answer_due = false;
}

void rovei_path_use(rovei_peer *p, const rovei_addr *addr)
{
    bool same_host =
        p->addr.family == addr->family && memcmp(p->addr.ip, addr->ip, sizeof addr->ip) == 0;
    bool same = same_host && p->addr.port == addr->port;
    p->mesh->stats.paths += !same && p->addr.family;
    p->mesh->places++;
    p->addr = *addr;
    if (rovei_addr_equal(&p->path.addr, addr))
        rovei_path_drop(p);
    if (same)
        return;
    /* Another port of the same host is mostly the same way, mapped anew: what is known of it stays,
     * and one question finds out what was lost meanwhile. */
    if (same_host)
        rovei_transport_ping(p->assoc->transport);
    else
        rovei_transport_wake(p->assoc->transport, p->mesh->now);
    rovei_peer_touch(p);
}

void rovei_path_repeat(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    (void)now;
    rovei_peer *p = user;
    if (p->path.tries >= CHALLENGES_MAX)
        rovei_path_drop(p);
    else
        make_due(p, &p->path.due);
}

static void begin(rovei_peer *p, const rovei_addr *from, size_t size)
{
    rovei_mesh *m = p->mesh;
    p->path =
        (rovei_path){.addr = *from, .received = size, .interval = m->env->limits.handshake_retry};
    rovei_rng_fill(&m->env->rng, p->path.token, sizeof p->path.token);
    make_due(p, &p->path.due);
    rovei_timer_set(&m->timers, &p->probe, rovei_time_add(m->now.mono, p->path.interval));
}

void rovei_path_heard(rovei_peer *p, const rovei_addr *from, size_t size, bool newest)
{
    rovei_mesh *m = p->mesh;
    if (rovei_addr_equal(from, &p->addr)) {
        /* It still speaks from where it did: the other address was a copy's, or it has two. */
        if (newest && p->path.addr.family) {
            rovei_path_drop(p);
            p->path_rest = rovei_time_add(m->now.mono, m->env->limits.handshake_retry);
        }
        return;
    }
    if (rovei_addr_equal(from, &p->path.addr)) {
        p->path.received += size;
        return;
    }
    /* What was overtaken says nothing about where the peer is now. */
    if (!newest || m->now.mono < p->path_rest)
        return;
    if (ROVEI_MUTANT(PATH_UNCHALLENGED))
        rovei_path_use(p, from);
    else
        begin(p, from, size);
}

rovei_drop rovei_path_receive(rovei_peer *p, const rovei_addr *from, const uint8_t *plain,
                              size_t size)
{
    rovei_path_packet packet;
    if (rovei_path_read(plain, size, &packet))
        return ROVEI_DROP_PROTOCOL;
    if (packet.type == ROVEI_PATH_CHALLENGE) {
        /* Back to where it came from: that is what it asks about. */
        memcpy(p->answer_token, packet.token, sizeof p->answer_token);
        p->answer_to = *from;
        make_due(p, &p->answer_due);
    } else if (rovei_addr_equal(from, &p->path.addr) &&
               rovei_equal(packet.token, p->path.token, sizeof packet.token)) {
        const rovei_addr addr = p->path.addr;
        rovei_path_use(p, &addr);
    }
    return ROVEI_DROP_COUNT;
}

/* ---- sending ---- */

static size_t seal(rovei_peer *p, uint8_t *ret, rovei_path_type type,
                   const uint8_t token[ROVEI_PATH_TOKEN])
{
    rovei_path_packet packet = {.type = type};
    memcpy(packet.token, token, sizeof packet.token);
    rovei_path_write(ret + ROVEI_DATA_HEADER, &packet);
    return rovei_session_seal(p->current, ret, ROVEI_PATH_SIZE);
}

size_t rovei_path_send(rovei_peer *p, uint8_t *ret, rovei_addr *ret_to)
{
    if (!p->assoc || !rovei_keys_can_send(p)) {
        p->answer_due = p->path.due = false;
        return 0;
    }
    if (p->answer_due) {
        p->answer_due = false;
        *ret_to = p->answer_to;
        return seal(p, ret, ROVEI_PATH_ANSWER, p->answer_token);
    }
    rovei_path *path = &p->path;
    if (!path->due)
        return 0;
    path->due = false;
    path->tries++;
    rovei_timer_set(&p->mesh->timers, &p->probe, rovei_time_add(p->mesh->now.mono, path->interval));
    path->interval *= 2;
    if (path->sent + ROVEI_PATH_SIZE + ROVEI_DATA_OVERHEAD > 3 * path->received &&
        !ROVEI_MUTANT(AMPLIFIES))
        return 0;
    path->sent += ROVEI_PATH_SIZE + ROVEI_DATA_OVERHEAD;
    *ret_to = path->addr;
    return seal(p, ret, ROVEI_PATH_CHALLENGE, path->token);
}
