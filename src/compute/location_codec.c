/* SPDX-License-Identifier: Apache-2.0
 *
 * Location records: their bytes and their order (docs/protocol/locations.md). */
#include <compute/location.h>
#include <string.h>

void rovei_record_write_signed(rovei_writer *w, const rovei_record *r)
{
    rovei_write_entity(w, &r->daemon);
    rovei_write_u64(w, r->epoch);
    rovei_write_entity(w, &r->holder);
    rovei_write_u8(w, r->flags);
    rovei_write_u8(w, r->addr_count);
    for (size_t i = 0; i < r->addr_count; i++)
        rovei_addr_write(w, &r->addrs[i]);
    rovei_write_u64(w, r->not_after);
    rovei_write_entity(w, &r->giver);
    rovei_write_bytes(w, r->giver_signature, sizeof r->giver_signature);
}

void rovei_record_write(rovei_writer *w, const rovei_record *r)
{
    rovei_record_write_signed(w, r);
    rovei_write_bytes(w, r->signature, sizeof r->signature);
}

void rovei_record_read(rovei_reader *r, rovei_record *ret)
{
    rovei_record v;
    memset(&v, 0, sizeof v);
    v.daemon = rovei_read_entity(r);
    v.epoch = rovei_read_u64(r);
    v.holder = rovei_read_entity(r);
    v.flags = rovei_read_u8(r);
    if (v.flags & ~(ROVEI_RECORD_FORCED | ROVEI_RECORD_BY_HOLDER))
        rovei_reader_fail(r, ROVE_E_FLAG);
    v.addr_count = rovei_read_u8(r);
    if (v.addr_count > ROVEI_RECORD_ADDRS)
        rovei_reader_fail(r, ROVE_E_BOUND);
    for (size_t i = 0; i < v.addr_count && rovei_reader_ok(r); i++) {
        v.addrs[i] = rovei_addr_read(r);
        if (rovei_reader_ok(r) && !v.addrs[i].family)
            rovei_reader_fail(r, ROVE_E_FORMAT);
    }
    v.not_after = rovei_read_u64(r);
    v.giver = rovei_read_entity(r);
    rovei_read_bytes(r, v.giver_signature, sizeof v.giver_signature);
    rovei_read_bytes(r, v.signature, sizeof v.signature);
    if (rovei_reader_ok(r))
        *ret = v;
    else
        memset(ret, 0, sizeof *ret);
}

int rovei_record_compare(const rovei_record *a, const rovei_record *b)
{
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    return -rovei_entity_compare(&a->holder, &b->holder);
}
