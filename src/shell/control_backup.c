/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots over the control socket: out of the node in pieces, as fast as the client reads, and
 * into it in pieces, as fast as the node takes them. The node itself opens no file. */
#include <crypto/crypto.h>
#include <identity/entity.h>
#include <inttypes.h>
#include <shell/control_load.h>
#include <shell/files.h>
#include <stdio.h>
#include <string.h>

/* Room that the common format needs besides the state: its head, its tail, subscriptions. */
#define RAW_BESIDES ((uint64_t)16 << 20)

bool control_state_admit(connection *c)
{
    size_t held = 0;
    ROVEI_LIST_EACH (it, next, &c->control->connections)
        held += ROVEI_CONTAINER(it, connection, all)->holds_state;
    c->holds_state = held < STATES_MAX;
    if (!c->holds_state)
        control_end(c, ROVE_E_FULL,
                    "too many states are being read or brought back just now: ask again later");
    return c->holds_state;
}

/* ---- out ---- */

static void take_state(job *j)
{
    j->err = rove_runtime_snapshot(j->runtime, j->daemon, &j->snapshot, &j->failure);
    if (!j->err)
        rovei_outflow_of_state(&j->out, j->snapshot);
}

static void take_raw(job *j)
{
    j->err = rove_runtime_snapshot(j->runtime, j->daemon, &j->snapshot, &j->failure);
    if (!j->err)
        j->err = rovei_outflow_init(&j->out, j->snapshot, true);
}

static void out_drop(job *j)
{
    rovei_outflow_fini(&j->out);
    rove_snapshot_unref(j->snapshot);
    rove_detail_fini(&j->failure);
}

/* What people are told in the place of an error's own sentence. */
typedef struct advice {
    rove_err err;
    const char *text;
} advice;

static const char *advised(const advice *list, size_t count, rove_err err)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].err == err)
            return list[i].text;
    return rove_strerror(err);
}

/* Ends the request with this sentence and, where there is one, the kind's own message. */
static void end_with_message(connection *c, rove_err err, const char *sentence,
                             const rove_detail *d)
{
    char text[1300];
    rove_span why = d ? rove_buf_span(d->text) : (rove_span){NULL, 0};
    if (!why.size) {
        control_end(c, err, sentence);
        return;
    }
    snprintf(text, sizeof text, "%s: %.*s", sentence, (int)why.size, (const char *)why.data);
    control_end(c, err, text);
}

static const advice out_advice[] = {
    {ROVE_E_MOVED, "the daemon lives on another node: ask that one (see rove ps)"},
    {ROVE_E_ALREADY_MIGRATING, "the daemon is being moved: ask again when that has ended"},
    {ROVE_E_STALE, "the daemon has left or ended before all of it was read: ask again, where it "
                   "lives (see rove ps)"},
    {ROVE_E_SNAPSHOT_SIZE, "the state is too large for the bare format: leave --raw away"},
    {ROVE_E_PUBLIC_KEY, "nothing can be sealed for that entity: it is no key"},
    {ROVE_E_NO_IMAGE, "nothing can be sealed for that entity: it is no key that a node can have"},
    {ROVE_E_READ_ONLY, "the daemon's key is not on this node: it cannot be sealed for another"},
};

static void end_out(connection *c, rove_err err, const rove_detail *d)
{
    end_with_message(c, err, advised(out_advice, sizeof out_advice / sizeof out_advice[0], err), d);
}

static void announce(connection *c, const rove_snapshot *s, uint64_t bytes)
{
    rove_snapshot_info info = rove_snapshot_get_info(s);
    json_object *o = json_object_new_object();
    control_add(o, "origin", control_id(rovei_entity_origin(&info.entity)));
    control_add(o, "entity", control_hex(info.entity.bytes, sizeof info.entity.bytes));
    control_add(o, "kind", info.backup ? control_text(info.kind) : NULL);
    control_add(o, "epoch", info.backup ? control_u64(info.epoch) : NULL);
    control_add(o, "sequence", control_u64(info.through_seq));
    control_add(o, "bytes", control_u64(bytes));
    control_add(o, "sealed", json_object_new_boolean(info.sealed));
    control_say(c, o);
}

static void out_finish(job *j, rovei_node *core, rovei_now now)
{
    (void)core;
    (void)now;
    connection *c = j->connection;
    if (j->err) {
        end_out(c, j->err, &j->failure);
        return;
    }
    if (j->work == take_raw)
        announce(c, j->snapshot, j->out.size);
    if (c->closing)
        return;
    c->awaits = false;
    c->snapshot = j->snapshot;
    c->out = j->out;
    j->snapshot = NULL;
    j->out = (rovei_outflow){0};
    c->mode = MODE_STATE;
    control_state_more(c);
}

