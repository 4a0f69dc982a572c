/* SPDX-License-Identifier: Apache-2.0
 *
 * A UDP address as the core sees it: bytes, not a socket structure. */
#ifndef ROVEI_MESH_ADDRESS_H
#define ROVEI_MESH_ADDRESS_H

#include <base/cursor.h>

typedef struct rovei_addr {
    uint8_t family; /* 4, 6, or 0 for none */
    uint8_t ip[16]; /* the first 4 bytes for IPv4; the rest is zero */
    uint16_t port;  /* host order */
} rovei_addr;

#define ROVEI_ADDR_SIZE 19 /* encoded: family, 16 bytes, port */

bool rovei_addr_equal(const rovei_addr *a, const rovei_addr *b);
void rovei_addr_write(rovei_writer *w, const rovei_addr *a);
/* E_FLAG for an unknown family or stray bytes. */
rovei_addr rovei_addr_read(rovei_reader *r);

#endif
