/* SPDX-License-Identifier: Apache-2.0
 *
 * rove moves: the moves that a node has a part in, and how the ended ones ended. */
#include "list.h"

static void titles(void)
{
    printf("%-18s %-18s %-18s %5s %-9s %-10s %10s %10s  %s\n", "ORIGIN", "FROM", "TO", "EPOCH",
           "PHASE", "OUTCOME", "BYTES", "MS", "REASON");
}

static void show(json_object *o)
{
    const char *outcome = cli_text(o, "outcome");
    printf("%-18s %-18s %-18s %5s %-9s %-10s %10s %10s  %s\n", cli_show(o, "origin"),
           cli_show(o, "from"), cli_show(o, "to"), cli_show(o, "epoch"), cli_show(o, "phase"),
           outcome ? outcome : "running", cli_show(o, "bytes"), cli_show(o, "total_ms"),
           cli_show(o, "reason"));
}

int cli_moves(int argc, char **argv)
{
    static const cli_listing listing = {
        .command = "moves",
        .about = "Lists the moves from and to this node: running ones, and ended ones for a\n"
                 "while.",
        .titles = titles,
        .show = show,
        .failure = "no list of moves",
    };
    return cli_list_things(&listing, argc, argv);
}
