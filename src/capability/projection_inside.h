/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing single tags, shared by the files of the projections. A key is `head` and `field`. */
#ifndef ROVEI_CAPABILITY_PROJECTION_INSIDE_H
#define ROVEI_CAPABILITY_PROJECTION_INSIDE_H

#include <capability/projection.h>

/* HEAD + FIELD = VALUE; nothing when the value is empty. */
ROVE_MUST_USE rove_err rovei_caps_add_value(rovei_caps_draft *d, const char *head,
                                            const char *field, rove_span value);
/* The same of a number, in decimal; nothing when it is 0. */
ROVE_MUST_USE rove_err rovei_caps_add_number(rovei_caps_draft *d, const char *head,
                                             const char *field, uint64_t value);

#endif
