/* SPDX-License-Identifier: Apache-2.0
 *
 * rove_node: construction and end. */
#include <base/alloc.h>
#include <base/check.h>
#include <crypto/crypto.h>
#include <crypto/slab.h>
#include <host/thread.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <shell/call.h>
#include <shell/channels.h>
#include <shell/data.h>
#include <shell/detect.h>
#include <shell/files.h>
#include <shell/given.h>
#include <shell/node_inside.h>
#include <shell/tokens.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

rovei_postbox *rovei_node_postbox(rove_node *node)
{
    return &node->postbox;
}
const rovei_env *rovei_node_env(const rove_node *node)
{
    return &node->env;
}

const rovei_keypair *rovei_node_key(const rove_node *node)
{
    return node->identity;
}
rovei_keypair *rovei_node_keypair(const rove_node *node)
{
    return node->identity;
}
rovei_node *rovei_node_core(rove_node *node)
{
    return node->core;
}
rovei_timers *rovei_node_timers(rove_node *node)
{
    return &node->timers;
}
rovei_pendings *rovei_node_pendings(rove_node *node)
{
    return &node->pendings;
}
uint64_t rovei_node_unread(rove_node *node)
{
    return rovei_udp_unread(node->udp);
}
void rove_node_get_info(const rove_node *node, rove_node_info *ret)
{
    *ret = node->info;
}

/* ---- construction ---- */

void rove_node_config_init_version(rove_node_config *cfg, uint32_t version)
{
    memset(cfg, 0, sizeof *cfg);
    cfg->struct_version = version;
    rove_limits_init(&cfg->limits);
}

/* The identity's file, locked, and what must not go back beside it. */
static rove_err load_identity_file(rove_node *node, const char *path, uint64_t *ret_last,
                                   uint64_t *ret_time)
{
    uint8_t seed[32];
    node->identity_file = strdup(path);
    if (!node->identity_file)
        return ROVE_E_NOMEM;
    rove_err err = rovei_files_load_hex32(path, seed);
    if (!err)
        err = rovei_identity_lock(path, &node->lock_fd);
    if (!err)
        err = rovei_identity_state_load(path, ret_last, ret_time);
    if (!err && (*ret_last == UINT64_MAX || *ret_time > UINT64_MAX - 2 * TIME_RESERVE))
        err = ROVE_E_FILE;
    if (!err)
        err = rovei_keypair_from_seed(&node->identity, &node->env, seed);
    rovei_wipe(seed, sizeof seed);
    return err;
}

/* Opens the data directory. Its incarnation is written before that of the identity: it can only be
 * lower when the directory is not the one that was used last. */
static rove_err open_data(rove_node *node, const char *dir, uint64_t *last)
{
    uint64_t kept;
    rove_err err =
        rovei_data_open(&node->data, node, dir, rovei_keypair_entity(node->identity), &kept);
    if (!err && kept == UINT64_MAX)
        err = ROVE_E_STORE_CORRUPT;
    if (!err && kept && kept < *last)
        err = ROVE_E_STORE_ROLLED_BACK;
    if (!err && kept > *last)
        *last = kept;
    return err;
}

static rove_err load_identity(rove_node *node, const rove_node_config *cfg, uint64_t *ret_time)
{
    rovei_now now = rovei_clock_now();
    uint64_t last = 0;
    rove_err err = cfg->identity_file
                       ? load_identity_file(node, cfg->identity_file, &last, ret_time)
                   : cfg->seed ? rovei_keypair_from_seed(&node->identity, &node->env, cfg->seed)
                               : rovei_keypair_generate(&node->identity, &node->env);
    if (!err && cfg->data)
        err = open_data(node, cfg->data, &last);
    if (err)
        return err;
    node->incarnation = now.wall > last ? now.wall : last + 1;
    if (node->data)
        err = rovei_data_begin(node->data, node->incarnation);
    if (err || !cfg->identity_file)
        return err;
    node->time_reserved = rovei_time_add(now.wall > *ret_time ? now.wall : *ret_time, TIME_RESERVE);
    return rovei_identity_state_store(cfg->identity_file, node->incarnation, node->time_reserved);
}

/* Where others reach this node: the bound address, or those of the interfaces when it was bound to
 * all of them; loopback only when there is nothing else. */
