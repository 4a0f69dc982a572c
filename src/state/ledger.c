/* SPDX-License-Identifier: Apache-2.0
 *
 * The subscription ledger: entries in the order in which they were recorded, with a second array
 * in the order of their keys to find them by. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/text.h>
#include <state/ledger.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_LEAST                                                                                \
    11 /* publisher, length, flag: no name is that short, but the bound is known                   \
        */

struct entry {
    uint64_t publisher;
    size_t order; /* used while decoding */
    uint16_t channel_size, token_size;
    bool has_token;
    uint8_t bytes[]; /* channel, then token */
};

struct rovei_ledger {
    rove_alloc alloc;
    struct entry **items, **sorted;
    size_t count, items_room, sorted_room;
};

static size_t entry_bytes(const struct entry *e)
{
    return sizeof *e + e->channel_size + e->token_size;
}

static void entry_free(const rove_alloc *a, struct entry *e)
{
    rovei_free(a, e, entry_bytes(e));
}

/* The sizes were checked by the caller. */
static struct entry *entry_new(const rove_alloc *a, const rovei_subscription *s)
{
    size_t token_size = s->has_token ? s->token.size : 0;
    struct entry *e = rovei_alloc(a, sizeof *e + s->channel.size + token_size);
    if (!e)
        return NULL;
    *e = (struct entry){.publisher = s->publisher,
                        .channel_size = (uint16_t)s->channel.size,
                        .token_size = (uint16_t)token_size,
                        .has_token = s->has_token};
    memcpy(e->bytes, s->channel.data, s->channel.size);
    if (token_size)
        memcpy(e->bytes + e->channel_size, s->token.data, token_size);
    return e;
}

static int compare_key(const struct entry *e, uint64_t publisher, rove_span channel)
{
    if (e->publisher != publisher)
        return e->publisher < publisher ? -1 : 1;
    if (e->channel_size != channel.size)
        return e->channel_size < channel.size ? -1 : 1;
    return channel.size ? memcmp(e->bytes, channel.data, channel.size) : 0;
}

static int compare_entries(const struct entry *a, const struct entry *b)
{
    return compare_key(a, b->publisher, (rove_span){b->bytes, b->channel_size});
}

