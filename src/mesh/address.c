/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses as bytes. */
#include <mesh/address.h>
#include <string.h>

#define IPV4_SIZE 4
#define IPV6_SIZE 16

/* How many bytes of `ip` a family uses; SIZE_MAX for one that is none. */
static size_t ip_size(uint8_t family)
{
    switch (family) {
    case 0:
        return 0;
    case 4:
        return IPV4_SIZE;
    case 6:
        return IPV6_SIZE;
    default:
        return SIZE_MAX;
    }
}

bool rovei_addr_equal(const rovei_addr *a, const rovei_addr *b)
{
    size_t size = ip_size(a->family);
    return a->family == b->family && a->port == b->port && size <= IPV6_SIZE &&
           memcmp(a->ip, b->ip, size) == 0;
}

void rovei_addr_write(rovei_writer *w, const rovei_addr *a)
{
    uint8_t ip[IPV6_SIZE] = {0};
    size_t size = ip_size(a->family);
    if (size <= IPV6_SIZE)
        memcpy(ip, a->ip, size);
    rovei_write_u8(w, a->family);
    rovei_write_bytes(w, ip, sizeof ip);
    rovei_write_u16(w, a->family ? a->port : 0);
}

rovei_addr rovei_addr_read(rovei_reader *r)
{
    rovei_addr a = {.family = rovei_read_u8(r)};
    rovei_read_bytes(r, a.ip, sizeof a.ip);
    a.port = rovei_read_u16(r);
    size_t size = ip_size(a.family);
    if (size > IPV6_SIZE || (a.family == 0 && a.port))
        rovei_reader_fail(r, ROVE_E_FLAG);
    for (size_t i = size; i < sizeof a.ip; i++)
        if (a.ip[i])
            rovei_reader_fail(r, ROVE_E_FLAG);
    return rovei_reader_ok(r) ? a : (rovei_addr){0};
}
