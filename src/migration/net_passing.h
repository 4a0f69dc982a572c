/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot that passes through an orchestrator of class net in chunks: nothing of it is kept but
 * which chunks have passed and what chunk 0 says. */
#ifndef ROVEI_MIGRATION_NET_PASSING_H
#define ROVEI_MIGRATION_NET_PASSING_H

#include <base/alloc.h>
#include <migration/net_codec.h>

typedef struct rovei_net_passing {
    uint64_t sequence;
    uint32_t total, passed; /* 0: none has come */
    uint8_t *seen;          /* a bit each */
    bool has_head;
    rove_link head; /* of the daemon's chain, from chunk 0 */
    uint64_t bytes;
} rovei_net_passing;

void rovei_net_passing_drop(rovei_net_passing *p, const rove_alloc *a);
/* A chunk of the present set, or of another one, which takes its place. E_STALE: of an older one;
 * E_TOO_LARGE; E_NOMEM. */
ROVE_MUST_USE rove_err rovei_net_passing_take(rovei_net_passing *p, const rove_alloc *a,
                                              const rovei_netmove_chunk *c);
/* Chunk 0 tells whose it is and where its chain stands. False: it can be no snapshot of that
 * daemon, and `why` says it. */
bool rovei_net_passing_read_head(rovei_net_passing *p, uint64_t origin,
                                 const rovei_netmove_chunk *c, rove_entity *ret, rovei_text *why);
/* It has passed; false: as it had before. */
bool rovei_net_passing_note(rovei_net_passing *p, const rovei_netmove_chunk *c);
static inline bool rovei_net_passing_is_whole(const rovei_net_passing *p)
{
    return p->total && p->passed == p->total && p->has_head;
}

#endif
