/* SPDX-License-Identifier: Apache-2.0
 *
 * The outside of datagrams, and addresses: what is read is written to the same bytes. */
#include "support.h"

#include <mesh/address.h>
#include <mesh/packet.h>
#include <mesh/path.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(rove_span part, const uint8_t *data, size_t size)
{
    const uint8_t *at = part.data;
    ROVEI_CHECK(!part.size || (at >= data && part.size <= size - (size_t)(at - data)));
}

static void check_packet(const uint8_t *data, size_t size)
{
    rovei_packet p;
    rove_err err = rovei_packet_read(&p, (rove_span){data, size});
    if (err) {
        ROVEI_CHECK(rove_err_class_of(err) == ROVE_CLASS_PEER);
        return;
    }
    check_inside(p.header, data, size);
    check_inside(p.noise, data, size);
    check_inside(p.maced, data, size);
    check_inside(p.sealed, data, size);
    uint8_t header[ROVEI_DATA_HEADER];
    rovei_writer w = rovei_writer_of(header, sizeof header);
    if (p.type == ROVEI_PACKET_INITIATION)
        rovei_packet_write_initiation(&w, p.sender);
    else if (p.type == ROVEI_PACKET_RESPONSE)
        rovei_packet_write_response(&w, p.sender, p.receiver);
    else if (p.type == ROVEI_PACKET_COOKIE)
        rovei_packet_write_cookie(&w, p.receiver);
    else
        rovei_packet_write_data(&w, p.receiver, p.counter);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_size(&w) == p.header.size);
    ROVEI_CHECK(memcmp(header, data, p.header.size) == 0);
    size_t rest = p.sealed.size;
    if (p.type == ROVEI_PACKET_COOKIE) {
        ROVEI_CHECK(memcmp(p.nonce, data + p.header.size, sizeof p.nonce) == 0);
        rest += sizeof p.nonce;
    }
    if (p.type == ROVEI_PACKET_INITIATION || p.type == ROVEI_PACKET_RESPONSE) {
        rest = p.noise.size + 2 * ROVEI_MAC_SIZE;
        ROVEI_CHECK(p.maced.size + 2 * ROVEI_MAC_SIZE == size);
        ROVEI_CHECK(memcmp(p.mac1, data + p.maced.size, ROVEI_MAC_SIZE) == 0);
        ROVEI_CHECK(memcmp(p.mac2, data + size - ROVEI_MAC_SIZE, ROVEI_MAC_SIZE) == 0);
    }
    ROVEI_CHECK(p.header.size + rest == size);
}

static void check_address(const uint8_t *data, size_t size)
{
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    rovei_addr a = rovei_addr_read(&r);
    if (!rovei_reader_ok(&r))
        return;
    uint8_t back[ROVEI_ADDR_SIZE];
    rovei_writer w = rovei_writer_of(back, sizeof back);
    rovei_addr_write(&w, &a);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_size(&w) == sizeof back);
    ROVEI_CHECK(memcmp(back, data, sizeof back) == 0);
    ROVEI_CHECK(rovei_addr_equal(&a, &a));
}

static void check_path(const uint8_t *data, size_t size)
{
    rovei_path_packet p;
    rove_err err = rovei_path_read(data, size, &p);
    if (err) {
        ROVEI_CHECK(rove_err_class_of(err) == ROVE_CLASS_PEER);
        return;
    }
    uint8_t back[ROVEI_PATH_SIZE];
    rovei_path_write(back, &p);
    ROVEI_CHECK(rovei_path_is(data, size) && size == sizeof back);
    ROVEI_CHECK(memcmp(back, data, sizeof back) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_path(data, size);
    check_packet(data, size);
    check_address(data, size);
    return 0;
}
