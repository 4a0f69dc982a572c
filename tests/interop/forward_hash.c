/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints XXH3-64 of its standard input. Node.js has none, and the tests that check links must not
 * ask the code that they check. */
#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

int main(void)
{
    static unsigned char bytes[1 << 20];
    XXH3_state_t *state = XXH3_createState();
    if (!state || XXH3_64bits_reset(state) != XXH_OK)
        return 1;
    size_t got;
    while ((got = fread(bytes, 1, sizeof bytes, stdin)) > 0) {
        if (XXH3_64bits_update(state, bytes, got) != XXH_OK)
            return 1;
    }
    printf("0x%" PRIx64 "\n", (uint64_t)XXH3_64bits_digest(state));
    XXH3_freeState(state);
    return 0;
}
