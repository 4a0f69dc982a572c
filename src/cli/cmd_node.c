/* SPDX-License-Identifier: Apache-2.0
 *
 * rove node: runs a node in the foreground until it is told to stop. */
#include "client.h"
#include "net_peer.h"
#include "node_drain.h"
#include "node_log.h"

#include <crypto/crypto.h>
#include <errno.h>
#include <poll.h>
#include <rove/runtime.h>
#include <shell/control.h>
#include <shell/files.h>
#include <shell/given.h>
#include <shell/plugin.h>
#include <shell/udp.h>
#include <signal.h>
#include <stdlib.h>
#include <store/store.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND_SIGNAL (5 * ROVE_SECOND)

/* Built in, from examples/wordcount.c. */
const rove_kind *rove_wordcount_kind(void);

typedef struct server {
    const char *listen, *psk_file, *identity, *data, *control_path;
    const char *compat;
    cli_list load, accept, peers, net_peers, set, tags, metadata;
    bool json, allow_loss, no_detect;

    char control_room[256];
    rove_node *node;
    rove_runtime *runtime;
    rovei_control *control;
    rovei_plugin *plugins;
    size_t plugin_count;
    rovei_control_kind *kinds; /* of the plugins, and what is built in */
    size_t kind_count;
    node_log log;
    node_drain drain;
} server;

static void limit_text(char ret[32], const rove_limit_info *info, uint64_t value)
{
    if (info->unit == 'T')
        snprintf(ret, 32, "%.9g", (double)value / 1e9);
    else
        snprintf(ret, 32, "%llu", (unsigned long long)value);
}

static void limits_help(void)
{
    rove_limit_info info;
    printf("\nLimits and timers for --set (times in seconds; numbers may end in K, M or G):\n");
    for (size_t i = 0; rove_limits_info(i, &info); i++) {
        char preset[32];
        limit_text(preset, &info, info.preset);
        printf("  %-18s %20s  %s\n", info.name, preset, info.why);
    }
}

/* ---- options ---- */

static int out_of_bounds(const char *name, const char *value)
{
    rove_limit_info info;
    char least[32], most[32];
    size_t i = 0;
    while (rove_limits_info(i, &info) && strcmp(info.name, name) != 0)
        i++;
    limit_text(least, &info, info.least);
    limit_text(most, &info, info.most);
    return cli_usage("%s cannot be \"%s\": it takes %s to %s", name, value, least, most);
}

static int set_limit(rove_limits *limits, const char *text)
{
    char name[64];
    const char *equals = strchr(text, '=');
    if (!equals || (size_t)(equals - text) >= sizeof name)
        return cli_usage("--set takes LIMIT=VALUE, not \"%s\": see rove node --help", text);
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    rove_err err = rove_limits_set(limits, name, equals + 1);
    if (err == ROVE_E_NOT_FOUND)
        return cli_usage("there is no limit \"%s\": rove node --help lists them", name);
    if (err == ROVE_E_BOUND)
        return out_of_bounds(name, equals + 1);
    return err ? cli_usage("%s cannot be \"%s\": it takes a number", name, equals + 1) : CLI_DONE;
}

static int set_limits(rove_limits *limits, const cli_list *set)
{
    const char *name = "", *rule = "";
    for (size_t i = 0; i < set->count; i++) {
        int status = set_limit(limits, set->items[i]);
        if (status != CLI_DONE)
            return status;
    }
    if (rove_limits_check(limits, &name, &rule))
        return cli_usage("the limits do not fit together: %s %s", name, rule);
    return CLI_DONE;
}

/* ---- start ---- */

static int explain_listen(const char *listen)
{
    rovei_addr address;
    rovei_udp *udp;
    if (rovei_address_parse(listen, false, &address))
        return cli_fail("%s cannot be listened on: it is not ADDR:PORT, such as 127.0.0.1:7001, "
                        "[::1]:7001 or 0.0.0.0:0",
                        listen);
    address.port = 0;
    if (rovei_udp_new(&udp, &rovei_alloc_libc, &address, false))
        return cli_fail("%s cannot be listened on: no interface of this machine has that address "
                        "(0.0.0.0 stands for all)",
                        listen);
    rovei_udp_free(udp);
    return cli_fail("%s cannot be listened on: the port is taken or needs more rights, so name "
                    "another one, or 0 for a free one",
                    listen);
}