static size_t reachable_addrs(const rovei_addr *bound, rovei_addr ret[4])
{
    static const uint8_t any[16];
    if (memcmp(bound->ip, any, sizeof any) != 0) {
        ret[0] = *bound;
        return 1;
    }
    size_t count = 0;
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all))
        return 0;
    for (int loopback = 0; loopback < 2 && !count; loopback++)
        for (struct ifaddrs *i = all; i && count < 4; i = i->ifa_next) {
            int family = i->ifa_addr ? i->ifa_addr->sa_family : 0;
            if (!(i->ifa_flags & IFF_UP) || !(i->ifa_flags & IFF_LOOPBACK) != !loopback)
                continue;
            rovei_addr a = {.family = bound->family, .port = bound->port};
            if (family == AF_INET && bound->family == 4)
                memcpy(a.ip, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr, 4);
            else if (family == AF_INET6 && bound->family == 6)
                memcpy(a.ip, &((struct sockaddr_in6 *)(void *)i->ifa_addr)->sin6_addr, 16);
            else
                continue;
            ret[count++] = a;
        }
    freeifaddrs(all);
    return count;
}

/* Others learn what this machine can do. */
static rove_err announce_machine(rove_node *node, const rove_node_config *cfg)
{
    rovei_caps_draft d;
    rovei_caps_draft_init(&d, &node->env.alloc);
    rove_err err = rovei_given_caps(&d, cfg->tags, cfg->metadata);
    if (!err && !cfg->no_detect)
        err = rovei_detect(&d);
    if (!err)
        err = rovei_node_announce(node->core, rovei_clock_now(), &d.set);
    rovei_caps_draft_fini(&d);
    return err == ROVE_E_FULL ? ROVE_E_TOO_LARGE : err;
}

static rove_err make_core(rove_node *node, const rove_node_config *cfg, uint64_t handshake_time)
{
    rovei_node_config core = {.env = &node->env,
                              .identity = node->identity,
                              .incarnation = node->incarnation,
                              .handshake_time = handshake_time,
                              .net = cfg->compat_net,
                              .journal = node->data != NULL};
    rovei_addr bound = rovei_udp_address(node->udp);
    core.addr_count = reachable_addrs(&bound, core.addrs);
    memcpy(core.psk, cfg->psk, sizeof core.psk);
    rove_err err = rovei_node_new(&node->core, &core, rovei_clock_now());
    rovei_wipe(core.psk, sizeof core.psk);
    return err ? err : announce_machine(node, cfg);
}

static rove_err fill_info(rove_node *node)
{
    node->info.entity = *rovei_keypair_entity(node->identity);
    node->info.node_id = rovei_keypair_node_id(node->identity);
    node->info.incarnation = node->incarnation;
    rovei_addr bound = rovei_udp_address(node->udp);
    rovei_address_format(&bound, node->info.address, sizeof node->info.address);
    return rovei_ed25519_image(node->info.x25519, &node->info.entity);
}

static rove_err watch_all(rove_node *node)
{
    node->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (node->epoll_fd < 0)
        return ROVE_E_IO;
    struct epoll_event socket = {.events = EPOLLIN, .data.ptr = &node->udp};
    struct epoll_event wake = {.events = EPOLLIN | EPOLLET, .data.ptr = &node->postbox};
    if (epoll_ctl(node->epoll_fd, EPOLL_CTL_ADD, rovei_udp_fd(node->udp), &socket) ||
        epoll_ctl(node->epoll_fd, EPOLL_CTL_ADD, node->postbox.wake_fd, &wake))
        return ROVE_E_IO;
    return ROVE_OK;
}

static rove_err start_thread(rove_node *node)
{
    node->has_thread = rovei_thread_start(&node->thread, rovei_loop_main, node);
    return node->has_thread ? ROVE_OK : ROVE_E_NOMEM;
}

static rove_err check_config(const rove_node_config *cfg, rovei_addr *ret_listen)
{
    if (cfg->struct_version != ROVE_NODE_CONFIG_VERSION)
        return ROVE_E_STRUCT_VERSION;
    if (!cfg->psk || !cfg->listen || (cfg->identity_file && cfg->seed))
        return ROVE_E_USAGE;
    if (cfg->data && !cfg->identity_file && !cfg->seed)
        return ROVE_E_USAGE;
    rove_err err = rove_limits_check(&cfg->limits, NULL, NULL);
    return err ? err : rovei_address_parse(cfg->listen, false, ret_listen);
}

