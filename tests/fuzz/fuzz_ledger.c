/* SPDX-License-Identifier: Apache-2.0
 *
 * The subscription ledger: what decodes encodes to the same bytes, unless pairs were repeated; then
 * the second round does. */
#include "support.h"

#include <state/ledger.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *encode(const rovei_ledger *l, size_t *ret_size)
{
    *ret_size = rovei_ledger_size(l);
    uint8_t *out = malloc(*ret_size);
    ROVEI_CHECK(out);
    rovei_writer w = rovei_writer_of(out, *ret_size);
    rovei_ledger_encode(l, &w);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_room(&w) == 0);
    return out;
}

/* Recording what a ledger holds gives the same ledger; forgetting it leaves none. */
static void rebuild(const rovei_ledger *l, const uint8_t *bytes, size_t size)
{
    rovei_ledger *copy;
    ROVEI_CHECK(rovei_ledger_new(&copy, &rovei_alloc_libc) == ROVE_OK);
    for (int twice = 0; twice < 2; twice++)
        for (size_t i = 0; i < rovei_ledger_count(l); i++) {
            rovei_subscription s = rovei_ledger_at(l, i);
            ROVEI_CHECK(rovei_ledger_record(copy, &s) == ROVE_OK);
        }
    size_t copy_size;
    uint8_t *out = encode(copy, &copy_size);
    ROVEI_CHECK(copy_size == size && memcmp(out, bytes, size) == 0);
    free(out);
    for (size_t i = 0; i < rovei_ledger_count(l); i++) {
        rovei_subscription s = rovei_ledger_at(l, i);
        rovei_ledger_forget(copy, s.publisher, s.channel);
    }
    ROVEI_CHECK(rovei_ledger_count(copy) == 0);
    rovei_ledger_free(copy);
}

/* With an allocation refused: the whole ledger or none. */
static void decode_short_of_memory(const uint8_t *data, size_t size)
{
    fuzz_alloc f;
    rovei_ledger *l = NULL;
    fuzz_alloc_init(&f, size ? data[size - 1] % 16 : 0);
    rove_err err = rovei_ledger_decode(&l, &f.alloc, (rove_span){data, size});
    ROVEI_CHECK((err == ROVE_OK) == (l != NULL));
    rovei_ledger_free(l);
    ROVEI_CHECK(f.live == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_short_of_memory(data, size);
    rovei_ledger *l = NULL, *second = NULL;
    rove_err checked = rovei_channel_name_check((rove_span){data, size});
    ROVEI_CHECK(checked <= 0);
    rove_err err = rovei_ledger_decode(&l, &rovei_alloc_libc, (rove_span){data, size});
    if (err) {
        ROVEI_CHECK(!l);
        return 0;
    }
    size_t out_size, again_size;
    uint8_t *out = encode(l, &out_size);
    if (size && rovei_ledger_count(l) == rovei_load32(data))
        ROVEI_CHECK(out_size == size && memcmp(out, data, size) == 0);
    ROVEI_CHECK(rovei_ledger_decode(&second, &rovei_alloc_libc, (rove_span){out, out_size}) ==
                ROVE_OK);
    uint8_t *again = encode(second, &again_size);
    ROVEI_CHECK(again_size == out_size && memcmp(again, out, out_size) == 0);
    rebuild(l, out, out_size);
    rovei_ledger_free(l);
    rovei_ledger_free(second);
    free(out);
    free(again);
    return 0;
}
