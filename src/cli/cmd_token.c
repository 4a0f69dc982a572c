/* SPDX-License-Identifier: Apache-2.0
 *
 * rove token: permission tokens, made and judged here, or held and revoked by a node. */
#include "cmd_token.h"

#include <crypto/crypto.h>
#include <string.h>

static const char about[] =
    "issue     Signs a token with --identity for --subject: what --scope says, on\n"
    "          --channel (for workers of one of its queue groups: and --group), or on\n"
    "          every channel with --wildcard. Prints it, or writes it to -o FILE.\n"
    "delegate  Hands the right of a token on to --subject, or the part of it that\n"
    "          --scope names, signed with the --identity of the token's subject.\n"
    "show      Prints what a token says; nothing is judged.\n"
    "verify    Judges it as a node does: whether it lets --subject (else whom it is\n"
    "          for) do --scope on --channel, when the --root is who may give that.\n"
    "add       Gives it to the node, which presents it from then on.\n"
    "ls        The tokens that the node holds, and the floors of issuers.\n"
    "revoke    Makes the node refuse what --issuer signed with a generation below\n"
    "          --generation; or, for TOKEN, what its first issuer signed with the\n"
    "          token's generation or an older one. With --print the floor is only\n"
    "          printed, and no node is asked.\n"
    "\n"
    "TOKEN is a file with a token or a chain of tokens, as bytes or as hex digits; - is\n"
    "standard input.";

static int run(const token_command *t, const cli_operands *operands)
{
    static const struct {
        const char *name;
        int (*run)(const token_command *t);
        bool takes_token;
    } verbs[] = {
        {"issue", token_issue, false},   {"delegate", token_delegate, true},
        {"show", token_show, true},      {"verify", token_verify, true},
        {"add", token_add, true},        {"ls", token_list, false},
        {"revoke", token_revoke, false},
    };
    const char *verb = operands->at[0];
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, verb) != 0)
            continue;
        if (verbs[i].takes_token && !t->token)
            return cli_usage("say which: rove token %s TOKEN", verb);
        if (!verbs[i].takes_token && t->token && verbs[i].run != token_revoke)
            return cli_usage("rove token %s takes no token", verb);
        return verbs[i].run(t);
    }
    return cli_usage("token does not know \"%s\": see rove token --help", verb);
}

int cli_token(int argc, char **argv)
{
    token_command t = {.life = 3600 * ROVE_SECOND, .at = UINT64_MAX, .generation = UINT64_MAX};
    cli_option options[] = {
        {CLI_TEXT, "--identity", "FILE", &t.identity, "who signs"},
        {CLI_TEXT, "--subject", "ENTITY", &t.subject, "whom it is for"},
        {CLI_TEXT, "--scope", "LIST", &t.scope, "of publish,subscribe,admin,delegate,wildcard"},
        {CLI_TEXT, "--channel", "NAME", &t.channel, "the channel"},
        {CLI_TEXT, "--group", "NAME", &t.group, "a queue group of it"},
        {CLI_FLAG, "--wildcard", NULL, &t.wildcard, "every channel"},
        {CLI_SECONDS, "--ttl", "S", &t.life, "how long it holds (3600)"},
        {CLI_NUMBER, "--not-before", "T", &t.not_before, "seconds since 1970 (now)"},
        {CLI_NUMBER, "--depth", "N", &t.depth, "how often it may be handed on (0)"},
        {CLI_NUMBER, "--generation", "N", &t.generation, "of the issuer (0)"},
        {CLI_TEXT, "-o", "FILE", &t.output, "write it there; the file must not be there yet"},
        {CLI_LIST, "--root", "ENTITY", &t.roots, "verify: who may give rights; repeatable"},
        {CLI_LIST, "--floor", "ENTITY=N", &t.floors, "verify: as revoke; repeatable"},
        {CLI_NUMBER, "--at", "T", &t.at, "verify, delegate: judge for that second (now)"},
        {CLI_SECONDS, "--skew", "S", &t.skew, "verify: let clocks differ by so much (0)"},
        {CLI_TEXT, "--issuer", "ENTITY", &t.issuer, "revoke: whose tokens"},
        {CLI_FLAG, "--print", NULL, &t.print, "revoke: only say which floor it takes"},
        {CLI_TEXT, "--control", "PATH", &t.control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &t.json, "JSON objects"},
    };
    cli_syntax syntax = {"token",
                         "issue|delegate|show|verify|add|ls|revoke [TOKEN]",
                         about,
                         options,
                         sizeof options / sizeof options[0],
                         1,
                         2,
                         NULL};
    cli_operands operands;
    int status;
    if (cli_parse(&syntax, argc, argv, &operands, &status)) {
        t.token = operands.count > 1 ? operands.at[1] : NULL;
        status = rovei_crypto_init() ? cli_fail("the crypto library cannot be started")
                                     : run(&t, &operands);
    }
    cli_list_free(&t.roots);
    cli_list_free(&t.floors);
    return status;
}
