/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of the shared identifiers. */
#include <compute/ids.h>

rovei_sinc rovei_sinc_read(rovei_reader *r)
{
    rovei_sinc s;
    s.number = rovei_read_u64(r);
    s.random = rovei_read_u64(r);
    return s;
}

void rovei_sinc_write(rovei_writer *w, rovei_sinc s)
{
    rovei_write_u64(w, s.number);
    rovei_write_u64(w, s.random);
}
