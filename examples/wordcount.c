/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts words. An event is a line of any bytes; a word is a longest run of the letters A-Z and
 * a-z, taken as lower case. The output is the sequence of the sender's causal link, a space, and
 * how many words the line had, so that a lost or doubled line shows.
 *
 * The state is laid out as wordcount.h says: it follows from the events alone, and writing it takes
 * no sorting. It is offered whole and as a stream; while a stream is open, counts that change are
 * first kept aside for it, a page at a time. */
#include "wordcount.h"
#include <inttypes.h>
#include <rove/kind.h>
#include <stdio.h>
#include <string.h>

struct word {
    uint64_t count;
    size_t at; /* in the letters */
    uint32_t size;
};

#define PAGE_WORDS 1024 /* whose counts are kept aside together */

/* The state as it was when it was opened. Words are only ever added behind, so but for the counts
 * it lies in the table itself. */
struct reading {
    struct reading *next; /* of the same daemon */
    struct wordcount *wc;
    size_t words;     /* as many as there were */
    size_t word, at;  /* where it stands: a word, and a byte of its entry */
    uint64_t **pages; /* counts as they were, where one has changed; NULL elsewhere */
    size_t page_count;
    bool broken; /* memory for a page was refused */
};

struct wordcount {
    const rove_alloc *alloc;
    struct reading *readings;
    char *letters; /* of all words, one behind the other */
    size_t letters_used, letters_room;
    struct word *words; /* in the order of their first appearance */
    size_t words_used, words_room;
    uint32_t *slots; /* hash table: index into words + 1, 0 = free; at most half of it taken */
    size_t slots_room;
};

/* ---- the table ---- */

static bool grow(struct wordcount *wc, void *items, size_t *room, size_t need, size_t item_size)
{
    if (need <= *room)
        return true;
    size_t more = *room < 64 ? 64 : *room * 2;
    if (more < need)
        more = need;
    if (more > SIZE_MAX / 2 / item_size)
        return false;
    void *before;
    memcpy(&before, items, sizeof before);
    void *after =
        before ? wc->alloc->realloc(wc->alloc->user, before, *room * item_size, more * item_size)
               : wc->alloc->alloc(wc->alloc->user, more * item_size);
    if (!after)
        return false;
    memcpy(items, &after, sizeof after);
    *room = more;
    return true;
}

