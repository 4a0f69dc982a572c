/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the control socket share. Everything here belongs to the loop thread, but for
 * the inside of a job while it runs. */
#ifndef ROVEI_SHELL_CONTROL_INSIDE_H
#define ROVEI_SHELL_CONTROL_INSIDE_H

#include <base/list.h>
#include <host/backup.h>
#include <json-c/json.h>
#include <pthread.h>
#include <shell/control.h>
#include <shell/control_frame.h>
#include <shell/loop.h>

#define CONNECTIONS_MAX 256
#define STATES_MAX      16 /* that go out or come in at a time: each may lie in memory as a whole */
#define OUT_HIGH        ((size_t)4 << 20) /* above it a connection is given no more work */

struct rovei_control {
    rove_node *node;
    rove_runtime *runtime;
    const rove_alloc *alloc;
    const rovei_control_kind *kinds;
    size_t kind_count;
    void (*peer_changed)(void *user, const rovei_peer_info *peer);
    void (*forced)(void *user, const rove_entity *daemon, const rove_entity *holder,
                   uint64_t epoch);
    void (*aside)(void *user, const rove_entity *daemon, const rove_entity *holder, uint64_t epoch);
    void *user;
    int fd;
    char path[108];
    rovei_list connections;
    size_t count;
    rovei_list sendings; /* of clients that are connected */
    rovei_list left;     /* of clients that may come back; who left first stands first */
    int timer_fd;        /* for the first of `left` */
    bool closed;         /* nobody can come back any more */
    size_t jobs;         /* threads under way */
    pthread_mutex_t lock;
    pthread_cond_t idle;  /* jobs has become 0 */
    pthread_cond_t moved; /* `moves` has grown, or `ending` */
    uint64_t moves;       /* notes of moves that went on */
    bool ending;          /* jobs wait no longer */
};

/* What a connection is busy with. */
typedef enum connection_mode {
    MODE_IDLE,
    MODE_JOB,     /* a thread of its own makes a call that blocks */
    MODE_SEND,    /* events go into a lane */
    MODE_MOVE,    /* follows a move */
    MODE_STATE,   /* a state or snapshot goes out in pieces, or is about to */
    MODE_LOAD,    /* a snapshot comes in, in pieces */
    MODE_PUBLISH, /* events go to a channel */
    MODE_LISTEN,  /* events come from a channel */
} connection_mode;

typedef struct connection {
    rovei_list all;
    rovei_control *control;
    rovei_channel channel;
    connection_mode mode;
    uint32_t watched; /* epoll's events */
    bool closing;     /* no longer in the list; freed when its job and its task have ended */
    bool eof;
    bool clogged;     /* frames and events may wait until the client has read */
    bool holds_state; /* counts against STATES_MAX, until its request ends */
    uint8_t seed[32];
    bool has_seed;

    /* MODE_SEND, and until the client has confirmed the last outcome */
    struct sending *sending;
    rovei_task resume; /* writes, and goes on with the lane, once per burst of notes */
    bool resuming;

    struct control_publishing *publishing; /* MODE_PUBLISH */
    struct control_listening *listening;   /* MODE_LISTEN */

    /* MODE_MOVE */
    rovei_attempt_id attempt;
    rovei_phase phase;
    rove_entity daemon, target;
    uint64_t ordered; /* monotonic */
    bool detail;
    bool met;     /* the target's session has been waited for */
    bool aborted; /* the client's time was up before the move began */

    /* MODE_STATE */
    rove_snapshot *snapshot;
    rovei_outflow out;
    rovei_backup_stream *stream; /* in the place of the two above */
    bool announced;              /* what the stream is of was said */
    bool awaits;                 /* the stream says when it has more */

    struct job *loading; /* MODE_LOAD: who waits for it */

    struct job *job;
} connection;

/* ---- answers; what does not fit into memory closes the connection ---- */
void control_say(connection *c, json_object *object); /* frees it */
void control_end(connection *c, rove_err err, const char *text);
/* control_end with the error's own sentence. */
void control_end_err(connection *c, rove_err err);
/* Closes; control_leave frees. */
void control_close(connection *c);
/* Writes, and tells the loop what to watch. */
void control_flush(connection *c);
/* The last thing that everything does which the loop calls for a connection: flushes, and frees one
 * that was closed meanwhile. */
