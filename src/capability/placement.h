/* SPDX-License-Identifier: Apache-2.0
 *
 * The standard scorer of candidates: hard checks, then a product of axes from 0 to 1. All zeros is
 * the default configuration, in which only what a node has to compute with counts.
 * (docs/protocol/placement.md, "Scores") */
#ifndef ROVEI_CAPABILITY_PLACEMENT_H
#define ROVEI_CAPABILITY_PLACEMENT_H

#include <capability/scheduler.h>

typedef enum rovei_artifact_kind {
    ROVEI_ARTIFACT_DAEMON = 0,
    ROVEI_ARTIFACT_BLOB,
    ROVEI_ARTIFACT_CHAIN,
    ROVEI_ARTIFACT_REPLICA,
} rovei_artifact_kind;

/* What is to be placed. */
typedef struct rovei_artifact {
    rovei_artifact_kind kind;
    rovei_caps required; /* DAEMON: every tag of it is a must */
    rovei_caps optional; /* its metadata is looked at where `required` has none */
    uint64_t size;       /* BLOB: bytes */
} rovei_artifact;

/* A use that nodes can be fit for. */
typedef struct rovei_intent {
    const char *name;
    bool (*holds)(const rovei_caps *caps);
} rovei_intent;
/* ml-training, inference, cpu-bound, sensor-telemetry. */
extern const rovei_intent rovei_intents[4];

typedef enum rovei_intent_policy {
    ROVEI_INTENT_DISABLED = 0,
    ROVEI_INTENT_STRICT,
    ROVEI_INTENT_ANY_OF_LOCAL,
} rovei_intent_policy;
typedef enum rovei_colocation {
    ROVEI_COLOCATION_IGNORE = 0,
    ROVEI_COLOCATION_SOFT,
    ROVEI_COLOCATION_STRICT,
} rovei_colocation;
typedef enum rovei_resource {
    ROVEI_RESOURCE_COMPUTE = 0,
    ROVEI_RESOURCE_STORAGE,
    ROVEI_RESOURCE_BOTH,
    ROVEI_RESOURCE_NONE,
} rovei_resource;

typedef struct rovei_standard {
    rovei_artifact artifact;
    const rove_span *scopes; /* labels, with or without "scope:" */
    size_t scope_count;
    uint64_t max_rtt; /* nanoseconds; 0: any */
    rovei_intent_policy intent;
    const rovei_intent *intents;
    size_t intent_count;
    rovei_colocation colocation;
    rovei_resource resource;
    bool custom_wanted;  /* by an id, which may not be registered: then `custom.score` is NULL */
    rovei_scorer custom; /* runs first */
    bool (*rtt)(const void *user, uint64_t node, uint64_t *ret);         /* may be NULL */
    bool (*concentration)(const void *user, uint64_t node, double *ret); /* may be NULL */
    const void *user;
} rovei_standard;

/* How a score came about. */
typedef struct rovei_axes {
    const char *veto; /* NULL: none; else which check, and all below is 0 */
    double custom, scope, proximity, intent, colocation, resource, anti_affinity, score;
} rovei_axes;
/* `candidate` NULL: it is not in the index. */
rovei_axes rovei_standard_axes(const rovei_standard *s, const rovei_index_entry *candidate);
/* A rovei_score_fn over a rovei_standard. */
bool rovei_standard_score(const void *standard, const rovei_index_entry *candidate, double *ret);

#endif
