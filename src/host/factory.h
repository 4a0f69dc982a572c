/* SPDX-License-Identifier: Apache-2.0
 *
 * What daemons can be made of here: the kinds by name, and by origin hash what a daemon of that
 * name is made of when it comes (back) from another node. No lock of its own: the runtime's is held
 * around every call, which is also what fences these tables against shutdown. */
#ifndef ROVEI_HOST_FACTORY_H
#define ROVEI_HOST_FACTORY_H

#include <base/list.h>
#include <base/map.h>
#include <identity/entity.h>
#include <rove/kind.h>

typedef struct rovei_made_of {
    const char *name; /* the kind's own, or the factory's until its end */
    const rove_kind *kind;
    void *user;
} rovei_made_of;

typedef struct rovei_factory_entry {
    uint64_t origin;
    rovei_made_of made_of;
    rovei_keypair *who;  /* NULL while only the origin is known */
    bool key_is_gone;    /* `who` tells the entity only: the envelope has to bring the key */
    bool public_only_ok; /* without any key a read-only one will do */
    bool left;           /* the daemon ran here and moved away; it may come back */
    bool claimed;        /* by a spawn that is not settled */
    bool guest;          /* it came since its kind is accepted, not since it was expected */
    rovei_list guests;   /* f->guests: a guest that has left */
    rove_entity *source; /* only it may bring the daemon; NULL: anybody that policy allows */
    struct rovei_factory_entry *before; /* what a spawn that may yet fail stands in for */
} rovei_factory_entry;

/* Whose entry it is; NULL while only the origin is known. */
static inline const rove_entity *rovei_factory_entity(const rovei_factory_entry *e)
{
    return e->who ? rovei_keypair_entity(e->who) : NULL;
}
/* The key that this node has for it; NULL: the envelope has to bring it. */
static inline rovei_keypair *rovei_factory_key(const rovei_factory_entry *e)
{
    return e->key_is_gone ? NULL : e->who;
}

typedef struct rovei_factory {
    const rove_alloc *alloc;
    rovei_map kinds;                    /* name, padded with zeros -> struct rovei_kind_entry */
    struct rovei_kind_entry *forgotten; /* daemons may still be named after them */
    rovei_map entries;                  /* origin -> rovei_factory_entry */
    rovei_list guests;                  /* of those that have left; who left first stands first */
    size_t guest_count, guests_kept;    /* others bring them, so there is an end to it */
} rovei_factory;

void rovei_factory_init(rovei_factory *f, const rove_alloc *a, size_t guests_kept, uint64_t seed);
/* Forgets entries and kinds alike; the names of the kinds stay good until the end. */
void rovei_factory_clear(rovei_factory *f);
void rovei_factory_fini(rovei_factory *f);

/* ---- kinds ---- */
/* `name` NULL: the kind's own. E_ABI, E_USAGE (rovei_kind_check, or a bad name), E_KIND_EXISTS,
 * E_NOMEM. */
ROVE_MUST_USE rove_err rovei_factory_add_kind(rovei_factory *f, const char *name,
                                              const rove_kind *kind, void *user);
/* Valid until clear. NULL: unknown. */
const rovei_made_of *rovei_factory_kind(const rovei_factory *f, const char *name);
size_t rovei_factory_kind_count(const rovei_factory *f);
/* In no order: start with *it = 0; NULL at the end. */
const rovei_made_of *rovei_factory_kind_next(const rovei_factory *f, size_t *it);
/* Daemons of the kind may come here unexpected, or not any more. `name` NULL: of all kinds that
 * there are. E_KIND_UNKNOWN. */
ROVE_MUST_USE rove_err rovei_factory_accept(rovei_factory *f, const char *name, bool accept);
bool rovei_factory_accepts(const rovei_factory *f, const char *name);

/* ---- entries: an occupied slot is never overwritten ---- */
/* Full entry; the origin is the key's, of which a reference is taken. E_EXISTS, E_ORIGIN_TAKEN,
 * E_NOMEM. */
ROVE_MUST_USE rove_err rovei_factory_register(rovei_factory *f, rovei_keypair *key,
                                              const rovei_made_of *made_of);
/* Placeholder without a key. E_EXISTS, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_factory_expect(rovei_factory *f, uint64_t origin,
                                            const rovei_made_of *made_of, bool public_only_ok);
/* As register, for a spawn: also stands in for the entry of a daemon that has left, until settle or
 * rollback says how the spawn ended. */
ROVE_MUST_USE rove_err rovei_factory_claim(rovei_factory *f, rovei_keypair *key,
                                           const rovei_made_of *made_of);
void rovei_factory_settle(rovei_factory *f, uint64_t origin);
void rovei_factory_rollback(rovei_factory *f, uint64_t origin);
/* The daemon runs here now, with this key: the entry becomes full, or is made, for a guest.
 * E_NOMEM. */
ROVE_MUST_USE rove_err rovei_factory_arrived(rovei_factory *f, rovei_keypair *key,
                                             const rovei_made_of *made_of);
/* The daemon has moved away: the entry stays, so that it may come back; a key that was wiped is
 * forgotten. Of guests `guests_kept` stay. */
void rovei_factory_departed(rovei_factory *f, uint64_t origin);
/* Only `source` may bring it. E_NOT_FOUND, E_EXISTS (it is bound to another node), E_NOMEM. */
ROVE_MUST_USE rove_err rovei_factory_bind(rovei_factory *f, uint64_t origin,
                                          const rove_entity *source);

/* Valid until the next change. NULL: none. */
const rovei_factory_entry *rovei_factory_find(const rovei_factory *f, uint64_t origin);
/* Removes and gives it to the caller (rovei_factory_entry_free); NULL: none. */
rovei_factory_entry *rovei_factory_take(rovei_factory *f, uint64_t origin);
void rovei_factory_entry_free(rovei_factory *f, rovei_factory_entry *e);
/* True when there was one. */
bool rovei_factory_remove(rovei_factory *f, uint64_t origin);
bool rovei_factory_is_empty(const rovei_factory *f);

#endif
