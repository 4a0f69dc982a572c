/* SPDX-License-Identifier: Apache-2.0
 *
 * A kind: the class of a daemon. Whoever writes daemons includes this header and nothing else. A
 * kind is a table of functions; it links against no library of ours, since all that it may call
 * comes with the context that each function is handed (rove_emit, rove_write, rove_fail, ...).
 *
 * Promises to a kind:
 *  - The functions of one instance are called one at a time and never from inside of each other;
 *    different instances run in parallel. From call to call an instance may change threads.
 *  - restore (or restore_open) is called at most once, before the first process.
 *  - What process emitted is dropped when it returns an error. Nothing else is undone: a process
 *    that fails half-way has to leave its state as it wants to go on with it.
 *
 * Duties of a kind:
 *  - The state and the outputs follow from the events alone: no clock, no random numbers, nothing
 *    from outside that another node would see differently (rove_event.received_at is given).
 *  - process ends soon (microseconds are the aim): it holds up this daemon and one thread.
 *  - From inside of its functions a kind may call the context's functions, what only works on its
 * arguments (rove_buf_*, rove_strerror and its relatives, rove_limits_*, every _init, _next and
 * _fini), and those calls that say "Re-entry: allowed" in their comment. Every other call answers
 * ROVE_E_REENTRANT there (0 where it returns no rove_err) and does nothing, so a daemon that
 * delivers to itself is an error and never a deadlock. Calls without an answer that would end what
 * is running, a _free or a last _unref, end the program there. */
#ifndef ROVE_KIND_H
#define ROVE_KIND_H

#include <rove/types.h>
#include <stdarg.h>

ROVE_BEGIN_DECLS

/* The number of this interface. It grows with every change that an older kind could not survive;
 * a kind built for another number is refused with ROVE_E_ABI. */
#define ROVE_ABI 1

/* Longest name of a kind. A name has 1 to 64 characters out of A-Z a-z 0-9 . _ - */
#define ROVE_KIND_NAME_MAX 64

/* ---- what a kind's functions may do: the context ---- */

typedef struct rove_ctx rove_ctx;

typedef struct rove_ctx_ops {
    rove_err (*emit)(rove_ctx *ctx, rove_span payload);
    rove_err (*write)(rove_ctx *ctx, rove_span bytes);
    rove_err (*reserve)(rove_ctx *ctx, uint64_t size);
    void (*refuse)(rove_ctx *ctx, const char *format, va_list args);
    const rove_entity *(*entity)(rove_ctx *ctx);
    rove_err (*sign)(rove_ctx *ctx, rove_span message, uint8_t ret_signature[64]);
} rove_ctx_ops;

/* Valid during the call that it is handed to, on that thread. */
struct rove_ctx {
    const rove_ctx_ops *ops;
};

/* From process: one more output, copied. Outputs become links of the daemon's chain in this order
 * when process returns ROVE_OK. Errors, after which process fails whatever it returns:
 * ROVE_E_TOO_LARGE (above event_max, or all outputs of this event above outputs_max),
 * ROVE_E_NOMEM; and ROVE_E_USAGE outside of process. */
static inline rove_err rove_emit(rove_ctx *ctx, rove_span payload)
{
    return ctx->ops->emit(ctx, payload);
}

/* From snapshot: the next bytes of the state, copied. Errors, after which the snapshot fails
 * whatever it returns: ROVE_E_TOO_LARGE (above state_max), ROVE_E_NOMEM; and ROVE_E_USAGE outside
 * of snapshot. */
static inline rove_err rove_write(rove_ctx *ctx, rove_span bytes)
{
    return ctx->ops->write(ctx, bytes);
}

/* From snapshot, optional: about how many bytes are still to be written, so that memory is taken
 * once. Errors as rove_write. */
static inline rove_err rove_reserve(rove_ctx *ctx, uint64_t size)
{
    return ctx->ops->reserve(ctx, size);
}

/* Leaves a message for whoever sent the event (or asked for the snapshot or restore) and gives the
 * error to return: `return rove_fail(ctx, "no such key");`. At most 1,024 bytes are kept; the last
 * message counts. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static inline rove_err
rove_fail(rove_ctx *ctx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ctx->ops->refuse(ctx, format, args);
    va_end(args);
    return ROVE_E_PROCESS;
}

/* Who this daemon is. */
static inline const rove_entity *rove_self(rove_ctx *ctx)
{
    return ctx->ops->entity(ctx);
}

/* Signs with the daemon's key. Errors: ROVE_E_READ_ONLY when only the public half came here. */
static inline rove_err rove_sign(rove_ctx *ctx, rove_span message, uint8_t ret_signature[64])
{
    return ctx->ops->sign(ctx, message, ret_signature);
}

/* ---- what a kind tells about an instance ---- */

typedef enum rove_health {
    ROVE_HEALTHY = 0,
    ROVE_DEGRADED,
    ROVE_UNHEALTHY,
} rove_health;

typedef enum rove_control_kind {
    ROVE_CONTROL_SHUTDOWN = 1,     /* the instance ends after the grace period */
    ROVE_CONTROL_DRAIN_START,      /* it is about to leave */
    ROVE_CONTROL_DRAIN_FINISH,     /* it goes on after all */
    ROVE_CONTROL_BACKPRESSURE_ON,  /* `level` says how hard: 0 to 1 */
    ROVE_CONTROL_BACKPRESSURE_OFF, /* no longer */
} rove_control_kind;