void control_leave(connection *c);
/* The same, soon and once for several: for those who are told one thing after the other. */
void control_resume_later(connection *c);
/* A connection that keeps its answers back is given no more to do until it takes them. */
bool control_is_clogged(const connection *c);

/* One peer as clients see it. */
json_object *control_peer(const rovei_peer_info *peer);
json_object *control_id(uint64_t id);
json_object *control_hex(const void *bytes, size_t size);
json_object *control_attempt(const rovei_attempt_id *a);
json_object *control_text(const char *text); /* NULL gives null */
json_object *control_u64(uint64_t v);
/* Durations with three decimals. */
json_object *control_s(uint64_t nanoseconds);
json_object *control_ms(uint64_t nanoseconds);
json_object *control_us(uint64_t nanoseconds);
/* An error as scripts see it: its name in lower case without E_; null for OK. */
json_object *control_reason(rove_err err);
/* With what the peer said of it, where it said something. */
json_object *control_move_reason(const rovei_move_info *info);
void control_add(json_object *o, const char *name, json_object *value);

/* ---- requests: each ends the request, at once or later ---- */
typedef void control_fn(connection *c, rovei_node *core, rovei_now now, json_object *request);
control_fn control_status, control_peers, control_ps, control_moves, control_send_begin,
    control_migrate, control_cancel, control_spawn, control_stop, control_expect, control_unexpect,
    control_state, control_snapshot, control_where, control_wait_peer, control_connect,
    control_kinds, control_token_add, control_tokens, control_revoke, control_drain,
    control_undrain, control_nodes, control_caps, control_why, control_channel_create,
    control_channel_remove, control_channels, control_publish_begin, control_listen_begin,
    control_subscribe, control_unsubscribe;
/* What a node has announced, as `rove nodes` lists it. */
struct rovei_index_entry;
json_object *control_announced(const struct rovei_index_entry *e, rovei_now now);
/* What a daemon here is subscribed to. */
json_object *control_feeds(const rovei_node *core, const rove_entity *daemon);

/* The daemon that a request names by entity or origin; ends the request when there is none. */
bool control_daemon(connection *c, rovei_node *core, json_object *request, rove_entity *ret);
/* The node that it names as "to", by entity or node id, among the peers and this node itself. */
bool control_to(connection *c, rovei_node *core, json_object *request, rove_entity *ret);
const char *control_field(json_object *request, const char *name); /* NULL when absent */
bool control_flag(json_object *request, const char *name);
bool control_parse_id(const char *text, uint64_t *ret);

/* ---- sending (control_send.c, control_clients.c) ---- */
void control_send_frame(connection *c, rovei_node *core, rovei_now now, uint8_t type,
                        rove_span body);
void control_send_room(connection *c, rovei_node *core, rovei_now now);
/* The client has these outcomes. */
void control_send_confirm(connection *c, rovei_node *core, rovei_now now, rove_span body);
/* The connection ends, or turns to something else. */
void control_sending_leave(connection *c, rovei_node *core, rovei_now now);
void control_sendings_free(rovei_control *control, rovei_node *core, rovei_now now);
rovei_watch_fn control_clients_expire;

/* ---- publishing (control_publish.c) ---- */
void control_publish_frame(connection *c, rovei_node *core, rovei_now now, uint8_t type,
                           rove_span body);
/* Publishes what has come so far, if anything has. */
void control_publish_go_on(connection *c, rovei_node *core, rovei_now now);
/* There is no room for what has come, so nothing more is read. */
bool control_publish_stalled(const connection *c);
void control_publish_room(rovei_control *control, rovei_node *core, rovei_now now, rove_span name);
void control_publish_leave(connection *c);

/* ---- listening (control_listen.c) ---- */
/* The client has read what was kept back. */
void control_listen_room(connection *c, rovei_now now);
/* It wants no more. */
void control_listen_finish(connection *c, rovei_now now);
void control_listen_leave(connection *c, rovei_now now);

/* ---- states and snapshots (control_backup.c) ---- */
/* Room for one more; false: there is none, and the request has ended. */
bool control_state_admit(connection *c);
/* Puts further pieces, as many as may be queued. */
void control_state_more(connection *c);
/* The client is gone. */
void control_state_drop(connection *c);

/* ---- moves (control_move.c) ---- */
void control_move_note(rovei_control *control, rovei_node *core, rovei_now now,
                       const rovei_note *note);
void control_move_abort(connection *c, rovei_node *core, rovei_now now);

#endif