static uint64_t hash_of(const char *letters, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (uint8_t)letters[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

/* The slot that holds the word, or the free one where it belongs. */
static uint32_t *slot_of(const struct wordcount *wc, const char *letters, size_t size)
{
    for (size_t i = hash_of(letters, size);; i++) {
        uint32_t *slot = &wc->slots[i & (wc->slots_room - 1)];
        const struct word *w = *slot ? &wc->words[*slot - 1] : NULL;
        if (!w || (w->size == size && memcmp(wc->letters + w->at, letters, size) == 0))
            return slot;
    }
}

static bool grow_slots(struct wordcount *wc)
{
    if ((wc->words_used + 1) * 2 <= wc->slots_room)
        return true;
    size_t room = wc->slots_room ? wc->slots_room * 2 : 256;
    uint32_t *before = wc->slots;
    size_t before_room = wc->slots_room;
    if (wc->words_used >= UINT32_MAX - 1)
        return false;
    uint32_t *slots = wc->alloc->alloc(wc->alloc->user, room * sizeof *slots);
    if (!slots)
        return false;
    memset(slots, 0, room * sizeof *slots);
    wc->slots = slots;
    wc->slots_room = room;
    for (size_t i = 0; i < wc->words_used; i++)
        *slot_of(wc, wc->letters + wc->words[i].at, wc->words[i].size) = (uint32_t)i + 1;
    if (before)
        wc->alloc->free(wc->alloc->user, before, before_room * sizeof *before);
    return true;
}

/* The count of a word is about to change: readers that have not come to it keep the old one. */
static void keep_counts(const struct wordcount *wc, size_t word)
{
    for (struct reading *r = wc->readings; r; r = r->next) {
        size_t first = word / PAGE_WORDS * PAGE_WORDS;
        if (word >= r->words || word < r->word || r->pages[word / PAGE_WORDS])
            continue;
        uint64_t *page = wc->alloc->alloc(wc->alloc->user, PAGE_WORDS * sizeof *page);
        r->broken |= !page;
        for (size_t i = 0; page && i < PAGE_WORDS && first + i < r->words; i++)
            page[i] = wc->words[first + i].count;
        r->pages[word / PAGE_WORDS] = page;
    }
}

/* Adds `count` to a word of lower-case letters. */
static rove_err add(struct wordcount *wc, const char *letters, uint32_t size, uint64_t count)
{
    if (!grow_slots(wc))
        return ROVE_E_NOMEM;
    uint32_t *slot = slot_of(wc, letters, size);
    if (*slot) {
        if (wc->readings)
            keep_counts(wc, *slot - 1);
        wc->words[*slot - 1].count += count;
        return ROVE_OK;
    }
    if (!grow(wc, &wc->letters, &wc->letters_room, wc->letters_used + size, 1) ||
        !grow(wc, &wc->words, &wc->words_room, wc->words_used + 1, sizeof *wc->words))
        return ROVE_E_NOMEM;
    memcpy(wc->letters + wc->letters_used, letters, size);
    wc->words[wc->words_used] = (struct word){count, wc->letters_used, size};
    wc->letters_used += size;
    *slot = (uint32_t)++wc->words_used;
    return ROVE_OK;
}

/* ---- the kind ---- */

static rove_err wordcount_create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    struct wordcount *wc = alloc->alloc(alloc->user, sizeof *wc);
    if (!wc)
        return ROVE_E_NOMEM;
    *wc = (struct wordcount){.alloc = alloc};
    *ret = wc;
    return ROVE_OK;
}

static void wordcount_destroy(void *self)
{
    struct wordcount *wc = self;
    const rove_alloc *a = wc->alloc;
    if (wc->letters)
        a->free(a->user, wc->letters, wc->letters_room);
    if (wc->words)
        a->free(a->user, wc->words, wc->words_room * sizeof *wc->words);
    if (wc->slots)
        a->free(a->user, wc->slots, wc->slots_room * sizeof *wc->slots);
    a->free(a->user, wc, sizeof *wc);
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Calls `add` for each word of the line; the letters are lowered in `scratch`, as long as it. */
static rove_err count_line(struct wordcount *wc, rove_span line, char *scratch, uint64_t *ret)
{
    const uint8_t *bytes = line.data;
    uint64_t words = 0;
    for (size_t i = 0; i < line.size;) {
        uint32_t size = 0;
        for (; i < line.size && is_letter(bytes[i]); i++)
            scratch[size++] = (char)(bytes[i] | 0x20);
        if (size) {
            rove_err err = add(wc, scratch, size, 1);
            if (err)
                return err;
            words++;
        } else {
            i++;
        }
    }
    *ret = words;
    return ROVE_OK;
}

static rove_err wordcount_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    struct wordcount *wc = self;
    char near[4096];
    char *scratch = near;
    size_t size = event->payload.size;
    if (size > UINT32_MAX)
        return rove_fail(ctx, "the line is too long");
    if (size > sizeof near && !(scratch = wc->alloc->alloc(wc->alloc->user, size)))
        return ROVE_E_NOMEM;
    uint64_t words = 0;
    rove_err err = count_line(wc, event->payload, scratch, &words);
    if (scratch != near)
        wc->alloc->free(wc->alloc->user, scratch, size);
    if (err)
        return err;
    char text[48];
    int used = snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64, event->link.sequence, words);
    return rove_emit(ctx, (rove_span){text, (size_t)used});
}

/* ---- the state ---- */

