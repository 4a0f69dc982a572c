/* SPDX-License-Identifier: Apache-2.0
 *
 * The full form of a horizon: what decodes encodes to the same bytes. */
#include "support.h"

#include <state/horizon.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Observing and merging keep every origin in the sketch and every sequence the highest seen. */
static void observe_all(rovei_horizon *h, const uint8_t *data, size_t size)
{
    rovei_horizon *fresh;
    ROVEI_CHECK(rovei_horizon_new(&fresh, &rovei_alloc_libc, size, 64) == ROVE_OK);
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    while (rovei_reader_left(&r) >= 16) {
        uint64_t origin = rovei_read_u64(&r), sequence = rovei_read_u64(&r), got = 0;
        rove_err err = rovei_horizon_observe(fresh, origin, sequence);
        ROVEI_CHECK(err == ROVE_OK || err == ROVE_E_HORIZON_FULL);
        ROVEI_CHECK(rovei_horizon_get(fresh, origin, &got) == (err == ROVE_OK));
        ROVEI_CHECK(err || got >= sequence);
        ROVEI_CHECK(err || rovei_sketch_might_contain(rovei_horizon_sketch(fresh), origin));
    }
    size_t count = rovei_horizon_count(h);
    rove_err err = rovei_horizon_merge(h, fresh);
    ROVEI_CHECK(err == ROVE_OK ? rovei_horizon_count(h) >= count : rovei_horizon_count(h) == count);
    rovei_horizon_free(fresh);
}

/* With an allocation refused: the whole horizon or none. */
static void decode_short_of_memory(const uint8_t *data, size_t size)
{
    fuzz_alloc f;
    rovei_horizon *h = NULL;
    fuzz_alloc_init(&f, size ? data[size - 1] % 16 : 0);
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    rove_err err = rovei_horizon_decode(&h, &f.alloc, size, 100, &r);
    ROVEI_CHECK((err == ROVE_OK) == (h != NULL));
    rovei_horizon_free(h);
    ROVEI_CHECK(f.live == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_short_of_memory(data, size);
    rovei_horizon *h = NULL;
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    rove_err err = rovei_horizon_decode(&h, &rovei_alloc_libc, size, 100, &r);
    ROVEI_CHECK(err == r.err);
    if (err) {
        ROVEI_CHECK(!h);
        return 0;
    }
    size_t used = size - rovei_reader_left(&r);
    ROVEI_CHECK(rovei_horizon_size(h) == used);
    uint8_t *out = malloc(used);
    ROVEI_CHECK(out);
    rovei_writer w = rovei_writer_of(out, used);
    rovei_horizon_encode(h, &w);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_room(&w) == 0);
    ROVEI_CHECK(memcmp(out, data, used) == 0);
    observe_all(h, data, size);
    rovei_horizon_free(h);
    free(out);
    return 0;
}
