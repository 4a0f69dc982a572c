/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of a file as events over the control socket: one line is one event, without its newline;
 * never more under way than the node's credit allows. */
#ifndef ROVEI_CLI_FEED_H
#define ROVEI_CLI_FEED_H

#include "client.h"

/* ---- lines ---- */
typedef struct cli_lines {
    int fd;
    char *bytes;
    size_t at, seen, size, room; /* unread: [at, size); no newline in [at, seen) */
    size_t line_max;
    bool ended; /* the file has ended */
} cli_lines;

void cli_lines_init(cli_lines *l, int fd, size_t line_max);
void cli_lines_free(cli_lines *l);
/* Reads once. OK, also at the end; E_IO, E_NOMEM; E_CANCELLED when a signal came. */
rove_err cli_lines_fill(cli_lines *l);
/* Counts the lines that are left without keeping them: to the end of the file, or as far as there
 * is something to read without waiting, or until `deadline`. */
uint64_t cli_lines_skip(cli_lines *l, uint64_t deadline);
/* The next line, borrowed until the next fill: E_SHORT when more has to be read, E_CLOSED at the
 * end, E_TOO_LARGE above line_max. */
rove_err cli_lines_next(cli_lines *l, rove_span *ret);

/* ---- feeding ---- */
typedef struct cli_feed {
    cli_client *client;
    cli_lines lines;
    uint64_t put;                        /* lines on their way or taken */
    rovei_taken taken;                   /* what the node said last */
    uint64_t stalled;                    /* the longest stall since this was last set to 0 */
    uint32_t sizes[ROVEI_CREDIT_EVENTS]; /* of those under way, by their number */
    size_t bytes;
    bool keep;  /* copies of the lines under way stay here, for a node that has to be sent them
                   again; set right after init */
    char *kept; /* lines [taken.count, put), one behind the other in [kept_at, kept_size) */
    size_t kept_at, kept_size, kept_room;
    bool want_lines; /* the next step is reading the file */
    bool finished;   /* all is put, and FINISH behind it */
    rove_err err;    /* why it stopped: E_TOO_LARGE (line put + 1), E_IO, E_NOMEM */
} cli_feed;

void cli_feed_init(cli_feed *f, cli_client *c, int fd, size_t line_max);
void cli_feed_free(cli_feed *f);
/* Puts what credit and buffers allow; says FINISH at the end. */
void cli_feed_step(cli_feed *f);
/* The lines cannot be read any further: FINISH, and `err` is kept. */
void cli_feed_fail(cli_feed *f, rove_err err);
/* The connection is a new one, and the node has taken so many events: those behind them are put
 * again. With `keep` only. False: the node cannot have taken that many. */
bool cli_feed_again(cli_feed *f, uint64_t taken);
/* A TAKEN frame. False: malformed. */
bool cli_feed_taken(cli_feed *f, rove_span body);

/* ---- what came of it ---- */
typedef struct cli_totals {
    uint64_t sent, applied, errors, refused, unknown, lost;
} cli_totals;
/* Counts one outcome. */
void cli_totals_add(cli_totals *t, const rovei_outcome_head *h);
/* After the end: what has no outcome is unknown. */
void cli_totals_close(cli_totals *t);

#endif
