/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes with the benchmark's kind. */
#include "mesh.h"

#include "bench.h"
#include "blob.h"

#define WAIT (10 * ROVE_SECOND)

static void node_open(bench_node *n, const rove_alloc *alloc, bool driven)
{
    static const uint8_t psk[32] = {42};
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = psk;
    cfg.driven = driven;
    if (alloc)
        cfg.alloc = *alloc;
    rove_runtime_config runtime;
    rove_runtime_config_init(&runtime);
    if (driven)
        runtime.workers = 0;
    bench_must(rove_node_new(&n->node, &cfg), "node");
    bench_must(rove_runtime_new(&n->rt, n->node, &runtime), "runtime");
    bench_must(rove_runtime_register_kind(n->rt, NULL, bench_blob_kind(), NULL), "kind");
    bench_must(rove_runtime_start(n->rt), "start");
    rove_node_get_info(n->node, &n->info);
}

void bench_node_open(bench_node *n, const rove_alloc *alloc)
{
    node_open(n, alloc, false);
}

void bench_node_open_driven(bench_node *n)
{
    node_open(n, NULL, true);
}

void bench_node_close(bench_node *n)
{
    bench_must(rove_runtime_shutdown(n->rt), "shutdown");
    rove_runtime_unref(n->rt);
    rove_node_free(n->node);
}

void bench_join(bench_node *a, bench_node *b)
{
    bench_must(rove_node_connect(a->node, &b->info.entity, b->info.address), "connect");
    bench_must(rove_node_wait_peer(a->node, &b->info.entity, WAIT), "session");
    bench_must(rove_node_wait_peer(b->node, &a->info.entity, WAIT), "session");
}

void bench_tell(bench_node *n, rove_daemon d, const void *bytes, size_t size)
{
    rove_event e = {.link.origin = 1, .link.sequence = 1, .payload = {bytes, size}};
    rove_result r;
    bench_must(rove_runtime_deliver(n->rt, d, &e, 0, &r, NULL, NULL), "deliver");
    rove_result_fini(&r);
}

rove_daemon bench_blob(bench_node *n, uint8_t mode)
{
    rove_daemon d;
    bench_must(rove_runtime_spawn(n->rt, "blob", NULL, NULL, &d), "spawn");
    bench_tell(n, d, &mode, 1);
    return d;
}

rove_entity bench_entity(bench_node *n, rove_daemon d)
{
    rove_entity entity;
    bench_must(rove_runtime_entity(n->rt, d, &entity), "entity");
    return entity;
}

rove_sender *bench_sender(bench_node *from, bench_node *at, rove_daemon d)
{
    rove_sender *s;
    rove_entity entity = bench_entity(at, d);
    bench_must(rove_sender_open(&s, from->node, &entity, NULL), "sender");
    return s;
}
