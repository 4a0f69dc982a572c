/* SPDX-License-Identifier: Apache-2.0
 *
 * Conditions on nodes as people write them, for `rove nodes --where` and for the requirements of a
 * kind. (docs/protocol/placement.md, "Conditions")
 *
 *   hardware.gpu                     a tag with this key: presence or with a value
 *   hardware.gpu.vendor=nvidia       its value
 *   hardware.memory_gb>=64  <=  in 16..64
 *   software.os_version>=v6.1  <=v  ^v1.2   versions; ^ is "compatible with"
 *   software.os^=lin   software.os~inu      begins with, contains
 *   meta.site   meta.site=lab  ~  >=        metadata
 *   subprotocol:0x0500   zone=a             any other tag, exactly; also "in quotes"
 *   gpu  vendor=amd  memory>=64  vram>=24  model=ID  tool=ID   the filter's own, not inside of or
 *
 * Terms that follow each other, also with a comma or `and`, must all hold; `or`, `not` and brackets
 * join them otherwise. */
#ifndef ROVEI_CAPABILITY_WHERE_H
#define ROVEI_CAPABILITY_WHERE_H

#include <capability/filter.h>
#include <capability/predicate.h>

/* A condition that was read: the parts that are the filter's, and a predicate for the rest. */
typedef struct rovei_where {
    const rove_alloc *alloc;
    rovei_filter filter;
    bool has_predicate;
    rovei_predicate predicate;
    void *memory;
    size_t memory_size;
} rovei_where;

typedef struct rovei_where_error {
    size_t at; /* byte of the text, from 0 */
    const char *what;
} rovei_where_error;

/* E_WHERE: *ret_error says where and what. E_TOO_LARGE above ROVEI_PREDICATE_BYTES. E_NOMEM. An
 * empty text is a condition that always holds. */
ROVE_MUST_USE rove_err rovei_where_read(rovei_where *ret, const rove_alloc *a, rove_span text,
                                        rovei_where_error *ret_error);
void rovei_where_fini(rovei_where *w);
/* As for nodes of the index. `why` may be NULL. */
bool rovei_where_selects(const rovei_where *w, const rovei_caps *caps, rovei_text *why);

#endif
