/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of capabilities: tags, sorted by their bytes and each once, and metadata, sorted by key.
 * All that a node says of itself is in these two; hardware, software, models, tools and limits are
 * projections of them (capability/projection.h). docs/protocol/capabilities.md, "Sets". */
#ifndef ROVEI_CAPABILITY_SET_H
#define ROVEI_CAPABILITY_SET_H

#include <capability/tag.h>

typedef struct rovei_metadata {
    rove_span key, value;
} rovei_metadata;

/* Only read: what it points to belongs to a draft, an announcement, or whoever made it. */
typedef struct rovei_capset {
    const rove_span *tags;
    size_t tag_count;
    const rovei_metadata *metadata;
    size_t metadata_count;
} rovei_capset;

/* A member with exactly these bytes. */
bool rovei_capset_has(const rovei_capset *s, rove_span tag);
/* Of the tags of an axis that carry a value, `=` and `:` count as the same separator here. */
bool rovei_capset_has_tag(const rovei_capset *s, rove_span tag);
/* The first member that begins with `prefix`, as an index; tag_count when there is none. All of
 * them follow one another. */
size_t rovei_capset_first(const rovei_capset *s, rove_span prefix);
static inline bool rovei_span_begins(rove_span text, rove_span prefix)
{
    return text.size >= prefix.size &&
           rovei_span_equal((rove_span){text.data, prefix.size}, prefix);
}
bool rovei_capset_metadata(const rovei_capset *s, rove_span key, rove_span *ret);
bool rovei_capset_equal(const rovei_capset *a, const rovei_capset *b);

/* ---- a set that is being made ---- */
/* Bytes of all tags, keys and values together, and how many of them there are: what is more could
 * not be announced. */
#define ROVEI_CAPSET_BYTES 8000
#define ROVEI_CAPSET_ITEMS 2048

typedef struct rovei_capset_draft {
    rovei_capset set; /* in order at any time */
    const rove_alloc *alloc;
    size_t tag_room, metadata_room, bytes;
} rovei_capset_draft;

void rovei_capset_draft_init(rovei_capset_draft *d, const rove_alloc *a); /* a outlives it */
void rovei_capset_draft_fini(rovei_capset_draft *d); /* one that is all zero is fine */
/* A tag that is there already changes nothing. E_FORMAT (empty, not UTF-8), E_FULL (the bounds
 * above), E_NOMEM; the set is as before then. */
ROVE_MUST_USE rove_err rovei_capset_add(rovei_capset_draft *d, rove_span tag);
/* True when it was there. */
bool rovei_capset_remove(rovei_capset_draft *d, rove_span tag);
/* Sets a value of the metadata, or replaces it. Errors as above; keys may be empty. */
ROVE_MUST_USE rove_err rovei_capset_set(rovei_capset_draft *d, rove_span key, rove_span value);
bool rovei_capset_unset(rovei_capset_draft *d, rove_span key);
/* Adds all of `from`. On an error some of it may have been added. */
ROVE_MUST_USE rove_err rovei_capset_merge(rovei_capset_draft *d, const rovei_capset *from);
void rovei_capset_clear(rovei_capset_draft *d);

#endif
