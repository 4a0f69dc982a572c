/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests about the tokens of a node: those that it holds, and those that it takes as revoked. */
#include <node/tokens.h>
#include <shell/control_inside.h>
#include <shell/files.h>
#include <shell/token_text.h>
#include <shell/tokens.h>
#include <string.h>

void control_token_add(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)now;
    rovei_tokens *tokens = rovei_node_tokens(core);
    const char *text = control_field(request, "token");
    rove_token_chain chain;
    rove_err err = text ? rovei_token_read(&chain, (rove_span){text, strlen(text)}) : ROVE_E_USAGE;
    if (err == ROVE_OK)
        err = rovei_token_cache_insert(&tokens->cache, &chain);
    if (err == ROVE_E_FULL)
        control_end(c, err, "the node holds as many tokens as it may: see the limit token_slots");
    else if (err == ROVE_E_USAGE)
        control_end(c, err, "the request lacks the token");
    else if (err)
        control_end_err(c, err);
    if (err)
        return;
    control_say(c, rovei_token_chain_json(&chain));
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}

/* How a chain stands now, in this node's eyes. */
static rove_err standing(const rovei_tokens *t, const rove_token_chain *chain, uint64_t now)
{
    for (size_t i = 0; i < chain->count; i++) {
        rove_err err = rovei_token_check_window(&chain->links[i], now, t->cache.skew);
        if (err)
            return err;
        if (rovei_token_floors_revoked(&t->floors, &chain->links[i]))
            return ROVE_E_TOKEN_REVOKED;
    }
    return ROVE_OK;
}

static void say_floor(connection *c, const rove_entity *issuer, uint32_t generation)
{
    json_object *o = json_object_new_object();
    control_add(o, "issuer", control_hex(issuer->bytes, sizeof issuer->bytes));
    control_add(o, "floor", control_u64(generation));
    control_say(c, o);
}

void control_tokens(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)request;
    const rovei_tokens *tokens = rovei_node_tokens(core);
    rovei_token_cache_place place = {0};
    rove_token_chain chain;
    rove_entity issuer;
    uint32_t generation;
    while (!c->closing && rovei_token_cache_next(&tokens->cache, &place, &chain)) {
        json_object *o = rovei_token_chain_json(&chain);
        if (o)
            control_add(o, "reason",
                        control_reason(standing(tokens, &chain, rovei_token_time(now))));
        control_say(c, o);
    }
    for (size_t it = 0;
         !c->closing && rovei_token_floors_next(&tokens->floors, &it, &issuer, &generation);)
        say_floor(c, &issuer, generation);
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}

void control_revoke(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    rovei_tokens *tokens = rovei_node_tokens(core);
    const char *name = control_field(request, "issuer");
    json_object *value = NULL;
    rove_entity issuer;
    if (!name || !rovei_hex_decode(name, strlen(name), issuer.bytes, sizeof issuer.bytes) ||
        !json_object_object_get_ex(request, "generation", &value) ||
        json_object_get_uint64(value) > UINT32_MAX) {
        control_end(c, ROVE_E_USAGE, "the request lacks the issuer's entity or a generation");
        return;
    }
    rove_err err = rovei_tokens_revoke(c->control->node, now, &issuer,
                                       (uint32_t)json_object_get_uint64(value));
    if (err == ROVE_E_FILE || err == ROVE_E_PERMISSION || err == ROVE_E_IO)
        control_end(c, err,
                    "it is revoked, but only until the node ends: the file of floors "
                    "beside its identity cannot be written");
    else if (err)
        control_end_err(c, err);
    if (err)
        return;
    say_floor(c, &issuer, rovei_token_floors_get(&tokens->floors, &issuer));
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}
