/* SPDX-License-Identifier: Apache-2.0
 *
 * rove nodes: what a node knows of the nodes of its mesh. rove why: where it would move a daemon.
 */
#include "client.h"

static void show_node(void *user, json_object *o)
{
    bool *titled = user;
    json_object *tags = NULL;
    if (!*titled)
        printf("%-18s %4s %8s  %s\n", "NODE", "HOPS", "FOR (s)", "TAGS");
    *titled = true;
    printf("%-18s %4s %8s ", cli_show(o, "node_id"), cli_show(o, "hops"), cli_show(o, "expires_s"));
    json_object_object_get_ex(o, "tags", &tags);
    for (size_t i = 0; tags && i < json_object_array_length(tags); i++)
        printf(" %s", json_object_get_string(json_object_array_get_idx(tags, i)));
    printf("\n");
}

int cli_nodes(int argc, char **argv)
{
    const char *control = NULL, *where = NULL;
    bool json = false, titled = false;
    cli_option options[] = {
        {CLI_TEXT, "--where", "CONDITION", &where, "only those for which this holds"},
        {CLI_TEXT, "--control", "PATH", &control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &json, "one JSON object a line"},
    };
    cli_syntax syntax = {
        "nodes",
        "",
        "Lists the nodes whose announcements this one has, itself included. Of a condition all\n"
        "terms must hold: hardware.gpu, hardware.memory_gb>=64, hardware.gpu.vendor=nvidia,\n"
        "software.os_version>=v6.1, meta.site=lab, subprotocol:0x0500, gpu, memory>=64; also\n"
        "joined by or, not and brackets.",
        options,
        sizeof options / sizeof options[0],
        0,
        0,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    json_object *request = cli_request("nodes");
    if (where)
        cli_add_text(request, "where", where);
    return cli_client_ask(control, request, json, show_node, &titled, "no nodes");
}

static void show_candidate(void *user, json_object *o)
{
    bool *titled = user;
    if (!*titled)
        printf("%-18s %-9s %6s %10s  %s\n", "NODE", "VERDICT", "SCORE", "RTT (us)", "WHY");
    *titled = true;
    printf("%-18s %-9s ", cli_show(o, "node_id"), cli_show(o, "verdict"));
    if (json_object_object_get(o, "score"))
        printf("%6.3f", cli_double(o, "score"));
    else
        printf("%6s", "-");
    printf(" %10s  %s\n", cli_show(o, "rtt_us"), cli_show(o, "why"));
}

int cli_why(int argc, char **argv)
{
    const char *control = NULL;
    bool json = false, titled = false;
    cli_option options[] = {
        {CLI_TEXT, "--control", "PATH", &control, "the control socket of the node it is on"},
        {CLI_FLAG, "--json", NULL, &json, "one JSON object a line"},
    };
    cli_syntax syntax = {
        "why",
        "ORIGIN",
        "Shows where rove migrate --auto would move a daemon: each known node with\n"
        "what rejected it, or its score and how that came about.",
        options,
        sizeof options / sizeof options[0],
        1,
        1,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status) ||
        !cli_check_name("ORIGIN", operands.at[0], &status))
        return status;
    json_object *request = cli_request("why");
    cli_add_text(request, "daemon", operands.at[0]);
    return cli_client_ask(control, request, json, show_candidate, &titled, "no answer");
}
