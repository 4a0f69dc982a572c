/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes for a measure: each with a runtime and the benchmark's kind, on loopback. */
#ifndef BENCH_MESH_H
#define BENCH_MESH_H

#include <rove/node.h>
#include <rove/runtime.h>
#include <rove/sender.h>

typedef struct bench_node {
    rove_node *node;
    rove_runtime *rt;
    rove_node_info info;
} bench_node;

/* `alloc` NULL: the C library's. */
void bench_node_open(bench_node *n, const rove_alloc *alloc);
/* One that the caller drives, daemons included. */
void bench_node_open_driven(bench_node *n);
void bench_node_close(bench_node *n);
/* A session between both. */
void bench_join(bench_node *a, bench_node *b);

/* A daemon of the kind in blob.h in one of its modes. */
rove_daemon bench_blob(bench_node *n, uint8_t mode);
rove_entity bench_entity(bench_node *n, rove_daemon d);
/* One event to a daemon of this node; its outputs are dropped. */
void bench_tell(bench_node *n, rove_daemon d, const void *bytes, size_t size);
rove_sender *bench_sender(bench_node *from, bench_node *at, rove_daemon d);

#endif
