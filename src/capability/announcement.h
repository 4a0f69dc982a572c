/* SPDX-License-Identifier: Apache-2.0
 *
 * An announcement: what a node says it can do, signed by it, as JSON of one packet
 * (docs/protocol/capabilities.md, "Announcements"). The bytes are the reference's. What is verified
 * is not the text that came but the canonical text of what was understood of it. */
#ifndef ROVEI_CAPABILITY_ANNOUNCEMENT_H
#define ROVEI_CAPABILITY_ANNOUNCEMENT_H

#include <capability/filter.h>
#include <capability/reflex.h>
#include <capability/set.h>
#include <identity/entity.h>

#define ROVEI_ANNOUNCEMENT_MAX 8104 /* bytes of text; a longer one fits into no packet */
#define ROVEI_ALLOW_LIST_MAX   64   /* entries of each list */
#define ROVEI_OWNER_CERT_SIZE  156
#define ROVEI_CAPABILITY_HOPS  16  /* a copy that has made so many is not sent on */
#define ROVEI_CAPABILITY_TTL   300 /* seconds */

/* Counted, and not changed once somebody else may hold it. One thread. */
typedef struct rovei_announcement {
    uint64_t node_id;
    rove_entity entity;
    uint64_t version;
    uint64_t timestamp; /* nanoseconds since 1970, as the node says */
    uint32_t ttl;       /* seconds from its arrival */
    uint8_t hop_count;  /* not signed */
    bool has_signature;
    uint8_t signature[64];
    rovei_caps set;
    rovei_reflex reflex;
    rovei_allow allow;         /* each list of at most ROVEI_ALLOW_LIST_MAX */
    const uint8_t *owner_cert; /* ROVEI_OWNER_CERT_SIZE bytes, unjudged; NULL: none */
} rovei_announcement;

/* Reads a text, hostile or not. E_FORMAT (whatever the reference would not take), E_TOO_LARGE,
 * E_NOMEM. The caller holds one reference. */
ROVE_MUST_USE rove_err rovei_announcement_read(rovei_announcement **ret, const rove_alloc *a,
                                               rove_span text);
/* A copy of `from`, all of it checked; what it borrows is copied, in canonical order. E_FORMAT,
 * E_TOO_LARGE (its text would be), E_NOMEM. */
ROVE_MUST_USE rove_err rovei_announcement_new(rovei_announcement **ret, const rove_alloc *a,
                                              const rovei_announcement *from);
rovei_announcement *rovei_announcement_ref(rovei_announcement *a);
void rovei_announcement_unref(rovei_announcement *a); /* NULL is fine */

/* The canonical text that is signed. Its size; 0: does not fit into `room`. */
size_t rovei_announcement_write_signed(const rovei_announcement *a, void *ret, size_t room);
/* The text that is sent, with this hop count. Its size; 0: does not fit. */
size_t rovei_announcement_write(const rovei_announcement *a, uint8_t hop_count, void *ret,
                                size_t room);

/* Fills in the signature; only for one that nobody else holds. E_READ_ONLY, E_TOO_LARGE (with the
 * signature the text is longer than can be sent). */
ROVE_MUST_USE rove_err rovei_announcement_sign(rovei_announcement *a, const rovei_keypair *key);
/* E_SIGNATURE (also when there is none), E_PUBLIC_KEY. */
ROVE_MUST_USE rove_err rovei_announcement_verify(const rovei_announcement *a);

/* Takes out what a peer must not make this node believe: metadata that steers placement here, and
 * heat of chains that the set does not claim. Only for one that nobody else holds, and after it was
 * sent on: the signature no longer fits. */
void rovei_announcement_strip(rovei_announcement *a);

#endif
