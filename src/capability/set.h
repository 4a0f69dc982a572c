/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of capabilities: tags, sorted by their bytes and each once, and metadata, sorted by key.
 * All that a node says of itself is in these two; hardware, software, models, tools and limits are
 * projections of them (capability/projection.h). docs/protocol/capabilities.md, "Sets". */
#ifndef ROVEI_CAPABILITY_SET_H
#define ROVEI_CAPABILITY_SET_H

#include <capability/look.h>

bool rovei_caps_equal(const rovei_caps *a, const rovei_caps *b);

/* ---- a set that is being made ---- */
/* Bytes of all tags, keys and values together, and how many of them there are: what is more could
 * not be announced. */
#define ROVEI_CAPSET_BYTES 8000
#define ROVEI_CAPSET_ITEMS 2048

typedef struct rovei_caps_draft {
    rovei_caps set; /* in order at any time */
    const rove_alloc *alloc;
    size_t tag_room, metadata_room, bytes;
} rovei_caps_draft;

void rovei_caps_draft_init(rovei_caps_draft *d, const rove_alloc *a); /* a outlives it */
void rovei_caps_draft_fini(rovei_caps_draft *d); /* one that is all zero is fine */
/* A tag that is there already changes nothing. E_FORMAT (empty, not UTF-8), E_FULL (the bounds
 * above), E_NOMEM; the set is as before then. */
ROVE_MUST_USE rove_err rovei_caps_add(rovei_caps_draft *d, rove_span tag);
/* True when it was there. */
bool rovei_caps_remove(rovei_caps_draft *d, rove_span tag);
/* Sets a value of the metadata, or replaces it. Errors as above; keys may be empty. */
ROVE_MUST_USE rove_err rovei_caps_set(rovei_caps_draft *d, rove_span key, rove_span value);
bool rovei_caps_unset(rovei_caps_draft *d, rove_span key);
/* Adds all of `from`. On an error some of it may have been added. */
ROVE_MUST_USE rove_err rovei_caps_merge(rovei_caps_draft *d, const rovei_caps *from);
void rovei_caps_clear(rovei_caps_draft *d);

#endif