/* The identity itself was read before: it is one of the files beside it, or its lock. */
static int explain_files(const char *identity, rove_err err)
{
    uint64_t incarnation, time;
    if (err == ROVE_E_LOCKED)
        return cli_fail_file("identity file", identity, err);
    if (rovei_identity_state_load(identity, &incarnation, &time) == err)
        return cli_fail("%s, or %s.state beside it, is missing or is not what it should be",
                        identity, identity);
    if (err == ROVE_E_PERMISSION)
        return cli_fail("%s.state cannot be written, or %s.floors is not its owner's alone: both "
                        "belong to the node, with mode 600",
                        identity, identity);
    return cli_fail("%s.floors is damaged: put a copy of it in its place, or remove it and revoke "
                    "anew what it held",
                    identity);
}

/* What is damaged: it is looked at once more. */
static int explain_damage(const server *s)
{
    char what[ROVEI_STORE_WHAT] = "";
    uint8_t seed[32], secret[64];
    rove_entity entity;
    rovei_store *store;
    rove_limits limits;
    rove_limits_init(&limits);
    if (rovei_files_load_hex32(s->identity, seed) == ROVE_OK) {
        rovei_ed25519_from_seed(seed, secret, &entity);
        if (rovei_store_open(&store, s->data, &entity, limits.store_map, what) == ROVE_OK)
            rovei_store_close(store);
    }
    rovei_wipe(seed, sizeof seed);
    rovei_wipe(secret, sizeof secret);
    return cli_fail("the data directory %s is damaged (%s): put a backup in its place", s->data,
                    *what ? what : "the node's record");
}

static int explain_data(const server *s, rove_err err)
{
    static const struct {
        rove_err err;
        const char *what;
    } known[] = {
        {ROVE_E_STORE_FULL, "the disk is full: make room"},
        {ROVE_E_STORE_MAP, "its records have reached store_map: raise it with --set"},
        {ROVE_E_STORE_READ_ONLY, "it cannot be written"},
        {ROVE_E_STORE_ACCESS, "it has to be the node's own user's alone: chown, and chmod 700"},
        {ROVE_E_STORE_LOCKED, "another process uses it"},
        {ROVE_E_STORE_FOREIGN, "it is another node's, or is no data directory: name another one"},
        {ROVE_E_STORE_NEWER, "a newer version of rove has written it: use that"},
        {ROVE_E_STORE_IO, "the disk has failed: see the system's log"},
        {ROVE_E_STORE_ROLLED_BACK,
         "this identity was used later without it, or it was put back from a copy; to start "
         "without what it holds name another one"},
    };
    if (err == ROVE_E_STORE_CORRUPT)
        return explain_damage(s);
    if (err == ROVE_E_FILE && access(s->data, F_OK) != 0)
        return cli_fail("the data directory %s cannot be made: what it is to lie in is missing",
                        s->data);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].err == err)
            return cli_fail("the data directory %s cannot be used: %s", s->data, known[i].what);
    return CLI_DONE;
}

static int explain_start(const server *s, rove_err err)
{
    int data = s->data ? explain_data(s, err) : CLI_DONE;
    if (data != CLI_DONE)
        return data;

    if (err == ROVE_E_ADDRESS)
        return explain_listen(s->listen);
    if (err == ROVE_E_TOO_LARGE)
        return cli_fail("what --tag and --meta give is more than one announcement holds, 8,000 "
                        "bytes: give fewer or shorter ones");
    if (err == ROVE_E_RESERVED_ID)
        return cli_fail("the node id of %s looks like a packet: make another identity with "
                        "rove id new",
                        s->identity);
    if (s->identity && err == ROVE_E_FULL)
        return cli_fail("%s.floors holds more floors than the limit token_floors allows",
                        s->identity);
    if (s->identity && (err == ROVE_E_FILE || err == ROVE_E_PERMISSION || err == ROVE_E_LOCKED))
        return explain_files(s->identity, err);
    if (s->identity && err == ROVE_E_IO)
        return cli_fail("%s.state cannot be written: the node keeps its incarnation there",
                        s->identity);
    return cli_fail("the node cannot be started: %s", rove_strerror(err));
}

