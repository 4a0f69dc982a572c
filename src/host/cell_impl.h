/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a cell, shared by the files that make it up. */
#ifndef ROVEI_HOST_CELL_IMPL_H
#define ROVEI_HOST_CELL_IMPL_H

#include <host/cell.h>
#include <state/horizon.h>

/* One diverted event and who waits for what becomes of it. */
struct rovei_diverted {
    rovei_cell_event event;
    void *waiter;
    bool waiting;
};

typedef struct rovei_state_writer rovei_state_writer;

/* What a freeze needs. Few daemons are frozen at a time, so it is not part of the cell. */
struct rovei_freeze {
    rovei_attempt_id attempt;
    struct rovei_diverted *diverted; /* number n is at n - 1 */
    size_t diverted_count, diverted_room;
    size_t next_thaw, next_waiter; /* below these all are done */
    uint64_t diverted_bytes;
    rovei_state_reader *reader; /* of the frozen state, while there is one */
    uint64_t state_size;
};

struct rovei_cell {
    const rovei_env *env;
    const rove_kind *kind;
    void *instance;
    rovei_keypair *key;
    rovei_cell_state state;
    rove_err aside; /* ASIDE: what local events get */

    /* The chain. The payload of the head lies inside of the outputs that it left with. */
    rove_link head;
    rove_span head_payload;
    rove_buf *head_owner;
    rovei_horizon *horizon; /* NULL before the first event */
    rovei_ledger *ledger;   /* NULL until something is recorded */
    rove_daemon_stats stats;

    struct rovei_freeze *freeze; /* from the freeze until it is thawed or freed */

    /* The state in pieces. */
    rovei_state_reader *readers; /* all that are open */
    rovei_state_writer *writer;  /* NEW: takes the state of another host */
};

/* What a kind is doing when it calls its context. */
typedef enum rovei_doing {
    ROVEI_DOING_PROCESS = 1,
    ROVEI_DOING_SNAPSHOT,
    ROVEI_DOING_RESTORE,
} rovei_doing;

/* The context of one call into a kind. */
typedef struct rovei_frame {
    rove_ctx ctx;
    rovei_cell *cell;
    rovei_doing doing;
    rove_err err;  /* the first that emit or write met */
    rove_buf *buf; /* outputs in their framing, or the state; its size is its room until the end */
    size_t used;
    uint32_t count; /* outputs */
    rove_buf *text;
} rovei_frame;

extern const rove_ctx_ops rovei_ctx_ops;
static inline rovei_frame rovei_frame_of(rovei_cell *c, rovei_doing doing)
{
    return (rovei_frame){.ctx = {&rovei_ctx_ops}, .cell = c, .doing = doing};
}
/* Makes room for `need` more bytes behind `used`. E_NOMEM is kept in the frame. */
rove_err rovei_frame_room(rovei_frame *f, size_t need);
/* Gives the buf at its final size; never NULL for a state, NULL for no outputs. E_NOMEM. */
rove_err rovei_frame_take(rovei_frame *f, rove_buf **ret);
/* Gives the message; one that says at least which code it was when the kind left none. */
rove_buf *rovei_frame_take_text(rovei_frame *f, rove_err returned);
static inline void rovei_frame_fini(rovei_frame *f)
{
    if (f->buf || f->text) {
        rove_buf_unref(f->buf);
        rove_buf_unref(f->text);
        f->buf = f->text = NULL;
    }
}

/* Reads all that is left of a reader at its start; NULL for a stateless kind. E_SNAPSHOT_FAILED,
 * E_NOMEM, E_STALE. */
ROVE_MUST_USE rove_err rovei_state_take(rovei_state_reader *r, rove_buf **ret);
/* Ends all readers; whoever has one finds it stale. */
void rovei_cell_close_readers(rovei_cell *c);
/* Gives a whole state to the instance. E_RESTORE_FAILED, E_TOO_LARGE, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_cell_give_state(rovei_cell *c, rove_span state, rove_buf **ret_text);
/* Ends the writer, all of whose `size` bytes must have come. E_RESTORE_FAILED. */
ROVE_MUST_USE rove_err rovei_cell_restore_end(rovei_cell *c, uint64_t size, rove_buf **ret_text);
void rovei_cell_restore_abandon(rovei_cell *c);

/* The freeze, or an empty one. */
const struct rovei_freeze *rovei_cell_freeze_of(const rovei_cell *c);
/* Closes the reader of the frozen state, if there is one. */
void rovei_cell_close_frozen(rovei_cell *c);
/* Forgets the freeze with the diverted events; their waiters must all have been taken (checked). */
void rovei_cell_reset(rovei_cell *c);

/* Runs one event through the kind and the chain. */
void rovei_cell_run(rovei_cell *c, uint64_t wall, const rovei_cell_event *ev, rovei_applied *ret);

#endif
