/* SPDX-License-Identifier: Apache-2.0
 *
 * What a rove_node is made of, for the files that implement it. Everything below `inside`
 * belongs to the thread that is named there. */
#ifndef ROVEI_SHELL_NODE_INSIDE_H
#define ROVEI_SHELL_NODE_INSIDE_H

#include <base/list.h>
#include <base/map.h>
#include <base/timer.h>
#include <pthread.h>
#include <shell/call.h>
#include <shell/loop.h>
#include <shell/pending.h>
#include <shell/resolver.h>
#include <shell/udp.h>

/* The handshake time is kept in the file this far ahead, so that the file is written once in that
 * time and not at every handshake; what was reserved is never used again after a restart. */
#define TIME_RESERVE (600 * ROVE_SECOND)

struct rove_node {
    rovei_env env;
    rovei_node *core;
    rovei_keypair *identity;
    struct rovei_data *data; /* NULL: it keeps nothing */
    rovei_udp *udp;
    uint64_t places; /* as the mesh counted when `udp` was told of its peers */
    rovei_postbox postbox;
    int epoll_fd, lock_fd;
    pthread_t thread;
    bool driven, has_thread;
    atomic_uintptr_t driver; /* the thread whose the node is; 0: not known yet */
    atomic_uintptr_t inside; /* the thread that has the core just now; 0: none */
    bool ending, stop, socket_full;
    bool more; /* the last turn left work for one more */
    unsigned busy_turns;
    unsigned quiet, vain; /* waits until one is worth a look; looks in a row without a find */
    uint64_t incarnation;
    char *identity_file;
    uint64_t time_reserved; /* handshake time that the file allows */
    bool floors_kept;       /* the floors are on disk as they are, or need not be */
    rovei_list watches, peer_waits;
    rovei_list publishing; /* calls that wait for room on a channel */
    rovei_timers timers;   /* of the shell and the host; the core has its own */
    rovei_pendings pendings;
    rovei_task idle_task; /* the last pending call has ended: stop */
    rovei_resolver resolver;
    rovei_map routes;    /* number of a sender or listener -> who is told */
    uint64_t listeners;  /* that were there so far: their numbers */
    atomic_bool claimed; /* a host has the place, or is about to */
    struct rovei_host *host;
    const rovei_host_ops *ops;
    rovei_sender_fn *listener;
    void *listener_user;
    rove_node_info info;
};

/* drive.c: makes this thread the one that has the node. */
void rovei_node_own(rove_node *node, bool inside);
/* loop.c: the thread, and what it leaves behind. */
void *rovei_loop_main(void *node);
/* One turn, for whoever has the core: it sleeps before it, or only looks at what is there. */
void rovei_loop_turn(rove_node *node, bool may_sleep);
/* When the loop has to have its next turn: 0 for at once. Later: whoever posts a task from here on
 * wakes it before that. */
uint64_t rovei_loop_next_turn(rove_node *node, uint64_t now);
void rovei_loop_bury(rove_node *node, bool all);
/* effects.c: what the core wants done, and what it has to say. */
/* Both: true when something was given back to the core, which has to have another turn. */
bool rovei_node_drain_effects(rove_node *node, rovei_now now);
bool rovei_node_drain_notes(rove_node *node, rovei_now now);
void rovei_node_free_routes(rove_node *node);
/* peers.c: a peer's state has changed; the node ends. */
void rovei_node_wake_waiters(rove_node *node, const rove_entity *peer);
void rovei_node_end_waiters(rove_node *node);

#endif
