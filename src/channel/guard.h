/* SPDX-License-Identifier: Apache-2.0
 *
 * Who was admitted to which channel: the exact pairs decide, a filter of bits before them makes the
 * usual "no" cheap. Nodes and origins are kept apart even where their numbers are the same. */
#ifndef ROVEI_CHANNEL_GUARD_H
#define ROVEI_CHANNEL_GUARD_H

#include <base/env.h>
#include <base/map.h>
#include <channel/name.h>

typedef enum rovei_principal_kind {
    ROVEI_PRINCIPAL_NODE = 0x01,
    ROVEI_PRINCIPAL_ORIGIN = 0x02,
} rovei_principal_kind;

typedef struct rovei_principal {
    rovei_principal_kind kind;
    uint64_t id;
} rovei_principal;

#define ROVEI_GUARD_BITS 32768

typedef struct rovei_guard {
    const rove_alloc *alloc;
    rovei_map pairs; /* digest of kind, id and name -> entry, which holds the name */
    uint8_t bits[ROVEI_GUARD_BITS / 8];
} rovei_guard;

void rovei_guard_init(rovei_guard *g, const rovei_env *env);
void rovei_guard_fini(rovei_guard *g);
/* The key of a pair for the filter; its bits are its low 15 and the 15 above them. */
uint64_t rovei_guard_key(rovei_principal who, uint64_t channel);
/* Of a legal name; again is fine. E_NOMEM: as it was. */
ROVE_MUST_USE rove_err rovei_guard_admit(rovei_guard *g, rovei_principal who, rove_span channel);
void rovei_guard_revoke(rovei_guard *g, rovei_principal who, rove_span channel);
/* `hash` is the name's. */
bool rovei_guard_admits(const rovei_guard *g, rovei_principal who, uint64_t hash,
                        rove_span channel);
/* False: certainly not admitted. */
bool rovei_guard_may(const rovei_guard *g, rovei_principal who, uint64_t hash);
/* The bits once more from the pairs: revoking leaves bits behind. */
void rovei_guard_rebuild(rovei_guard *g);

#endif
