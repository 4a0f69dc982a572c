/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of rove token share. */
#ifndef ROVEI_CLI_CMD_TOKEN_H
#define ROVEI_CLI_CMD_TOKEN_H

#include "cli.h"

#include <identity/token.h>

/* The command line; NULL, or the value said in its help, for what is not given. */
typedef struct token_command {
    const char *token, *identity, *subject, *scope, *channel, *group, *output, *issuer, *control;
    bool wildcard, print, json;
    uint64_t life, skew;                        /* nanoseconds */
    uint64_t not_before, depth, generation, at; /* at, generation: UINT64_MAX when not given */
    cli_list roots, floors;
} token_command;

/* Each gives the exit status. */
int token_issue(const token_command *t);
int token_delegate(const token_command *t);
int token_show(const token_command *t);
int token_verify(const token_command *t);
int token_add(const token_command *t);
int token_list(const token_command *t);
int token_revoke(const token_command *t);

/* The chain in t->token. CLI_DONE, or the exit status after saying why. */
int token_load(const token_command *t, rove_token_chain *ret);
/* One chain for people. */
void token_print(const rove_token_chain *c);
/* An option that has to be an entity. False after saying so. */
bool token_entity(const char *option, const char *text, rove_entity *ret);

#endif
