/* SPDX-License-Identifier: Apache-2.0
 *
 * The host: daemons on one side, the core on the other. Its parts and who may touch them:
 *
 *   loop thread       cells, spawns, moves waited for, the burst of mailboxes to be scheduled
 *   under `lock`      lifecycle changes, kinds and factory entries
 *   lock-free         registry lookups, the list of finished work
 *   a daemon's runner its cell
 *
 * Core work travels as: effect -> job in the daemon's mailbox -> a runner -> list of finished work,
 * in the order of each cell -> completion on the loop thread. */
#ifndef ROVEI_HOST_HOST_H
#define ROVEI_HOST_HOST_H

#include <base/alloc.h>
#include <base/list.h>
#include <host/cell.h>
#include <host/factory.h>
#include <host/mailbox.h>
#include <host/observers.h>
#include <host/registry.h>
#include <host/thread.h>
#include <host/workers.h>
#include <rove/runtime.h>
#include <shell/node.h>
#include <string.h>

typedef enum rovei_life { /* the numbers are never changed: they are looked at without a lock */
                          ROVEI_LIFE_REGISTERING = 0,
                          ROVEI_LIFE_READY = 1,
                          ROVEI_LIFE_SHUTTING_DOWN = 2,
} rovei_life;

#define ROVEI_MAILBOX_LOCKS 64

struct rovei_host {
    rove_node *node;
    const rovei_env *env;
    const rove_alloc *alloc; /* = &env->alloc */
    rove_policy policy;
    rove_move_fn *told; /* of all moves; or NULL */
    void *told_user;
    rovei_registry registry;
    rovei_observers observers;
    rovei_workers workers;
    rovei_mailbox_shared mailboxes[ROVEI_MAILBOX_LOCKS];
    atomic_uint next_mailbox; /* the daemons share them in turn */
    rovei_rcu_bin bin;        /* residents whose last reader may not be through yet */

    pthread_mutex_t lock;
    atomic_int life;      /* changed under the lock */
    atomic_bool cordoned; /* takes no daemons in; changed by the loop thread */
    atomic_bool announce; /* what it takes in may have changed */
    rovei_factory factory;
    rovei_pendings pendings; /* its calls with a completion */

    /* The loop thread's. */
    rovei_map cells; /* number -> resident */
    uint64_t next_cell, next_request;
    rovei_list subscribing;    /* orders to channels whose note has not come */
    rovei_list spawns;         /* rovei_spawning whose note has not come */
    rovei_list spawns_away;    /* those that other nodes were asked for */
    rovei_list waits;          /* rovei_move_wait */
    rovei_list move_watches;   /* those who are told of moves */
    struct rovei_drain *drain; /* the one that is under way; or NULL */
    rovei_list endings;        /* rovei_ending: told when the last daemon is gone */
    rovei_mailbox *burst, **burst_end;
    size_t burst_count;
    bool turning;    /* inside of a turn: what is done now is finished by it */
    bool answered;   /* the core was given completions since its last turn */
    bool sweep;      /* shutdown: end what the core did not end */
    size_t unlisted; /* activated residents that still have to get into the registry */

    _Atomic(struct rovei_work *) done; /* newest first */
    rovei_task done_task, kick_task;
    atomic_bool kicked;
    atomic_bool done_posted; /* done_task is in the postbox */
};

/* One copy of a daemon here. References: `cells`, the registry, each queued or waiting user, each
 * stay in a worker's queue. */
typedef struct rovei_resident {
    rovei_entry entry;
    rovei_rcu_retired retired;
    rovei_mailbox mailbox;
    atomic_uint refs;
    rove_err ended; /* the runner's: what local events get once it is gone */
    struct rovei_host *host;
    uint64_t number;
    rovei_made_of made_of;
    bool publishes;          /* its outputs go to a channel; does not change once it serves */
    atomic_size_t emissions; /* its host/emission.h that are under way */
    /* The runner's. */
    rovei_cell *cell; /* NULL before the restore and after the end */
    /* The loop thread's. */
    rovei_keypair *key;
    bool activated, committed, aside, forgotten, unlisted;
    bool held; /* the runner's role is kept by a spawn that is not settled */
} rovei_resident;

/* E_NOMEM. One reference, the caller's; a reference to `key` is taken. */
ROVE_MUST_USE rove_err rovei_resident_new(rovei_resident **ret, struct rovei_host *h,
                                          const rove_entity *entity, rovei_keypair *key,
                                          const rovei_made_of *made_of);
