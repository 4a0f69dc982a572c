/* SPDX-License-Identifier: Apache-2.0
 *
 * A publisher on node 0 of a world, and subscribers that a test plays: what the publisher says to
 * them is kept instead of being sent, what they say is put in. */
#ifndef ROVE_TESTS_CHANNELS_KIT_H
#define ROVE_TESTS_CHANNELS_KIT_H

#include "moves_world.h"

#include <channel/channel_codec.h>
#include <channel/membership_codec.h>
#include <channel/publisher.h>
#include <identity/token.h>
#include <identity/token_cache.h>
#include <identity/token_floors.h>

#define KIT_SAID 4096

typedef struct kit_said {
    rove_entity to;
    uint8_t *bytes;
    size_t size;
} kit_said;

typedef struct kit {
    world w;
    rovei_node *node; /* the publisher */
    rovei_node_tap tap;
    kit_said said[KIT_SAID];
    size_t count;
    uint64_t nonce;
    rovei_channels_options options;
} kit;

void kit_init(kit *k);
void kit_fini(kit *k);
/* An open channel. */
void kit_open(kit *k, const char *name);
/* Says it, and gives the answer's reason; -1: none came. */
int kit_subscribe(kit *k, size_t node, const char *channel, rove_span token, const char *group);
int kit_join(kit *k, size_t node, const char *channel);
int kit_leave(kit *k, size_t node, const char *channel);
void kit_put(kit *k, const rove_entity *from, const void *bytes, size_t size);
void kit_tell(kit *k, size_t node, const char *channel, rovei_channel_type type, uint64_t number);
/* `count` events of 4 bytes, numbers that go on over all calls. */
rove_err kit_publish(kit *k, const char *channel, size_t count, rovei_publish_policy policy,
                     rovei_publish_report *ret);
void kit_turn(kit *k);
/* Forgets what was said. */
void kit_clear(kit *k);
/* Messages of a type to a node; `ret`, unless NULL, is the last one. */
size_t kit_count(const kit *k, size_t node, rovei_channel_type type, rovei_channel_frame *ret);
/* Events to a node: their numbers, in order. */
size_t kit_events(const kit *k, size_t node, uint64_t ret[KIT_SAID]);
rovei_channel_info kit_info(const kit *k, const char *channel);
rovei_member_info kit_member(const kit *k, size_t node, const char *channel);

/* A chain of one link for a node: signed by node `root`, for `life` seconds from now. */
rove_span kit_token(kit *k, size_t root, size_t subject, uint32_t scope, uint64_t hash,
                    uint64_t life, uint8_t room[ROVE_TOKEN_CHAIN_MAX]);

#endif
