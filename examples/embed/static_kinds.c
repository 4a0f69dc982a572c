/* SPDX-License-Identifier: Apache-2.0
 *
 * Rove in a program of one's own, the plain way: the node has its own thread, calls wait for their
 * end. The kinds are compiled in; each has got a name of its own for rove_kind_main (see the
 * Makefile). Every argument is an event for a daemon of each kind. */
#include <rove/rove.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const rove_kind *lines_kind(void);
const rove_kind *shout_kind(void);

static void check(rove_err err, const char *what)
{
    if (err == ROVE_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, rove_strerror(err));
    exit(1);
}

static void deliver(rove_runtime *rt, const char *kind, rove_daemon daemon, const char *text)
{
    rove_event event = {.payload = {text, strlen(text)}};
    rove_result result;
    check(rove_runtime_deliver(rt, daemon, &event, 0, &result, NULL, NULL), kind);
    rove_link link;
    rove_span output;
    for (size_t it = 0; rove_result_next(&result, &it, &link, &output);)
        printf("%s: %.*s\n", kind, (int)output.size, (const char *)output.data);
    rove_result_fini(&result);
}

int main(int argc, char **argv)
{
    static const uint8_t psk[32] = "a mesh that has one node only...";
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = psk;
    rove_node *node;
    check(rove_node_new(&node, &cfg), "the node");
    rove_runtime *rt;
    check(rove_runtime_new(&rt, node, NULL), "its runtime");
    check(rove_runtime_register_kind(rt, NULL, lines_kind(), NULL), "lines");
    check(rove_runtime_register_kind(rt, NULL, shout_kind(), NULL), "shout");
    check(rove_runtime_start(rt), "the start");

    rove_daemon lines, shout;
    check(rove_runtime_spawn(rt, "lines", NULL, NULL, &lines), "a daemon of lines");
    check(rove_runtime_spawn(rt, "shout", NULL, NULL, &shout), "a daemon of shout");
    for (int i = 1; i < argc; i++) {
        deliver(rt, "lines", lines, argv[i]);
        deliver(rt, "shout", shout, argv[i]);
    }
    rove_runtime_unref(rt); /* stops the daemons */
    rove_node_free(node);
    return 0;
}
