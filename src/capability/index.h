/* SPDX-License-Identifier: Apache-2.0
 *
 * The index: what other nodes, and this one, have announced, one entry for each node id. An entry
 * is replaced as a whole by a newer announcement, and only by a newer one; it ends `ttl` after it
 * came, or when its node is evicted. Nothing is remembered of what was removed.
 * (docs/protocol/placement.md, "The index")
 *
 * Bounds: `index_nodes` entries and `index_bytes` bytes. At a bound a node that announces itself
 * (hop 0) takes the place of the relayed entry that came longest ago; a relayed announcement of a
 * node that is not in the index is refused. */
#ifndef ROVEI_CAPABILITY_INDEX_H
#define ROVEI_CAPABILITY_INDEX_H

#include <base/env.h>
#include <base/now.h>
#include <capability/announcement.h>
#include <capability/filter.h>

typedef struct rovei_index rovei_index;

/* What is taken from an announcement whose signature, sender and bounds were checked. Borrowed
 * during the call. */
typedef struct rovei_index_item {
    uint64_t node_id;
    rove_entity entity;
    uint64_t version;
    uint32_t ttl_secs;
    uint8_t hop_count;
    rovei_caps caps;
    rovei_allow allow;
    rovei_reflex reflex;
} rovei_index_item;

typedef struct rovei_index_entry {
    uint64_t node_id;
    rove_entity entity;
    uint64_t generation;       /* max(version, 1) */
    uint64_t arrived, expires; /* monotonic */
    uint8_t hop_count;
    rovei_caps caps;
    rovei_allow allow;
    rovei_reflex reflex;
    rovei_hardware hardware;
    rove_span region; /* of the first scope:region: tag; empty: none */
} rovei_index_entry;

typedef struct rovei_index_stats {
    uint64_t entries, bytes;
    uint64_t applied, stale, full, expired, evicted, displaced;
} rovei_index_stats;

ROVE_MUST_USE rove_err rovei_index_new(rovei_index **ret, const rovei_env *env);
void rovei_index_free(rovei_index *x);
/* E_STALE: not newer than what is there, whose time to live stays as it was. E_FULL, E_NOMEM: as it
 * was. */
ROVE_MUST_USE rove_err rovei_index_put(rovei_index *x, rovei_now now, const rovei_index_item *item);
/* The same of an announcement. */
ROVE_MUST_USE rove_err rovei_index_apply(rovei_index *x, rovei_now now,
                                         const rovei_announcement *a);
/* False: it was not there. */
bool rovei_index_evict(rovei_index *x, uint64_t node_id);
/* Earliest end of an entry, ROVE_TIME_NEVER when there is none. */
uint64_t rovei_index_deadline(const rovei_index *x);
void rovei_index_expire(rovei_index *x, rovei_now now);

/* Entries are valid until the index changes. */
const rovei_index_entry *rovei_index_get(const rovei_index *x, uint64_t node_id);
/* Walks in ascending node id, *it begins as 0; NULL at the end. The index must not change. */
const rovei_index_entry *rovei_index_next(const rovei_index *x, size_t *it);
/* As above, those that the filter selects (NULL: all). */
const rovei_index_entry *rovei_index_query(const rovei_index *x, const rovei_filter *f, size_t *it);
/* The first entry whose node id is not below this one; NULL: there is none. For a walk during which
 * the index changes. */
const rovei_index_entry *rovei_index_from(const rovei_index *x, uint64_t node_id);
size_t rovei_index_count(const rovei_index *x);
rovei_index_stats rovei_index_stats_get(const rovei_index *x);
/* Invariants: aborts when one is broken. */
void rovei_index_check(const rovei_index *x);

#endif