static uint64_t state_size(const struct wordcount *wc)
{
    return wc->letters_used + (uint64_t)wc->words_used * WORDCOUNT_HEAD;
}

static void put_head(uint8_t head[WORDCOUNT_HEAD], uint64_t count, uint32_t size)
{
    for (int b = 0; b < 8; b++)
        head[b] = (uint8_t)(count >> (8 * b));
    for (int b = 0; b < 4; b++)
        head[8 + b] = (uint8_t)(size >> (8 * b));
}

static rove_err wordcount_snapshot(void *self, rove_ctx *ctx)
{
    const struct wordcount *wc = self;
    rove_err err = rove_reserve(ctx, state_size(wc));
    for (size_t i = 0; i < wc->words_used && err == ROVE_OK; i++) {
        const struct word *w = &wc->words[i];
        uint8_t head[WORDCOUNT_HEAD];
        put_head(head, w->count, w->size);
        err = rove_write(ctx, (rove_span){head, sizeof head});
        if (err == ROVE_OK)
            err = rove_write(ctx, (rove_span){wc->letters + w->at, w->size});
    }
    return err;
}

/* Adds the whole entries at the front of `bytes`. */
static rove_err add_entries(struct wordcount *wc, rove_span *bytes)
{
    rove_span word;
    uint64_t count;
    rove_err err = ROVE_OK;
    while (err == ROVE_OK && wordcount_next(bytes, &word, &count))
        err = add(wc, word.data, (uint32_t)word.size, count);
    return err;
}

static rove_err wordcount_restore(void *self, rove_ctx *ctx, rove_span state)
{
    rove_err err = add_entries(self, &state);
    if (err == ROVE_OK && state.size)
        return rove_fail(ctx, "the table ends inside of an entry");
    return err;
}

/* ---- the state as a stream ---- */

static rove_err wordcount_open(void *self, rove_ctx *ctx, uint64_t *ret_size, void **ret)
{
    struct wordcount *wc = self;
    const rove_alloc *a = wc->alloc;
    (void)ctx;
    struct reading *r = a->alloc(a->user, sizeof *r);
    if (!r)
        return ROVE_E_NOMEM;
    *r = (struct reading){.wc = wc, .words = wc->words_used, .next = wc->readings};
    r->page_count = r->words / PAGE_WORDS + 1;
    r->pages = a->alloc(a->user, r->page_count * sizeof *r->pages);
    if (!r->pages) {
        a->free(a->user, r, sizeof *r);
        return ROVE_E_NOMEM;
    }
    for (size_t i = 0; i < r->page_count; i++)
        r->pages[i] = NULL;
    wc->readings = r;
    *ret_size = state_size(wc);
    *ret = r;
    return ROVE_OK;
}

/* Copies what fits of `part`, which starts at byte `from` of the entry; moves on. */
static void copy_part(struct reading *r, uint8_t *room, size_t size, size_t *used, size_t from,
                      rove_span part)
{
    size_t skip = r->at - from;
    if (r->at < from || skip >= part.size)
        return;
    size_t n = part.size - skip < size - *used ? part.size - skip : size - *used;
    memcpy(room + *used, (const uint8_t *)part.data + skip, n);
    *used += n;
    r->at += n;
}

static rove_err wordcount_read(void *stream, void *room, size_t size, size_t *ret_size)
{
    struct reading *r = stream;
    const struct wordcount *wc = r->wc;
    size_t used = 0;
    if (r->broken)
        return ROVE_E_NOMEM;
    while (used < size && r->word < r->words) {
        const struct word *w = &wc->words[r->word];
        const uint64_t *page = r->pages[r->word / PAGE_WORDS];
        uint8_t head[WORDCOUNT_HEAD];
        put_head(head, page ? page[r->word % PAGE_WORDS] : w->count, w->size);
        copy_part(r, room, size, &used, 0, (rove_span){head, sizeof head});
        copy_part(r, room, size, &used, WORDCOUNT_HEAD, (rove_span){wc->letters + w->at, w->size});
        if (r->at == WORDCOUNT_HEAD + (size_t)w->size) {
            r->word++;
            r->at = 0;
        }
    }
    *ret_size = used;
    return ROVE_OK;
}

