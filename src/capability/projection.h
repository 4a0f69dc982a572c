/* SPDX-License-Identifier: Apache-2.0
 *
 * Hardware, software, models, tools and limits as views of a set's tags, and the tags that say them
 * (docs/protocol/capabilities.md, "Projections"). What is decoded borrows from the set. A number
 * that is none or too large reads as 0, what is not known is passed over, and of tags for the same
 * thing the last in order decides. Zero and empty are not written. */
#ifndef ROVEI_CAPABILITY_PROJECTION_H
#define ROVEI_CAPABILITY_PROJECTION_H

#include <capability/set.h>

typedef enum rovei_gpu_vendor {
    ROVEI_GPU_UNKNOWN = 0,
    ROVEI_GPU_NVIDIA,
    ROVEI_GPU_AMD,
    ROVEI_GPU_INTEL,
    ROVEI_GPU_APPLE,
    ROVEI_GPU_QUALCOMM,
} rovei_gpu_vendor;
/* As in tags; "" for UNKNOWN. */
const char *rovei_gpu_vendor_name(rovei_gpu_vendor v);
rovei_gpu_vendor rovei_gpu_vendor_of(rove_span name);

typedef struct rovei_gpu {
    rovei_gpu_vendor vendor;
    rove_span model;
    uint32_t vram_gb;
    uint16_t compute_units, tensor_cores;
    uint32_t fp16_tflops_x10;
} rovei_gpu;

typedef struct rovei_hardware {
    uint16_t cpu_cores, cpu_threads;
    uint32_t memory_gb;
    uint64_t storage_gb;
    uint32_t network_gbps;
    bool has_gpu; /* any tag of a GPU is enough */
    rovei_gpu gpu;
} rovei_hardware;

typedef struct rovei_capability_limits {
    uint32_t max_concurrent_requests, max_tokens_per_request, rate_limit_rpm, max_batch_size,
        max_input_bytes, max_output_bytes;
} rovei_capability_limits;

typedef struct rovei_software {
    rove_span os, os_version, cuda_version;
} rovei_software;

typedef enum rovei_package_kind {
    ROVEI_PACKAGE_RUNTIME,
    ROVEI_PACKAGE_FRAMEWORK,
    ROVEI_PACKAGE_DRIVER,
} rovei_package_kind;
typedef struct rovei_package {
    rove_span name, version;
} rovei_package;

/* Modalities, as bits in the order in which they are written. */
#define ROVEI_MODALITY_TEXT      (1U << 0)
#define ROVEI_MODALITY_IMAGE     (1U << 1)
#define ROVEI_MODALITY_AUDIO     (1U << 2)
#define ROVEI_MODALITY_VIDEO     (1U << 3)
#define ROVEI_MODALITY_CODE      (1U << 4)
#define ROVEI_MODALITY_EMBEDDING (1U << 5)
#define ROVEI_MODALITY_TOOL_USE  (1U << 6)
/* The bit of a name; text for one that is not known. */
unsigned rovei_modality_of(rove_span name);

typedef struct rovei_model {
    uint32_t index; /* as decoded; not written */
    rove_span id, family, quantization;
    uint32_t parameters_b_x10, context_length, tokens_per_sec;
    unsigned modalities;
    bool loaded;
} rovei_model;

typedef struct rovei_tool {
    uint32_t index;
    rove_span id, name, version; /* version: 1.0.0 where none is given */
    rove_span requires;          /* a list with commas */
    uint32_t estimated_time_ms;
    bool stateless; /* true where nothing is said */
} rovei_tool;

/* More of either do not fit into an announcement. */
#define ROVEI_MODELS_MAX 512
#define ROVEI_TOOLS_MAX  512

void rovei_hardware_decode(rovei_hardware *ret, const rovei_capset *s);
void rovei_software_decode(rovei_software *ret, const rovei_capset *s);
void rovei_capability_limits_decode(rovei_capability_limits *ret, const rovei_capset *s);
/* The next package: start with *it = 0; false at the end. In the order of their names. */
bool rovei_package_next(const rovei_capset *s, rovei_package_kind kind, size_t *it,
                        rovei_package *ret);
/* How many there are, at most `room`: the first of them in the order of their indices. */
size_t rovei_models_decode(rovei_model *ret, size_t room, const rovei_capset *s);
size_t rovei_tools_decode(rovei_tool *ret, size_t room, const rovei_capset *s);

/* All encoders: errors of rovei_capset_add; some tags may have been added then. */
ROVE_MUST_USE rove_err rovei_hardware_encode(rovei_capset_draft *d, const rovei_hardware *h);
ROVE_MUST_USE rove_err rovei_software_encode(rovei_capset_draft *d, const rovei_software *s);
ROVE_MUST_USE rove_err rovei_capability_limits_encode(rovei_capset_draft *d,
                                                      const rovei_capability_limits *l);
/* A name that is empty or holds one of `=:.` is passed over. */
ROVE_MUST_USE rove_err rovei_package_encode(rovei_capset_draft *d, rovei_package_kind kind,
                                            const rovei_package *p);
/* `index` stands in the tags. */
ROVE_MUST_USE rove_err rovei_model_encode(rovei_capset_draft *d, uint32_t index,
                                          const rovei_model *m);
ROVE_MUST_USE rove_err rovei_tool_encode(rovei_capset_draft *d, uint32_t index,
                                         const rovei_tool *t);

#endif
