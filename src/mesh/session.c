/* SPDX-License-Identifier: Apache-2.0
 *
 * Session keys. */
#include <base/alloc.h>
#include <base/check.h>
#include <mesh/session.h>

/* Of the header only the counter can differ for one key: the rest is fixed, or found the key. */
static const uint8_t packet_mark[ROVEI_AEAD_MARK] = {ROVEI_PACKET_MAGIC0, ROVEI_PACKET_MAGIC1,
                                                     ROVEI_PACKET_VERSION};

rove_err rovei_session_new(rovei_session **ret, const rovei_env *env, const rovei_noise *n,
                           const rovei_hello *peer, uint64_t own_time, uint64_t now)
{
    rovei_session *s = ROVEI_NEW(&env->alloc, rovei_session);
    if (!s)
        return ROVE_E_NOMEM;
    uint8_t keys[2][32];
    rovei_noise_split(n, keys[0], keys[1]);
    s->seal = rovei_aead_new(&env->alloc, keys[0], true);
    s->open = rovei_aead_new(&env->alloc, keys[1], false);
    rovei_wipe(keys, sizeof keys);
    if (!s->seal || !s->open) {
        rovei_session_free(s, env);
        return ROVE_E_NOMEM;
    }
    s->session_class = ROVEI_CLASS_ROVE;
    s->own = n->initiator;
    s->created = s->asked = now;
    s->init_time = s->own ? own_time : peer->time;
    s->answer_time = s->own ? peer->time : own_time;
    s->number = peer->association;
    s->incarnation = peer->incarnation;
    rovei_replay_init(&s->window);
    *ret = s;
    return ROVE_OK;
}

void rovei_session_free(rovei_session *s, const rovei_env *env)
{
    if (!s)
        return;
    rovei_aead_free(s->seal);
    rovei_aead_free(s->open);
    ROVEI_DELETE(&env->alloc, s);
}

uint64_t rovei_session_peer_time(const rovei_session *s)
{
    return s->own ? s->answer_time : s->init_time;
}

bool rovei_session_beats(const rovei_session *a, const rovei_session *b, bool this_node_is_lower)
{
    if (a->own == b->own)
        return a->init_time > b->init_time;
    /* Each pair of times is of one clock: who began the one answered the other. */
    if (a->init_time > b->answer_time)
        return true;
    if (b->init_time > a->answer_time)
        return false;
    return a->own == this_node_is_lower;
}

size_t rovei_session_seal(rovei_session *s, uint8_t *ret, size_t plain_size)
{
    ROVEI_CHECK(s->sent < ROVEI_COUNTER_END);
    uint64_t counter = s->sent++;
    rovei_writer w = rovei_writer_of(ret, ROVEI_DATA_HEADER);
    rovei_packet_write_data(&w, s->remote_index, counter);
    rovei_aead_seal(s->seal, counter, packet_mark, ret + ROVEI_DATA_HEADER, plain_size,
                    ret + ROVEI_DATA_HEADER);
    return plain_size + ROVEI_DATA_OVERHEAD;
}

rove_err rovei_session_open(rovei_session *s, const rovei_packet *p, uint8_t *text,
                            size_t *ret_size)
{
    if (p->counter >= ROVEI_COUNTER_END || !rovei_replay_is_new(&s->window, p->counter))
        return ROVE_E_REPLAY;
    rove_err err = rovei_aead_open(s->open, p->counter, packet_mark, text, p->sealed.size, text);
    if (err)
        return err;
    ROVEI_CHECK(rovei_replay_add(&s->window, p->counter));
    *ret_size = p->sealed.size - ROVEI_TAG_SIZE;
    return ROVE_OK;
}
