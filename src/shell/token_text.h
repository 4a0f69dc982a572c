/* SPDX-License-Identifier: Apache-2.0
 *
 * Permission tokens as people and scripts see them: names of scopes, hex, JSON. */
#ifndef ROVEI_SHELL_TOKEN_TEXT_H
#define ROVEI_SHELL_TOKEN_TEXT_H

#include <identity/token.h>
#include <json-c/json.h>

/* Names with commas between them: publish, subscribe, admin, delegate, wildcard. False for others
 * and for none. */
bool rovei_token_scope_parse(const char *text, uint32_t *ret);
/* The same back, "-" for none; bits without a name are left out. */
#define ROVEI_TOKEN_SCOPE_TEXT 48
void rovei_token_scope_text(uint32_t scope, char ret[ROVEI_TOKEN_SCOPE_TEXT]);

/* A chain, or one token as a chain of its own, as bytes or as hex digits with white space around
 * them. E_TOKEN_FORMAT. */
ROVE_MUST_USE rove_err rovei_token_read(rove_token_chain *ret, rove_span bytes);
#define ROVEI_TOKEN_TEXT_MAX (2 * ROVE_TOKEN_CHAIN_MAX + 1)
void rovei_token_write(const rove_token_chain *c, char ret[ROVEI_TOKEN_TEXT_MAX]);

/* NULL: out of memory. The chain's own fields are those of its last link, `root` is the first
 * link's issuer, `expires` when the first of them does. */
json_object *rovei_token_chain_json(const rove_token_chain *c);

#endif