/* The place of the key in `sorted`, there or not. */
static size_t locate(const rovei_ledger *l, uint64_t publisher, rove_span channel, bool *ret_found)
{
    size_t low = 0, high = l->count;
    *ret_found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = compare_key(l->sorted[mid], publisher, channel);
        if (order == 0)
            *ret_found = true;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static size_t item_of(const rovei_ledger *l, const struct entry *e)
{
    size_t i = 0;
    while (l->items[i] != e)
        i++;
    return i;
}

rove_err rovei_ledger_new(rovei_ledger **ret, const rove_alloc *a)
{
    rovei_ledger *l = ROVEI_NEW(a, rovei_ledger);
    if (!l)
        return ROVE_E_NOMEM;
    l->alloc = *a;
    *ret = l;
    return ROVE_OK;
}

void rovei_ledger_free(rovei_ledger *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        entry_free(&l->alloc, l->items[i]);
    rove_alloc alloc = l->alloc;
    rovei_free(&alloc, l->items, l->items_room * sizeof(struct entry *));
    rovei_free(&alloc, l->sorted, l->sorted_room * sizeof(struct entry *));
    ROVEI_DELETE(&alloc, l);
}

static rove_err make_room(rovei_ledger *l)
{
    void *items = l->items, *sorted = l->sorted;
    rove_err err = rovei_grow(&l->alloc, &items, &l->items_room, l->count, sizeof(struct entry *),
                              ROVEI_LEDGER_MAX);
    l->items = items;
    if (err == ROVE_OK)
        err = rovei_grow(&l->alloc, &sorted, &l->sorted_room, l->count, sizeof(struct entry *),
                         ROVEI_LEDGER_MAX);
    l->sorted = sorted;
    return err;
}

rove_err rovei_ledger_record(rovei_ledger *l, const rovei_subscription *s)
{
    rove_err err = rovei_channel_name_check(s->channel);
    if (err)
        return err;
    if (s->has_token && s->token.size > UINT16_MAX)
        return ROVE_E_BOUND;
    bool found;
    size_t at = locate(l, s->publisher, s->channel, &found);
    if (!found) {
        err = make_room(l);
        if (err)
            return err;
    }
    struct entry *e = entry_new(&l->alloc, s);
    if (!e)
        return ROVE_E_NOMEM;
    if (found) {
        l->items[item_of(l, l->sorted[at])] = e;
        entry_free(&l->alloc, l->sorted[at]);
    } else {
        memmove(&l->sorted[at + 1], &l->sorted[at], (l->count - at) * sizeof(struct entry *));
        l->items[l->count++] = e;
    }
    l->sorted[at] = e;
    return ROVE_OK;
}

void rovei_ledger_forget(rovei_ledger *l, uint64_t publisher, rove_span channel)
{
    bool found;
    size_t at = locate(l, publisher, channel, &found);
    if (!found)
        return;
    struct entry *e = l->sorted[at];
    size_t item = item_of(l, e);
    l->count--;
    memmove(&l->sorted[at], &l->sorted[at + 1], (l->count - at) * sizeof(struct entry *));
    memmove(&l->items[item], &l->items[item + 1], (l->count - item) * sizeof(struct entry *));
    entry_free(&l->alloc, e);
}

size_t rovei_ledger_count(const rovei_ledger *l)
{
    return l->count;
}

rovei_subscription rovei_ledger_at(const rovei_ledger *l, size_t index)
{
    ROVEI_CHECK(index < l->count);
    const struct entry *e = l->items[index];
    return (rovei_subscription){
        .publisher = e->publisher,
        .channel = {e->bytes, e->channel_size},
        .has_token = e->has_token,
        .token = {e->bytes + e->channel_size, e->token_size},
    };
}

/* ---- the bytes: u32 count; per entry u64 publisher, u16 length and name, u8 flag, and with the
 * flag set u16 length and token ---- */

size_t rovei_ledger_size(const rovei_ledger *l)
{
    size_t size = 4;
    for (size_t i = 0; i < l->count; i++) {
        const struct entry *e = l->items[i];
        size += ENTRY_LEAST + (size_t)e->channel_size;
        if (e->has_token)
            size += 2 + (size_t)e->token_size;
    }
    return size;
}

void rovei_ledger_encode(const rovei_ledger *l, rovei_writer *w)
{
    rovei_write_u32(w, (uint32_t)l->count);
    for (size_t i = 0; i < l->count; i++) {
        const struct entry *e = l->items[i];
        rovei_write_u64(w, e->publisher);
        rovei_write_u16(w, e->channel_size);
        rovei_write_bytes(w, e->bytes, e->channel_size);
        rovei_write_u8(w, e->has_token);
        if (e->has_token) {
            rovei_write_u16(w, e->token_size);
            rovei_write_bytes(w, e->bytes + e->channel_size, e->token_size);
        }
    }
}

static rovei_subscription read_entry(rovei_reader *r)
{
    rovei_subscription s = {.publisher = rovei_read_u64(r)};
    s.channel = rovei_read_span(r, rovei_read_u16(r));
    if (rovei_reader_ok(r) && !rovei_is_utf8(s.channel))
        rovei_reader_fail(r, ROVE_E_FORMAT);
    if (rovei_reader_ok(r))
        rovei_reader_fail(r, rovei_channel_name_check(s.channel));
    uint8_t flag = rovei_read_u8(r);
    if (flag > 1)
        rovei_reader_fail(r, ROVE_E_FLAG);
    s.has_token = flag == 1;
    if (s.has_token)
        s.token = rovei_read_span(r, rovei_read_u16(r));
    return s;
}

static int compare_for_sort(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    int order = compare_entries(x, y);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

/* Of several entries with one key the last one counts, in the place of the first. */
static void collapse(rovei_ledger *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++) {
        struct entry *e = l->sorted[i];
        if (!kept || compare_entries(l->sorted[kept - 1], e) != 0) {
            l->sorted[kept++] = e;
            continue;
        }
        struct entry *before = l->sorted[kept - 1];
        l->items[e->order] = NULL;
        e->order = before->order;
        l->items[e->order] = e;
        l->sorted[kept - 1] = e;
        entry_free(&l->alloc, before);
    }
    size_t items = 0;
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i])
            l->items[items++] = l->items[i];
    l->count = kept;
}

static rove_err read_entries(rovei_ledger *l, rovei_reader *r)
{
    uint32_t count = rovei_read_u32(r);
    if (count > rovei_reader_left(r) / ENTRY_LEAST || count > ROVEI_LEDGER_MAX)
        rovei_reader_fail(r, ROVE_E_BOUND);
    for (uint32_t i = 0; i < count && rovei_reader_ok(r); i++) {
        rovei_subscription s = read_entry(r);
        if (!rovei_reader_ok(r))
            break;
        rove_err err = make_room(l);
        struct entry *e = err ? NULL : entry_new(&l->alloc, &s);
        if (!e)
            return ROVE_E_NOMEM;
        e->order = l->count;
        l->items[l->count] = l->sorted[l->count] = e;
        l->count++;
    }
    return rovei_reader_end(r);
}

rove_err rovei_ledger_decode(rovei_ledger **ret, const rove_alloc *a, rove_span bytes)
{
    rovei_ledger *l;
    rove_err err = rovei_ledger_new(&l, a);
    if (err)
        return err;
    if (bytes.size) {
        rovei_reader r = rovei_reader_of(bytes);
        err = read_entries(l, &r);
    }
    if (err) {
        rovei_ledger_free(l);
        return err;
    }
    if (l->count) {
        qsort(l->sorted, l->count, sizeof(struct entry *), compare_for_sort);
        collapse(l);
    }
    *ret = l;
    return ROVE_OK;
}