void control_state_drop(connection *c)
{
    rovei_backup_stream_end(c->stream);
    c->stream = NULL;
    rovei_outflow_fini(&c->out);
    rove_snapshot_unref(c->snapshot);
    c->snapshot = NULL;
}

/* The next piece; an empty one at the end. E_BUSY: it will come. */
static rove_err next_piece(connection *c, rove_span *ret)
{
    if (c->stream)
        return rovei_backup_stream_next(c->stream, ret);
    *ret = (rove_span){NULL, 0};
    (void)rovei_outflow_next(&c->out, ROVEI_SNAPSHOT_PIECE, ret);
    return ROVE_OK;
}

void control_state_more(connection *c)
{
    while (!c->closing && rovei_channel_queued(&c->channel) < OUT_HIGH) {
        rove_span piece;
        rove_err err = next_piece(c, &piece);
        c->awaits = err == ROVE_E_BUSY;
        if (c->awaits)
            return;
        if (err || !piece.size) {
            if (err && c->stream)
                end_out(c, err, rovei_backup_stream_detail(c->stream));
            else
                control_end_err(c, err);
            control_state_drop(c);
            return;
        }
        if (rovei_channel_put(&c->channel, ROVEI_FRAME_BYTES, piece, (rove_span){NULL, 0}))
            control_close(c);
    }
}

static void stream_ready(void *user, rovei_node *core, rovei_now now)
{
    connection *c = user;
    (void)core;
    (void)now;
    if (!c->announced && rovei_backup_stream_size(c->stream))
        announce(c, rovei_backup_stream_snapshot(c->stream), rovei_backup_stream_size(c->stream));
    c->announced = true;
    if (!c->closing)
        control_state_more(c);
    control_leave(c);
}

static void begin_stream(connection *c, rovei_node *core, json_object *request)
{
    rove_entity entity, recipient;
    const char *sealed_for = control_field(request, "sealed_for");
    if (sealed_for &&
        (strlen(sealed_for) != 64 ||
         !rovei_hex_decode(sealed_for, 64, recipient.bytes, sizeof recipient.bytes))) {
        control_end(c, ROVE_E_USAGE, "it is sealed for an entity: 64 hex digits");
        return;
    }
    if (!control_daemon(c, core, request, &entity) || !control_state_admit(c))
        return;
    rove_err err =
        rovei_backup_stream_new(&c->stream, c->control->runtime, rovei_entity_origin(&entity),
                                sealed_for ? &recipient : NULL, stream_ready, c);
    c->announced = false;
    c->awaits = true;
    if (err)
        end_out(c, err, NULL);
    else
        c->mode = MODE_STATE;
}

static void begin_out(connection *c, rovei_node *core, json_object *request,
                      void (*work)(struct job *j))
{
    rove_entity entity;
    if (!control_daemon(c, core, request, &entity) || !control_state_admit(c))
        return;
    job *j = control_job_new(c);
    if (!j)
        return;
    j->daemon.origin = rovei_entity_origin(&entity);
    j->work = work;
    j->finish = out_finish;
    j->drop = out_drop;
    control_job_start(j);
}

void control_state(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)now;
    begin_out(c, core, request, take_state);
}

void control_snapshot(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)now;
    if (control_flag(request, "raw"))
        begin_out(c, core, request, take_raw);
    else
        begin_stream(c, core, request);
}

/* ---- in ---- */

void control_load_free(struct control_load *l)
{
    if (!l)
        return;
    if (l->raw)
        rove_buf_unref(l->bytes);
    else
        rovei_intake_fini(&l->in);
    ROVEI_DELETE(l->alloc, l);
}

bool control_load_begin(connection *c, json_object *request, const char *format, job *j)
{
    const rovei_env *env = rovei_node_env(c->control->node);
    json_object *size = NULL;
    if (!control_state_admit(c))
        return false;
    struct control_load *l = ROVEI_NEW(c->control->alloc, struct control_load);
    rove_err err = l ? ROVE_OK : ROVE_E_NOMEM;
    if (l) {
        l->alloc = c->control->alloc;
        l->raw = strcmp(format, "raw") == 0;
    }
    if (!err && !l->raw && strcmp(format, "container") == 0) {
        rovei_intake_init(&l->in, &env->alloc, &env->limits);
    } else if (!err && l->raw && json_object_object_get_ex(request, "size", &size)) {
        uint64_t bytes = json_object_get_uint64(size);
        if (bytes > rovei_time_add(env->limits.state_max, RAW_BESIDES) || bytes > SIZE_MAX / 2)
            err = ROVE_E_TOO_LARGE;
        else if (!(l->bytes = rovei_buf_alloc(&env->alloc, (size_t)bytes)))
            err = ROVE_E_NOMEM;
    } else if (!err) {
        err = ROVE_E_USAGE;
    }
    if (err) {
        if (l)
            l->raw = true; /* nothing else is in it */
        control_load_free(l);
        control_end_err(c, err);
        return false;
    }
    j->load = l;
    c->loading = j;
    c->mode = MODE_LOAD;
    return true;
}