static int start_node(server *s)
{
    rove_node_config cfg;
    uint8_t psk[32], seed[32];
    rove_node_config_init(&cfg);
    int status = set_limits(&cfg.limits, &s->set);
    if (status != CLI_DONE)
        return status;
    rove_err err = rovei_files_load_hex32(s->psk_file, psk);
    if (err)
        return cli_fail_file("psk file", s->psk_file, err);
    if (s->identity)
        err = rovei_files_load_hex32(s->identity, seed);
    rovei_wipe(seed, sizeof seed);
    if (err)
        return cli_fail_file("identity file", s->identity, err);
    cfg.listen = s->listen;
    cfg.psk = psk;
    cfg.identity_file = s->identity;
    cfg.data = s->data;
    cfg.compat_net = s->compat != NULL;
    cfg.tags = (const char *const *)s->tags.items;
    cfg.metadata = (const char *const *)s->metadata.items;
    cfg.no_detect = s->no_detect;
    err = rove_node_new(&s->node, &cfg);
    rovei_wipe(psk, sizeof psk);
    if (!err)
        err = rove_runtime_new(&s->runtime, s->node, NULL);
    return err ? explain_start(s, err) : CLI_DONE;
}

static int load_plugin(server *s, const char *path)
{
    char why[512];
    rovei_plugin *plugin = &s->plugins[s->plugin_count];
    rove_err err = rovei_plugin_load(plugin, path, why, sizeof why);
    if (err == ROVE_E_FILE)
        return cli_fail("%s is missing or cannot be read", path);
    if (err)
        return cli_fail("%s is not a kind that can be used: %s", path,
                        *why ? why : rove_strerror(err));
    s->plugin_count++;
    err = rove_runtime_register_kind(s->runtime, NULL, plugin->kind, NULL);
    if (err == ROVE_E_KIND_EXISTS)
        return cli_fail("the kind \"%s\" of %s is given twice: load each kind once",
                        plugin->kind->name, path);
    if (err)
        return cli_fail("the kind of %s cannot be used: %s", path, rove_strerror(err));
    s->kinds[s->kind_count++] = (rovei_control_kind){plugin->kind->name, plugin->kind->abi, path};
    return CLI_DONE;
}

static int load_kinds(server *s)
{
    const rove_kind *built_in = rove_wordcount_kind();
    s->plugins = calloc(s->load.count + 1, sizeof *s->plugins);
    s->kinds = calloc(s->load.count + 1, sizeof *s->kinds);
    if (!s->plugins || !s->kinds)
        return cli_fail("out of memory");
    for (size_t i = 0; i < s->load.count; i++) {
        int status = load_plugin(s, s->load.items[i]);
        if (status != CLI_DONE)
            return status;
    }
    /* One that was loaded under the same name goes before the built-in one. */
    rove_err err = rove_runtime_register_kind(s->runtime, NULL, built_in, NULL);
    if (err && err != ROVE_E_KIND_EXISTS)
        return cli_fail("the built-in kind cannot be used: %s", rove_strerror(err));
    if (!err)
        s->kinds[s->kind_count++] = (rovei_control_kind){built_in->name, built_in->abi, NULL};
    return CLI_DONE;
}

static int accept_kinds(server *s)
{
    for (size_t i = 0; i < s->accept.count; i++) {
        const char *kind = s->accept.items[i];
        bool all = strcmp(kind, "all") == 0;
        rove_err err = rove_runtime_accept_kind(s->runtime, all ? NULL : kind, true);
        if (err == ROVE_E_KIND_UNKNOWN)
            return cli_fail("this node has no kind \"%s\" to accept: name one that --load brings, "
                            "wordcount, or all",
                            kind);
        if (err)
            return cli_fail("the kind \"%s\" cannot be accepted: %s", kind, rove_strerror(err));
    }
    return CLI_DONE;
}

static int connect_peers(server *s)
{
    for (size_t i = 0; i < s->peers.count; i++) {
        rove_entity peer;
        const char *address = "";
        int status = CLI_DONE;
        if (!cli_check_peer("--peer", s->peers.items[i], &peer, &address, &status))
            return status;
        rove_err err = rove_node_connect(s->node, &peer, address);
        if (err == ROVE_E_ADDRESS)
            return cli_fail("the peer's address %s cannot be resolved: it is HOST:PORT", address);
        if (err)
            return cli_fail("the peer %s cannot be had: %s", s->peers.items[i], rove_strerror(err));
    }
    return CLI_DONE;
}

