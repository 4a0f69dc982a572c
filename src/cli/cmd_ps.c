/* SPDX-License-Identifier: Apache-2.0
 *
 * rove ps: the daemons of a node, and those that left it. */
#include "list.h"

static void titles(void)
{
    printf("%-18s %-12s %-9s %-18s %6s %10s %6s  %s\n", "ORIGIN", "KIND", "STATE", "NODE", "EPOCH",
           "EVENTS", "LANES", "NOTE");
}

static void show_feeds(json_object *o)
{
    json_object *feeds = NULL;
    json_object_object_get_ex(o, "feeds", &feeds);
    for (size_t i = 0; feeds && i < json_object_array_length(feeds); i++) {
        json_object *f = json_object_array_get_idx(feeds, i);
        printf("    fed by %s of %s, %s", cli_show(f, "channel"), cli_show(f, "publisher"),
               cli_show(f, "state"));
        if (cli_text(f, "reason"))
            printf(" (%s)", cli_text(f, "reason"));
        printf(", up to %s", cli_show(f, "position"));
        if (cli_u64(f, "lost"))
            printf(", %s lost", cli_show(f, "lost"));
        putchar('\n');
    }
}

static void show_outlet(json_object *o)
{
    json_object *p = NULL;
    if (!json_object_object_get_ex(o, "publishes", &p) || !p)
        return;
    printf("    publishes on %s: %s", cli_show(p, "channel"), cli_show(p, "events"));
    if (cli_u64(p, "unpublished"))
        printf(", %s not published", cli_show(p, "unpublished"));
    if (cli_text(p, "reason"))
        printf(" (%s)", cli_text(p, "reason"));
    putchar('\n');
}

static void show(json_object *o)
{
    printf("%-18s %-12s %-9s %-18s %6s %10s %6s  %s\n", cli_show(o, "origin"), cli_show(o, "kind"),
           cli_show(o, "state"), cli_show(o, "node_id"), cli_show(o, "epoch"),
           cli_show(o, "events"), cli_show(o, "lanes"), cli_show(o, "note"));
    if (cli_text(o, "attempt"))
        printf("    move %s with %s, %s s in this state, at byte %s\n", cli_show(o, "attempt"),
               cli_show(o, "counterpart"), cli_show(o, "age_s"), cli_show(o, "position"));
    show_feeds(o);
    show_outlet(o);
}

int cli_ps(int argc, char **argv)
{
    static const cli_listing listing = {
        .command = "ps",
        .about = "Lists each copy of a daemon that this node holds, whatever its state, and\n"
                 "the daemons that left, with where they went.",
        .titles = titles,
        .show = show,
        .failure = "no list of daemons",
    };
    return cli_list_things(&listing, argc, argv);
}
