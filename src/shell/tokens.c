/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokens of a node, for applications. */
#include <host/thread.h>
#include <node/tokens.h>
#include <shell/call.h>

typedef struct token_call {
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
    (void)now;
    token_call *c = arg;
    c->err = rovei_token_floors_raise(&rovei_node_tokens(core)->floors, c->issuer, c->generation);
}

rove_err rove_node_revoke(rove_node *node, const rove_entity *issuer, uint32_t generation)
{
    if (!node || !issuer)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    token_call c = {.issuer = issuer, .generation = generation};
    rovei_node_call(node, revoke_on_loop, &c);
    return c.err;
}
