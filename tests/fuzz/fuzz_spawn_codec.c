/* SPDX-License-Identifier: Apache-2.0
 *
 * Spawns on other nodes: what decodes encodes to the same bytes. */
#include "support.h"

#include <compute/spawn_codec.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void message(rove_span bytes)
{
    uint8_t out[ROVEI_SPAWN_SIZE_MAX];
    rovei_spawn_message m;
    if (rovei_spawn_decode(&m, bytes))
        return;
    rovei_writer w = rovei_writer_of(out, sizeof out);
    rovei_spawn_encode(&w, &m);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_size(&w) == bytes.size);
    ROVEI_CHECK(memcmp(out, bytes.data, bytes.size) == 0);
}

/* Each input also as the name in a request with an identity. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[ROVEI_SPAWN_SIZE_MAX] = {ROVEI_SPAWN_REQUEST, ROVEI_SPAWN_IDENTITY};
    message((rove_span){data, size});
    if (size > ROVE_KIND_NAME_MAX)
        size = ROVE_KIND_NAME_MAX;
    bytes[2] = (uint8_t)size;
    bytes[4] = 1;
    if (size)
        memcpy(bytes + 12, data, size);
    message((rove_span){bytes, 12 + size + ROVEI_ENVELOPE_SIZE});
    return 0;
}
