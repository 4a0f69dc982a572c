/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator or an application has a node announce. */
#ifndef ROVEI_SHELL_GIVEN_H
#define ROVEI_SHELL_GIVEN_H

#include <capability/set.h>

/* E_REFUSED: a prefix that is not an operator's, those that only the mesh writes and `rove:`.
 * E_FORMAT. */
ROVE_MUST_USE rove_err rovei_given_tag(const char *tag);
/* E_FORMAT: not KEY=VALUE with a key, or not UTF-8. Both parts borrow from `text`. */
ROVE_MUST_USE rove_err rovei_given_metadata(const char *text, rovei_caps_pair *ret);
/* All of both lists, each of which ends with NULL or is NULL. Errors as above and of
 * rovei_caps_add; then some may have been added. */
ROVE_MUST_USE rove_err rovei_given_caps(rovei_caps_draft *d, const char *const *tags,
                                        const char *const *metadata);

#endif
