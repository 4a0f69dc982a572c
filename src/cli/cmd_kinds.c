/* SPDX-License-Identifier: Apache-2.0
 *
 * rove kinds: the kinds of daemon that a node can run. */
#include "list.h"

static void titles(void)
{
    printf("%-16s %4s  %s\n", "KIND", "ABI", "FILE");
}

static void show(json_object *o)
{
    const char *file = cli_text(o, "file");
    printf("%-16s %4s  %s\n", cli_show(o, "kind"), cli_show(o, "abi"), file ? file : "(built in)");
}

int cli_kinds(int argc, char **argv)
{
    static const cli_listing listing = {
        .command = "kinds",
        .about = "Lists the kinds of daemon that the node can run and where each came from. A\n"
                 "node loads kinds when it starts: rove node --load KIND.so.",
        .titles = titles,
        .show = show,
        .failure = "no list of kinds",
    };
    return cli_list_things(&listing, argc, argv);
}
