/* SPDX-License-Identifier: Apache-2.0
 *
 * liburcu, and the annotations that let the thread sanitizer see its ordering: it knows nothing of
 * barriers that are not C11 atomics. The inlined forms of liburcu are not used under it, since it
 * would then instrument half of an algorithm. */
#if defined(__SANITIZE_THREAD__)
#define ROVEI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ROVEI_TSAN 1
#endif
#endif
/* Nor under any other sanitizer: liburcu does not align its own thread-locals as it declares them.
 */
#if !defined(ROVEI_TSAN) && !defined(ROVEI_SANITIZED)
#define _LGPL_SOURCE
#endif

#include <base/check.h>
#include <host/rcu.h>
#include <urcu/rculfhash.h>
#include <urcu/urcu-bp.h>

#ifdef ROVEI_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
static char readers_tag; /* an address, never written */
#define SEES(p)  __tsan_acquire(p)
#define SHOWS(p) __tsan_release(p)
#else
#define SEES(p)  ((void)(p))
#define SHOWS(p) ((void)(p))
#endif

#define BUCKETS_LEAST 64

_Static_assert(sizeof(struct cds_lfht_node) <= sizeof((rovei_rcu_node *)0)->links,
               "the links of a node are too small");

struct rovei_rcu_table {
    rove_alloc alloc;
    uint64_t seed;
    struct cds_lfht *table;
    size_t count, buckets;
};

static struct cds_lfht_node *links_of(rovei_rcu_node *node)
{
    return (struct cds_lfht_node *)(void *)node->links;
}

static rovei_rcu_node *node_of(struct cds_lfht_node *links)
{
    return (rovei_rcu_node *)(void *)((char *)links - offsetof(rovei_rcu_node, links));
}

/* Two rounds of multiply and fold: the table uses the low bits, in reverse. */
static unsigned long hash_of(const rovei_rcu_table *t, uint64_t key)
{
    uint64_t h = (key ^ t->seed) * UINT64_C(0x9E3779B97F4A7C15);
    h = (h ^ h >> 32) * UINT64_C(0xD6E8FEB86659FD93);
    return (unsigned long)(h ^ h >> 32);
}

static int matches(struct cds_lfht_node *links, const void *key)
{
    rovei_rcu_node *node = node_of(links);
    SEES(node);
    return node->key == *(const uint64_t *)key;
}

void rovei_rcu_enter(void)
{
    urcu_bp_read_lock();
}

void rovei_rcu_leave(void)
{
#ifdef ROVEI_TSAN
    SHOWS(&readers_tag);
#endif
    urcu_bp_read_unlock();
}

rove_err rovei_rcu_table_new(rovei_rcu_table **ret, const rove_alloc *a, uint64_t seed)
{
    rovei_rcu_table *t = ROVEI_NEW(a, rovei_rcu_table);
    if (!t)
        return ROVE_E_NOMEM;
    /* No automatic growth: that would start a thread. It grows when the writer says so. */
    t->table = cds_lfht_new_flavor(BUCKETS_LEAST, BUCKETS_LEAST, 0, 0, &urcu_bp_flavor, NULL);
    if (!t->table) {
        ROVEI_DELETE(a, t);
        return ROVE_E_NOMEM;
    }
    t->alloc = *a;
    t->seed = seed;
    t->buckets = BUCKETS_LEAST;
    *ret = t;
    return ROVE_OK;
}

void rovei_rcu_table_free(rovei_rcu_table *t)
{
    if (!t)
        return;
    ROVEI_CHECK(t->count == 0);
    int failed = cds_lfht_destroy(t->table, NULL);
    ROVEI_CHECK(!failed);
    rove_alloc alloc = t->alloc;
    ROVEI_DELETE(&alloc, t);
}

rovei_rcu_node *rovei_rcu_table_find(const rovei_rcu_table *t, uint64_t key)
{
    struct cds_lfht_iter it;
    cds_lfht_lookup(t->table, hash_of(t, key), matches, &key, &it);
    struct cds_lfht_node *links = cds_lfht_iter_get_node(&it);
    if (!links)
        return NULL;
    SEES(node_of(links));
    return node_of(links);
}

void rovei_rcu_table_each(const rovei_rcu_table *t,
                          void (*fn)(void *arg, const rovei_rcu_node *node), void *arg)
{
    struct cds_lfht_iter it;
    struct cds_lfht_node *links;
    for (cds_lfht_first(t->table, &it); (links = cds_lfht_iter_get_node(&it));
         cds_lfht_next(t->table, &it)) {
        SEES(node_of(links));
        fn(arg, node_of(links));
    }
}

void rovei_rcu_table_add(rovei_rcu_table *t, rovei_rcu_node *node)
{
    if (t->count >= t->buckets) {
        t->buckets *= 2;
        cds_lfht_resize(t->table, t->buckets);
    }
    t->count++;
    cds_lfht_node_init(links_of(node));
    SHOWS(node);
    urcu_bp_read_lock();
    cds_lfht_add(t->table, hash_of(t, node->key), links_of(node));
    urcu_bp_read_unlock();
}

/* The place of a node that is in the table. */
static void place_of(rovei_rcu_table *t, rovei_rcu_node *node, struct cds_lfht_iter *ret)
{
    cds_lfht_lookup(t->table, hash_of(t, node->key), matches, &node->key, ret);
    ROVEI_CHECK(cds_lfht_iter_get_node(ret) == links_of(node));
}

void rovei_rcu_table_replace(rovei_rcu_table *t, rovei_rcu_node *old, rovei_rcu_node *node)
{
    ROVEI_CHECK(old->key == node->key);
    cds_lfht_node_init(links_of(node));
    SHOWS(node);
    urcu_bp_read_lock();
    struct cds_lfht_iter it;
    place_of(t, old, &it);
    int failed =
        cds_lfht_replace(t->table, &it, hash_of(t, node->key), matches, &node->key, links_of(node));
    urcu_bp_read_unlock();
    ROVEI_CHECK(!failed);
}

void rovei_rcu_table_remove(rovei_rcu_table *t, rovei_rcu_node *node)
{
    urcu_bp_read_lock();
    int failed = cds_lfht_del(t->table, links_of(node));
    urcu_bp_read_unlock();
    ROVEI_CHECK(!failed);
    t->count--;
}

bool rovei_rcu_retire(rovei_rcu_bin *bin, rovei_rcu_retired *item)
{
    rovei_rcu_retired *head = atomic_load_explicit(bin, memory_order_relaxed);
    do {
        item->next = head;
    } while (!atomic_compare_exchange_weak_explicit(bin, &head, item, memory_order_release,
                                                    memory_order_relaxed));
    return head == NULL;
}

void rovei_rcu_reclaim(rovei_rcu_bin *bin)
{
    rovei_rcu_retired *item = atomic_exchange_explicit(bin, NULL, memory_order_acquire);
    if (!item)
        return;
    urcu_bp_synchronize_rcu();
#ifdef ROVEI_TSAN
    SEES(&readers_tag);
#endif
    while (item) {
        rovei_rcu_retired *next = item->next;
        item->free(item);
        item = next;
    }
}