static int explain_net_peer(const char *text, rove_err err)
{
    static const struct {
        rove_err err;
        const char *what;
    } known[] = {
        {ROVE_E_ADDRESS, "its address cannot be resolved"},
        {ROVE_E_RESERVED_ID, "no node can have that id"},
        {ROVE_E_SAME_NODE, "that is the id of this node, or its low half"},
        {ROVE_E_EXISTS, "another one that is listed has the same low 32 bits, and a handshake does "
                        "not tell the two apart"},
        {ROVE_E_REFUSED, "that id is known as a node of class rove"},
        {ROVE_E_WEAK_SECRET, "no node can have that key: see that it was copied whole"},
    };
    const char *what = rove_strerror(err);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].err == err)
            what = known[i].what;
    return cli_fail("the net peer %s cannot be listed: %s", text, what);
}

static int list_net_peers(server *s)
{
    for (size_t i = 0; i < s->net_peers.count; i++) {
        net_peer p;
        int status = net_peer_parse(s->net_peers.items[i], &p);
        if (status != CLI_DONE)
            return status;
        rove_err err = rove_node_list_net(s->node, p.node_id, p.has_key ? p.key : NULL, p.address);
        if (err)
            return explain_net_peer(s->net_peers.items[i], err);
    }
    return CLI_DONE;
}

/* The folder of the default path, if it is not there; a path that was named is taken as it is. */
static void make_control_folder(const char *path)
{
    char folder[256];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path || (size_t)(slash - path) >= sizeof folder)
        return;
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    (void)mkdir(folder, S_IRWXU);
}

static int open_control(server *s)
{
    const char *path = cli_control_path(s->control_path, s->control_room, sizeof s->control_room);
    if (!s->control_path)
        make_control_folder(path);
    rovei_control_config cfg = {.node = s->node,
                                .runtime = s->runtime,
                                .path = path,
                                .kinds = s->kinds,
                                .kind_count = s->kind_count,
                                .peer_changed = node_log_peer,
                                .forced = node_log_forced,
                                .aside = node_log_aside,
                                .user = &s->log};
    rove_err err = rovei_control_new(&s->control, &cfg);
    if (err == ROVE_E_ADDRESS)
        return cli_fail("another node listens at %s already: name another socket with --control",
                        path);
    if (err == ROVE_E_EXISTS)
        return cli_fail("%s is there and is not a socket: name another with --control", path);
    if (err == ROVE_E_TOO_LARGE)
        return cli_fail("the path of a control socket has at most 107 bytes: %s is longer", path);
    if (err == ROVE_E_FILE)
        return cli_fail("the folder of %s is missing: make it, or name another with --control",
                        path);
    return err ? cli_fail("the control socket %s cannot be made: %s", path, rove_strerror(err))
               : CLI_DONE;
}

static void say_ready(const server *s)
{
    rove_node_info info;
    rove_node_get_info(s->node, &info);
    char entity[65], x25519[65];
    rovei_hex_encode(info.entity.bytes, sizeof info.entity.bytes, entity);
    rovei_hex_encode(info.x25519, sizeof info.x25519, x25519);
    if (!s->json) {
        fprintf(stderr, "node 0x%llx serves at %s\nentity %s\n", (unsigned long long)info.node_id,
                info.address, entity);
        return;
    }
    json_object *o = json_object_new_object();
    cli_add_text(o, "event", "ready");
    cli_add_text(o, "entity", entity);
    json_object_object_add(o, "node_id", cli_json_id(info.node_id));
    cli_add_text(o, "x25519", x25519);
    cli_add_text(o, "addr", info.address);
    json_object_object_add(o, "pid", json_object_new_int((int)getpid()));
    json_object_object_add(o, "incarnation", json_object_new_uint64(info.incarnation));
    cli_json(o);
}

/* ---- until it is told to stop ---- */

