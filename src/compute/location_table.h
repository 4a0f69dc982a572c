/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the table of locations, shared by its files and by the senders, who keep here what
 * they share about one daemon. */
#ifndef ROVEI_COMPUTE_LOCATION_TABLE_H
#define ROVEI_COMPUTE_LOCATION_TABLE_H

#include <compute/locate_codec.h>
#include <node/core.h>

/* A record as it is kept; the daemon is said beside it. */
typedef struct rovei_packed_record rovei_packed_record;
/* Into *record, whose memory it takes when that suffices; NULL: none yet. E_NOMEM changes nothing.
 */
ROVE_MUST_USE rove_err rovei_record_pack(rovei_packed_record **record, const rovei_node *n,
                                         const rovei_record *r);
/* Room for the largest one, with the same content. */
ROVE_MUST_USE rove_err rovei_record_make_room(rovei_packed_record **record, const rovei_node *n);
void rovei_record_unpack(const rovei_packed_record *p, const rovei_node *n,
                         const rove_entity *daemon, rovei_record *ret);
void rovei_packed_record_free(const rove_alloc *a, rovei_packed_record *p); /* NULL is fine */

/* One daemon's place: what rovei_location says of it. */
typedef struct rovei_place_entry {
    rove_entity daemon;
    uint64_t origin;
    rovei_packed_record *record;
    char *kind; /* NULL: not known */
    uint64_t since, sinc_number;
    bool stopped, tombstone;
    rovei_list age;  /* in by_age, the longest unchanged first */
    rovei_list tell; /* in tellable, when a new peer is to hear of it */
} rovei_place_entry;

/* What is kept per node that this one talks to about places and foreign lanes. */
typedef struct rovei_correspondent {
    rove_entity peer;
    rovei_pipe locate, outcome;
    uint64_t forward_window; /* monotonic: when the count below began */
    uint32_t forwards;
    size_t tell_left; /* records of the round that the peer has not been told yet */
} rovei_correspondent;

typedef enum rovei_inquiry_purpose {
    ROVEI_INQUIRY_SEEK = 1, /* for senders of this node */
    ROVEI_INQUIRY_SPAWN,    /* for a claim of this node */
    ROVEI_INQUIRY_ARRIVAL,  /* for a daemon that comes from class net, without a right */
    ROVEI_INQUIRY_FORWARD,  /* for a peer that asked */
} rovei_inquiry_purpose;

#define ROVEI_ASKERS_MAX 8 /* peers whose question about one daemon is passed on as one */

/* One question to several nodes under one nonce. */
typedef struct rovei_inquiry {
    rovei_node *node;
    uint64_t nonce;
    rove_entity daemon;
    rovei_inquiry_purpose purpose;
    struct rovei_asker {
        rove_entity peer;
        uint64_t nonce;
    } askers[ROVEI_ASKERS_MAX]; /* FORWARD */
    size_t asker_count;
    uint64_t known; /* epoch of the record that did not help the asker; 0 = none */
    rovei_timer limit;
    struct rovei_asked {
        rove_entity peer;
        bool answered, heard, claimed;
    } * asked;
    size_t count, room, answered;
    bool patient; /* SPAWN: some peers could not be asked yet, so it takes its whole time */
    bool heard;   /* somebody knows a record, believed here or not */
    bool claimed; /* somebody else is about to spawn the same daemon */
} rovei_inquiry;

/* A search that goes on until somebody is found or nobody looks any more. */
typedef struct rovei_seek {
    rovei_node *node;
    rove_entity daemon;
    rovei_timer next;
    uint64_t pause;
    uint64_t last; /* monotonic: of the last question; 0 = none */
    bool wanted;   /* else it only waits until a next one may ask again */
    uint64_t nonce;
} rovei_seek;

struct rovei_locations {
    rovei_node *node;
    rovei_map places; /* entity -> rovei_place_entry */
    rovei_list by_age;
    rovei_list tellable; /* entries in a fixed order; new ones last */
    size_t tellable_count;
    rovei_list *tell_next; /* of the round through them, which never ends */
    rovei_timer tell;
    rovei_map seeks;          /* entity -> rovei_seek */
    rovei_map inquiries;      /* nonce -> rovei_inquiry */
    rovei_map forwarding;     /* entity -> rovei_inquiry that asks on for others */
    rovei_map correspondents; /* entity -> rovei_correspondent */
    rovei_map routes;         /* entity -> rovei_route (compute/sender_inside.h) */
};

rovei_place_entry *rovei_place_get(const rovei_node *n, const rove_entity *daemon);
rovei_record rovei_place_record(const rovei_node *n, const rovei_place_entry *p);

/* NULL: out of memory, or a node without a session. */
rovei_correspondent *rovei_correspondent_get(rovei_node *n, const rove_entity *peer);

/* Asks every node that can be reached, but for `except`, at most `most` of them. An inquiry that
 * reached nobody is complete at once. E_FULL, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_inquiry_new(rovei_inquiry **ret, rovei_node *n, rovei_now now,
                                         const rove_entity *daemon, rovei_inquiry_purpose purpose,
                                         const rove_entity *except, size_t most, uint8_t hops,
                                         uint64_t known, uint64_t wait);
rovei_inquiry *rovei_inquiry_find(const rovei_node *n, uint64_t nonce);
void rovei_inquiry_free(rovei_inquiry *q);
static inline bool rovei_inquiry_done(const rovei_inquiry *q)
{
    return q->answered == q->count && !q->patient;
}
/* A message with the tag LOCATE to a peer. */
ROVE_MUST_USE rove_err rovei_locate_send(rovei_node *n, const rove_entity *peer,
                                         const rovei_locate *m);

/* ---- location_tell.c: Tells ---- */
ROVE_MUST_USE rove_err rovei_location_tells_new(struct rovei_locations *l);
void rovei_location_tells_free(struct rovei_locations *l);
/* The entry has changed, or goes away: whether new peers hear of it is decided anew. */
void rovei_location_tellable(struct rovei_locations *l, rovei_place_entry *p, bool gone);
/* Tells every node that can be reached of a record. */
void rovei_location_tell(rovei_node *n, const rovei_record *record);
/* A peer that has been away hears of what may have changed meanwhile. */
void rovei_location_tell_peer(rovei_node *n, rovei_now now, const rove_entity *peer);
void rovei_location_told(rovei_node *n, rovei_now now, const rove_entity *from,
                         const rovei_record *record);
/* A record was learned or renewed: whoever searches for the daemon dials its holder at once. */
void rovei_location_reach(rovei_node *n, rovei_now now, const rove_entity *daemon);
void rovei_location_seeks_free(struct rovei_locations *l);

#endif