static void wordcount_close(void *stream)
{
    struct reading *r = stream;
    const rove_alloc *a = r->wc->alloc;
    struct reading **link = &r->wc->readings;
    while (*link != r)
        link = &(*link)->next;
    *link = r->next;
    for (size_t i = 0; i < r->page_count; i++)
        if (r->pages[i])
            a->free(a->user, r->pages[i], PAGE_WORDS * sizeof(uint64_t));
    a->free(a->user, r->pages, r->page_count * sizeof *r->pages);
    a->free(a->user, r, sizeof *r);
}

struct writing {
    struct wordcount *wc;
    uint64_t left;  /* bytes of the state that have not come */
    uint8_t *entry; /* the start of one whose end has not come */
    size_t used, room;
};

static rove_err wordcount_take_open(void *self, rove_ctx *ctx, uint64_t size, void **ret)
{
    struct wordcount *wc = self;
    (void)ctx;
    struct writing *w = wc->alloc->alloc(wc->alloc->user, sizeof *w);
    if (!w)
        return ROVE_E_NOMEM;
    *w = (struct writing){.wc = wc, .left = size};
    *ret = w;
    return ROVE_OK;
}

/* Moves bytes to the entry that is cut: up to the end of its head, then up to its own. */
static rove_err gather(struct writing *w, rove_span *bytes)
{
    size_t need = WORDCOUNT_HEAD;
    if (w->used >= WORDCOUNT_HEAD) {
        uint32_t size = 0;
        for (unsigned b = 0; b < 4; b++)
            size |= (uint32_t)w->entry[8 + b] << (8 * b);
        need += size;
        if (size == 0 || need - w->used > w->left + bytes->size)
            return ROVE_E_PROCESS;
    }
    size_t n = need - w->used < bytes->size ? need - w->used : bytes->size;
    if (!grow(w->wc, &w->entry, &w->room, w->used + n, 1))
        return ROVE_E_NOMEM;
    memcpy(w->entry + w->used, bytes->data, n);
    w->used += n;
    *bytes = (rove_span){(const uint8_t *)bytes->data + n, bytes->size - n};
    rove_span entry = {w->entry, w->used};
    rove_err err = add_entries(w->wc, &entry);
    if (entry.size == 0)
        w->used = 0;
    return err;
}

static rove_err wordcount_write(void *stream, rove_span bytes)
{
    struct writing *w = stream;
    rove_err err = ROVE_OK;
    w->left -= bytes.size;
    while (bytes.size && err == ROVE_OK) {
        if (!w->used)
            err = add_entries(w->wc, &bytes);
        if (bytes.size && err == ROVE_OK)
            err = gather(w, &bytes);
    }
    return err;
}

static rove_err wordcount_take_close(void *stream, rove_ctx *ctx, bool complete)
{
    struct writing *w = stream;
    const rove_alloc *a = w->wc->alloc;
    bool cut = w->used > 0;
    if (w->entry)
        a->free(a->user, w->entry, w->room);
    a->free(a->user, w, sizeof *w);
    return complete && cut ? rove_fail(ctx, "the table ends inside of an entry") : ROVE_OK;
}

ROVE_KIND("wordcount", .create = wordcount_create, .destroy = wordcount_destroy,
          .process = wordcount_process, .snapshot = wordcount_snapshot,
          .restore = wordcount_restore, .is_stateful = true, .snapshot_open = wordcount_open,
          .snapshot_read = wordcount_read, .snapshot_close = wordcount_close,
          .restore_open = wordcount_take_open, .restore_write = wordcount_write,
          .restore_close = wordcount_take_close)
