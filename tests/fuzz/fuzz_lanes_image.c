/* SPDX-License-Identifier: Apache-2.0
 *
 * The lanes that travel with a daemon: what is taken in goes out the same but for ages, which are
 * held to the present; what is refused leaves nothing. */
#include "support.h"

#include <base/buf.h>
#include <compute/lanes_inside.h>
#include <crypto/crypto.h>
#include <crypto/slab.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const rovei_now now = {.mono = 1000 * ROVE_SECOND, .wall = 1000 * ROVE_SECOND};
static rovei_env env;
static rovei_node *node;
static rovei_daemon *daemon;

static void make_node(void)
{
    ROVEI_CHECK(rovei_crypto_init() == ROVE_OK);
    env.alloc = rovei_alloc_libc;
    env.rng = rovei_rng_system;
    rove_limits_init(&env.limits);
    ROVEI_CHECK(rovei_slab_new(&env.slab, &env.alloc) == ROVE_OK);
    rovei_node_config cfg = {.env = &env, .incarnation = 1};
    do {
        rovei_keypair_unref(cfg.identity);
        ROVEI_CHECK(rovei_keypair_generate(&cfg.identity, &env) == ROVE_OK);
    } while (rovei_node_id_is_reserved(rovei_keypair_node_id(cfg.identity)));
    ROVEI_CHECK(rovei_node_new(&node, &cfg, now) == ROVE_OK);
    ROVEI_CHECK(rovei_daemon_add(node, now, rovei_keypair_entity(cfg.identity), "fuzz", NULL,
                                 ROVEI_ROLE_RECEIVING, &daemon) == ROVE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rovei_lanes *l, *again;
    rove_buf *first, *second;
    if (!node)
        make_node();
    ROVEI_CHECK(rovei_lanes_new(&l, node, daemon) == ROVE_OK);
    rove_err err = rovei_lanes_import(l, now, (rove_span){data, size});
    rovei_lanes_check_set(l);
    ROVEI_CHECK(!err || !rovei_lanes_count(l));
    if (!err) {
        ROVEI_CHECK(rovei_lanes_export(l, now, &first) == ROVE_OK);
        ROVEI_CHECK(rovei_buf_size(first) == size);
        ROVEI_CHECK(rovei_lanes_new(&again, node, daemon) == ROVE_OK);
        ROVEI_CHECK(rovei_lanes_import(again, now, rove_buf_span(first)) == ROVE_OK);
        ROVEI_CHECK(rovei_lanes_export(again, now, &second) == ROVE_OK);
        ROVEI_CHECK(rovei_buf_size(second) == size &&
                    memcmp(rove_buf_span(first).data, rove_buf_span(second).data, size) == 0);
        rovei_lanes_free(again);
        rove_buf_unref(first);
        rove_buf_unref(second);
    }
    rovei_lanes_free(l);
    return 0;
}
