/* SPDX-License-Identifier: Apache-2.0
 *
 * Guarded memory for many small secrets: regions with guard pages, locked where the system allows
 * it, cut into slots of 64 bytes, so that ten thousand daemons' keys cost a few regions and not ten
 * thousand guarded pages. A slot is wiped when it is given back. Threads: any (own lock). */
#ifndef ROVEI_CRYPTO_SLAB_H
#define ROVEI_CRYPTO_SLAB_H

#include <rove/types.h>

#define ROVEI_SLOT_SIZE 64

struct rovei_slab;
ROVE_MUST_USE rove_err rovei_slab_new(struct rovei_slab **ret, const rove_alloc *a);
/* Wipes and frees all of it; every slot must have been given back (checked). */
void rovei_slab_free(struct rovei_slab *s);
/* A zeroed slot of 64 bytes, or NULL when memory is refused. */
void *rovei_slab_get(struct rovei_slab *s);
void rovei_slab_put(struct rovei_slab *s, void *slot); /* NULL is fine */
size_t rovei_slab_used(const struct rovei_slab *s);

#endif
