/* SPDX-License-Identifier: Apache-2.0
 *
 * A record as the table keeps it: without the daemon, which its entry has, without unused
 * addresses, without a giver where nobody gave, and without the holder where that is the node
 * itself. There is one for every daemon that is known. */
#include <base/alloc.h>
#include <base/check.h>
#include <compute/location_table.h>
#include <string.h>

struct rovei_packed_record {
    uint16_t size, room;
    uint8_t bytes[]; /* `room` of them */
};

/* Beside the record's own flags. */
#define HAS_GIVER 0x80u
#define HELD_HERE 0x40u
#define OURS      (HAS_GIVER | HELD_HERE)

#define PACKED_MAX ROVEI_RECORD_SIZE_MAX

static size_t size_of(size_t bytes)
{
    return sizeof(rovei_packed_record) + bytes;
}

/* As short as its family allows. */
static size_t ip_size(uint8_t family)
{
    return family == 4 ? 4 : 16;
}

static void pack_addr(rovei_writer *w, const rovei_addr *a)
{
    rovei_write_u8(w, a->family);
    rovei_write_bytes(w, a->ip, ip_size(a->family));
    rovei_write_u16(w, a->port);
}

static rovei_addr unpack_addr(rovei_reader *r)
{
    rovei_addr a = {.family = rovei_read_u8(r)};
    rovei_read_bytes(r, a.ip, ip_size(a.family));
    a.port = rovei_read_u16(r);
    return a;
}

/* A block for `room` bytes with what *record holds; nothing changes without memory. */
static rove_err grow(rovei_packed_record **record, const rovei_node *n, size_t room)
{
    rovei_packed_record *old = *record;
    rovei_packed_record *p = rovei_alloc(n->alloc, size_of(room));
    if (!p)
        return ROVE_E_NOMEM;
    *p = (rovei_packed_record){.room = (uint16_t)room};
    if (old) {
        p->size = old->size;
        memcpy(p->bytes, old->bytes, old->size);
        rovei_packed_record_free(n->alloc, old);
    }
    *record = p;
    return ROVE_OK;
}

rove_err rovei_record_make_room(rovei_packed_record **record, const rovei_node *n)
{
    return (*record)->room >= PACKED_MAX ? ROVE_OK : grow(record, n, PACKED_MAX);
}

rove_err rovei_record_pack(rovei_packed_record **record, const rovei_node *n, const rovei_record *r)
{
    uint8_t bytes[PACKED_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    bool given = !rovei_entity_is_zero(&r->giver);
    bool here = rovei_entity_equal(&r->holder, &n->self);
    rovei_write_u8(&w, (uint8_t)(r->flags | (given ? HAS_GIVER : 0) | (here ? HELD_HERE : 0)));
    rovei_write_u64(&w, r->epoch);
    if (!here)
        rovei_write_entity(&w, &r->holder);
    rovei_write_u8(&w, r->addr_count);
    for (size_t i = 0; i < r->addr_count; i++)
        pack_addr(&w, &r->addrs[i]);
    rovei_write_u64(&w, r->not_after);
    if (given) {
        rovei_write_entity(&w, &r->giver);
        rovei_write_bytes(&w, r->giver_signature, sizeof r->giver_signature);
    }
    rovei_write_bytes(&w, r->signature, sizeof r->signature);
    ROVEI_CHECK(w.err == ROVE_OK);
    size_t size = rovei_writer_size(&w);
    if (!*record || (*record)->room < size) {
        rove_err err = grow(record, n, size);
        if (err)
            return err;
    }
    (*record)->size = (uint16_t)size;
    memcpy((*record)->bytes, bytes, size);
    return ROVE_OK;
}

void rovei_record_unpack(const rovei_packed_record *p, const rovei_node *n,
                         const rove_entity *daemon, rovei_record *ret)
{
    rovei_reader r = rovei_reader_of((rove_span){p->bytes, p->size});
    memset(ret, 0, sizeof *ret);
    ret->daemon = *daemon;
    uint8_t flags = rovei_read_u8(&r);
    ret->flags = (uint8_t)(flags & ~OURS);
    ret->epoch = rovei_read_u64(&r);
    ret->holder = flags & HELD_HERE ? n->self : rovei_read_entity(&r);
    ret->addr_count = rovei_read_u8(&r);
    for (size_t i = 0; i < ret->addr_count; i++)
        ret->addrs[i] = unpack_addr(&r);
    ret->not_after = rovei_read_u64(&r);
    if (flags & HAS_GIVER) {
        ret->giver = rovei_read_entity(&r);
        rovei_read_bytes(&r, ret->giver_signature, sizeof ret->giver_signature);
    }
    rovei_read_bytes(&r, ret->signature, sizeof ret->signature);
    ROVEI_CHECK(rovei_reader_end(&r) == ROVE_OK);
}

void rovei_packed_record_free(const rove_alloc *a, rovei_packed_record *p)
{
    if (p)
        rovei_free(a, p, size_of(p->room));
}
