/* SPDX-License-Identifier: Apache-2.0
 *
 * What the commands of the program share: the table of commands, option parsing, messages, lines of
 * JSON, and names of things as people write them. */
#ifndef ROVEI_CLI_CLI_H
#define ROVEI_CLI_CLI_H

#include <json-c/json.h>
#include <rove/types.h>
#include <stdio.h>

/* Exit statuses; docs: `rove --help`. */
enum {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_REFUSED = 3,
    CLI_UNKNOWN = 4,
    CLI_STILL_MOVING = 5,
    CLI_INTERRUPTED = 130,
};

/* ---- commands ---- */
typedef struct cli_command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the command itself */
} cli_command;
/* One file each; the table is in main.c. */
int cli_psk(int argc, char **argv);
int cli_id(int argc, char **argv);
int cli_node(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_connect(int argc, char **argv);
int cli_drain(int argc, char **argv);
int cli_kinds(int argc, char **argv);
int cli_nodes(int argc, char **argv);
int cli_caps(int argc, char **argv);
int cli_peers(int argc, char **argv);
int cli_why(int argc, char **argv);
int cli_ps(int argc, char **argv);
int cli_snapshot(int argc, char **argv);
int cli_backup(int argc, char **argv);
int cli_restore(int argc, char **argv);
int cli_spawn(int argc, char **argv);
int cli_expect(int argc, char **argv);
int cli_send(int argc, char **argv);
int cli_migrate(int argc, char **argv);
int cli_moves(int argc, char **argv);
int cli_cancel(int argc, char **argv);
int cli_stop(int argc, char **argv);
int cli_token(int argc, char **argv);
int cli_channel(int argc, char **argv);
int cli_pub(int argc, char **argv);
int cli_sub(int argc, char **argv);
int cli_subscribe(int argc, char **argv);
int cli_unsubscribe(int argc, char **argv);
int cli_demo(int argc, char **argv);

/* ---- options ---- */
typedef enum cli_option_kind {
    CLI_FLAG,    /* bool */
    CLI_TEXT,    /* const char * */
    CLI_LIST,    /* cli_list: may be given several times */
    CLI_SECONDS, /* uint64_t, nanoseconds */
    CLI_NUMBER,  /* uint64_t */
} cli_option_kind;

typedef struct cli_list {
    const char **items; /* NULL behind the last; NULL when there is none */
    size_t count;
} cli_list;
void cli_list_free(cli_list *l);

typedef struct cli_option {
    cli_option_kind kind;
    const char *name;  /* "--json" */
    const char *value; /* how the help calls its value; NULL for a flag */
    void *at;          /* where the value goes; untouched when the option is not given */
    const char *help;
} cli_option;

typedef struct cli_syntax {
    const char *command;  /* "psk new" */
    const char *operands; /* "KIND ORIGIN", or "" */
    const char *about;    /* what it does, lines of text */
    const cli_option *options;
    size_t option_count;
    size_t least, most; /* operands, at most CLI_OPERANDS */
    void (*more)(void); /* prints further help, or NULL */
} cli_syntax;

#define CLI_OPERANDS 4
typedef struct cli_operands {
    const char *at[CLI_OPERANDS];
    size_t count;
} cli_operands;

/* True: go on. False: the command ends with *ret_status (help was printed, or an error). */
bool cli_parse(const cli_syntax *s, int argc, char **argv, cli_operands *ret, int *ret_status);

void cli_version(void);

/* ---- messages ---- */
/* "rove: " and a sentence on standard error; gives CLI_FAILED. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and gives CLI_USAGE. */
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* CLI_FAILED with what to do about a key file that cannot be used. */
int cli_fail_file(const char *what, const char *path, rove_err err);

/* ---- lines of JSON on standard output ---- */
/* Prints `object` as one line at once and frees it. */
void cli_json(json_object *object);
/* Prints a line of JSON that a node has said. */
void cli_json_line(rove_span text);
json_object *cli_json_hex(const void *bytes, size_t size);
json_object *cli_json_id(uint64_t id); /* "0x..." */
/* Milliseconds with three decimals. */
json_object *cli_json_ms(double milliseconds);
/* The fields of an answer: NULL, 0, when absent or null. */
const char *cli_text(json_object *o, const char *name);
uint64_t cli_u64(json_object *o, const char *name);
double cli_double(json_object *o, const char *name);
/* For people: the text of a field, "-" where it is null. */
const char *cli_show(json_object *o, const char *name);

/* ---- names ---- */
bool cli_parse_entity(const char *text, rove_entity *ret); /* 64 hex digits */
bool cli_parse_id(const char *text, uint64_t *ret);        /* "0x" and up to 16 hex digits */
bool cli_parse_seconds(const char *text, uint64_t *ret);   /* to nanoseconds */
bool cli_parse_u64(const char *text, uint64_t *ret);
/* An operand that is an entity or a 0x id; usage error with `what` otherwise. */
bool cli_check_name(const char *what, const char *text, int *ret_status);
/* ENTITY@HOST:PORT: *ret_address points into `text`. A usage error that names `option` otherwise.
 */
bool cli_check_peer(const char *option, const char *text, rove_entity *ret,
                    const char **ret_address, int *ret_status);

uint64_t cli_now(void); /* monotonic nanoseconds */

#endif
