/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar of tags (docs/protocol/capabilities.md, "Tags"). A parsed tag borrows from its text;
 * nothing is copied, so printing it is the text itself. */
#ifndef ROVEI_CAPABILITY_TAG_H
#define ROVEI_CAPABILITY_TAG_H

#include <base/text.h>
#include <capability/look.h>

/* In the order of their names. */
typedef enum rovei_axis {
    ROVEI_AXIS_DATAFORTS = 1,
    ROVEI_AXIS_DEVICES,
    ROVEI_AXIS_HARDWARE,
    ROVEI_AXIS_SOFTWARE,
} rovei_axis;

typedef enum rovei_tag_form {
    ROVEI_FORM_RESERVED = 1, /* prefix, with its colon, and value */
    ROVEI_FORM_PRESENCE,     /* axis, key */
    ROVEI_FORM_VALUE,        /* axis, key, separator, value */
    ROVEI_FORM_FREE,         /* any other text */
} rovei_tag_form;

typedef struct rovei_tag {
    rovei_tag_form form;
    rovei_axis axis;
    char separator;   /* VALUE: '=' or ':' */
    rove_span prefix; /* RESERVED: as `scope:` */
    rove_span key;    /* behind the axis and its dot; FREE: all of it */
    rove_span value;
} rovei_tag;

/* E_FORMAT for an empty text, which is the only one that is no tag. */
ROVE_MUST_USE rove_err rovei_tag_parse(rovei_tag *ret, rove_span text);
/* As above, for what an application or an operator gives: E_REFUSED for a reserved prefix, which
 * only the mesh itself writes; E_FORMAT also for what is not UTF-8. */
ROVE_MUST_USE rove_err rovei_tag_parse_user(rovei_tag *ret, rove_span text);

/* The name of an axis, without the dot; NULL for none. */
const char *rovei_axis_name(rovei_axis axis);
/* The axis of that name; false when there is none. */
bool rovei_axis_of(rove_span name, rovei_axis *ret);

bool rovei_span_equal(rove_span a, rove_span b);

#endif
