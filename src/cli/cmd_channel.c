/* SPDX-License-Identifier: Apache-2.0
 *
 * rove channel create, ls, rm: the channels of a node. */
#include "client.h"

#include <inttypes.h>
#include <string.h>

static const char about[] =
    "create  Makes a channel on which the node publishes, or with --replace gives one\n"
    "        another configuration. With --prefix NAME stands for all channels whose\n"
    "        name begins with it.\n"
    "ls      The channels of the node and who is subscribed to them.\n"
    "rm      Ends a channel: its subscribers are told.";

typedef struct channel_command {
    const char *name, *control, *visibility, *groups;
    cli_list roots, tags;
    bool require_token, prefix, replace, json;
} channel_command;

static void add_flag(json_object *o, const char *name, bool value)
{
    if (value)
        json_object_object_add(o, name, json_object_new_boolean(true));
}

static void add_list(json_object *o, const char *name, const cli_list *l)
{
    json_object *list = json_object_new_array();
    for (size_t i = 0; list && i < l->count; i++)
        json_object_array_add(list, json_object_new_string(l->items[i]));
    json_object_object_add(o, name, list);
}

static int create(const channel_command *c)
{
    rove_entity root;
    for (size_t i = 0; i < c->roots.count; i++)
        if (!cli_parse_entity(c->roots.items[i], &root))
            return cli_usage("--token-root takes an entity, 64 hex digits");
    json_object *o = cli_request("channel_create");
    cli_add_text(o, "channel", c->name);
    add_list(o, "roots", &c->roots);
    add_list(o, "tags", &c->tags);
    if (c->visibility)
        cli_add_text(o, "visibility", c->visibility);
    if (c->groups)
        cli_add_text(o, "groups", c->groups);
    add_flag(o, "require_token", c->require_token);
    add_flag(o, "prefix", c->prefix);
    add_flag(o, "replace", c->replace);
    return cli_client_ask(c->control, o, c->json, NULL, NULL, "not created");
}

static void show(void *user, json_object *o)
{
    json_object *members = NULL;
    (void)user;
    json_object_object_get_ex(o, "members", &members);
    printf("%s%s  %s, groups %s%s", cli_show(o, "channel"),
           json_object_get_boolean(json_object_object_get(o, "prefix")) ? "*" : "",
           cli_show(o, "visibility"), cli_show(o, "groups"),
           json_object_get_boolean(json_object_object_get(o, "needs_token")) ? ", token needed"
                                                                             : "");
    printf("  %" PRIu64 " published, %" PRIu64 " kept\n", cli_u64(o, "published"),
           cli_u64(o, "kept"));
    for (size_t i = 0; members && i < json_object_array_length(members); i++) {
        json_object *m = json_object_array_get_idx(members, i);
        const char *group = cli_text(m, "group");
        printf("  %s  took %" PRIu64 ", %" PRIu64 " lost%s%s\n", cli_show(m, "node_id"),
               cli_u64(m, "took"), cli_u64(m, "gaps"), group ? ", group " : "", group ? group : "");
    }
}

static int list(const channel_command *c)
{
    return cli_client_ask(c->control, cli_request("channels"), c->json, show, NULL, "not listed");
}

static int end(const channel_command *c)
{
    json_object *o = cli_request("channel_remove");
    cli_add_text(o, "channel", c->name);
    add_flag(o, "prefix", c->prefix);
    return cli_client_ask(c->control, o, c->json, NULL, NULL, "not removed");
}

static int run(const channel_command *c, const char *verb)
{
    bool is_list = strcmp(verb, "ls") == 0;
    if (!is_list && strcmp(verb, "create") != 0 && strcmp(verb, "rm") != 0)
        return cli_usage("channel does not know \"%s\": see rove channel --help", verb);
    if (is_list)
        return c->name ? cli_usage("rove channel ls takes no channel") : list(c);
    if (!c->name)
        return cli_usage("say which: rove channel %s NAME", verb);
    return verb[0] == 'c' ? create(c) : end(c);
}

int cli_channel(int argc, char **argv)
{
    channel_command c = {0};
    cli_option options[] = {
        {CLI_LIST, "--token-root", "ENTITY", &c.roots,
         "subscribers need a token that begins with this one's; repeatable"},
        {CLI_FLAG, "--require-token", NULL, &c.require_token,
         "a token is needed; without --token-root nobody may subscribe"},
        {CLI_TEXT, "--visibility", "WHO", &c.visibility, "global (default), subnet or parent"},
        {CLI_LIST, "--subscribe-tag", "TAG", &c.tags,
         "what a subscriber's node has to have announced; repeatable"},
        {CLI_TEXT, "--queue-groups", "WHO", &c.groups,
         "who may subscribe as a worker of a group: any (default), deny or token"},
        {CLI_FLAG, "--prefix", NULL, &c.prefix, "NAME is the beginning of names"},
        {CLI_FLAG, "--replace", NULL, &c.replace, "create: a channel that is there is changed"},
        {CLI_TEXT, "--control", "PATH", &c.control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &c.json, "JSON objects"},
    };
    cli_syntax syntax = {
        "channel", "create|ls|rm [NAME]", about, options, sizeof options / sizeof options[0], 1, 2,
        NULL};
    cli_operands operands;
    int status;
    if (cli_parse(&syntax, argc, argv, &operands, &status)) {
        c.name = operands.count > 1 ? operands.at[1] : NULL;
        status = run(&c, operands.at[0]);
    }
    cli_list_free(&c.roots);
    cli_list_free(&c.tags);
    return status;
}
