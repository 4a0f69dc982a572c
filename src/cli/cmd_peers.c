/* SPDX-License-Identifier: Apache-2.0
 *
 * rove peers: the nodes that a node talks to. */
#include "list.h"

static void titles(void)
{
    printf("%-18s %-6s %-11s %-22s %10s  %s\n", "NODE", "CLASS", "STATE", "ADDRESS", "RTT (us)",
           "ENTITY");
}

static void show(json_object *o)
{
    printf("%-18s %-6s %-11s %-22s %10s  %s\n", cli_show(o, "node_id"), cli_show(o, "class"),
           cli_show(o, "state"), cli_show(o, "addr"), cli_show(o, "rtt_us"), cli_show(o, "entity"));
}

int cli_peers(int argc, char **argv)
{
    static const cli_listing listing = {
        .command = "peers",
        .about = "Lists the nodes that this one has, or wants, a session with.",
        .titles = titles,
        .show = show,
        .failure = "no peers",
    };
    return cli_list_things(&listing, argc, argv);
}