extern const rovei_mailbox_ops rovei_resident_mailbox_ops;
rovei_resident *rovei_resident_hold(rovei_resident *r);
void rovei_resident_drop(rovei_resident *r);
bool rovei_resident_hold_entry(rovei_entry *e);
void rovei_resident_drop_entry(rovei_entry *e);
/* By origin, with a reference. E_NOT_FOUND, or E_MOVED for a daemon that has left. */
ROVE_MUST_USE rove_err rovei_host_resident(struct rovei_host *h, uint64_t origin,
                                           rovei_resident **ret);
/* Why there is nobody at this origin. */
rove_err rovei_host_missing(struct rovei_host *h, uint64_t origin);

/* Calls `fn` with the daemon's cell while nobody else has it. The errors of rovei_host_resident,
 * E_STALE, E_WOULD_BLOCK (somebody has it, and this is the loop thread), what `fn` returns. */
typedef rove_err rovei_with_cell_fn(void *arg, rovei_cell *cell);
ROVE_MUST_USE rove_err rovei_host_with_cell(struct rovei_host *h, uint64_t origin,
                                            rovei_with_cell_fn *fn, void *arg);

/* Adds a job and sees to it that somebody runs the mailbox. Threads: any. */
void rovei_resident_put(rovei_resident *r, rovei_job *job);

/* The same as a call with a completion: begins with the daemon's cell had on a worker. */
typedef struct rovei_visit {
    rovei_pending pending;
    rovei_job job;
    rovei_resident *resident;
    rovei_with_cell_fn *fn;
    void *arg;
    void (*tell)(struct rovei_visit *v); /* on the loop thread, with `err` */
    rove_err err;
} rovei_visit;
/* E_NOT_FOUND, E_MOVED: it was not begun. */
ROVE_MUST_USE rove_err rovei_host_visit(struct rovei_host *h, uint64_t origin, rovei_visit *v);

/* ---- host.c ---- */
extern const rovei_host_ops rovei_host_ops_table;
ROVE_MUST_USE rove_err rovei_host_init(struct rovei_host *h, rove_node *node,
                                       const rove_runtime_config *cfg);
/* After the last resident is gone and the node has let go of it. */
void rovei_host_fini(struct rovei_host *h);
/* The lifecycle gate: OK in READY, else E_NOT_READY or E_SHUTTING_DOWN. */
static inline rove_err rovei_host_gate(const struct rovei_host *h)
{
    int life = atomic_load_explicit(&h->life, memory_order_acquire);
    if (life == ROVEI_LIFE_READY)
        return ROVE_OK;
    return life == ROVEI_LIFE_REGISTERING ? ROVE_E_NOT_READY : ROVE_E_SHUTTING_DOWN;
}
/* E_REENTRANT inside of a daemon, else OK. */
static inline rove_err rovei_host_outside(void)
{
    return rovei_thread_is_inside() ? ROVE_E_REENTRANT : ROVE_OK;
}
/* As above, and E_WOULD_BLOCK on the loop thread and on workers. */
rove_err rovei_host_may_wait(const struct rovei_host *h);
/* As above, but the thread that drives the node may outside of its turn: it drives until all is
 * done. */
rove_err rovei_host_may_drive(const struct rovei_host *h);
/* Adds a resident to `cells`, with a reference, or takes it out. Loop thread. */
ROVE_MUST_USE rove_err rovei_host_admit(struct rovei_host *h, rovei_resident *r);
void rovei_host_dismiss(struct rovei_host *h, rovei_resident *r);
/* The turn that is coming will look after what was scheduled. */
void rovei_host_schedule(struct rovei_host *h, rovei_mailbox *m);
/* Makes sure that the loop has another turn. Threads: any. */
void rovei_host_kick(struct rovei_host *h);
/* What others hear of this runtime may have changed: the next turn looks. Any thread, while the
 * runtime is not shutting down. */
void rovei_host_announce_later(struct rovei_host *h);
/* The turn's part of it. Loop thread. */
void rovei_host_announce(struct rovei_host *h, rovei_node *core, rovei_now now);

/* ---- work.c: core work ---- */
typedef struct rovei_work {
    rovei_job job;
    struct rovei_work *done_next;
    rovei_resident *resident; /* one reference */
    /* On the loop thread, in order: hands in the completion, if there is one, and frees. */
    void (*finish)(struct rovei_work *w, rovei_node *core, rovei_now now);
} rovei_work;
/* Puts work of one's own into its daemon's mailbox; `finish` is called once, in any case. Loop
 * thread. */
