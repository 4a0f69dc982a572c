/* SPDX-License-Identifier: Apache-2.0
 *
 * Conditions on what a node announced: leaves over its axis tags and metadata, joined by and, or,
 * not. The nodes lie in post-order: a child's number is below its parent's, so evaluation is one
 * walk without recursion. (docs/protocol/placement.md, "Predicates") */
#ifndef ROVEI_CAPABILITY_PREDICATE_H
#define ROVEI_CAPABILITY_PREDICATE_H

#include <capability/look.h>

#define ROVEI_PREDICATE_BYTES 4096 /* of its JSON or text form */
#define ROVEI_PREDICATE_NODES 512

typedef enum rovei_pred_kind {
    ROVEI_PRED_EXISTS = 1,
    ROVEI_PRED_EQUALS,
    ROVEI_PRED_AT_LEAST,
    ROVEI_PRED_AT_MOST,
    ROVEI_PRED_IN_RANGE,
    ROVEI_PRED_SEMVER_AT_LEAST,
    ROVEI_PRED_SEMVER_AT_MOST,
    ROVEI_PRED_SEMVER_COMPATIBLE,
    ROVEI_PRED_PREFIX,
    ROVEI_PRED_MATCHES,
    ROVEI_PRED_META_EXISTS,
    ROVEI_PRED_META_EQUALS,
    ROVEI_PRED_META_MATCHES,
    ROVEI_PRED_META_AT_LEAST,
    ROVEI_PRED_AND,
    ROVEI_PRED_OR,
    ROVEI_PRED_NOT,
    ROVEI_PRED_TAG, /* ours: exactly this tag; has no JSON form */
} rovei_pred_kind;

typedef struct rovei_pred_node {
    rovei_pred_kind kind;
    rove_span key;         /* with its axis ("hardware.gpu.vendor"), of metadata, or a tag */
    rove_span text;        /* value, version, prefix or pattern */
    double least, most;    /* thresholds */
    uint32_t first, count; /* AND, OR, NOT: its children in the list of children */
} rovei_pred_node;

typedef struct rovei_predicate {
    const rovei_pred_node *nodes;
    uint32_t count, root;
    const uint32_t *children;
    uint32_t child_count;
} rovei_predicate;

typedef enum rovei_pred_error {
    ROVEI_PRED_FINE = 0,
    ROVEI_PRED_EMPTY,
    ROVEI_PRED_ROOT,  /* the root is out of bounds */
    ROVEI_PRED_CHILD, /* a child is out of bounds */
    ROVEI_PRED_CYCLE, /* a child is not below its parent */
} rovei_pred_error;
const char *rovei_pred_error_name(rovei_pred_error e); /* "Empty", "RootOutOfBounds", ... */

rovei_pred_error rovei_predicate_check(const rovei_predicate *p);
/* Of one that was checked. */
bool rovei_predicate_holds(const rovei_predicate *p, const rovei_caps *caps);

#endif
