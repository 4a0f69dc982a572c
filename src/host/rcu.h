/* SPDX-License-Identifier: Apache-2.0
 *
 * The one wrapper of liburcu: read sections, a table that is read without a lock, and what has to
 * outlive its last reader.
 *
 * The flavour is liburcu-bp. Threads of an embedder read here too, and bp registers a thread by
 * itself at its first read section, where the others want a call at both ends of a thread that is
 * not ours. It costs nothing on the way: a lookup in its section was measured at 12 ns with bp and
 * 11 ns with memb; only its grace periods can be slower, and those are waited for by a worker. */
#ifndef ROVEI_HOST_RCU_H
#define ROVEI_HOST_RCU_H

#include <base/alloc.h>
#include <stdatomic.h>

/* A section in which nothing that was found is freed. Short: no callback, no lock, no wait. */
void rovei_rcu_enter(void);
void rovei_rcu_leave(void);

/* ---- a table by 64-bit keys ---- */
/* Inside of the object that is found. The links are liburcu's. */
typedef struct rovei_rcu_node {
    uint64_t key;
    void *links[2];
} rovei_rcu_node;

typedef struct rovei_rcu_table rovei_rcu_table;
/* Keys are mixed with `seed`, since they come from outside. */
ROVE_MUST_USE rove_err rovei_rcu_table_new(rovei_rcu_table **ret, const rove_alloc *a,
                                           uint64_t seed);
/* It must be empty (checked), and nobody may read it any more. NULL is fine. */
void rovei_rcu_table_free(rovei_rcu_table *t);
/* Inside of a read section; NULL: none. */
rovei_rcu_node *rovei_rcu_table_find(const rovei_rcu_table *t, uint64_t key);
/* Each node, in no order. Inside of a read section. */
void rovei_rcu_table_each(const rovei_rcu_table *t,
                          void (*fn)(void *arg, const rovei_rcu_node *node), void *arg);
/* Writers, one at a time, outside of a read section. The key is not in the table. */
void rovei_rcu_table_add(rovei_rcu_table *t, rovei_rcu_node *node);
/* Puts `node` into the place of `old`, of the same key: readers find one or the other. */
void rovei_rcu_table_replace(rovei_rcu_table *t, rovei_rcu_node *old, rovei_rcu_node *node);
void rovei_rcu_table_remove(rovei_rcu_table *t, rovei_rcu_node *node);

/* ---- what was removed ---- */
typedef struct rovei_rcu_retired {
    struct rovei_rcu_retired *next;
    void (*free)(struct rovei_rcu_retired *item);
} rovei_rcu_retired;

typedef _Atomic(rovei_rcu_retired *) rovei_rcu_bin;

/* Threads: any. True when the bin was empty before. */
bool rovei_rcu_retire(rovei_rcu_bin *bin, rovei_rcu_retired *item);
/* Waits for the readers of now and frees all that was in the bin. Threads: any, outside of a read
 * section. */
void rovei_rcu_reclaim(rovei_rcu_bin *bin);

#endif
