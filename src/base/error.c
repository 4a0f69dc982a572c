/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, sentences and classes of the errors, all from the one list. */
#include <rove/error.h>
#include <stddef.h>

struct row {
    const char *name, *text;
    rove_err_class class;
};

/* By number. */
static const struct row rows[] = {
#define ROW(name, number, class, text) [number] = {#name, text, ROVE_CLASS_##class},
    ROVE_ERR_LIST(ROW)
#undef ROW
};

/* NULL for what is no code. */
static const struct row *row_of(rove_err err)
{
    int code = (int)err;
    if (code > 0 || code <= -(int)(sizeof rows / sizeof rows[0]))
        return NULL;
    const struct row *row = &rows[-code];
    return row->name ? row : NULL;
}

const char *rove_err_name(rove_err err)
{
    const struct row *row = row_of(err);
    return row ? row->name : "E_?";
}

const char *rove_strerror(rove_err err)
{
    const struct row *row = row_of(err);
    return row ? row->text : "not an error code of this library";
}

rove_err_class rove_err_class_of(rove_err err)
{
    const struct row *row = row_of(err);
    return row ? row->class : ROVE_CLASS_FATAL;
}
