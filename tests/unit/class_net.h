/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of class net share: the vectors as JSON, a generator that gives one prepared key,
 * and what a bystander can compute from a handshake that it has seen. */
#ifndef ROVE_TESTS_CLASS_NET_H
#define ROVE_TESTS_CLASS_NET_H

#include "support.h"

#include <json-c/json.h>
#include <net/handshake.h>

/* ---- vectors ---- */

json_object *vectors(const char *name);               /* a file of tests/vectors */
json_object *field(json_object *o, const char *name); /* NULL when it is not there */
const char *text(json_object *o, const char *name);   /* NULL when it is not there */
uint64_t number(json_object *o, const char *name);    /* a JSON number, or 0x... in a string */
json_object *item(json_object *o, const char *list, size_t i);
size_t items(json_object *o, const char *list);
bool key_of(json_object *o, const char *name, uint8_t ret[32]);

/* ---- an environment whose next 32 random bytes are given ---- */

typedef struct fixed_env {
    test_env base;
    rovei_env env;
    uint8_t next[32];
} fixed_env;

void fixed_env_init(fixed_env *f);
void fixed_env_fini(fixed_env *f);

/* ---- one side of a handshake ---- */

typedef struct party {
    rovei_net_self self;
    uint8_t psk[32], secret[32], public_key[32];
} party;

/* Keys are random when `secret` is NULL. */
void party_init(party *p, const rovei_env *env, uint64_t node_id, const uint8_t psk[32],
                const uint8_t *secret);

/* ---- a bystander ---- */

/* The hash as it goes through a handshake. All of it follows from the psk, the responder's public
 * key and the bytes on the wire. */
typedef struct transcript {
    uint8_t start[32], keyed[32], before1[32], after1[32], before2[32], end[32];
} transcript;

void transcript_of(transcript *ret, const uint8_t psk[32], rove_span prologue,
                   const uint8_t responder[32], rove_span message1, rove_span message2);
void prologue_of_ids(uint8_t ret[32], uint64_t initiator, uint64_t responder);

#endif
