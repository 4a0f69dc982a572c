/* SPDX-License-Identifier: Apache-2.0
 *
 * ZeroMQ, when it was there at the build. */
#include "zeromq.h"

#ifdef BENCH_HAVE_ZEROMQ
#include "bench.h"

#include <pthread.h>
#include <stdlib.h>
#include <zmq.h>

#define SENDERS_MAX 8

static void must(bool ok)
{
    if (!ok)
        bench_fail(zmq_strerror(zmq_errno()));
}

struct pull {
    void *socket;
    size_t size;
    uint64_t messages;
};

/* A first message of each sender says that the connections stand; then the messages come. */
static void receive(struct pull *p, uint64_t count)
{
    zmq_msg_t m;
    must(zmq_msg_init(&m) == 0);
    for (uint64_t i = 0; i < count; i++)
        must(zmq_msg_recv(&m, p->socket, 0) >= 0);
    zmq_msg_close(&m);
}

static void *pull_all(void *arg)
{
    struct pull *p = arg;
    receive(p, p->messages);
    return NULL;
}

static void push_all(void **sockets, size_t count, const void *payload, size_t size, uint64_t each)
{
    for (uint64_t i = 0; i < each; i++)
        for (size_t s = 0; s < count; s++)
            must(zmq_send(sockets[s], payload, size, 0) >= 0);
}

bool bench_zeromq_round(void *arg, double *ret)
{
    const bench_zeromq *z = arg;
    void *here = zmq_ctx_new(), *there = zmq_ctx_new();
    uint64_t each = z->messages / z->senders;
    struct pull pull = {zmq_socket(there, ZMQ_PULL), z->size, each * z->senders};
    void *push[SENDERS_MAX], *payload = calloc(1, z->size);
    char address[128];
    size_t room = sizeof address;
    if (!here || !there || !pull.socket || !payload || z->senders > SENDERS_MAX)
        bench_fail("no memory");
    must(zmq_bind(pull.socket, "tcp://127.0.0.1:*") == 0);
    must(zmq_getsockopt(pull.socket, ZMQ_LAST_ENDPOINT, address, &room) == 0);
    for (size_t i = 0; i < z->senders; i++) {
        push[i] = zmq_socket(here, ZMQ_PUSH);
        must(push[i] && zmq_connect(push[i], address) == 0);
    }
    push_all(push, z->senders, payload, z->size, 1);
    receive(&pull, z->senders);
    pthread_t puller;
    uint64_t start = bench_now();
    if (pthread_create(&puller, NULL, pull_all, &pull))
        bench_fail("no thread");
    push_all(push, z->senders, payload, z->size, each);
    pthread_join(puller, NULL);
    *ret = (double)pull.messages * 1e9 / (double)(bench_now() - start);
    for (size_t i = 0; i < z->senders; i++)
        zmq_close(push[i]);
    zmq_close(pull.socket);
    zmq_ctx_term(here);
    zmq_ctx_term(there);
    free(payload);
    return true;
}

#else

bool bench_zeromq_round(void *arg, double *ret)
{
    (void)arg;
    (void)ret;
    return false;
}

#endif
