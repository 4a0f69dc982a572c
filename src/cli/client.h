/* SPDX-License-Identifier: Apache-2.0
 *
 * The program's end of the control socket. */
#ifndef ROVEI_CLI_CLIENT_H
#define ROVEI_CLI_CLIENT_H

#include "cli.h"

#include <shell/control_frame.h>

typedef struct cli_client {
    rovei_channel channel;
    rove_err end;        /* of the frame END, once it has come */
    char end_text[1100]; /* and what it says */
    uint64_t patience;   /* the node may be silent for so long, in an answer; 0: for ever */
} cli_client;

/* Where the control socket is: `given`, or what the environment says. */
const char *cli_control_path(const char *given, char *room, size_t size);
/* Connects. CLI_DONE, or CLI_FAILED after saying why (unless `quiet`). */
int cli_client_open(cli_client *c, const char *path, bool quiet);
void cli_client_close(cli_client *c);

/* What becomes of the objects of an answer: with `json` they are printed as they are, else each
 * goes to `show` (or NULL). */
typedef void cli_show_fn(void *user, json_object *object);
typedef struct cli_printing {
    bool json;
    cli_show_fn *show;
    void *user;
} cli_printing;
int cli_printing_take(void *printing, uint8_t type, rove_span body);

/* Queues a request; `request` is freed. False: out of memory. */
bool cli_client_request(cli_client *c, json_object *request);
bool cli_client_put(cli_client *c, uint8_t type, rove_span body);

/* Queues the seed in an identity file for the request that follows: an exit status. */
int cli_client_put_seed(cli_client *c, const char *identity_file);

/* Waits until something can be read, or written where something is queued; moves the bytes. OK,
 * E_TIMED_OUT, E_CANCELLED (interrupted by a signal that was handled), E_CLOSED, E_IO. */
rove_err cli_client_pump(cli_client *c, uint64_t deadline);
/* The same for an answer, with the client's patience: E_TIMED_OUT when nothing moved in all that
 * time. */
rove_err cli_client_await(cli_client *c);
/* The next frame that has come, or E_SHORT. END is kept in the client and also given out. */
rove_err cli_client_next(cli_client *c, uint8_t *ret_type, rove_span *ret_body);

/* Parses the body of a JSON frame; NULL when it is none. */
json_object *cli_client_json(rove_span body);

/* Follows an answer to its end: gives each frame before it to `take`. Whenever none has come,
 * `idle` (or NULL) may queue what is to follow the request; *ret_again: without waiting for the
 * node. Both give CLI_DONE, or the exit status at which it is left. Gives the exit status; on an
 * error says `what` went wrong and why. */
typedef int cli_take_fn(void *user, uint8_t type, rove_span body);
typedef int cli_idle_fn(void *user, cli_client *c, bool *ret_again);
int cli_client_follow(cli_client *c, cli_take_fn *take, cli_idle_fn *idle, void *user,
                      const char *what);

/* The common course: one request, each object of the answer to `show`, then the end. With `json`
 * the objects are printed as they are. Gives the exit status; on an error says `what` went wrong
 * and why. */
int cli_client_ask(const char *control, json_object *request, bool json, cli_show_fn *show,
                   void *user, const char *what);
/* The same over a connection that stands already. */
int cli_client_converse(cli_client *c, json_object *request, bool json, cli_show_fn *show,
                        void *user, const char *what);
/* Says that the answer has ended without an end, because of `err`. */
int cli_client_lost(const cli_client *c, rove_err err, const char *what);
/* Says why the node refused. */
int cli_client_fail(const cli_client *c, const char *what);

/* A request with this command. */
json_object *cli_request(const char *command);
void cli_add_text(json_object *o, const char *name, const char *value);

#endif
