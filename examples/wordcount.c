/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts words. An event is a line of any bytes; a word is a longest run of the letters A-Z and
 * a-z, taken as lower case. The output is the sequence of the sender's causal link, a space, and
 * how many words the line had, so that a lost or doubled line shows.
 *
 * The state is laid out as wordcount.h says: it follows from the events alone, and writing it takes
 * no sorting, so that a large table is frozen only shortly. */
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

struct wordcount {
    const rove_alloc *alloc;
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

/* Adds `count` to a word of lower-case letters. */
static rove_err add(struct wordcount *wc, const char *letters, uint32_t size, uint64_t count)
{
    if (!grow_slots(wc))
        return ROVE_E_NOMEM;
    uint32_t *slot = slot_of(wc, letters, size);
    if (*slot) {
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

static rove_err wordcount_snapshot(void *self, rove_ctx *ctx)
{
    const struct wordcount *wc = self;
    rove_err err = rove_reserve(ctx, wc->letters_used + (uint64_t)wc->words_used * WORDCOUNT_HEAD);
    for (size_t i = 0; i < wc->words_used && err == ROVE_OK; i++) {
        const struct word *w = &wc->words[i];
        uint8_t head[WORDCOUNT_HEAD];
        for (int b = 0; b < 8; b++)
            head[b] = (uint8_t)(w->count >> (8 * b));
        for (int b = 0; b < 4; b++)
            head[8 + b] = (uint8_t)(w->size >> (8 * b));
        err = rove_write(ctx, (rove_span){head, sizeof head});
        if (err == ROVE_OK)
            err = rove_write(ctx, (rove_span){wc->letters + w->at, w->size});
    }
    return err;
}

static rove_err wordcount_restore(void *self, rove_ctx *ctx, rove_span state)
{
    struct wordcount *wc = self;
    rove_span word;
    uint64_t count;
    while (wordcount_next(&state, &word, &count)) {
        rove_err err = add(wc, word.data, (uint32_t)word.size, count);
        if (err)
            return err;
    }
    if (state.size)
        return rove_fail(ctx, "the table ends inside of an entry");
    return ROVE_OK;
}

ROVE_KIND("wordcount", .create = wordcount_create, .destroy = wordcount_destroy,
          .process = wordcount_process, .snapshot = wordcount_snapshot,
          .restore = wordcount_restore, .is_stateful = true)
