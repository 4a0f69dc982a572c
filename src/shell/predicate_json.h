/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON form of predicates: {"nodes":[...],"root_idx":n}. docs/protocol/placement.md,
 * "Predicates". */
#ifndef ROVEI_SHELL_PREDICATE_JSON_H
#define ROVEI_SHELL_PREDICATE_JSON_H

#include <capability/predicate.h>

typedef struct rovei_json_predicate {
    rovei_predicate predicate;
    /* Inside. */
    const rove_alloc *alloc;
    struct json_object *json; /* holds the texts */
    void *memory;
    size_t memory_size;
} rovei_json_predicate;

/* E_PREDICATE: it is not of that form, or *ret_error says what is wrong with its shape. E_TOO_LARGE
 * above ROVEI_PREDICATE_BYTES, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_json_predicate_read(rovei_json_predicate *ret, const rove_alloc *a,
                                                 rove_span text, rovei_pred_error *ret_error);
void rovei_json_predicate_fini(rovei_json_predicate *p);

#endif
