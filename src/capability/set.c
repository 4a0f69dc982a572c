/* SPDX-License-Identifier: Apache-2.0
 *
 * Making sets of capabilities. */
#include <base/alloc.h>
#include <base/text.h>
#include <capability/set.h>
#include <capability/tag.h>
#include <string.h>

/* ---- looking ---- */

/* The first tag that is not before `tag`. */
static size_t tag_place(const rovei_caps *s, rove_span tag)
{
    size_t low = 0, high = s->tag_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (rovei_span_order(s->tags[mid], tag) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static size_t key_place(const rovei_caps *s, rove_span key)
{
    size_t low = 0, high = s->metadata_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (rovei_span_order(s->metadata[mid].key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool rovei_caps_equal(const rovei_caps *a, const rovei_caps *b)
{
    if (a->tag_count != b->tag_count || a->metadata_count != b->metadata_count)
        return false;
    for (size_t i = 0; i < a->tag_count; i++)
        if (!rovei_span_equal(a->tags[i], b->tags[i]))
            return false;
    for (size_t i = 0; i < a->metadata_count; i++)
        if (!rovei_span_equal(a->metadata[i].key, b->metadata[i].key) ||
            !rovei_span_equal(a->metadata[i].value, b->metadata[i].value))
            return false;
    return true;
}

/* ---- making ---- */

/* The arrays are the draft's own; the set shows them as not to be written. */
static rove_span *tags_of(const rovei_caps_draft *d)
{
    return (rove_span *)(uintptr_t)d->set.tags;
}

static rovei_caps_pair *metadata_of(const rovei_caps_draft *d)
{
    return (rovei_caps_pair *)(uintptr_t)d->set.metadata;
}

static void span_free(const rovei_caps_draft *d, rove_span s)
{
    rovei_free(d->alloc, (void *)(uintptr_t)s.data, s.size + 1);
}

static bool span_copy(const rovei_caps_draft *d, rove_span from, rove_span *ret)
{
    char *bytes = rovei_alloc(d->alloc, from.size + 1);
    if (!bytes)
        return false;
    if (from.size)
        memcpy(bytes, from.data, from.size);
    bytes[from.size] = 0;
    *ret = (rove_span){bytes, from.size};
    return true;
}

void rovei_caps_draft_init(rovei_caps_draft *d, const rove_alloc *a)
{
    *d = (rovei_caps_draft){.alloc = a};
}

void rovei_caps_clear(rovei_caps_draft *d)
{
    for (size_t i = 0; i < d->set.tag_count; i++)
        span_free(d, d->set.tags[i]);
    for (size_t i = 0; i < d->set.metadata_count; i++) {
        span_free(d, d->set.metadata[i].key);
        span_free(d, d->set.metadata[i].value);
    }
    d->set.tag_count = d->set.metadata_count = d->bytes = 0;
}

void rovei_caps_draft_fini(rovei_caps_draft *d)
{
    if (!d->alloc)
        return;
    rovei_caps_clear(d);
    rovei_free(d->alloc, tags_of(d), d->tag_room * sizeof(rove_span));
    rovei_free(d->alloc, metadata_of(d), d->metadata_room * sizeof(rovei_caps_pair));
    *d = (rovei_caps_draft){0};
}

/* `more` bytes fit, in place of `less`. */
static bool fits(const rovei_caps_draft *d, size_t more, size_t less)
{
    return more <= ROVEI_CAPSET_BYTES && d->bytes - less + more <= ROVEI_CAPSET_BYTES;
}

rove_err rovei_caps_add(rovei_caps_draft *d, rove_span tag)
{
    if (!tag.size || !rovei_is_utf8(tag))
        return ROVE_E_FORMAT;
    size_t at = tag_place(&d->set, tag);
    size_t count = d->set.tag_count;
    if (at < count && rovei_span_equal(d->set.tags[at], tag))
        return ROVE_OK;
    if (!fits(d, tag.size, 0))
        return ROVE_E_FULL;
    void *tags = tags_of(d);
    rove_err err =
        rovei_grow(d->alloc, &tags, &d->tag_room, count, sizeof(rove_span), ROVEI_CAPSET_ITEMS);
    if (err)
        return err;
    d->set.tags = tags;
    rove_span copy;
    if (!span_copy(d, tag, &copy))
        return ROVE_E_NOMEM;
    rove_span *t = tags;
    memmove(t + at + 1, t + at, (count - at) * sizeof *t);
    t[at] = copy;
    d->set.tag_count++;
    d->bytes += tag.size;
    return ROVE_OK;
}

bool rovei_caps_remove(rovei_caps_draft *d, rove_span tag)
{
    size_t at = tag_place(&d->set, tag);
    if (at >= d->set.tag_count || !rovei_span_equal(d->set.tags[at], tag))
        return false;
    rove_span *t = tags_of(d);
    d->bytes -= t[at].size;
    span_free(d, t[at]);
    d->set.tag_count--;
    memmove(t + at, t + at + 1, (d->set.tag_count - at) * sizeof *t);
    return true;
}

static rove_err insert_pair(rovei_caps_draft *d, size_t at, rove_span key, rove_span value)
{
    size_t count = d->set.metadata_count;
    void *pairs = metadata_of(d);
    rove_err err = rovei_grow(d->alloc, &pairs, &d->metadata_room, count, sizeof(rovei_caps_pair),
                              ROVEI_CAPSET_ITEMS);
    if (err)
        return err;
    d->set.metadata = pairs;
    rovei_caps_pair pair, *m = pairs;
    if (!span_copy(d, key, &pair.key))
        return ROVE_E_NOMEM;
    if (!span_copy(d, value, &pair.value)) {
        span_free(d, pair.key);
        return ROVE_E_NOMEM;
    }
    memmove(m + at + 1, m + at, (count - at) * sizeof *m);
    m[at] = pair;
    d->set.metadata_count++;
    d->bytes += key.size + value.size;
    return ROVE_OK;
}

rove_err rovei_caps_set(rovei_caps_draft *d, rove_span key, rove_span value)
{
    if (!rovei_is_utf8(key) || !rovei_is_utf8(value))
        return ROVE_E_FORMAT;
    size_t at = key_place(&d->set, key);
    bool there = at < d->set.metadata_count && rovei_span_equal(d->set.metadata[at].key, key);
    if (key.size > ROVEI_CAPSET_BYTES || value.size > ROVEI_CAPSET_BYTES ||
        !fits(d, value.size + (there ? 0 : key.size), there ? d->set.metadata[at].value.size : 0))
        return ROVE_E_FULL;
    if (!there)
        return insert_pair(d, at, key, value);
    rovei_caps_pair *m = metadata_of(d);
    rove_span copy;
    if (!span_copy(d, value, &copy))
        return ROVE_E_NOMEM;
    d->bytes += value.size;
    d->bytes -= m[at].value.size;
    span_free(d, m[at].value);
    m[at].value = copy;
    return ROVE_OK;
}

bool rovei_caps_unset(rovei_caps_draft *d, rove_span key)
{
    size_t at = key_place(&d->set, key);
    if (at >= d->set.metadata_count || !rovei_span_equal(d->set.metadata[at].key, key))
        return false;
    rovei_caps_pair *m = metadata_of(d);
    d->bytes -= m[at].key.size + m[at].value.size;
    span_free(d, m[at].key);
    span_free(d, m[at].value);
    d->set.metadata_count--;
    memmove(m + at, m + at + 1, (d->set.metadata_count - at) * sizeof *m);
    return true;
}

rove_err rovei_caps_merge(rovei_caps_draft *d, const rovei_caps *from)
{
    rove_err err = ROVE_OK;
    for (size_t i = 0; !err && i < from->tag_count; i++)
        err = rovei_caps_add(d, from->tags[i]);
    for (size_t i = 0; !err && i < from->metadata_count; i++)
        err = rovei_caps_set(d, from->metadata[i].key, from->metadata[i].value);
    return err;
}
