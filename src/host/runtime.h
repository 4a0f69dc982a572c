/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the public objects that hang on a host. */
#ifndef ROVEI_HOST_RUNTIME_H
#define ROVEI_HOST_RUNTIME_H

#include <host/host.h>
#include <host/snapshot.h>

typedef struct rovei_shutdown {
    rovei_ending ending;
    struct rovei_host *host;
    bool first; /* it is the one that shuts down */
} rovei_shutdown;

struct rove_runtime {
    struct rovei_host host;
    atomic_uint refs;
    rovei_task begin;
    rovei_task step;     /* of its end */
    rovei_shutdown last; /* the last reference's */
    void (*freed)(void *user);
    void *freed_user;
};

struct rove_identity {
    const rovei_env *env;
    rovei_keypair *key;
    atomic_bool fresh; /* drawn here and not yet spawned: it can live nowhere else */
};

/* A copy of a key in the memory of `env`: wiping it leaves the original alone. */
ROVE_MUST_USE rove_err rovei_keypair_dup(rovei_keypair **ret, const rovei_env *env,
                                         const rovei_keypair *key);
/* The daemon has left this node and its key has stayed, since it moved without its identity. */
bool rovei_runtime_keeps_key(rove_runtime *rt, const rove_entity *entity);
/* The frame at *it, which is moved behind it. */
bool rovei_frames_next(rove_span frames, size_t *it, rove_link *ret_link, rove_span *ret_payload);

#endif
