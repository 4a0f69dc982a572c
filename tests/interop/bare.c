/* SPDX-License-Identifier: Apache-2.0
 *
 * Class net of Rove with a socket and nothing behind it: what it sends is what the test says, and
 * what came to it the test is told as it came. For packets that a node of Rove makes by itself at
 * times of its own. Commands as those of embedded.c; ends with its input.
 *
 * Usage: bare PSK SEED (64 hex digits each) */
#include <arpa/inet.h>
#include <base/alloc.h>
#include <base/buf.h>
#include <crypto/slab.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <net/net.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static rovei_net *net;
static rovei_keypair *identity;
static uint8_t public_key[32];
static int sock;
static struct sockaddr_in bound;
static json_object *heard; /* since it was last asked */

/* ---- surroundings ---- */

static rovei_now now(void)
{
    struct timespec mono, wall;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    return (rovei_now){.mono = (uint64_t)mono.tv_sec * ROVE_SECOND + (uint64_t)mono.tv_nsec,
                       .wall = (uint64_t)wall.tv_sec * ROVE_SECOND + (uint64_t)wall.tv_nsec};
}

/* ---- JSON ---- */

static const char *text(json_object *request, const char *name)
{
    json_object *value;
    return json_object_object_get_ex(request, name, &value) ? json_object_get_string(value) : "";
}

static uint64_t number(json_object *request, const char *name)
{
    return strtoull(text(request, name), NULL, 0);
}

/* Bytes from hex; SIZE_MAX: it is none, or too long. */
static size_t from_hex(uint8_t *ret, size_t room, const char *hex)
{
    size_t size = strlen(hex) / 2;
    if (size > room || strlen(hex) % 2)
        return SIZE_MAX;
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return SIZE_MAX;
        ret[i] = (uint8_t)byte;
    }
    return size;
}

static json_object *hex_text(rove_span bytes)
{
    static char room[2 * ROVEI_NET_PLAIN_MAX + 1];
    for (size_t i = 0; i < bytes.size; i++)
        snprintf(room + 2 * i, 3, "%02x", ((const uint8_t *)bytes.data)[i]);
    return json_object_new_string_len(room, (int)(2 * bytes.size));
}

static json_object *id_text(uint64_t id)
{
    char room[24];
    snprintf(room, sizeof room, "0x%" PRIx64, id);
    return json_object_new_string(room);
}

/* ---- commands ---- */

static rove_err do_info(json_object *request, json_object **ret)
{
    (void)request;
    char addr[32];
    snprintf(addr, sizeof addr, "127.0.0.1:%u", ntohs(bound.sin_port));
    const rove_entity *entity = rovei_keypair_entity(identity);
    *ret = json_object_new_object();
    json_object_object_add(*ret, "nodeId", id_text(rovei_keypair_node_id(identity)));
    json_object_object_add(*ret, "origin", id_text(rovei_keypair_origin(identity)));
    json_object_object_add(*ret, "entity", hex_text((rove_span){entity->bytes, 32}));
    json_object_object_add(*ret, "key", hex_text((rove_span){public_key, 32}));
    json_object_object_add(*ret, "addr", json_object_new_string(addr));
    return ROVE_OK;
}

static rove_err do_list(json_object *request, json_object **ret)
{
    (void)ret;
    rovei_net_listing l = {.node_id = number(request, "nodeId")};
    const char *addr = text(request, "addr");
    l.has_key = from_hex(l.key, 32, text(request, "key")) == 32;
    if (*addr) {
        unsigned ip[4], port;
        if (sscanf(addr, "%u.%u.%u.%u:%u", &ip[0], &ip[1], &ip[2], &ip[3], &port) != 5)
            return ROVE_E_USAGE;
        l.has_addr = true;
        l.addr = (rovei_addr){.family = 4, .port = (uint16_t)port};
        for (size_t i = 0; i < 4; i++)
            l.addr.ip[i] = (uint8_t)ip[i];
    }
    return rovei_net_list(net, now(), &l);
}

static rove_err do_reaches(json_object *request, json_object **ret)
{
    *ret = json_object_new_boolean(rovei_net_reaches(net, number(request, "nodeId")));
    return ROVE_OK;
}

/* One message of a subprotocol. */
static rove_err do_say(json_object *request, json_object **ret)
{
    (void)ret;
    static uint8_t bytes[ROVEI_NET_MESSAGE_MAX];
    size_t size = from_hex(bytes, sizeof bytes, text(request, "message"));
    if (size == SIZE_MAX)
        return ROVE_E_USAGE;
    return rovei_net_send(net, now(), number(request, "nodeId"),
                          (uint16_t)number(request, "subprotocol"), (rove_span){bytes, size});
}

/* One leg of a publish. */
static rove_err do_publish(json_object *request, json_object **ret)
{
    (void)ret;
    static uint8_t frames[ROVEI_NET_PLAIN_MAX], event[ROVEI_NET_EVENT_MAX];
    rovei_writer w = rovei_writer_of(frames, sizeof frames);
    json_object *events, *reliable;
    if (!json_object_object_get_ex(request, "events", &events))
        return ROVE_E_USAGE;
    size_t count = json_object_array_length(events);
    for (size_t i = 0; i < count; i++) {
        const char *hex = json_object_get_string(json_object_array_get_idx(events, i));
        size_t size = from_hex(event, sizeof event, hex);
        if (size == SIZE_MAX || !rovei_net_frame_write(&w, (rove_span){event, size}))
            return ROVE_E_TOO_LARGE;
    }
    const rovei_flow_frames all = {{frames, rovei_writer_size(&w)}, (uint16_t)count};
    return rovei_net_publish(net, now(), number(request, "nodeId"), number(request, "channel"),
                             json_object_object_get_ex(request, "reliable", &reliable) &&
                                 json_object_get_boolean(reliable),
                             &all);
}

