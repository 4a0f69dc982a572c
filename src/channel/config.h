/* SPDX-License-Identifier: Apache-2.0
 *
 * What a publisher says about its channels: who may join and publish. By exact name, or by a prefix
 * for all names that begin with it (docs/protocol/channels.md, "Configuration"). It is the
 * publisher's own and is never sent. */
#ifndef ROVEI_CHANNEL_CONFIG_H
#define ROVEI_CHANNEL_CONFIG_H

#include <base/env.h>
#include <base/list.h>
#include <base/map.h>
#include <channel/name.h>

typedef enum rovei_visibility {
    ROVEI_VISIBLE_GLOBAL = 0,
    ROVEI_VISIBLE_SUBNET,   /* the same subnet */
    ROVEI_VISIBLE_PARENT,   /* the same subnet and those above it */
    ROVEI_VISIBLE_EXPORTED, /* subnets under one of the channel's export targets */
} rovei_visibility;

typedef enum rovei_group_policy {
    ROVEI_GROUPS_ANY = 0, /* who may subscribe may join any group */
    ROVEI_GROUPS_DENY,
    ROVEI_GROUPS_TOKEN, /* the token has to name the group */
} rovei_group_policy;

/* Tags that a node has to have, all of them. */
typedef struct rovei_need {
    const rove_span *tags;
    size_t count;
} rovei_need;

/* Lists and texts are copied by whoever keeps the configuration. A zeroed one is an open channel;
 * the name is always given. */
typedef struct rovei_channel_config {
    rove_span name; /* or the prefix */
    bool prefix;
    rovei_visibility visibility;
    rovei_need publish_caps;   /* what this node itself needs to publish */
    rovei_need subscribe_caps; /* what a subscriber needs */
    bool require_token;        /* with no roots: nobody is authorised */
    const rove_entity *roots;  /* whose tokens open it; any: a token is required */
    size_t root_count;
    bool origin_bound; /* of a prefix: what follows has to be the subscriber's origin hash, hex */
    rovei_group_policy groups;
    const uint32_t *exports; /* EXPORTED: subnets */
    size_t export_count;
    /* Kept and shown, without effect: the reference has them, and does the same. */
    uint8_t priority;
    bool reliable;
    uint32_t max_rate; /* packets a second; 0: none */
} rovei_channel_config;

#define ROVEI_CHANNEL_ROOTS_MAX   64
#define ROVEI_CHANNEL_TAGS_MAX    64
#define ROVEI_CHANNEL_EXPORTS_MAX 64

static inline bool rovei_channel_token_required(const rovei_channel_config *c)
{
    return c->require_token || c->root_count;
}

/* ---- the registry ---- */
typedef struct rovei_channel_registry rovei_channel_registry;
/* `most`: entries, prefixes included. */
ROVE_MUST_USE rove_err rovei_channel_registry_new(rovei_channel_registry **ret,
                                                  const rovei_env *env, size_t most);
void rovei_channel_registry_free(rovei_channel_registry *r);
/* Puts a copy, in the place of the one of this name or prefix if there is one; with `if_absent`
 * that one stays, and E_CHANNEL_EXISTS says so. Errors of names (of a prefix: that it could begin a
 * name), E_BOUND (a list too long), E_FULL, E_NOMEM; nothing changes then. */
ROVE_MUST_USE rove_err rovei_channel_registry_put(rovei_channel_registry *r,
                                                  const rovei_channel_config *c, bool if_absent);
/* E_NOT_FOUND. */
ROVE_MUST_USE rove_err rovei_channel_registry_remove(rovei_channel_registry *r, rove_span name,
                                                     bool prefix);
/* The exact one, else the longest prefix; NULL: none. `*ret_prefix`, unless NULL, is the prefix
 * that decided, or empty. Borrowed until the next change. */
const rovei_channel_config *rovei_channel_registry_find(const rovei_channel_registry *r,
                                                        rove_span name, rove_span *ret_prefix);
/* Of exact names; NULL unless exactly one has this hash. */
const rovei_channel_config *rovei_channel_registry_by_hash(const rovei_channel_registry *r,
                                                           uint64_t hash);
const rovei_channel_config *rovei_channel_registry_by_hash16(const rovei_channel_registry *r,
                                                             uint16_t hash);
/* E_NOT_FOUND unless exactly one has this hash. */
ROVE_MUST_USE rove_err rovei_channel_registry_remove_hash(rovei_channel_registry *r, uint64_t hash);
/* Walks all: exact ones by name, then prefixes; start with *it = 0, NULL at the end. */
const rovei_channel_config *rovei_channel_registry_next(const rovei_channel_registry *r,
                                                        size_t *it);
size_t rovei_channel_registry_count(const rovei_channel_registry *r);
/* What calls of a service go over: `service`.requests, open, and under `service`.replies. a channel
 * for each caller, bound to its origin. Each only where there is none yet; nothing at all when one
 * of the names would not be legal. E_FULL, E_NOMEM, the errors of names. */
ROVE_MUST_USE rove_err rovei_channel_registry_rpc(rovei_channel_registry *r, rove_span service);

/* ---- who sees it ---- */
/* Four levels of a byte each, the most significant first; 0 is the whole. */
bool rovei_subnet_above(uint32_t above, uint32_t subnet);
/* `subnet` NULL: not known, which is not the same as 0. */
bool rovei_channel_visible(const rovei_channel_config *c, uint32_t own, const uint32_t *subnet);

/* `suffix` is exactly `origin` in 16 lowercase hex digits. */
bool rovei_origin_bound(rove_span suffix, uint64_t origin);

#endif
