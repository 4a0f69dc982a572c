/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokens of a node: what applications and the control socket do with them. */
#include <channel/publisher.h>
#include <host/thread.h>
#include <node/tokens.h>
#include <shell/call.h>
#include <shell/floors_file.h>
#include <shell/node_inside.h>
#include <shell/tokens.h>

rove_err rovei_tokens_start(rove_node *node)
{
    rovei_token_floors *floors = &rovei_node_tokens(node->core)->floors;
    rove_err err = node->identity_file ? rovei_floors_load(node->identity_file, floors) : ROVE_OK;
    node->floors_kept = !err;
    return err;
}

rove_err rovei_tokens_revoke(rove_node *node, rovei_now now, const rove_entity *issuer,
                             uint32_t generation)
{
    rovei_token_floors *floors = &rovei_node_tokens(node->core)->floors;
    uint32_t before = rovei_token_floors_get(floors, issuer);
    rove_err err = rovei_token_floors_raise(floors, issuer, generation);
    if (err)
        return err;
    /* It holds from here on, whatever becomes of the file: better to end too much than too little.
     */
    if (generation > before) {
        node->floors_kept = false;
        rovei_channels_judge(node->core, now);
    }
    if (!node->floors_kept && node->identity_file)
        err = rovei_floors_store(node->identity_file, floors);
    node->floors_kept = !err;
    return err;
}

typedef struct token_call {
    rove_node *node;
    const rove_token_chain *chain;
    const rove_entity *issuer;
    uint32_t generation;
    rove_err err;
} token_call;

static void add_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    (void)now;
    token_call *c = arg;
    c->err = rovei_token_cache_insert(&rovei_node_tokens(core)->cache, c->chain);
}

rove_err rove_node_add_token(rove_node *node, const rove_token_chain *chain)
{
    if (!node || !chain)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    token_call c = {.chain = chain};
    rovei_node_call(node, add_on_loop, &c);
    return c.err;
}

static void revoke_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    (void)core;
    token_call *c = arg;
    c->err = rovei_tokens_revoke(c->node, now, c->issuer, c->generation);
}

rove_err rove_node_revoke(rove_node *node, const rove_entity *issuer, uint32_t generation)
{
    if (!node || !issuer)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    token_call c = {.node = node, .issuer = issuer, .generation = generation};
    rovei_node_call(node, revoke_on_loop, &c);
    return c.err;
}
