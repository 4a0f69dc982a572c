/* SPDX-License-Identifier: Apache-2.0
 *
 * Intrusive doubly linked list. A node that is in no list points to itself. */
#ifndef ROVEI_BASE_LIST_H
#define ROVEI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rovei_list {
    struct rovei_list *next, *prev;
} rovei_list;

#define ROVEI_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void rovei_list_init(rovei_list *l)
{
    l->next = l->prev = l;
}
static inline bool rovei_list_empty(const rovei_list *l)
{
    return l->next == l;
}
static inline void rovei_list_add_tail(rovei_list *head, rovei_list *n)
{
    n->prev = head->prev;
    n->next = head;
    head->prev->next = n;
    head->prev = n;
}
static inline void rovei_list_add_head(rovei_list *head, rovei_list *n)
{
    rovei_list_add_tail(head->next, n);
}
/* Leaves `n` in no list; harmless when it is in none. */
static inline void rovei_list_remove(rovei_list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    rovei_list_init(n);
}
/* Iteration that allows removing `it` itself. */
#define ROVEI_LIST_EACH(it, nxt, head)                                                             \
    for (rovei_list *it = (head)->next, *nxt = it->next; it != (head); it = nxt, nxt = it->next)

#endif
