/* SPDX-License-Identifier: Apache-2.0
 *
 * New sessions a second of one node that others open sessions with, all at once. Both halves of
 * each handshake run on this machine. */
#include "bench.h"
#include "mesh.h"

#include <stdlib.h>

#define NODES 100
#define WAIT  (30 * ROVE_SECOND)

static rove_node *node_new(rove_node_info *ret_info)
{
    static const uint8_t psk[32] = {42};
    rove_node *node;
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = psk;
    bench_must(rove_node_new(&node, &cfg), "node");
    rove_node_get_info(node, ret_info);
    return node;
}

static bool handshake_round(void *arg, double *ret)
{
    (void)arg;
    rove_node *others[NODES];
    rove_node_info info, other[NODES];
    rove_node *node = node_new(&info);
    size_t count = (size_t)bench_scale(NODES);
    for (size_t i = 0; i < count; i++)
        others[i] = node_new(&other[i]);
    uint64_t start = bench_now();
    for (size_t i = 0; i < count; i++)
        bench_must(rove_node_connect(others[i], &info.entity, info.address), "connect");
    for (size_t i = 0; i < count; i++)
        bench_must(rove_node_wait_peer(node, &other[i].entity, WAIT), "session");
    *ret = (double)count * 1e9 / (double)(bench_now() - start);
    for (size_t i = 0; i < count; i++)
        rove_node_free(others[i]);
    rove_node_free(node);
    return true;
}

void bench_handshakes(void)
{
    const bench_case cases[] = {{"handshakes", "sessions/s", NULL, handshake_round, NULL}};
    bench_rounds(cases, 1, bench_round_count());
}
