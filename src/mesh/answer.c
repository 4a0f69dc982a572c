/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshakes that others begin. A message 1 can be a replay even when everything in it is right, so
 * all that it causes is an unconfirmed session, beside what stands, for a short time. */
#include <base/mutant.h>
#include <mesh/peer.h>

rovei_drop rovei_drop_of(rove_err err)
{
    if (err == ROVE_E_NOMEM)
        return ROVEI_DROP_MEMORY;
    if (err == ROVE_E_IDENTITY)
        return ROVEI_DROP_IDENTITY;
    if (err == ROVE_E_NO_IMAGE)
        return ROVEI_DROP_NO_IMAGE;
    if (err == ROVE_E_FULL)
        return ROVEI_DROP_PEERS;
    if (err == ROVE_E_GONE)
        return ROVEI_DROP_SESSION;
    return ROVEI_DROP_HANDSHAKE;
}

/* Whether to answer: everything that can be said without a record. */
static rovei_drop judge(const rovei_mesh *m, const rovei_hello *hello)
{
    if (rovei_entity_equal(&hello->entity, &m->entity) ||
        rovei_node_id_is_reserved(rovei_entity_node_id(&hello->entity)))
        return ROVEI_DROP_IDENTITY;
    if (!rovei_hello_choose(hello))
        return ROVEI_DROP_PROTOCOL_VERSION;
    uint64_t last_time, incarnation;
    rovei_peer_memory(m, &hello->entity, &last_time, &incarnation);
    if (hello->incarnation < incarnation)
        return ROVEI_DROP_INCARNATION;
    if (hello->time <= last_time && !ROVEI_MUTANT(REPLAY_ACCEPTED))
        return ROVEI_DROP_REPLAYED_HANDSHAKE;
    return ROVEI_DROP_COUNT;
}

/* Message 2 and the session that goes with it. E_NOMEM, E_WEAK_SECRET. */
static rove_err answer(rovei_session **ret, rovei_peer *p, rovei_noise *n, uint32_t remote_index,
                       const rovei_hello *hello)
{
    rovei_mesh *m = p->mesh;
    rovei_hello own = rovei_peer_hello(p);
    own.version = rovei_hello_choose(hello);
    uint8_t mac_key[32], bytes[ROVEI_RESPONSE_SIZE];
    rovei_mac_key(mac_key, m->secrets + 32, &p->entity);
    uint32_t index = rovei_mesh_index(m);
    rove_err err = rovei_response_write(n, index, remote_index, &own, mac_key, bytes);
    rovei_wipe(mac_key, sizeof mac_key);
    rovei_session *s;
    if (!err)
        err = rovei_session_new(&s, m->env, n, hello, own.time, m->now.mono);
    if (err)
        return err;
    s->peer = p;
    s->index = index;
    s->remote_index = remote_index;
    for (size_t i = 0; i < sizeof bytes; i++)
        s->answer[i] = bytes[i];
    err = rovei_map_put(&m->sessions, &s->index, s);
    if (err) {
        rovei_session_free(s, m->env);
        return err;
    }
    *ret = s;
    return ROVE_OK;
}

/* Message 1 has opened and is right: makes the record if need be, and the unconfirmed session. */
static rove_err accept(rovei_mesh *m, rovei_noise *n, const rovei_addr *from,
                       const rovei_packet *packet, const rovei_hello *hello)
{
    rovei_peer *p = rovei_peer_find(m, &hello->entity);
    rove_err err = ROVE_OK;
    if (!p)
        err = rovei_peer_new(&p, m, &hello->entity, n->remote_static);
    if (err)
        return err;
    rovei_session *s;
    err = answer(&s, p, n, packet->sender, hello);
    if (err) {
        rovei_peer_settle(p);
        return err;
    }
    s->addr = *from;
    s->answer_due = true;
    bool replayed = hello->time <= p->last_time;
    if (!replayed)
        p->last_time = hello->time;
    p->incarnation = hello->incarnation;
    rovei_keys_drop(p, &p->next);
    p->next = s;
    if (ROVEI_MUTANT(REPLAY_ACCEPTED) && replayed)
        return rovei_keys_install(p, s);
    if (rovei_list_empty(&p->urgent))
        rovei_list_add_tail(&m->urgent, &p->urgent);
    rovei_keys_schedule(p);
    m->stats.handshakes_answered++;
    return ROVE_OK;
}

rovei_drop rovei_answer_initiation(rovei_mesh *m, const rovei_addr *from,
                                   const rovei_packet *packet)
{
    if (rovei_mac_check(packet, m->mac_key))
        return ROVEI_DROP_MAC;
    rovei_drop drop = rovei_gate_judge(&m->gate, m->now, from, packet);
    if (drop != ROVEI_DROP_COUNT)
        return drop;
    const rovei_noise_keys keys = {
        .static_secret = m->secrets,
        .static_public = m->static_public,
        .psk = m->secrets + 32,
    };
    rovei_noise n;
    if (rovei_handshake_init(&n, m->env, false, &keys))
        return ROVEI_DROP_MEMORY;
    rovei_hello hello;
    rove_err err = rovei_initiation_read(&n, packet, &hello);
    drop = err ? rovei_drop_of(err) : judge(m, &hello);
    if (drop == ROVEI_DROP_COUNT) {
        err = accept(m, &n, from, packet, &hello);
        if (err)
            drop = rovei_drop_of(err);
    }
    rovei_noise_fini(&n);
    return drop;
}
