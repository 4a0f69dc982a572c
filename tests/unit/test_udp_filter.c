/* SPDX-License-Identifier: Apache-2.0
 *
 * What the filter of a flooded port lets in: datagrams that begin as those of class rove do and are
 * long enough, and with class net those of that class as well. */
#include "support.h"

#include <mesh/packet.h>
#include <poll.h>
#include <shell/node.h>
#include <shell/udp_inside.h>
#include <unistd.h>

typedef struct sample {
    const char *head; /* hex */
    size_t size;
    bool rove, net; /* let in: always, with class net */
} sample;

static const sample samples[] = {
    {"454e0201", ROVEI_INITIATION_SIZE, true, true},
    {"454e0201", ROVEI_INITIATION_SIZE - 1, false, false},
    {"454e0202", ROVEI_RESPONSE_SIZE, true, true},
    {"454e0203", ROVEI_COOKIE_SIZE, true, true},
    {"454e0204", ROVEI_DATA_OVERHEAD, true, true},
    {"454e0204", ROVEI_DATA_OVERHEAD - 1, false, false},
    {"454e0205", 1000, false, false},
    {"454e0110", ROVEI_NET_OVERHEAD, false, true},
    {"454e0100", ROVEI_NET_DATAGRAM_MAX, false, true},
    {"454e0120", ROVEI_NET_OVERHEAD - 1, false, false},
    {"52541000", ROVEI_NET_ROUTE_SIZE + ROVEI_NET_OVERHEAD, false, true},
    {"52540008", ROVEI_NET_ROUTE_SIZE + ROVEI_NET_OVERHEAD - 1, false, false},
    {"54521000", 200, false, false},
    {"454e0310", 200, false, false},
    {"48500000", 14, false, false},
    {"ffffffff", 72, false, false},
    {"45", 1, false, false},
};
#define SAMPLES (sizeof samples / sizeof samples[0])

typedef struct sink {
    bool got[SAMPLES];
    bool end;
} sink;

/* Which sample it is stands in its last byte; 255 ends the run. */
static bool take(void *user, const rovei_addr *from, uint8_t *dgram, size_t size)
{
    (void)from;
    sink *s = user;
    uint8_t which = dgram[size - 1];
    if (which == 255)
        s->end = true;
    else
        s->got[which] = true;
    return true;
}

static void send_one(const rovei_udp *u, int fd, const sample *what, uint8_t mark)
{
    static uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    struct sockaddr_storage to;
    rovei_addr addr = rovei_udp_address(u);
    socklen_t size = udp_to_system(&addr, &to);
    memset(bytes, 0, sizeof bytes);
    hex_to(bytes, sizeof bytes, what->head);
    if (what->size > 4)
        bytes[what->size - 1] = mark;
    assert_int_equal(sendto(fd, bytes, what->size, 0, (struct sockaddr *)&to, size), what->size);
}

static void try_all(bool net)
{
    rovei_udp *u;
    rovei_addr any;
    sink s = {0};
    assert_ok(rovei_address_parse("127.0.0.1:0", false, &any));
    assert_ok(rovei_udp_new(&u, &rovei_alloc_libc, &any, net));
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    uint64_t now = rovei_clock_now().mono;
    udp_judge_flood(u, now, now + 2 * ROVE_MILLISECOND, 100, 0);
    assert_true(u->filtered);
    for (size_t i = 0; i < SAMPLES; i++)
        send_one(u, fd, &samples[i], (uint8_t)i);
    const sample last = {"454e0204", ROVEI_DATA_OVERHEAD, true, true};
    send_one(u, fd, &last, 255);
    while (!s.end) {
        struct pollfd p = {.fd = rovei_udp_fd(u), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 10000), 1);
        while (rovei_udp_receive(u, take, &s))
            ;
    }
    for (size_t i = 0; i < SAMPLES; i++)
        assert_int_equal(s.got[i], samples[i].rove || (net && samples[i].net));
    close(fd);
    rovei_udp_free(u);
}

static void test_class_rove_alone(void **state)
{
    (void)state;
    try_all(false);
}

static void test_both_classes(void **state)
{
    (void)state;
    try_all(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class_rove_alone),
        cmocka_unit_test(test_both_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