void rovei_work_put(rovei_work *w);
/* Does work that lies on the caller's stack: it is finished when this returns. Loop thread. */
void rovei_work_by_hand(rovei_work *w, rovei_node *core, rovei_now now);
/* An effect about one cell. */
void rovei_work_begin(rovei_resident *r, rovei_node *core, rovei_now now, rovei_effect *e);
/* Tells its kind that something happens around it, at this point of its order. Loop thread. */
void rovei_work_tell(rovei_resident *r, const rove_control *control);
/* Ends a resident as FORGET does. */
void rovei_work_forget(rovei_resident *r, rovei_node *core, rovei_now now, rove_err err);
/* `key` for a resident whose state was written in pieces; NULL: it has its key. */
void rovei_work_restore(rovei_resident *r, rovei_node *core, rovei_now now, rovei_effect *e,
                        rovei_keypair *key, bool key_is_ours);
void rovei_work_open_state(rovei_resident *r, rovei_node *core, rovei_now now,
                           const rovei_effect *e);
/* Finished: to be given to the loop. Threads: any (the runner). */
void rovei_work_done(rovei_work *w);
/* Finishes all that is done; true when there was something. Loop thread. */
bool rovei_work_finish(struct rovei_host *h, rovei_node *core, rovei_now now);
/* A completion that is no answer to a job of its own. NULL: out of memory. */
typedef struct rovei_report rovei_report;
rovei_report *rovei_report_new(rovei_resident *r);
void rovei_report_free(rovei_report *report);
rovei_completion *rovei_report_completion(rovei_report *report);
void rovei_report_send(rovei_report *report);

/* ---- apply.c: events that came over a lane; the effect's `owner` may be taken over ---- */
void rovei_work_apply(rovei_resident *r, rovei_node *core, rovei_now now, rovei_effect *e);

/* ---- life.c: the end ---- */
typedef struct rovei_ending {
    rovei_list all;
    void (*gone)(struct rovei_ending *e); /* the loop thread's; the ending is its owner's again */
} rovei_ending;
/* Tells those who wait that the last daemon is gone, if it is. Loop thread. */
void rovei_host_tell_endings(struct rovei_host *h);

/* ---- deliver.c: waiters of diverted events ---- */
/* Ends one: `err` is what the call returns. What `applied` holds (NULL: nothing) is taken over.
 * `event` (NULL: it was not applied here) was received at `wall`. For the runner of `r`. */
void rovei_deliver_end(rovei_resident *r, void *waiter, rove_err err, rovei_applied *applied,
                       const rovei_cell_event *event, uint64_t wall);

/* ---- arrivals.c: what the core asks before and when a daemon comes ---- */
void rovei_host_ask(struct rovei_host *h, rovei_node *core, rovei_now now, const rovei_effect *e);
void rovei_host_ask_place(struct rovei_host *h, rovei_node *core, rovei_now now,
                          const rovei_effect *e);
void rovei_host_restore(struct rovei_host *h, rovei_node *core, rovei_now now, rovei_effect *e);
void rovei_host_open_state(struct rovei_host *h, rovei_node *core, rovei_now now,
                           const rovei_effect *e);
/* It serves from now on: into the registry, and into the factory for its return. */
void rovei_host_activated(struct rovei_host *h, rovei_resident *r);
/* Those that memory was refused to. */
void rovei_host_list_again(struct rovei_host *h);
/* It ends here: out of the registry; one that was given away may come back. */
void rovei_host_unlist(struct rovei_host *h, rovei_resident *r, rove_err err);

/* Policy's word, on what `preset` would say by itself. */
bool rovei_host_allows(const struct rovei_host *h, const rovei_effect *e, const char *kind,
                       bool preset);

/* ---- spawn_there.c: of and for other nodes ---- */
void rovei_host_spawn_for(struct rovei_host *h, rovei_node *core, rovei_now now,
                          const rovei_effect *e);
void rovei_host_spawned_there(struct rovei_host *h, const rovei_note *note);
void rovei_host_end_spawns_away(struct rovei_host *h);

/* ---- subscribe.c ---- */
void rovei_host_subscribed(struct rovei_host *h, rovei_node *core, rovei_now now,
                           const rovei_note *note);
void rovei_host_end_subscribing(struct rovei_host *h);

/* ---- spawn.c, moves.c: notes ---- */
void rovei_host_spawned(struct rovei_host *h, rovei_node *core, rovei_now now,
                        const rovei_note *note);
void rovei_host_end_spawns(struct rovei_host *h, rovei_node *core, rovei_now now);
void rovei_host_move_phase(struct rovei_host *h, rovei_node *core, rovei_now now,
                           const rovei_note *note);
void rovei_host_move_ended(struct rovei_host *h, rovei_node *core, rovei_now now,
                           const rovei_note *note);
void rovei_host_end_waits(struct rovei_host *h, rove_err err);

#endif