rove_err rove_node_new(rove_node **ret, const rove_node_config *cfg)
{
    if (!ret || !cfg)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    rovei_addr listen;
    uint64_t handshake_time = 0;
    rove_err err = check_config(cfg, &listen);
    if (!err)
        err = rovei_crypto_init();
    if (err)
        return err;
    const rove_alloc *alloc = cfg->alloc.alloc ? &cfg->alloc : &rovei_alloc_libc;
    rove_node *node = ROVEI_NEW(alloc, rove_node);
    if (!node)
        return ROVE_E_NOMEM;
    node->env = (rovei_env){.alloc = *alloc, .rng = rovei_rng_system, .limits = cfg->limits};
    node->epoll_fd = node->lock_fd = node->postbox.wake_fd = -1;
    rovei_list_init(&node->watches);
    rovei_list_init(&node->peer_waits);
    rovei_list_init(&node->publishing);
    rovei_timers_init(&node->timers, &node->env.alloc);
    rovei_pendings_init(&node->pendings, node);
    rovei_resolver_init(&node->resolver);
    rovei_map_init(&node->routes, &node->env.alloc, sizeof(uint64_t),
                   rovei_rng_u64(&node->env.rng));
    err = rovei_slab_new(&node->env.slab, &node->env.alloc);
    if (!err)
        err = load_identity(node, cfg, &handshake_time);
    if (!err)
        err = rovei_postbox_init(&node->postbox);
    if (!err)
        err = rovei_udp_new(&node->udp, &node->env.alloc, &listen, cfg->compat_net);
    if (!err)
        err = make_core(node, cfg, handshake_time);
    if (!err)
        err = rovei_tokens_start(node);
    if (!err)
        err = fill_info(node);
    if (!err)
        err = watch_all(node);
    node->driven = !err && cfg->driven; /* before there is a thread that looks at it */
    if (node->driven)
        rovei_node_own(node, false);
    else if (!err)
        err = start_thread(node);
    if (err) {
        rove_node_free(node);
        return err;
    }
    *ret = node;
    return ROVE_OK;
}

/* ---- the end ---- */

/* No call is under way any more. */
static void stop_loop(rovei_task *task, rovei_node *core, rovei_now now)
{
    (void)core;
    (void)now;
    ROVEI_CONTAINER(task, rove_node, idle_task)->stop = true;
}

static void say_goodbye(void *arg, rovei_node *core, rovei_now now)
{
    rove_node *node = arg;
    rovei_mesh *mesh = rovei_node_mesh(core);
    rovei_node_shutdown(core, now);
    rovei_node_turn(core, now);
    rovei_peer_info info;
    for (size_t it = 0; rovei_mesh_peer_next(mesh, &it, &info); it = 0)
        rovei_mesh_disconnect(mesh, now, &info.entity);
    node->ending = true;
    node->idle_task.run = stop_loop;
    rovei_pendings_close(&node->pendings, &node->idle_task);
    rovei_node_end_waiters(node);
    rovei_node_end_publishing(node);
}

/* For the thread that ends a driven node: it drives on until the last call has been told. */
static bool is_over(void *arg)
{
    rove_node *node = arg;
    if (!node->ending)
        say_goodbye(node, node->core, rovei_clock_now());
    return node->stop;
}

void rove_node_free(rove_node *node)
{
    if (!node)
        return;
    /* It would wait for itself, or for a daemon that waits for it. */
    ROVEI_CHECK(!rovei_node_in_turn(node) && !rovei_thread_is_inside());
    rovei_resolver_stop(&node->resolver);
    if (node->has_thread) {
        rovei_node_call(node, say_goodbye, node);
        pthread_join(node->thread, NULL);
    } else if (node->driven) {
        bool mine = rovei_node_drive(node, is_over, node);
        ROVEI_CHECK(mine); /* another thread is inside, or this one is */
    }
    rovei_loop_bury(node, true);
    if (node->data && node->core)
        rovei_data_finish(node->data, node->core);
    rovei_node_free(node->core);
    rovei_data_close(node->data);
    rovei_udp_free(node->udp);
    rovei_postbox_fini(&node->postbox);
    rovei_keypair_unref(node->identity);
    if (node->env.slab)
        rovei_slab_free(node->env.slab);
    rovei_node_free_routes(node);
    rovei_timers_fini(&node->timers);
    rovei_resolver_fini(&node->resolver);
    if (node->epoll_fd >= 0)
        close(node->epoll_fd);
    if (node->lock_fd >= 0)
        close(node->lock_fd);
    free(node->identity_file);
    rove_alloc alloc = node->env.alloc;
    ROVEI_DELETE(&alloc, node);
}
