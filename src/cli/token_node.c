/* SPDX-License-Identifier: Apache-2.0
 *
 * rove token add, ls, revoke: the tokens of a node. */
#include "client.h"
#include "cmd_token.h"

#include <inttypes.h>
#include <shell/files.h>
#include <shell/token_text.h>

int token_add(const token_command *t)
{
    rove_token_chain c;
    char text[ROVEI_TOKEN_TEXT_MAX];
    int status = token_load(t, &c);
    if (status != CLI_DONE)
        return status;
    rovei_token_write(&c, text);
    json_object *request = cli_request("token_add");
    cli_add_text(request, "token", text);
    return cli_client_ask(t->control, request, t->json, NULL, NULL, "not taken");
}

static void show(void *user, json_object *o)
{
    (void)user;
    if (json_object_object_get_ex(o, "floor", NULL)) {
        printf("revoked   %s  below generation %" PRIu64 "\n", cli_show(o, "issuer"),
               cli_u64(o, "floor"));
        return;
    }
    const char *reason = cli_text(o, "reason");
    printf("%-8.8s  %s  %s  until %" PRIu64 "  %s\n", cli_show(o, "subject"),
           cli_show(o, "channel"), cli_show(o, "scope"), cli_u64(o, "expires"),
           reason ? reason : "valid");
}

int token_list(const token_command *t)
{
    return cli_client_ask(t->control, cli_request("tokens"), t->json, show, NULL, "not listed");
}

/* The floor that the command line asks for: given, or such that the token is below it. */
static int floor_of(const token_command *t, rove_entity *ret_issuer, uint64_t *ret_generation)
{
    rove_token_chain c;
    if (t->token && (t->issuer || t->generation != UINT64_MAX))
        return cli_usage("say TOKEN, or --issuer and --generation");
    if (t->token) {
        int status = token_load(t, &c);
        if (status != CLI_DONE)
            return status;
        if (c.links[0].generation == UINT32_MAX)
            return cli_fail("not revoked: no generation is above the token's");
        *ret_issuer = c.links[0].issuer;
        *ret_generation = (uint64_t)c.links[0].generation + 1;
        return CLI_DONE;
    }
    if (!token_entity("--issuer", t->issuer, ret_issuer))
        return CLI_USAGE;
    if (t->generation > UINT32_MAX)
        return cli_usage("say below which: --generation N, at most 4294967295");
    *ret_generation = t->generation;
    return CLI_DONE;
}

int token_revoke(const token_command *t)
{
    rove_entity issuer = {{0}};
    uint64_t generation = 0;
    char entity[65];
    int status = floor_of(t, &issuer, &generation);
    if (status != CLI_DONE)
        return status;
    rovei_hex_encode(issuer.bytes, sizeof issuer.bytes, entity);
    json_object *o = t->print ? json_object_new_object() : cli_request("revoke");
    cli_add_text(o, "issuer", entity);
    if (!t->print) {
        json_object_object_add(o, "generation", json_object_new_uint64(generation));
        return cli_client_ask(t->control, o, t->json, show, NULL, "not revoked");
    }
    json_object_object_add(o, "floor", json_object_new_uint64(generation));
    if (t->json) {
        cli_json(o);
    } else {
        show(NULL, o);
        json_object_put(o);
    }
    return CLI_DONE;
}