/* Waits for the next signal, or the end of a drain (false); writes the log meanwhile. */
static bool next_signal(server *s, int signal_fd)
{
    struct signalfd_siginfo info;
    for (;;) {
        struct pollfd p[] = {{.fd = signal_fd, .events = POLLIN},
                             {.fd = s->log.read_fd, .events = POLLIN},
                             {.fd = s->drain.fd, .events = POLLIN}};
        if (poll(p, 3, -1) < 0)
            continue;
        if (p[1].revents)
            node_log_write(&s->log);
        if (p[0].revents && read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
            return true;
        if (p[2].revents)
            return false;
    }
}

static void warn_of_loss(size_t daemons)
{
    fprintf(stderr,
            "rove: %zu daemon%s %s here in memory only and would be lost: move %s away with "
            "rove migrate or rove drain, or signal again within 5 s to stop all the same\n",
            daemons, daemons == 1 ? "" : "s", daemons == 1 ? "lives" : "live",
            daemons == 1 ? "it" : "them");
}

/* The drain has ended: true when the node may stop. */
static bool drained(server *s)
{
    bool all = node_drain_take(&s->drain);
    if (all || s->drain.running)
        return all;
    rove_err err = rove_runtime_cordon(s->runtime, false); /* it goes on, so it serves */
    (void)err;
    return false;
}

static void wait_stop(server *s, int signal_fd)
{
    uint64_t warned = 0;
    for (;;) {
        bool signalled = next_signal(s, signal_fd);
        size_t daemons = rove_runtime_daemon_count(s->runtime);
        uint64_t now = cli_now();
        if (signalled && (s->allow_loss || s->drain.running || !daemons ||
                          (warned && now - warned <= SECOND_SIGNAL)))
            return;
        if (!signalled && drained(s))
            return;
        if (s->drain.running)
            continue;
        if (signalled && node_drain_begin(&s->drain, s->node, s->runtime))
            continue;
        warn_of_loss(daemons);
        warned = now;
    }
}

static int run(server *s)
{
    sigset_t signals;
    /* A shell starts what is in the background with SIGINT ignored. */
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    /* Before any thread is made, so that all have it. */
    sigprocmask(SIG_BLOCK, &signals, NULL);
    int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    if (signal_fd < 0 || !node_drain_init(&s->drain) || !node_log_init(&s->log)) {
        if (signal_fd >= 0)
            close(signal_fd);
        node_drain_fini(&s->drain);
        return cli_fail("no descriptor can be made: %s", strerror(errno));
    }
    int status = start_node(s);
    if (status == CLI_DONE)
        status = load_kinds(s);
    if (status == CLI_DONE)
        status = accept_kinds(s);
    if (status == CLI_DONE && rove_runtime_start(s->runtime))
        status = cli_fail("the runtime cannot be started");
    if (status == CLI_DONE)
        status = connect_peers(s);
    if (status == CLI_DONE)
        status = list_net_peers(s);
    if (status == CLI_DONE)
        status = open_control(s);
    if (status == CLI_DONE) {
        say_ready(s);
        wait_stop(s, signal_fd);
    }
    rovei_control_free(s->control);
    rove_runtime_unref(s->runtime);
    rove_node_free(s->node);
    for (size_t i = 0; i < s->plugin_count; i++)
        rovei_plugin_unload(&s->plugins[i]);
    free(s->plugins);
    free(s->kinds);
    node_log_fini(&s->log);
    node_drain_fini(&s->drain);
    close(signal_fd);
    return status;
}

/* Of two entries for one id the later would silently take the place of the earlier. */
static int check_net_peers(const cli_list *peers)
{
    for (size_t i = 0; i < peers->count; i++) {
        net_peer p, earlier;
        int status = net_peer_parse(peers->items[i], &p);
        for (size_t j = 0; status == CLI_DONE && j < i; j++) {
            status = net_peer_parse(peers->items[j], &earlier);
            if (status == CLI_DONE && earlier.node_id == p.node_id)
                status = cli_usage("--net-peer names the node 0x%llx twice: list each node once",
                                   (unsigned long long)p.node_id);
        }
        if (status != CLI_DONE)
            return status;
    }
    return CLI_DONE;
}

static int check_given(const server *s)
{
    for (size_t i = 0; i < s->tags.count; i++) {
        const char *tag = s->tags.items[i];
        rove_err err = rovei_given_tag(tag);
        if (err == ROVE_E_REFUSED)
            return cli_usage("--tag cannot be \"%s\": causal:, dataforts:, fork-of:, heat:, scope: "
                             "and rove: are written by the mesh alone",
                             tag);
        if (err)
            return cli_usage("--tag cannot be \"%s\": a tag is text in UTF-8, and not empty", tag);
    }
    for (size_t i = 0; i < s->metadata.count; i++) {
        rovei_caps_pair pair;
        if (rovei_given_metadata(s->metadata.items[i], &pair))
            return cli_usage("--meta takes KEY=VALUE in UTF-8, not \"%s\"", s->metadata.items[i]);
    }
    return CLI_DONE;
}

static int check_options(const server *s)
{
    rove_limits limits;
    rove_limits_init(&limits);
    if (!s->listen)
        return cli_usage("say where to listen: rove node --listen ADDR:PORT --psk-file FILE");
    if (!s->psk_file)
        return cli_usage("say where the mesh's key is: --psk-file FILE (rove psk new makes one)");
    if (s->data && !s->identity)
        return cli_usage("--data needs --identity: a data directory belongs to one identity");
    for (size_t i = 0; i < s->peers.count; i++) {
        rove_entity peer;
        const char *address = "";
        int status = CLI_DONE;
        if (!cli_check_peer("--peer", s->peers.items[i], &peer, &address, &status))
            return status;
    }
    int named = CLI_DONE;
    if (!node_drain_check(&s->drain, &named))
        return named;
    if (s->compat && strcmp(s->compat, "net") != 0)
        return cli_usage("--compat knows only \"net\", not \"%s\"", s->compat);
    if (s->net_peers.count && !s->compat)
        return cli_usage("--net-peer needs --compat net: class net is served only on request");
    int status = check_net_peers(&s->net_peers);
    if (status == CLI_DONE)
        status = check_given(s);
    if (status != CLI_DONE)
        return status;
    return set_limits(&limits, &s->set);
}

int cli_node(int argc, char **argv)
{
    server *s = &(server){.drain = {.to = "any", .fd = -1, .timeout = 60 * ROVE_SECOND}};
    cli_option options[] = {
        {CLI_TEXT, "--listen", "ADDR:PORT", &s->listen, "the UDP address; port 0 takes a free one"},
        {CLI_TEXT, "--psk-file", "FILE", &s->psk_file, "the key of the mesh (rove psk new)"},
        {CLI_TEXT, "--identity", "FILE", &s->identity,
         "this node's identity (rove id new); else a fresh one in memory"},
        {CLI_TEXT, "--data", "DIR", &s->data, "where to keep what outlives the process"},
        {CLI_TEXT, "--control", "PATH", &s->control_path, "where to put the control socket"},
        {CLI_LIST, "--load", "KIND.so", &s->load, "a kind of daemon; may be given several times"},
        {CLI_LIST, "--accept", "KIND", &s->accept,
         "let daemons of this kind come from other nodes unexpected; all: of each kind"},
        {CLI_LIST, "--peer", "ENTITY@HOST:PORT", &s->peers,
         "a node to talk to; may be given several times"},
        {CLI_TEXT, "--compat", "net", &s->compat,
         "serve nodes of the reference too, those that --net-peer lists"},
        {CLI_LIST, "--net-peer", "ID[:X25519[@HOST:PORT]]", &s->net_peers,
         "such a node, by its id; a key lets daemons move to it, an address has it dialled"},
        {CLI_FLAG, "--allow-loss", NULL, &s->allow_loss,
         "stop at the first signal, also with daemons on board"},
        {CLI_TEXT, "--drain-to", "NODE", &s->drain.to,
         "where the daemons move at a signal; any (the default): to peers that take them; none"},
        {CLI_SECONDS, "--drain-timeout", "S", &s->drain.timeout,
         "how long that may take (60; 0 = for ever)"},
        {CLI_LIST, "--tag", "TAG", &s->tags, "announce this, such as hardware.gpu; repeatable"},
        {CLI_LIST, "--meta", "KEY=VALUE", &s->metadata,
         "announce this, such as site=lab; repeatable"},
        {CLI_FLAG, "--no-detect", NULL, &s->no_detect, "announce nothing that the machine shows"},
        {CLI_LIST, "--set", "LIMIT=VALUE", &s->set, "change a limit or timer, see below"},
        {CLI_FLAG, "--json", NULL, &s->json, "say in JSON when it serves"},
    };
    cli_syntax syntax = {
        "node",
        "",
        "Runs a node in the foreground. At SIGTERM or SIGINT it stops; with daemons on board, "
        "which\n"
        "live in memory only, it first moves them to peers that take them. Where none does, it\n"
        "says what would be lost, and stops at a second signal within 5 s.",
        options,
        sizeof options / sizeof options[0],
        0,
        0,
        limits_help};
    cli_operands operands;
    int status;
    if (cli_parse(&syntax, argc, argv, &operands, &status)) {
        status = check_options(s);
        if (status == CLI_DONE)
            status = run(s);
    }
    cli_list_free(&s->load);
    cli_list_free(&s->accept);
    cli_list_free(&s->peers);
    cli_list_free(&s->net_peers);
    cli_list_free(&s->set);
    cli_list_free(&s->tags);
    cli_list_free(&s->metadata);
    return status;
}