/* Numbers that a kind does not know are to be passed over. */
typedef struct rove_control {
    rove_control_kind kind;
    uint32_t grace_ms; /* SHUTDOWN, DRAIN_START */
    double level;      /* BACKPRESSURE_ON */
} rove_control;

/* ---- the class ---- */

/* All functions run under the promises above. Where an error is returned any code but ROVE_OK will
 * do; ROVE_E_PROCESS (from rove_fail) is the usual one. Pointers marked optional may be NULL. */
typedef struct rove_kind {
    uint32_t abi;     /* ROVE_ABI */
    uint32_t size;    /* sizeof(rove_kind) */
    const char *name; /* static */

    /* Makes an instance. `alloc` outlives it and may be used for all that it needs; `user` is what
     * the kind was registered with. */
    rove_err (*create)(void **ret, const rove_alloc *alloc, void *user);
    /* Frees the instance, whatever state it is in. */
    void (*destroy)(void *self);
    /* Handles one event: change the state, rove_emit zero or more outputs. */
    rove_err (*process)(void *self, rove_ctx *ctx, const rove_event *event);

    /* Optional: rove_write the whole state. Changes nothing, gives the same bytes for the same
     * state. A kind without it is stateless: it has no snapshot, and moves by being made anew. */
    rove_err (*snapshot)(void *self, rove_ctx *ctx);
    /* Optional: take the state of a snapshot, empty ones too; `state` is borrowed. On an error the
     * instance is destroyed. A kind without it accepts empty states, and any when is_stateful. */
    rove_err (*restore)(void *self, rove_ctx *ctx, rove_span state);
    /* Whether there is state that a missing restore may pass over in silence. */
    bool is_stateful;
    /* Optional: process never waits, and is through within microseconds, whatever the event. The
     * node's own thread may then run it, which spares an event that comes from afar two changes of
     * thread. While process runs so, the whole node waits for it. */
    bool is_prompt;

    /* Optional, all or none: the state as a stream, for states that are not to lie in memory twice.
     * Where both forms exist they carry the same bytes.
     *
     * snapshot_open fixes the state as it is now, tells its whole size and gives a stream of it;
     * later events do not change what is read from it. It is to be quick: the daemon stands still
     * meanwhile. snapshot_read gives the next 1..size bytes, 0 once all of the size was read; any
     * other end fails. Several streams may be open at once; while nothing was processed in between,
     * each carries the same bytes. snapshot_close comes once for each, always before destroy; a
     * stream need not have been read to its end. The calls come like all others, one at a time,
     * and in between of them process may run.
     *
     * restore_open is told the whole size, restore_write is given all of it in order, in pieces of
     * any size and up to the first error, and restore_close with complete = true is the point from
     * which the state counts. With complete = false not all came, or it is not wanted: the instance
     * is destroyed next. It comes once for every restore_open that succeeded, also after an error.
     * Until restore_close(true) the daemon's secret may be missing: rove_sign answers
     * ROVE_E_READ_ONLY. Errors: of snapshot_open and restore_close(true) as those of snapshot and
     * restore, with a message; of the others without one. */
    rove_err (*snapshot_open)(void *self, rove_ctx *ctx, uint64_t *ret_size, void **ret_stream);
    rove_err (*snapshot_read)(void *stream, void *room, size_t size, size_t *ret_size);
    void (*snapshot_close)(void *stream);
    rove_err (*restore_open)(void *self, rove_ctx *ctx, uint64_t size, void **ret_stream);
    rove_err (*restore_write)(void *stream, rove_span bytes);
    rove_err (*restore_close)(void *stream, rove_ctx *ctx, bool complete);

    /* Optional: what a node must have (requirements) or should have (preferences) to be chosen for
     * this kind: NULL-terminated arrays of conditions, static. A condition is a tag, or what
     * docs/protocol/placement.md, "Conditions", allows. The first 16 preferences count. */
    const char *const *requirements;
    const char *const *preferences;
    /* Optional: how the instance is; *ret_reason may be set to a static string. Missing = healthy.
     */
    rove_health (*health)(void *self, const char **ret_reason);
    /* Optional: 0 idle to 1 full. Missing = 0. */
    double (*saturation)(void *self);
    /* Optional: something happens around the instance. */
    void (*control)(void *self, const rove_control *control);
} rove_kind;

/* The one symbol that a shared object with a kind exports. */
typedef const rove_kind *rove_kind_main_fn(void);
#define ROVE_KIND_MAIN_NAME "rove_kind_main"

/* A kind that is built into a program gets another name for it: -DROVE_KIND_MAIN=my_kind. */
#ifndef ROVE_KIND_MAIN
#define ROVE_KIND_MAIN rove_kind_main
#endif

/* Defines and exports a kind: ROVE_KIND("echo", .create = ..., .destroy = ..., .process = ...) */
#define ROVE_KIND(kind_name, ...)                                                                  \
    ROVE_API const rove_kind *ROVE_KIND_MAIN(void);                                                \
    const rove_kind *ROVE_KIND_MAIN(void)                                                          \
    {                                                                                              \
        static const rove_kind kind = {                                                            \
            .abi = ROVE_ABI, .size = sizeof(rove_kind), .name = (kind_name), __VA_ARGS__};         \
        return &kind;                                                                              \
    }

ROVE_END_DECLS

#endif
