/* SPDX-License-Identifier: Apache-2.0
 *
 * One node's gossip, with parties around it who say what a test wants: texts of announcements, what
 * becomes of each by exactly one counter, and what is sent on. */
#ifndef ROVE_TEST_GOSSIP_KIT_H
#define ROVE_TEST_GOSSIP_KIT_H

#include "caps_kit.h"
#include "support.h"
#include <base/buf.h>
#include <capability/gossip.h>
#include <capability/index.h>
#include <capability/tag.h>

#define PARTIES 48

typedef struct party {
    rovei_keypair *key;
    const rove_entity *entity;
    uint64_t id;
} party;

typedef struct kit {
    test_env env;
    rovei_keypair *self;
    uint64_t id; /* of the node itself */
    rovei_index *index;
    rovei_gossip *g;
    rovei_now now;
    party of[PARTIES];
} kit;

typedef struct kit_text {
    char bytes[ROVEI_ANNOUNCEMENT_MAX + 1];
    size_t size;
} kit_text;

/* What a party says of itself. */
typedef struct said {
    int of; /* a party; SELF: the node itself */
    uint64_t version;
    uint32_t ttl; /* 0: 300 */
    uint8_t hops;
    bool no_signature;
    const char *tags, *metadata; /* as caps_of has them; NULL: a tag that tells the version */
    const rovei_keypair *signer; /* NULL: its own */
    const rove_entity *entity;   /* NULL: its own */
    uint64_t timestamp;
} said;
#define SELF (-1)

int kit_setup(void **state);
int kit_teardown(void **state);
/* The same with a node that takes what nobody signed. */
int kit_setup_unsigned(void **state);

kit_text kit_say(const kit *k, said s);
/* A session with a party stands; its entity is proved, as in class rove, or not. */
void kit_up(kit *k, int who, bool proved);
/* The time moves on, in steps of at most 100 ms; what is sent meanwhile waits. */
void kit_pass(kit *k, uint64_t duration);

/* A text comes from a party. Exactly one counter tells what became of it. */
void kit_taken(kit *k, int from, const kit_text *text);
void kit_dropped(kit *k, int from, const kit_text *text, rovei_gossip_drop why);

/* The next text that is sent; the party, or -1 when there is none. */
int kit_sent(kit *k, kit_text *ret);
/* How many texts are sent now; they are thrown away. */
size_t kit_flush(kit *k);
#define assert_silent(k) assert_int_equal(kit_sent(k, NULL), -1)

/* The version that the index has of a party; 0: none. */
uint64_t kit_version(const kit *k, int of);
bool kit_has_tag(const kit *k, int of, const char *tag);
bool kit_pinned(const kit *k, int who);

#endif
