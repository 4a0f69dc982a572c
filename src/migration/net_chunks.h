/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots in chunks, as class net carries them: how many a snapshot makes, and how they are put
 * together again whatever the order in which they come (docs/protocol/net-moves.md, "Chunks"). What
 * is put together is bounded for each daemon, for all of them together, in number and in time. */
#ifndef ROVEI_MIGRATION_NET_CHUNKS_H
#define ROVEI_MIGRATION_NET_CHUNKS_H

#include <base/map.h>
#include <base/now.h>
#include <migration/net_codec.h>

/* ---- cutting ---- */
/* How many chunks `size` bytes make; at least one, which may be empty. Of `size` up to
 * ROVEI_NETMOVE_SNAPSHOT_MAX. */
uint32_t rovei_netmove_chunk_count(uint64_t size);
/* One of them: borrowed from `bytes`. */
rove_span rovei_netmove_chunk_at(rove_span bytes, uint32_t index);

/* ---- putting together ---- */
typedef struct rovei_chunks {
    const rove_alloc *alloc;
    rovei_map entries; /* origin -> what is known of it */
    uint64_t bytes;    /* of memory, all entries together */
    uint64_t bytes_max;
    uint64_t entries_max;
    uint64_t age_max; /* without progress */
} rovei_chunks;

void rovei_chunks_init(rovei_chunks *c, const rove_alloc *a, uint64_t seed);
void rovei_chunks_fini(rovei_chunks *c);

/* Takes one chunk. *ret is the whole when it was the last one, and then nothing of the origin is
 * kept but the sequence; else NULL. An error changes nothing of what is put together: E_BOUND (the
 * numbers or the length cannot be), E_TOO_LARGE (the bytes of one snapshot), E_STALE (an older one
 * than seen), E_FORMAT (another number of chunks than the first one said), E_FULL (bounds of all
 * together), E_NOMEM; `why`, unless NULL, has the sentence of the reference. */
ROVE_MUST_USE rove_err rovei_chunks_feed(rovei_chunks *c, rovei_now now, uint64_t origin,
                                         const rovei_netmove_chunk *chunk, rove_buf **ret,
                                         rovei_text *why);
/* Drops what is half there and keeps the sequence, below which nothing is taken any more. */
void rovei_chunks_cancel(rovei_chunks *c, uint64_t origin);
/* Drops the sequence too. */
void rovei_chunks_forget(rovei_chunks *c, uint64_t origin);
/* Cancels what had no progress for `age`; how many. */
size_t rovei_chunks_sweep(rovei_chunks *c, rovei_now now, uint64_t age);
/* When the next one has had none for age_max; ROVE_TIME_NEVER. */
uint64_t rovei_chunks_deadline(const rovei_chunks *c);
size_t rovei_chunks_pending(const rovei_chunks *c); /* half-built ones */
/* Payload bytes here of one origin. */
uint64_t rovei_chunks_have(const rovei_chunks *c, uint64_t origin);
void rovei_chunks_check(const rovei_chunks *c);

#endif
