/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading what a node announced: a view of its tags and metadata, and the typed values that are
 * encoded in them (docs/protocol/capabilities.md). A view borrows all that it points to. */
#ifndef ROVEI_CAPABILITY_LOOK_H
#define ROVEI_CAPABILITY_LOOK_H

#include <rove/types.h>

typedef struct rovei_caps_pair {
    rove_span key, value;
} rovei_caps_pair;

/* Tags ascending by their bytes without duplicates, metadata ascending by key without
 * duplicates. */
typedef struct rovei_caps {
    const rove_span *tags;
    size_t tag_count;
    const rovei_caps_pair *metadata;
    size_t metadata_count;
} rovei_caps;

/* Order of the bytes, a shorter beginning first. */
int rovei_span_order(rove_span a, rove_span b);
bool rovei_span_is(rove_span a, const char *text);
bool rovei_span_starts(rove_span a, rove_span beginning);

/* The same bytes, separator included. */
bool rovei_caps_has(const rovei_caps *c, rove_span tag);
/* As above, but an axis tag is also found when its key and value are separated by the other one of
 * '=' and ':'. */
bool rovei_caps_has_alike(const rovei_caps *c, rove_span tag);
/* Index of the first tag that does not come before `text`. */
size_t rovei_caps_from(const rovei_caps *c, rove_span text);
/* The value of the axis tag with this key ("hardware.memory_gb"), of several the last one in order.
 * False when there is none, or only a presence tag. */
bool rovei_caps_value(const rovei_caps *c, rove_span key, rove_span *ret);
/* Whether an axis tag with this key is there, as presence or with a value. */
bool rovei_caps_key(const rovei_caps *c, rove_span key);
bool rovei_caps_meta(const rovei_caps *c, rove_span key, rove_span *ret);

/* Decimal digits and nothing else; else 0, as is what does not fit. */
uint64_t rovei_caps_u64(rove_span text);
uint32_t rovei_caps_u32(rove_span text);
uint32_t rovei_caps_number(const rovei_caps *c, const char *key);

/* A decimal number with an optional sign, fraction and exponent; no words, no hexadecimal. What is
 * too large becomes infinite. False: it is none. */
bool rovei_decimal(rove_span text, double *ret);

/* A tag taken apart. axis: 'h'ardware, 's'oftware, 'd'evices, dataforts 'f', or 0: no axis tag.
 * separator: '=', ':' or 0 for a presence tag. */
typedef struct rovei_tag_parts {
    char axis;
    char separator;
    rove_span key; /* with the axis: "hardware.gpu.vendor" */
    rove_span value;
} rovei_tag_parts;
rovei_tag_parts rovei_tag_split(rove_span tag);

typedef enum rovei_vendor {
    ROVEI_VENDOR_UNKNOWN = 0,
    ROVEI_VENDOR_NVIDIA,
    ROVEI_VENDOR_AMD,
    ROVEI_VENDOR_INTEL,
    ROVEI_VENDOR_APPLE,
    ROVEI_VENDOR_QUALCOMM,
} rovei_vendor;
rovei_vendor rovei_vendor_of(rove_span name);
const char *rovei_vendor_name(rovei_vendor v); /* as in a tag; "" for UNKNOWN */

/* What the index keeps of the hardware. */
typedef struct rovei_hardware {
    uint32_t memory_gb; /* 0: not announced */
    bool gpu;           /* any hardware.gpu tag */
    rovei_vendor vendor;
    uint32_t vram_gb;
} rovei_hardware;
rovei_hardware rovei_caps_hardware(const rovei_caps *c);

/* The models or tools of a set: their tags have an index behind this beginning. Walks the tags
 * "<beginning><index>.<field>" with an index that fits u32: *it begins as 0. */
bool rovei_caps_indexed(const rovei_caps *c, const char *beginning, size_t *it, uint32_t *ret_index,
                        rove_span *ret_field, rove_span *ret_value);

/* Modalities as bits, in the order of the reference. Unknown names count as text. */
enum {
    ROVEI_MODAL_TEXT = 1,
    ROVEI_MODAL_IMAGE = 2,
    ROVEI_MODAL_AUDIO = 4,
    ROVEI_MODAL_VIDEO = 8,
    ROVEI_MODAL_CODE = 16,
    ROVEI_MODAL_EMBEDDING = 32,
    ROVEI_MODAL_TOOL_USE = 64,
};
uint32_t rovei_modality_of(rove_span name); /* 0: unknown */
uint32_t rovei_modalities_of(rove_span list);
const char *rovei_modality_name(uint32_t bit); /* of one bit; "" for none */

#endif
