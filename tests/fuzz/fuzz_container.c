/* SPDX-License-Identifier: Apache-2.0
 *
 * The container: what is taken in goes out as the same bytes, however it was cut into pieces. Since
 * chance finds neither the hash of an entity nor a digest, the input is also tried with both put
 * right. */
#include "support.h"

#include <crypto/crypto.h>
#include <identity/entity.h>
#include <state/container.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define AT_ENTITY 16
#define AT_ORIGIN 80

static rove_err take(rovei_intake *in, const rove_limits *limits, const uint8_t *data, size_t size,
                     size_t piece)
{
    rovei_intake_init(in, &rovei_alloc_libc, limits);
    for (size_t at = 0; at < size; at += piece)
        (void)!rovei_intake_add(in, (rove_span){data + at, size - at < piece ? size - at : piece});
    return rovei_intake_end(in);
}

static void round_trip(const uint8_t *data, size_t size)
{
    rove_limits limits;
    rove_limits_init(&limits);
    limits.state_max = 65536;
    limits.outputs_max = 65536;
    limits.lanes_per_daemon = 1;
    rovei_intake whole, cut;
    rove_err err = take(&whole, &limits, data, size, size ? size : 1);
    ROVEI_CHECK(take(&cut, &limits, data, size, 1 + size / 7) == err);
    rovei_intake_fini(&cut);
    if (err == ROVE_OK) {
        size_t head, state = rovei_buf_size(whole.state);
        uint8_t digest[ROVEI_CONTAINER_DIGEST];
        ROVEI_CHECK(rovei_container_head_size(&whole.container, &head) == ROVE_OK);
        ROVEI_CHECK(head + state + sizeof digest == size);
        uint8_t *out = malloc(head);
        ROVEI_CHECK(out);
        rovei_writer w = rovei_writer_of(out, head);
        rovei_container_write_head(&whole.container, &w);
        ROVEI_CHECK(w.err == ROVE_OK && !rovei_writer_room(&w) && memcmp(out, data, head) == 0);
        ROVEI_CHECK(rovei_container_digest(&rovei_alloc_libc, (rove_span){out, head},
                                           rove_buf_span(whole.state), digest) == ROVE_OK);
        ROVEI_CHECK(memcmp(digest, data + head + state, sizeof digest) == 0);
        free(out);
    }
    rovei_intake_fini(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ROVEI_CHECK(rovei_crypto_init() == ROVE_OK);
    round_trip(data, size);
    if (size < ROVEI_CONTAINER_FIXED + ROVEI_CONTAINER_DIGEST)
        return 0;
    uint8_t *fixed = malloc(size);
    ROVEI_CHECK(fixed);
    memcpy(fixed, data, size);
    memcpy(fixed, ROVEI_CONTAINER_MAGIC "\1\0\0\0\0\0\0\0", 16);
    rove_entity entity;
    memcpy(entity.bytes, fixed + AT_ENTITY, sizeof entity.bytes);
    rovei_store64(fixed + AT_ORIGIN, rovei_entity_origin(&entity));
    ROVEI_CHECK(rovei_container_digest(
                    &rovei_alloc_libc, (rove_span){fixed, size - ROVEI_CONTAINER_DIGEST},
                    (rove_span){NULL, 0}, fixed + size - ROVEI_CONTAINER_DIGEST) == ROVE_OK);
    round_trip(fixed, size);
    free(fixed);
    return 0;
}
