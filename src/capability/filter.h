/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node must be able to do: the capability filter with its two evaluators, scopes of queries,
 * and who may execute what. (docs/protocol/placement.md, "The filter") */
#ifndef ROVEI_CAPABILITY_FILTER_H
#define ROVEI_CAPABILITY_FILTER_H

#include <base/text.h>
#include <capability/look.h>

/* Every part that is set must hold; a filter of zeros matches everything. Borrows its texts. */
typedef struct rovei_filter {
    const rove_span *tags; /* all of them */
    size_t tag_count;
    const rove_span *models; /* any of them */
    size_t model_count;
    const rove_span *tools; /* any of them */
    size_t tool_count;
    uint32_t min_memory_gb;      /* 0: no matter */
    bool gpu;                    /* implied by the two below */
    rovei_vendor vendor;         /* UNKNOWN: no matter */
    uint32_t min_vram_gb;        /* 0: no matter */
    uint32_t min_context_length; /* 0: no matter */
    uint32_t modalities;         /* bits: all of them */
} rovei_filter;

/* For gates of channels and for the local node: '=' and ':' are alike in required tags, a GPU needs
 * its presence tag. */
bool rovei_filter_matches(const rovei_filter *f, const rovei_caps *caps);
/* For nodes of the index: tags are compared byte by byte, any hardware.gpu tag is a GPU, context
 * length and modalities are not looked at. With `why` (may be NULL) the first part that fails is
 * named. */
bool rovei_filter_selects(const rovei_filter *f, const rovei_caps *caps, rovei_text *why);
bool rovei_filter_is_empty(const rovei_filter *f);

/* How well a node fits: 0 when the filter does not match, else 1 and the weighted parts. Weights
 * outside of 0..1 are brought inside. */
typedef struct rovei_requirement {
    rovei_filter filter;
    double memory, vram, speed, loaded; /* weights */
} rovei_requirement;
double rovei_requirement_score(const rovei_requirement *r, const rovei_caps *caps);

/* ---- scopes ---- */
typedef enum rovei_scope {
    ROVEI_SCOPE_ANY = 0,     /* all but nodes that are local to their subnet */
    ROVEI_SCOPE_GLOBAL,      /* nodes without a scope, or global ones */
    ROVEI_SCOPE_SAME_SUBNET, /* this node; others whose subnet is known to be the same */
    ROVEI_SCOPE_TENANTS,     /* global ones, and those with one of the names */
    ROVEI_SCOPE_REGIONS,
} rovei_scope;
typedef struct rovei_scope_query {
    rovei_scope scope;
    const rove_span *names; /* TENANTS, REGIONS */
    size_t name_count;
} rovei_scope_query;
/* `own`: it is this node. `same_subnet`: a policy says that it is in the local subnet. */
bool rovei_scope_matches(const rovei_scope_query *q, const rovei_caps *caps, bool own,
                         bool same_subnet);

/* ---- who may execute ---- */
typedef struct rovei_allow {
    const uint64_t *nodes;
    size_t node_count;
    const uint8_t (*subnets)[16];
    size_t subnet_count;
    const uint8_t (*groups)[32];
    size_t group_count;
} rovei_allow;
/* The caller's own judgement before it asks. `target` NULL: not in the index. `caller` may be NULL:
 * then only its node id counts. */
bool rovei_may_execute(const rovei_caps *target, const rovei_allow *allow, rove_span tag,
                       uint64_t caller_node, const rovei_caps *caller);
/* The judgement of who is asked: what callers claim of themselves does not count, only their node
 * id does. */
bool rovei_may_admit(const rovei_caps *own, const rovei_allow *allow, rove_span tag,
                     uint64_t caller_node);

#endif
