/* SPDX-License-Identifier: Apache-2.0
 *
 * A node of Rove in a program of its own, for what the program `rove` never is: without a runtime,
 * or with one that is not started yet, with a policy that lets others order, or as the one that
 * orders. Commands come as JSON lines on standard input, {"id":N,"do":NAME,...}; the answer is
 * {"id":N,"ok":VALUE} or {"id":N,"error":NAME}. Ends with its input.
 *
 * Usage: embedded PSK (64 hex digits) [LIMIT VALUE]... */
#include <inttypes.h>
#include <json-c/json.h>
#include <rove/rove.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const rove_kind *interop_counter_kind(void);

static rove_node *node;
static rove_runtime *runtime;
static atomic_bool orders_allowed;

static const char *text(json_object *request, const char *name)
{
    json_object *value;
    return json_object_object_get_ex(request, name, &value) ? json_object_get_string(value) : NULL;
}

static uint64_t number(json_object *request, const char *name)
{
    const char *value = text(request, name);
    return value ? strtoull(value, NULL, 0) : 0;
}

static bool from_hex(uint8_t ret[32], const char *hex)
{
    for (size_t i = 0; i < 32; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        ret[i] = (uint8_t)byte;
    }
    return true;
}

static json_object *id_text(uint64_t id)
{
    char room[24];
    snprintf(room, sizeof room, "0x%" PRIx64, id);
    return json_object_new_string(room);
}

static json_object *hex_text(const uint8_t bytes[32])
{
    char room[65];
    for (size_t i = 0; i < 32; i++)
        snprintf(room + 2 * i, 3, "%02x", bytes[i]);
    return json_object_new_string(room);
}

/* A node: of class rove by its entity, else a peer of class net by its node id. */
static rove_entity node_of(const char *name)
{
    rove_entity entity = {{0}};
    if (name && strlen(name) == 64 && from_hex(entity.bytes, name))
        return entity;
    return rove_entity_of_net(name ? strtoull(name, NULL, 0) : 0);
}

static bool allow(void *user, const rove_policy_request *request)
{
    (void)user;
    return request->question == ROVE_ASK_ORDER ? atomic_load(&orders_allowed) : request->preset;
}

/* ---- commands ---- */

static rove_err do_info(json_object *request, json_object **ret)
{
    (void)request;
    rove_node_info info;
    rove_node_get_info(node, &info);
    *ret = json_object_new_object();
    json_object_object_add(*ret, "nodeId", id_text(info.node_id));
    json_object_object_add(*ret, "entity", hex_text(info.entity.bytes));
    json_object_object_add(*ret, "key", hex_text(info.x25519));
    json_object_object_add(*ret, "addr", json_object_new_string(info.address));
    return ROVE_OK;
}

static rove_err do_list(json_object *request, json_object **ret)
{
    (void)ret;
    uint8_t key[32];
    const char *hex = text(request, "key");
    if (hex && !from_hex(key, hex))
        return ROVE_E_USAGE;
    return rove_node_list_net(node, number(request, "nodeId"), hex ? key : NULL,
                              text(request, "addr"));
}

static rove_err do_wait_peer(json_object *request, json_object **ret)
{
    (void)ret;
    rove_entity peer = node_of(text(request, "peer"));
    return rove_node_wait_peer(node, &peer, 20 * ROVE_SECOND);
}

static rove_err do_connect(json_object *request, json_object **ret)
{
    rove_entity peer = node_of(text(request, "peer"));
    rove_err err = rove_node_connect(node, &peer, text(request, "addr"));
    return err ? err : do_wait_peer(request, ret);
}

/* Makes the runtime, not yet started. */
static rove_err do_runtime(json_object *request, json_object **ret)
{
    (void)request;
    (void)ret;
    rove_runtime_config cfg;
    rove_runtime_config_init(&cfg);
    cfg.policy.allow = allow;
    rove_err err = rove_runtime_new(&runtime, node, &cfg);
    return err ? err : rove_runtime_register_kind(runtime, NULL, interop_counter_kind(), NULL);
}

static rove_err do_start_runtime(json_object *request, json_object **ret)
{
    (void)request;
    (void)ret;
    return rove_runtime_start(runtime);
}

static rove_err do_allow_orders(json_object *request, json_object **ret)
{
    (void)request;
    (void)ret;
    atomic_store(&orders_allowed, true);
    return ROVE_OK;
}

static rove_err do_expect(json_object *request, json_object **ret)
{
    (void)ret;
    return rove_runtime_expect_migration(runtime, "counter", number(request, "origin"), NULL);
}