static rove_err take_raw_bytes(struct control_load *l, rove_span bytes)
{
    if (bytes.size > rovei_buf_size(l->bytes) - l->have)
        return ROVE_E_TRAILING;
    if (bytes.size)
        memcpy(rovei_buf_data(l->bytes) + l->have, bytes.data, bytes.size);
    l->have += bytes.size;
    return ROVE_OK;
}

void control_load_drop(connection *c)
{
    if (c->loading)
        control_job_free(c->loading);
    c->loading = NULL;
}

void control_load_frame(connection *c, uint8_t type, rove_span body)
{
    struct control_load *l = c->loading->load;
    rove_err err = ROVE_OK;
    if (type == ROVEI_FRAME_FINISH) {
        job *j = c->loading;
        c->loading = NULL;
        control_job_start(j);
        return;
    }
    err = l->raw ? take_raw_bytes(l, body) : rovei_intake_add(&l->in, body);
    if (err) {
        control_load_drop(c);
        control_load_end(c, err, NULL);
    }
}

rove_err control_load_snapshot(struct control_load *l, rove_snapshot **ret)
{
    if (l->raw)
        return l->have < rovei_buf_size(l->bytes) ? ROVE_E_SHORT
                                                  : rovei_snapshot_of_buf(ret, l->bytes, l->alloc);
    rove_err err = rovei_intake_end(&l->in);
    return err ? err : rovei_snapshot_of_intake(ret, &l->in);
}

#define DAMAGED "the snapshot is damaged or not complete: take another one"
static const advice in_advice[] = {
    {ROVE_E_SHORT, DAMAGED},
    {ROVE_E_TRAILING, DAMAGED},
    {ROVE_E_BOUND, DAMAGED},
    {ROVE_E_FLAG, DAMAGED},
    {ROVE_E_FORMAT, DAMAGED},
    {ROVE_E_MAGIC, DAMAGED},
    {ROVE_E_BINDINGS, DAMAGED},
    {ROVE_E_SNAPSHOT_DIGEST, DAMAGED},
    {ROVE_E_SNAPSHOT_ORIGIN, DAMAGED},
    {ROVE_E_SNAPSHOT_SEQUENCE, DAMAGED},
    {ROVE_E_SNAPSHOT_ENVELOPE, DAMAGED},
    {ROVE_E_ENVELOPE_SIGNER, DAMAGED},
    {ROVE_E_ENVELOPE_ATTEST, DAMAGED},
    {ROVE_E_IDENTITY_MISSING, "the snapshot holds no key: say the daemon's identity with "
                              "--identity FILE"},
    {ROVE_E_ENVELOPE_OPEN, "the snapshot's key is sealed for another node: bring the daemon back "
                           "there, or say its identity with --identity FILE"},
    {ROVE_E_VERSION, "the snapshot was written by another version of rove, or is damaged"},
    {ROVE_E_TOO_LARGE, "the snapshot's state is above this node's limit: start the node with "
                       "--set state_max=SIZE"},
    {ROVE_E_LANE_LIMIT, "the snapshot has more lanes than this node lets a daemon have: start the "
                        "node with larger lanes_per_daemon and lanes_per_sender"},
};

void control_load_end(connection *c, rove_err err, const job *j)
{
    char text[300];
    if (err == ROVE_E_SNAPSHOT_KIND && j && j->snapshot) {
        snprintf(text, sizeof text, "the snapshot is of a daemon of the kind %s: say rove spawn %s",
                 rove_snapshot_get_info(j->snapshot).kind,
                 rove_snapshot_get_info(j->snapshot).kind);
        control_end(c, err, text);
    } else if (err == ROVE_E_SNAPSHOT_IDENTITY && j) {
        snprintf(text, sizeof text,
                 "the snapshot is of the daemon 0x%" PRIx64
                 ", and the identity is another one's, 0x%" PRIx64,
                 j->failure.expected, j->failure.got);
        control_end(c, err, text);
    } else {
        end_with_message(c, err, advised(in_advice, sizeof in_advice / sizeof in_advice[0], err),
                         j ? &j->failure : NULL);
    }
}
