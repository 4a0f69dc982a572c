/* SPDX-License-Identifier: Apache-2.0
 *
 * How a broken invariant ends: the way a failed assert does, since nothing later can be trusted. */
#undef NDEBUG
#include <assert.h>
#include <base/check.h>

_Noreturn void rovei_check_failed(const char *what, const char *file, int line)
{
    __assert_fail(what, file, (unsigned)line, "rove");
}
