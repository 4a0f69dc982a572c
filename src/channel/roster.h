/* SPDX-License-Identifier: Apache-2.0
 *
 * Who receives what is published on one channel: everybody who is not in a queue group, and of each
 * group one, in turn. A node has one seat. Seats belong to the caller. */
#ifndef ROVEI_CHANNEL_ROSTER_H
#define ROVEI_CHANNEL_ROSTER_H

#include <base/env.h>
#include <base/map.h>
#include <channel/name.h>

struct rovei_seat;
typedef struct rovei_bench {
    struct rovei_seat **seats;
    size_t count, room;
} rovei_bench;

typedef struct rovei_group {
    rovei_bench bench;
    size_t turn; /* whose turn it is, modulo the count */
    size_t size;
    char name[ROVEI_CHANNEL_NAME_MAX];
} rovei_group;

typedef struct rovei_seat {
    uint64_t node_id;
    rovei_group *group; /* NULL: of those who receive everything */
    size_t at;          /* on its bench */
} rovei_seat;

typedef struct rovei_roster {
    const rove_alloc *alloc;
    rovei_map seats; /* node id -> seat */
    rovei_bench all; /* without a group */
    rovei_group **groups;
    size_t group_count, group_room;
} rovei_roster;

void rovei_roster_init(rovei_roster *r, const rovei_env *env);
/* It is empty. */
void rovei_roster_fini(rovei_roster *r);
rovei_seat *rovei_roster_find(const rovei_roster *r, uint64_t node_id);
/* Seats a node that has none here, or moves it to another mode (`group` empty: none); the mode that
 * it is in already: nothing. E_FULL (a group more than `groups_max`), E_NOMEM: as it was. */
ROVE_MUST_USE rove_err rovei_roster_seat(rovei_roster *r, rovei_seat *s, rove_span group,
                                         size_t groups_max);
void rovei_roster_remove(rovei_roster *r, rovei_seat *s);
static inline size_t rovei_roster_count(const rovei_roster *r)
{
    return r->seats.count;
}
/* How many _pick gives. */
size_t rovei_roster_recipients(const rovei_roster *r);
/* Those who receive the next publish; each group's turn goes on. */
void rovei_roster_pick(rovei_roster *r, rovei_seat **ret);
/* Walks all seats; start with *it = 0, NULL at the end. Nothing changes meanwhile. */
rovei_seat *rovei_roster_next(const rovei_roster *r, size_t *it);

#endif
