/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of tags for tests: caps_of("a\nb", "key=value\n...") sorts its lines. What it gives is
 * freed by the test's end through caps_kit_clear. */
#ifndef ROVE_TEST_CAPS_KIT_H
#define ROVE_TEST_CAPS_KIT_H

#include <capability/look.h>

rovei_caps caps_of(const char *tags, const char *metadata);
void caps_kit_clear(void);

#endif