static rove_err do_spawn(json_object *request, json_object **ret)
{
    uint8_t seed[32];
    const char *hex = text(request, "seed");
    rove_identity *identity = NULL;
    if (!hex || !from_hex(seed, hex))
        return ROVE_E_USAGE;
    rove_daemon daemon;
    rove_err err = rove_identity_from_seed(&identity, node, seed);
    if (!err)
        err = rove_runtime_spawn(runtime, "counter", identity, NULL, &daemon);
    rove_identity_free(identity);
    if (!err)
        *ret = id_text(daemon.origin);
    return err;
}

/* One event: the text of its output. */
static rove_err do_deliver(json_object *request, json_object **ret)
{
    rove_daemon daemon = {number(request, "origin")};
    rove_event event = {.payload = {"tick", 4}};
    rove_result result;
    rove_err err = rove_runtime_deliver(runtime, daemon, &event, 0, &result, NULL, NULL);
    size_t it = 0;
    rove_link link;
    rove_span payload;
    if (!err && rove_result_next(&result, &it, &link, &payload))
        *ret = json_object_new_string_len(payload.data, (int)payload.size);
    rove_result_fini(&result);
    return err;
}

static rove_err do_daemons(json_object *request, json_object **ret)
{
    (void)request;
    *ret = json_object_new_int64((int64_t)rove_runtime_daemon_count(runtime));
    return ROVE_OK;
}

/* Orders a daemon from one node to another and waits: how that ended, and the peer's own words. */
static rove_err do_order(json_object *request, json_object **ret)
{
    rove_daemon daemon = {number(request, "origin")};
    rove_entity source = node_of(text(request, "source"));
    rove_entity target = node_of(text(request, "target"));
    rove_migration move;
    rove_migration_info info;
    rove_err err =
        rove_runtime_start_migration_from(runtime, daemon, &source, &target, NULL, &move);
    if (err)
        return err;
    err = rove_migration_wait_with_timeout(runtime, move, 30 * ROVE_SECOND, &info);
    *ret = json_object_new_object();
    json_object_object_add(*ret, "end", json_object_new_string(err ? rove_err_name(err) : "OK"));
    json_object_object_add(*ret, "text", json_object_new_string(info.text));
    return ROVE_OK;
}

static const struct command {
    const char *name;
    rove_err (*run)(json_object *request, json_object **ret);
    bool needs_runtime;
} commands[] = {
    {"info", do_info, false},
    {"list", do_list, false},
    {"waitPeer", do_wait_peer, false},
    {"connect", do_connect, false},
    {"runtime", do_runtime, false},
    {"startRuntime", do_start_runtime, true},
    {"allowOrders", do_allow_orders, false},
    {"expect", do_expect, true},
    {"spawn", do_spawn, true},
    {"deliver", do_deliver, true},
    {"daemons", do_daemons, true},
    {"order", do_order, true},
};

static void answer(const char *line)
{
    json_object *request = json_tokener_parse(line), *reply = json_object_new_object();
    json_object *id = NULL, *value = NULL;
    const char *name = text(request, "do");
    rove_err err = ROVE_E_USAGE;
    for (size_t i = 0; name && i < sizeof commands / sizeof commands[0]; i++) {
        if (!strcmp(name, commands[i].name) && (runtime || !commands[i].needs_runtime))
            err = commands[i].run(request, &value);
    }
    if (json_object_object_get_ex(request, "id", &id))
        json_object_object_add(reply, "id", json_object_get(id));
    if (err)
        json_object_object_add(reply, "error", json_object_new_string(rove_err_name(err)));
    else
        json_object_object_add(reply, "ok", value);
    puts(json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN));
    fflush(stdout);
    json_object_put(request);
    json_object_put(reply);
}

int main(int argc, char **argv)
{
    uint8_t psk[32];
    if (argc < 2 || argc % 2 || strlen(argv[1]) != 64 || !from_hex(psk, argv[1])) {
        fputs("usage: embedded PSK [LIMIT VALUE]...\n", stderr);
        return 2;
    }
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = psk;
    cfg.compat_net = true;
    rove_err err = ROVE_OK;
    for (int i = 2; i < argc && !err; i += 2)
        err = rove_limits_set(&cfg.limits, argv[i], argv[i + 1]);
    if (!err)
        err = rove_node_new(&node, &cfg);
    if (err) {
        fprintf(stderr, "embedded: %s\n", rove_strerror(err));
        return 1;
    }
    char line[4096];
    while (fgets(line, sizeof line, stdin))
        answer(line);
    rove_runtime_unref(runtime);
    rove_node_free(node);
    return 0;
}
