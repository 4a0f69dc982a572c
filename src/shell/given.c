/* SPDX-License-Identifier: Apache-2.0
 *
 * Tags and metadata from outside of the node. */
#include <base/text.h>
#include <capability/tag.h>
#include <shell/given.h>
#include <string.h>

rove_err rovei_given_tag(const char *tag)
{
    rovei_tag parsed;
    rove_span text = rovei_span_of(tag);
    rove_err err = rovei_tag_parse_user(&parsed, text);
    /* Other nodes go by these, so the node alone says them of itself. */
    return !err && rovei_span_starts(text, rovei_span_of("rove:")) ? ROVE_E_REFUSED : err;
}

rove_err rovei_given_metadata(const char *text, rovei_caps_pair *ret)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !rovei_is_utf8(rovei_span_of(text)))
        return ROVE_E_FORMAT;
    *ret = (rovei_caps_pair){{text, (size_t)(equals - text)}, rovei_span_of(equals + 1)};
    return ROVE_OK;
}

rove_err rovei_given_caps(rovei_caps_draft *d, const char *const *tags, const char *const *metadata)
{
    rove_err err = ROVE_OK;
    for (; tags && *tags && !err; tags++) {
        err = rovei_given_tag(*tags);
        if (!err)
            err = rovei_caps_add(d, rovei_span_of(*tags));
    }
    for (; metadata && *metadata && !err; metadata++) {
        rovei_caps_pair pair;
        err = rovei_given_metadata(*metadata, &pair);
        if (!err)
            err = rovei_caps_set(d, pair.key, pair.value);
    }
    return err;
}
