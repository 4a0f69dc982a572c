/* SPDX-License-Identifier: Apache-2.0
 *
 * Typed values of a set of capabilities, and the tags that stand for them
 * (docs/protocol/capabilities.md, "Projections"). Writing leaves out what is 0 or empty. Reading
 * takes any set: a number that is none, or does not fit its field, is 0; of several tags with one
 * key the last in the order of the bytes counts. What was read borrows from the set. */
#ifndef ROVEI_CAPABILITY_PROJECTION_H
#define ROVEI_CAPABILITY_PROJECTION_H

#include <capability/set.h>

typedef struct rovei_gpu {
    rovei_vendor vendor;
    rove_span model;
    uint32_t vram_gb;
    uint16_t compute_units, tensor_cores;
    uint32_t fp16_tflops_x10;
} rovei_gpu;

typedef struct rovei_machine {
    uint16_t cpu_cores, cpu_threads;
    uint32_t memory_gb;
    uint64_t storage_gb;
    uint32_t network_gbps;
    bool has_gpu;
    rovei_gpu gpu; /* all zero without one */
} rovei_machine;

typedef struct rovei_resource_limits {
    uint32_t max_concurrent_requests, max_tokens_per_request, rate_limit_rpm;
    uint32_t max_batch_size, max_input_bytes, max_output_bytes;
} rovei_resource_limits;

typedef struct rovei_system {
    rove_span os, os_version, cuda_version;
} rovei_system;

typedef enum rovei_software {
    ROVEI_SOFTWARE_RUNTIME = 0,
    ROVEI_SOFTWARE_FRAMEWORK,
    ROVEI_SOFTWARE_DRIVER,
} rovei_software;

typedef struct rovei_versioned {
    rove_span name, version;
} rovei_versioned;

typedef struct rovei_model {
    rove_span id, family, quantization;
    uint32_t parameters_b_x10; /* billions of parameters, times 10 */
    uint32_t context_length, tokens_per_sec;
    uint32_t modalities; /* ROVEI_MODAL_... */
    bool loaded;
} rovei_model;

typedef struct rovei_tool {
    rove_span id, name, version; /* "1.0.0" when a tag says no version */
    rove_span requires;          /* names with commas between them */
    rove_span input_schema, output_schema;
    uint32_t estimated_time_ms;
    bool stateless; /* true when no tag says it */
} rovei_tool;

/* ---- writing: errors of rovei_caps_add, and some tags may have been added then ---- */
ROVE_MUST_USE rove_err rovei_caps_add_machine(rovei_caps_draft *d, const rovei_machine *m);
ROVE_MUST_USE rove_err rovei_caps_add_limits(rovei_caps_draft *d, const rovei_resource_limits *l);
ROVE_MUST_USE rove_err rovei_caps_add_system(rovei_caps_draft *d, const rovei_system *s);
/* A name that is empty or has '=', ':' or '.' in it could not be read again and is left out. */
ROVE_MUST_USE rove_err rovei_caps_add_software(rovei_caps_draft *d, rovei_software what,
                                               const rovei_versioned *items, size_t count);
/* The models or tools of a set are written together: they are numbered from 0. */
ROVE_MUST_USE rove_err rovei_caps_add_models(rovei_caps_draft *d, const rovei_model *items,
                                             size_t count);
ROVE_MUST_USE rove_err rovei_caps_add_tools(rovei_caps_draft *d, const rovei_tool *items,
                                            size_t count);

/* ---- reading ---- */
rovei_machine rovei_caps_machine(const rovei_caps *c);
rovei_resource_limits rovei_caps_limits(const rovei_caps *c);
rovei_system rovei_caps_system(const rovei_caps *c);
/* These fill in at most `room` and give how many were filled in: software in the order of its
 * names, models and tools in that of their numbers, of which some may be missing. */
size_t rovei_caps_software(const rovei_caps *c, rovei_software what, rovei_versioned *ret,
                           size_t room);
size_t rovei_caps_models(const rovei_caps *c, rovei_model *ret, size_t room);
size_t rovei_caps_tools(const rovei_caps *c, rovei_tool *ret, size_t room);

#endif
