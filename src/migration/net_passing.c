/* SPDX-License-Identifier: Apache-2.0
 *
 * What an orchestrator of class net notes of a snapshot on its way. */
#include <migration/net_chunks.h>
#include <migration/net_passing.h>
#include <state/chain.h>
#include <state/snapshot.h>

#define LINK_AT 45 /* of the chain's head in a snapshot */

static size_t bits(uint32_t total)
{
    return ((size_t)total + 7) / 8;
}

void rovei_net_passing_drop(rovei_net_passing *p, const rove_alloc *a)
{
    rovei_free(a, p->seen, bits(p->total));
    *p = (rovei_net_passing){0};
}

rove_err rovei_net_passing_take(rovei_net_passing *p, const rove_alloc *a,
                                const rovei_netmove_chunk *c)
{
    if (c->total > rovei_netmove_chunk_count(ROVEI_NETMOVE_SNAPSHOT_MAX))
        return ROVE_E_TOO_LARGE;
    if (p->total && c->seq_through < p->sequence)
        return ROVE_E_STALE;
    if (p->total == c->total && p->sequence == c->seq_through)
        return ROVE_OK;
    uint8_t *seen = rovei_calloc(a, bits(c->total), 1);
    if (!seen)
        return ROVE_E_NOMEM;
    rovei_net_passing_drop(p, a);
    *p = (rovei_net_passing){.sequence = c->seq_through, .total = c->total, .seen = seen};
    return ROVE_OK;
}

/* A snapshot of one chunk can be looked at as a whole. */
static bool stands(const rovei_netmove_chunk *c, rovei_text *why)
{
    rovei_snapshot s;
    if (rovei_snapshot_decode(&s, c->bytes)) {
        rovei_text_set(why, "failed to parse snapshot bytes");
        return false;
    }
    if (s.through_seq == c->seq_through)
        return true;
    rovei_text_set(why, "SnapshotReady: wire seq_through ");
    rovei_text_add_number(why, c->seq_through);
    rovei_text_add(why, " disagrees with snapshot.through_seq ");
    rovei_text_add_number(why, s.through_seq);
    return false;
}

bool rovei_net_passing_read_head(rovei_net_passing *p, uint64_t origin,
                                 const rovei_netmove_chunk *c, rove_entity *ret, rovei_text *why)
{
    if (rovei_netmove_check_head(origin, c->bytes, ret, why) || (c->total == 1 && !stands(c, why)))
        return false;
    if (c->bytes.size < LINK_AT + ROVEI_LINK_SIZE) {
        rovei_text_set(why, "failed to parse snapshot bytes");
        return false;
    }
    rovei_reader r =
        rovei_reader_of((rove_span){(const uint8_t *)c->bytes.data + LINK_AT, ROVEI_LINK_SIZE});
    p->head = rovei_read_link(&r);
    p->has_head = true;
    return true;
}

bool rovei_net_passing_note(rovei_net_passing *p, const rovei_netmove_chunk *c)
{
    uint8_t *byte = &p->seen[c->index / 8], bit = (uint8_t)(1u << c->index % 8);
    if (*byte & bit)
        return false;
    *byte |= bit;
    p->passed++;
    p->bytes += c->bytes.size;
    return true;
}
