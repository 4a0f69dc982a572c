/* SPDX-License-Identifier: Apache-2.0
 *
 * Conditions: whatever reads is a predicate that passes its check, and can be asked. */
#include "support.h"
#include <base/alloc.h>
#include <capability/where.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const rove_span tags[] = {
        {"hardware.gpu", 12}, {"software.os=linux", 17}, {"zone=a", 6}};
    static const rovei_caps_pair metadata[] = {{{"site", 4}, {"lab", 3}}};
    rovei_caps caps = {tags, 3, metadata, 1};
    rovei_where where;
    rovei_where_error error = {SIZE_MAX, NULL};
    rove_err err = rovei_where_read(&where, &rovei_alloc_libc, (rove_span){data, size}, &error);
    if (err == ROVE_E_WHERE && (error.at > size || !error.what))
        abort();
    if (err)
        return 0;
    if (where.has_predicate && rovei_predicate_check(&where.predicate))
        abort();
    rovei_text why;
    rovei_text_set(&why, "");
    if (rovei_where_selects(&where, &caps, &why) != rovei_where_selects(&where, &caps, NULL))
        abort();
    (void)rovei_filter_matches(&where.filter, &caps);
    rovei_where_fini(&where);
    return 0;
}
