/* SPDX-License-Identifier: Apache-2.0
 *
 * Tags: which of four forms a text has. */
#include <base/text.h>
#include <capability/tag.h>
#include <string.h>

static const char *const axis_names[] = {
    [ROVEI_AXIS_DATAFORTS] = "dataforts",
    [ROVEI_AXIS_DEVICES] = "devices",
    [ROVEI_AXIS_HARDWARE] = "hardware",
    [ROVEI_AXIS_SOFTWARE] = "software",
};

bool rovei_span_equal(rove_span a, rove_span b)
{
    return a.size == b.size && rovei_span_order(a, b) == 0;
}

const char *rovei_axis_name(rovei_axis axis)
{
    return axis >= ROVEI_AXIS_DATAFORTS && axis <= ROVEI_AXIS_SOFTWARE ? axis_names[axis] : NULL;
}

bool rovei_axis_of(rove_span name, rovei_axis *ret)
{
    for (int i = ROVEI_AXIS_DATAFORTS; i <= ROVEI_AXIS_SOFTWARE; i++) {
        if (rovei_span_equal(name, rovei_span_of(axis_names[i]))) {
            *ret = (rovei_axis)i;
            return true;
        }
    }
    return false;
}

static rove_span behind(rove_span s, size_t from)
{
    return (rove_span){(const char *)s.data + from, s.size - from};
}

static bool parse_reserved(rovei_tag *ret, rove_span text)
{
    static const char *const prefixes[] = {"causal:", "dataforts:", "fork-of:", "heat:", "scope:"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t size = strlen(prefixes[i]);
        if (text.size < size || memcmp(text.data, prefixes[i], size) != 0)
            continue;
        *ret = (rovei_tag){
            .form = ROVEI_FORM_RESERVED, .prefix = {text.data, size}, .value = behind(text, size)};
        return true;
    }
    return false;
}

static bool parse_axis(rovei_tag *ret, rove_span text)
{
    const char *dot = memchr(text.data, '.', text.size);
    rovei_axis axis;
    if (!dot ||
        !rovei_axis_of((rove_span){text.data, (size_t)(dot - (const char *)text.data)}, &axis))
        return false;
    rove_span rest = behind(text, (size_t)(dot + 1 - (const char *)text.data));
    const char *at = rest.data;
    size_t i = 0;
    while (i < rest.size && at[i] != '=' && at[i] != ':')
        i++;
    *ret = (rovei_tag){.form = ROVEI_FORM_PRESENCE, .axis = axis, .key = {rest.data, i}};
    if (i < rest.size) {
        ret->form = ROVEI_FORM_VALUE;
        ret->separator = at[i];
        ret->value = behind(rest, i + 1);
    }
    return true;
}

rove_err rovei_tag_parse(rovei_tag *ret, rove_span text)
{
    if (!text.size)
        return ROVE_E_FORMAT;
    if (!parse_reserved(ret, text) && !parse_axis(ret, text))
        *ret = (rovei_tag){.form = ROVEI_FORM_FREE, .key = text};
    return ROVE_OK;
}

rove_err rovei_tag_parse_user(rovei_tag *ret, rove_span text)
{
    rovei_tag tag;
    if (!rovei_is_utf8(text))
        return ROVE_E_FORMAT;
    rove_err err = rovei_tag_parse(&tag, text);
    if (err)
        return err;
    if (tag.form == ROVEI_FORM_RESERVED)
        return ROVE_E_REFUSED;
    *ret = tag;
    return ROVE_OK;
}