/* What came since the last time. */
static rove_err do_heard(json_object *request, json_object **ret)
{
    (void)request;
    *ret = heard;
    heard = json_object_new_array();
    return ROVE_OK;
}

/* Counters of streams. */
static rove_err do_streams(json_object *request, json_object **ret)
{
    (void)request;
    rovei_net_stats st = rovei_net_stats_get(net);
    *ret = json_object_new_object();
#define ADD(id, name) json_object_object_add(*ret, name, json_object_new_uint64(st.streams.id));
    ROVEI_FLOW_STATS(ADD)
#undef ADD
    return ROVE_OK;
}

static const struct command {
    const char *name;
    rove_err (*run)(json_object *request, json_object **ret);
} commands[] = {
    {"info", do_info},       {"list", do_list},   {"reaches", do_reaches}, {"say", do_say},
    {"publish", do_publish}, {"heard", do_heard}, {"streams", do_streams},
};

static void answer(const char *line)
{
    json_object *request = json_tokener_parse(line), *reply = json_object_new_object();
    json_object *id = NULL, *value = NULL;
    const char *name = text(request, "do");
    rove_err err = ROVE_E_USAGE;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (!strcmp(name, commands[i].name))
            err = commands[i].run(request, &value);
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

/* ---- the loop ---- */

static void hear(const rovei_net_event *e)
{
    bool data = e->kind == ROVEI_NET_DATA;
    if (data || e->kind == ROVEI_NET_MESSAGE) {
        json_object *o = json_object_new_object();
        json_object_object_add(o, "from", id_text(e->node_id));
        json_object_object_add(o, "subprotocol", id_text(data ? 0 : e->subprotocol));
        json_object_object_add(o, "stream", id_text(e->stream.id));
        json_object_object_add(o, "sequence", json_object_new_uint64(e->sequence));
        json_object_object_add(o, "events", json_object_new_int(e->events));
        json_object_object_add(o, "bytes", hex_text(rove_buf_span(e->message)));
        json_object_array_add(heard, o);
    }
    rove_buf_unref(e->message);
}

static void turn(void)
{
    static uint8_t bytes[65536];
    rovei_addr a = {.family = 4};
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    ssize_t got;
    while ((got = recvfrom(sock, bytes, sizeof bytes, 0, (struct sockaddr *)&peer, &length)) >= 0) {
        memcpy(a.ip, &peer.sin_addr, 4);
        a.port = ntohs(peer.sin_port);
        (void)rovei_net_receive(net, now(), &a, bytes, (size_t)got);
    }
    if (rovei_net_deadline(net) <= now().mono)
        rovei_net_expire(net, now());
    rovei_net_event e;
    while (rovei_net_poll(net, &e))
        hear(&e);
    for (size_t size; (size = rovei_net_transmit(net, now(), bytes, sizeof bytes, &a)) != 0;) {
        peer = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(a.port)};
        memcpy(&peer.sin_addr, a.ip, 4);
        (void)sendto(sock, bytes, size, 0, (struct sockaddr *)&peer, sizeof peer);
    }
}

static int wait_ms(void)
{
    uint64_t at = rovei_net_deadline(net), t = now().mono;
    if (at <= t)
        return 0;
    return at - t > ROVE_SECOND ? 1000 : (int)((at - t) / ROVE_MILLISECOND) + 1;
}

/* Lines of the input, as they become whole; false at its end. */
static bool read_lines(void)
{
    static char room[1 << 20];
    static size_t used;
    ssize_t got = read(STDIN_FILENO, room + used, sizeof room - used);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    used += (size_t)got;
    for (char *end; (end = memchr(room, '\n', used)) != NULL;) {
        *end++ = 0;
        answer(room);
        used -= (size_t)(end - room);
        memmove(room, end, used);
    }
    return true;
}

static bool open_socket(void)
{
    socklen_t length = sizeof bound;
    bound = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    sock = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    return sock >= 0 && !bind(sock, (struct sockaddr *)&bound, sizeof bound) &&
           !getsockname(sock, (struct sockaddr *)&bound, &length);
}

static rove_err set_up(rovei_env *env, const uint8_t psk[32], const uint8_t seed[32])
{
    uint8_t secret[32];
    rove_err err = rovei_slab_new(&env->slab, &env->alloc);
    if (!err)
        err = rovei_keypair_from_seed(&identity, env, seed);
    if (!err)
        err = rovei_keypair_x25519(identity, secret);
    if (err)
        return err;
    rovei_x25519_public(public_key, secret);
    rovei_net_config cfg = {.env = env, .identity = identity};
    memcpy(cfg.psk, psk, 32);
    return rovei_net_new(&net, &cfg, now());
}

int main(int argc, char **argv)
{
    uint8_t psk[32], seed[32];
    if (argc != 3 || from_hex(psk, 32, argv[1]) != 32 || from_hex(seed, 32, argv[2]) != 32) {
        fputs("usage: bare PSK SEED\n", stderr);
        return 2;
    }
    rovei_env env = {.alloc = rovei_alloc_libc, .rng = rovei_rng_system};
    rove_limits_init(&env.limits);
    heard = json_object_new_array();
    rove_err err = rovei_crypto_init();
    if (!err)
        err = open_socket() ? set_up(&env, psk, seed) : ROVE_E_IO;
    if (err) {
        fprintf(stderr, "bare: %s\n", rove_strerror(err));
        return 1;
    }
    struct pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {sock, POLLIN, 0}};
    for (bool on = true; on;) {
        turn();
        if (poll(fds, 2, wait_ms()) > 0 && fds[0].revents)
            on = read_lines();
    }
    return 0;
}
