/* SPDX-License-Identifier: Apache-2.0
 *
 * Options and operands of a command, and its help. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#ifndef ROVE_VERSION
#define ROVE_VERSION "unknown"
#endif

void cli_list_free(cli_list *l)
{
    free(l->items);
    *l = (cli_list){0};
}

static void help(const cli_syntax *s)
{
    printf("Usage: rove %s%s%s%s\n\n%s\n", s->command, s->option_count ? " [OPTION]..." : "",
           *s->operands ? " " : "", s->operands, s->about);
    printf("\nOptions:\n");
    for (size_t i = 0; i < s->option_count; i++) {
        const cli_option *o = &s->options[i];
        char left[48];
        snprintf(left, sizeof left, "%s%s%s", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        printf("  %-24s%s%s\n", left, strlen(left) > 23 ? "\n                          " : "",
               o->help);
    }
    printf("  %-24s%s\n", "--help", "this text");
    if (s->more)
        s->more();
}

static bool add_item(cli_list *l, const char *item)
{
    const char **items = realloc(l->items, (l->count + 2) * sizeof *items);
    if (!items)
        return false;
    l->items = items;
    l->items[l->count++] = item;
    l->items[l->count] = NULL;
    return true;
}

/* Stores a value; the exit status, CLI_DONE when it is good. */
static int take_value(const cli_syntax *s, const cli_option *o, const char *value)
{
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)o->at = true;
        return CLI_DONE;
    case CLI_TEXT:
        *(const char **)o->at = value;
        return CLI_DONE;
    case CLI_LIST:
        return add_item(o->at, value) ? CLI_DONE : cli_fail("out of memory");
    case CLI_SECONDS:
        if (cli_parse_seconds(value, o->at))
            return CLI_DONE;
        return cli_usage("%s takes seconds, such as 10 or 0.5, not \"%s\": see rove %s --help",
                         o->name, value, s->command);
    case CLI_NUMBER:
        if (cli_parse_u64(value, o->at))
            return CLI_DONE;
        return cli_usage("%s takes a number, not \"%s\": see rove %s --help", o->name, value,
                         s->command);
    }
    return CLI_USAGE;
}

/* The option that `arg` names; *ret_value is what stands behind "=", or NULL. */
static const cli_option *find(const cli_syntax *s, const char *arg, const char **ret_value)
{
    const char *equals = strchr(arg, '=');
    size_t size = equals ? (size_t)(equals - arg) : strlen(arg);
    for (size_t i = 0; i < s->option_count; i++) {
        const cli_option *o = &s->options[i];
        if (strlen(o->name) == size && memcmp(o->name, arg, size) == 0) {
            *ret_value = equals ? equals + 1 : NULL;
            return o;
        }
    }
    return NULL;
}

/* One option at argv[*i]. */
static int take_option(const cli_syntax *s, int argc, char **argv, int *i)
{
    const char *value = NULL;
    const cli_option *o = find(s, argv[*i], &value);
    if (!o)
        return cli_usage("%s does not know the option \"%s\": see rove %s --help", s->command,
                         argv[*i], s->command);
    if (o->kind == CLI_FLAG && value)
        return cli_usage("%s takes no value: see rove %s --help", o->name, s->command);
    if (o->kind != CLI_FLAG && !value) {
        if (*i + 1 >= argc)
            return cli_usage("%s needs a value (%s): see rove %s --help", o->name, o->value,
                             s->command);
        value = argv[++*i];
    }
    return take_value(s, o, value);
}

void cli_version(void)
{
    printf("rove %s\n", ROVE_VERSION);
}

bool cli_parse(const cli_syntax *s, int argc, char **argv, cli_operands *ret, int *ret_status)
{
    bool options = true;
    *ret = (cli_operands){0};
    *ret_status = CLI_DONE;
    for (int i = 1; i < argc; i++) {
        if (options && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            help(s);
            return false;
        }
        if (options && strcmp(argv[i], "--version") == 0) {
            cli_version();
            return false;
        }
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            *ret_status = take_option(s, argc, argv, &i);
            if (*ret_status != CLI_DONE)
                return false;
        } else if (ret->count == s->most) {
            *ret_status = cli_usage("\"%s\" is one operand too many: see rove %s --help", argv[i],
                                    s->command);
            return false;
        } else {
            ret->at[ret->count++] = argv[i];
        }
    }
    if (ret->count < s->least) {
        *ret_status =
            cli_usage("an operand is missing (%s): see rove %s --help", s->operands, s->command);
        return false;
    }
    return true;
}
