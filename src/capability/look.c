/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a set of tags. The sets are sorted, so a key is found by two searches, one for each
 * separator, and the last of several is the last in order. */
#include <capability/look.h>
#include <string.h>

int rovei_span_order(rove_span a, rove_span b)
{
    size_t least = a.size < b.size ? a.size : b.size;
    int order = least ? memcmp(a.data, b.data, least) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

bool rovei_span_is(rove_span a, const char *text)
{
    size_t size = strlen(text);
    return a.size == size && memcmp(a.data, text, size) == 0;
}

bool rovei_span_starts(rove_span a, rove_span beginning)
{
    return a.size >= beginning.size &&
           (beginning.size == 0 || memcmp(a.data, beginning.data, beginning.size) == 0);
}

/* Order of a tag and the text key + end, which is not put together for that; end 0: none. */
static int order_keyed(rove_span tag, rove_span key, char end)
{
    rove_span head = {tag.data, tag.size < key.size ? tag.size : key.size};
    int order = rovei_span_order(head, key);
    if (order || !end)
        return order ? order : tag.size > key.size;
    if (tag.size == key.size)
        return -1;
    char next = ((const char *)tag.data)[key.size];
    if (next != end)
        return (unsigned char)next < (unsigned char)end ? -1 : 1;
    return tag.size > key.size + 1;
}

static size_t lower_bound(const rovei_caps *c, rove_span key, char end)
{
    size_t low = 0, high = c->tag_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (order_keyed(c->tags[mid], key, end) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

size_t rovei_caps_from(const rovei_caps *c, rove_span text)
{
    return lower_bound(c, text, 0);
}

bool rovei_caps_has(const rovei_caps *c, rove_span tag)
{
    size_t at = lower_bound(c, tag, 0);
    return at < c->tag_count && rovei_span_order(c->tags[at], tag) == 0;
}

static bool is_keyed(rove_span tag, rove_span key, char end)
{
    return tag.size > key.size && rovei_span_starts(tag, key) &&
           ((const char *)tag.data)[key.size] == end;
}

static rove_span behind(rove_span tag, size_t size)
{
    return (rove_span){(const char *)tag.data + size, tag.size - size};
}

rovei_tag_parts rovei_tag_split(rove_span tag)
{
    static const struct {
        const char *text;
        char axis;
    } axes[] = {{"hardware.", 'h'}, {"software.", 's'}, {"devices.", 'd'}, {"dataforts.", 'f'}};
    rovei_tag_parts parts = {.key = tag};
    size_t begin = 0;
    for (size_t i = 0; i < sizeof axes / sizeof axes[0]; i++) {
        size_t size = strlen(axes[i].text);
        if (tag.size >= size && memcmp(tag.data, axes[i].text, size) == 0) {
            parts.axis = axes[i].axis;
            begin = size;
        }
    }
    if (!parts.axis)
        return parts;
    const char *at = tag.data;
    for (size_t i = begin; i < tag.size; i++)
        if (at[i] == '=' || at[i] == ':') {
            parts.separator = at[i];
            parts.key.size = i;
            parts.value = behind(tag, i + 1);
            break;
        }
    return parts;
}

bool rovei_caps_has_alike(const rovei_caps *c, rove_span tag)
{
    if (rovei_caps_has(c, tag))
        return true;
    rovei_tag_parts parts = rovei_tag_split(tag);
    if (!parts.separator)
        return false;
    char other = parts.separator == '=' ? ':' : '=';
    for (size_t i = lower_bound(c, parts.key, other);
         i < c->tag_count && is_keyed(c->tags[i], parts.key, other); i++)
        if (rovei_span_order(behind(c->tags[i], parts.key.size + 1), parts.value) == 0)
            return true;
    return false;
}

/* A key of an axis that could have been cut out of a tag. */
static bool is_key(rove_span key)
{
    rovei_tag_parts parts = rovei_tag_split(key);
    return parts.axis && !parts.separator;
}

bool rovei_caps_value(const rovei_caps *c, rove_span key, rove_span *ret)
{
    if (!is_key(key))
        return false;
    bool found = false;
    static const char separators[] = {':', '='}; /* in the order of their bytes */
    for (size_t s = 0; s < sizeof separators; s++)
        for (size_t i = lower_bound(c, key, separators[s]);
             i < c->tag_count && is_keyed(c->tags[i], key, separators[s]); i++) {
            *ret = behind(c->tags[i], key.size + 1);
            found = true;
        }
    return found;
}

bool rovei_caps_key(const rovei_caps *c, rove_span key)
{
    rove_span value;
    return is_key(key) && (rovei_caps_has(c, key) || rovei_caps_value(c, key, &value));
}

bool rovei_caps_meta(const rovei_caps *c, rove_span key, rove_span *ret)
{
    size_t low = 0, high = c->metadata_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = rovei_span_order(c->metadata[mid].key, key);
        if (order == 0) {
            *ret = c->metadata[mid].value;
            return true;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

uint64_t rovei_caps_u64(rove_span text)
{
    const char *at = text.data;
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (at[i] < '0' || at[i] > '9')
            return 0;
        uint64_t digit = (uint64_t)(at[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    return value;
}

uint32_t rovei_caps_u32(rove_span text)
{
    uint64_t value = rovei_caps_u64(text);
    return value > UINT32_MAX ? 0 : (uint32_t)value;
}

uint32_t rovei_caps_number(const rovei_caps *c, const char *key)
{
    rove_span value;
    return rovei_caps_value(c, (rove_span){key, strlen(key)}, &value) ? rovei_caps_u32(value) : 0;
}

static const char *const vendors[] = {"", "nvidia", "amd", "intel", "apple", "qualcomm"};

rovei_vendor rovei_vendor_of(rove_span name)
{
    for (size_t i = 1; i < sizeof vendors / sizeof vendors[0]; i++)
        if (rovei_span_is(name, vendors[i]))
            return (rovei_vendor)i;
    return ROVEI_VENDOR_UNKNOWN;
}

const char *rovei_vendor_name(rovei_vendor v)
{
    return (size_t)v < sizeof vendors / sizeof vendors[0] ? vendors[v] : "";
}

rovei_hardware rovei_caps_hardware(const rovei_caps *c)
{
    static const char presence[] = "hardware.gpu", beginning[] = "hardware.gpu.";
    rove_span part = {beginning, sizeof beginning - 1}, value;
    rovei_hardware h = {.memory_gb = rovei_caps_number(c, "hardware.memory_gb")};
    size_t at = rovei_caps_from(c, part);
    h.gpu = rovei_caps_has(c, (rove_span){presence, sizeof presence - 1}) ||
            (at < c->tag_count && rovei_span_starts(c->tags[at], part));
    if (!h.gpu)
        return h;
    h.vram_gb = rovei_caps_number(c, "hardware.gpu.vram_gb");
    static const char vendor[] = "hardware.gpu.vendor";
    if (rovei_caps_value(c, (rove_span){vendor, sizeof vendor - 1}, &value))
        h.vendor = rovei_vendor_of(value);
    return h;
}

bool rovei_caps_indexed(const rovei_caps *c, const char *beginning, size_t *it, uint32_t *ret_index,
                        rove_span *ret_field, rove_span *ret_value)
{
    rove_span head = {beginning, strlen(beginning)};
    size_t at = *it ? *it - 1 : rovei_caps_from(c, head);
    for (; at < c->tag_count && rovei_span_starts(c->tags[at], head); at++) {
        rovei_tag_parts parts = rovei_tag_split(c->tags[at]);
        const char *rest = (const char *)parts.key.data + head.size;
        size_t size = parts.key.size - head.size, dot = 0;
        while (dot < size && rest[dot] != '.')
            dot++;
        if (!parts.separator || dot == 0 || dot == size)
            continue;
        uint32_t index = rovei_caps_u32((rove_span){rest, dot});
        if (index == 0 && !(dot == 1 && rest[0] == '0'))
            continue;
        *ret_index = index;
        *ret_field = (rove_span){rest + dot + 1, size - dot - 1};
        *ret_value = parts.value;
        *it = at + 2;
        return true;
    }
    return false;
}

static const char *const modalities[] = {"text", "image",     "audio",   "video",
                                         "code", "embedding", "tool_use"};

uint32_t rovei_modality_of(rove_span name)
{
    for (size_t i = 0; i < sizeof modalities / sizeof modalities[0]; i++)
        if (rovei_span_is(name, modalities[i]))
            return UINT32_C(1) << i;
    return 0;
}

const char *rovei_modality_name(uint32_t bit)
{
    for (size_t i = 0; i < sizeof modalities / sizeof modalities[0]; i++)
        if (bit == UINT32_C(1) << i)
            return modalities[i];
    return "";
}

uint32_t rovei_modalities_of(rove_span list)
{
    const char *at = list.data;
    uint32_t bits = 0;
    for (size_t i = 0, begin = 0; i <= list.size && list.size; i++)
        if (i == list.size || at[i] == ',') {
            uint32_t bit = rovei_modality_of((rove_span){at + begin, i - begin});
            bits |= bit ? bit : ROVEI_MODAL_TEXT;
            begin = i + 1;
        }
    return bits;
}
