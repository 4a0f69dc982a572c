/* SPDX-License-Identifier: Apache-2.0
 *
 * Disjoint closed ranges, highest first, never adjacent. */
#include <base/ranges.h>
#include <string.h>

void rovei_ranges_init(rovei_ranges *s)
{
    s->count = 0;
}

/* The first range whose numbers are not all above `v`; the count when there is none. Numbers
 * arrive nearly in order, so the search from the top ends at once. */
static uint32_t locate(const rovei_ranges *s, uint64_t v)
{
    uint32_t i = 0;
    while (i < s->count && s->r[i].first > v)
        i++;
    return i;
}

static void close_gap(rovei_ranges *s, uint32_t i)
{
    memmove(&s->r[i], &s->r[i + 1], (s->count - i - 1) * sizeof s->r[0]);
    s->count--;
}

bool rovei_ranges_has(const rovei_ranges *s, uint64_t v)
{
    uint32_t i = locate(s, v);
    return i < s->count && v <= s->r[i].last;
}

bool rovei_ranges_add(rovei_ranges *s, uint64_t v)
{
    uint32_t i = locate(s, v);
    if (i < s->count && v <= s->r[i].last)
        return false;
    bool above = i > 0 && s->r[i - 1].first - 1 == v;
    bool below = i < s->count && s->r[i].last + 1 == v;
    if (above && below) {
        s->r[i - 1].first = s->r[i].first;
        close_gap(s, i);
    } else if (above) {
        s->r[i - 1].first = v;
    } else if (below) {
        s->r[i].last = v;
    } else {
        if (i == ROVEI_RANGES_MAX)
            return true;
        if (s->count == ROVEI_RANGES_MAX)
            s->count--;
        memmove(&s->r[i + 1], &s->r[i], (s->count - i) * sizeof s->r[0]);
        s->r[i] = (rovei_range){v, v};
        s->count++;
    }
    return true;
}

void rovei_ranges_drop_through(rovei_ranges *s, uint64_t v)
{
    while (s->count && s->r[s->count - 1].last <= v)
        s->count--;
    if (s->count && s->r[s->count - 1].first <= v)
        s->r[s->count - 1].first = v + 1;
}
