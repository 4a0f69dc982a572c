/* SPDX-License-Identifier: Apache-2.0
 *
 * rove caps: what a node can do, as it has announced it. */
#include "client.h"

static void show_tags(json_object *o)
{
    json_object *tags = NULL, *metadata = NULL;
    json_object_object_get_ex(o, "tags", &tags);
    for (size_t i = 0; tags && i < json_object_array_length(tags); i++)
        printf("%s\n", json_object_get_string(json_object_array_get_idx(tags, i)));
    if (json_object_object_get_ex(o, "metadata", &metadata)) {
        json_object_object_foreach(metadata, key, value)
            printf("meta.%s=%s\n", key, json_object_get_string(value));
    }
}

static void show(void *user, json_object *o)
{
    (void)user;
    printf("node %s  entity %s\nversion %s, over %s hops, for %s s more\n", cli_show(o, "node_id"),
           cli_show(o, "entity"), cli_show(o, "version"), cli_show(o, "hops"),
           cli_show(o, "expires_s"));
    show_tags(o);
}

int cli_caps(int argc, char **argv)
{
    const char *control = NULL;
    bool json = false;
    cli_option options[] = {
        {CLI_TEXT, "--control", "PATH", &control, "the control socket of the node that is asked"},
        {CLI_FLAG, "--json", NULL, &json, "a JSON object, in which the tags are also taken apart"},
    };
    cli_syntax syntax = {
        "caps",
        "[NODE]",
        "Shows what a node has announced that it can do: each tag, and the metadata as\n"
        "meta.KEY=VALUE. NODE is an entity or a node id; without it the node itself.",
        options,
        sizeof options / sizeof options[0],
        0,
        1,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status) ||
        (operands.count && !cli_check_name("NODE", operands.at[0], &status)))
        return status;
    json_object *o = cli_request("caps");
    if (operands.count)
        cli_add_text(o, "node", operands.at[0]);
    return cli_client_ask(control, o, json, show, NULL, "nothing known");
}
