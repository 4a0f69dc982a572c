/* SPDX-License-Identifier: Apache-2.0
 *
 * The gate in front of handshakes. Rates are kept as times: what is let in moves a point in time
 * ahead by its share of a second, and how far that point lies in the future says how much is not
 * worked off. */
#include <crypto/slab.h>
#include <mesh/gate.h>
#include <string.h>

#define SECRET_SIZE 32
/* Messages of one source that may come at once. */
#define SOURCE_BURST 5u

rove_err rovei_gate_init(rovei_gate *g, const rovei_env *env, const uint8_t psk[32],
                         const rove_entity *self)
{
    memset(g, 0, sizeof *g);
    g->keys = rovei_slab_get(env->slab);
    if (!g->keys)
        return ROVE_E_NOMEM;
    g->env = env;
    g->seed = rovei_rng_u64(&env->rng);
    rovei_cookie_key(g->keys + SECRET_SIZE, psk, self);
    return ROVE_OK;
}

void rovei_gate_fini(rovei_gate *g)
{
    if (g->keys)
        rovei_slab_put(g->env->slab, g->keys);
    g->keys = NULL;
}

/* Adds one to what is to be worked off at `rate` a second, and says whether there was room for it:
 * no more than `burst` may be outstanding. It is held at twice the burst, so that the end of a
 * flood is noticed soon. */
static bool take(uint64_t *full, uint64_t now, uint64_t rate, uint64_t burst)
{
    uint64_t share = ROVE_SECOND / rate ? ROVE_SECOND / rate : 1;
    uint64_t most = share * burst;
    uint64_t at = *full > now ? *full : now;
    bool room = at - now + share <= most;
    *full = rovei_time_min(at + share, now + 2 * most);
    return room;
}

/* ---- sources ---- */

static rovei_source source_of(const rovei_addr *a)
{
    rovei_source s = {.family = a->family};
    memcpy(&s.prefix, a->ip, a->family == 4 ? 4 : sizeof s.prefix);
    return s;
}

/* Finds the source's place, or gives it the one in its set that is soonest worked off. Whoever
 * loses its place so only gains: it starts afresh. So a crowd of sources cannot shut one out. */
static rovei_source *place_of(rovei_gate *g, const rovei_addr *from)
{
    const rovei_source s = source_of(from);
    rovei_source *set =
        g->sources[rovei_xxh3_2(&g->seed, sizeof g->seed, &s.prefix, sizeof s.prefix) %
                   ROVEI_GATE_SETS];
    rovei_source *least = set;
    for (size_t i = 0; i < ROVEI_GATE_WAYS; i++) {
        if (set[i].family == s.family && set[i].prefix == s.prefix)
            return &set[i];
        if (set[i].full < least->full)
            least = &set[i];
    }
    *least = s;
    return least;
}

/* ---- cookies ---- */

static const uint8_t *secret(rovei_gate *g, rovei_now now)
{
    if (now.mono >= g->secret_until) {
        rovei_rng_fill(&g->env->rng, g->keys, SECRET_SIZE);
        g->secret_until = rovei_time_add(now.mono, g->env->limits.cookie_life);
    }
    return g->keys;
}

static rovei_drop give_cookie(rovei_gate *g, const rovei_addr *to, const rovei_packet *p,
                              const uint8_t cookie[ROVEI_COOKIE_BYTES])
{
    if (g->reply_count == ROVEI_GATE_REPLIES)
        return ROVEI_DROP_RATE;
    rovei_cookie_reply *r = &g->replies[(g->reply_first + g->reply_count++) % ROVEI_GATE_REPLIES];
    uint8_t nonce[ROVEI_COOKIE_NONCE];
    rovei_rng_fill(&g->env->rng, nonce, sizeof nonce);
    r->to = *to;
    rovei_cookie_write(r->bytes, p->sender, g->keys + SECRET_SIZE, nonce, p->mac1, cookie);
    return ROVEI_DROP_UNPROVED;
}

bool rovei_gate_has_reply(const rovei_gate *g)
{
    return g->reply_count > 0;
}

size_t rovei_gate_reply(rovei_gate *g, uint8_t *ret, rovei_addr *ret_to)
{
    const rovei_cookie_reply *r = &g->replies[g->reply_first];
    g->reply_first = (g->reply_first + 1) % ROVEI_GATE_REPLIES;
    g->reply_count--;
    memcpy(ret, r->bytes, sizeof r->bytes);
    *ret_to = r->to;
    return sizeof r->bytes;
}

rovei_drop rovei_gate_judge(rovei_gate *g, rovei_now now, const rovei_addr *from,
                            const rovei_packet *p)
{
    const rove_limits *l = &g->env->limits;
    if (take(&g->busy_until, now.mono, l->handshake_load, l->handshake_load))
        return ROVEI_DROP_COUNT;
    uint8_t cookie[ROVEI_COOKIE_BYTES];
    rovei_cookie_of(cookie, secret(g, now), from);
    if (!rovei_cookie_is_proved(p, cookie))
        return give_cookie(g, from, p, cookie);
    bool room = take(&place_of(g, from)->full, now.mono, l->handshake_source, SOURCE_BURST);
    return room ? ROVEI_DROP_COUNT : ROVEI_DROP_RATE;
}
