/* SPDX-License-Identifier: Apache-2.0
 *
 * Assertions about our own code, on in every build. Values from a peer, a file or an operator are
 * never asserted: they get an error. */
#ifndef ROVEI_BASE_CHECK_H
#define ROVEI_BASE_CHECK_H

_Noreturn void rovei_check_failed(const char *what, const char *file, int line);

#define ROVEI_CHECK(cond) ((cond) ? (void)0 : rovei_check_failed(#cond, __FILE__, __LINE__))

#endif
