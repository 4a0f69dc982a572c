/* SPDX-License-Identifier: Apache-2.0
 *
 * Senders: a queue of events towards the loop thread, which feeds them to the core as far as its
 * window goes, and a queue of outcomes back. Numbers are given here, in the order in which the core
 * will count. Each event is one node from its sending to the pulling of its outcome, so an outcome
 * never needs memory; what is outstanding or not pulled is bounded by the window. */
#include <base/buf.h>
#include <base/check.h>
#include <errno.h>
#include <host/runtime.h>
#include <host/thread.h>
#include <rove/sender.h>
#include <shell/call.h>
#include <time.h>

struct node {
    struct node *next; /* in the queue of events, then in that of outcomes */
    rove_buf *payload; /* until the core has it */
    size_t size;
    rove_sent sent;
};

struct queue {
    struct node *first, **end;
    size_t count;
};

struct rove_sender {
    rove_node *node;
    const rovei_env *env;
    uint64_t id;
    rove_sent_fn *sent;
    void *user;
    size_t window; /* events */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* room, or an outcome */
    struct queue events;    /* not yet given to the core */
    struct queue outcomes;  /* not yet pulled */
    struct node **open;     /* by number modulo the window: without an outcome */
    uint64_t number;        /* of the last event taken */
    size_t open_count;
    uint64_t open_bytes;
    struct node end;    /* ENDED needs no memory either */
    struct node *spare; /* for LOST and its like, when memory is refused just then */
    bool closing, ended, pulled_end, posted;

    /* The loop thread's. */
    rovei_task task;
    bool stalled, close_told;
};

static void push(struct queue *q, struct node *n)
{
    if (!q->first)
        q->end = &q->first;
    n->next = NULL;
    *q->end = n;
    q->end = &n->next;
    q->count++;
}

static struct node *pop(struct queue *q)
{
    struct node *n = q->first;
    if (n) {
        q->first = n->next;
        q->count--;
    }
    return n;
}

static void node_free(rove_sender *s, struct node *n)
{
    rove_buf_unref(n->payload);
    rove_sent_fini(&n->sent);
    if (n != &s->end)
        ROVEI_DELETE(&s->env->alloc, n);
}

/* ---- outcomes ---- */

bool rove_sent_next(const rove_sent *sent, size_t *it, rove_link *ret_link, rove_span *ret_payload)
{
    return rovei_frames_next(sent->outputs, it, ret_link, ret_payload);
}

void rove_sent_fini(rove_sent *sent)
{
    rove_buf_unref(sent->owner);
    *sent = (rove_sent){0};
}

/* 0 for notes that are no outcomes. */
static rove_outcome_kind kind_of(rovei_note_kind note)
{
    switch (note) {
    case ROVEI_NOTE_APPLIED:
        return ROVE_SENT_APPLIED;
    case ROVEI_NOTE_REFUSED:
        return ROVE_SENT_REFUSED;
    case ROVEI_NOTE_UNKNOWN:
        return ROVE_SENT_UNKNOWN;
    case ROVEI_NOTE_LOST:
        return ROVE_SENT_LOST;
    case ROVEI_NOTE_UNREACHABLE:
        return ROVE_SENT_UNREACHABLE;
    case ROVEI_NOTE_REACHED:
        return ROVE_SENT_REACHED;
    case ROVEI_NOTE_SENDER_ENDED:
        return ROVE_SENT_ENDED;
    case ROVEI_NOTE_SPAWNED:
    case ROVEI_NOTE_MOVE:
    case ROVEI_NOTE_MOVE_ENDED:
    case ROVEI_NOTE_ROOM:
    case ROVEI_NOTE_PEER:
    case ROVEI_NOTE_HANDSHAKE_TIME:
    case ROVEI_NOTE_FORCED:
        break;
    }
    return (rove_outcome_kind)0;
}

/* Takes the event's node out of the window. Under the lock. */
static struct node *close_event(rove_sender *s, uint64_t number)
{
    struct node **slot = &s->open[number % s->window];
    struct node *n = *slot;
    if (!n || n->sent.number != number)
        return NULL;
    *slot = NULL;
    s->open_count--;
    s->open_bytes -= n->size;
    return n;
}

/* The node that carries an outcome to whoever pulls it. Under the lock. */
static struct node *node_for(rove_sender *s, const rove_sent *sent)
{
    if (sent->kind == ROVE_SENT_APPLIED || sent->kind == ROVE_SENT_REFUSED ||
        sent->kind == ROVE_SENT_UNKNOWN)
        return close_event(s, sent->number);
    if (sent->kind == ROVE_SENT_ENDED)
        return &s->end;
    struct node *n = ROVEI_NEW(&s->env->alloc, struct node);
    if (!n) {
        n = s->spare;
        s->spare = NULL; /* the next send has to bring another */
    }
    return n;
}

static void keep(rove_sender *s, struct node *n, const rove_sent *sent)
{
    rove_buf *owner = rove_buf_ref(sent->owner);
    n->sent = *sent;
    n->sent.owner = owner;
    push(&s->outcomes, n);
}

static void outcome(rove_sender *s, const rove_sent *sent)
{
    pthread_mutex_lock(&s->lock);
    struct node *n = node_for(s, sent);
    if (sent->kind == ROVE_SENT_ENDED)
        s->ended = true;
    if (n && !s->sent)
        keep(s, n, sent);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (!s->sent)
        return;
    s->sent(s->user, sent);
    if (n)
        node_free(s, n);
}

/* ---- loop thread ---- */

static struct node *next_event(rove_sender *s)
{
    pthread_mutex_lock(&s->lock);
    struct node *n = s->events.first;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static void post(rove_sender *s)
{
    if (!s->posted) {
        s->posted = true;
        rovei_postbox_post(rovei_node_postbox(s->node), &s->task);
    }
}

/* Offers one event to the core; false: not now. */
static bool offer(rove_sender *s, rovei_node *core, rovei_now now, struct node *n)
{
    uint64_t given = 0;
    rove_err err = rovei_node_sender_send(core, now, s->id, n->payload, &given);
    if (err == ROVE_E_WINDOW) {
        s->stalled = true; /* until the note of room */
        return false;
    }
    pthread_mutex_lock(&s->lock);
    if (err == ROVE_E_NOMEM) {
        post(s);
        pthread_mutex_unlock(&s->lock);
        return false;
    }
    (void)pop(&s->events);
    uint64_t number = n->sent.number;
    rove_buf_unref(n->payload);
    n->payload = NULL;
    pthread_mutex_unlock(&s->lock);
    ROVEI_CHECK(err || given == number);
    if (err) /* the core has ended this sender */
        outcome(s, &(rove_sent){.kind = ROVE_SENT_REFUSED, .number = number, .err = err});
    return true;
}

static void feed(rove_sender *s, rovei_node *core, rovei_now now)
{
    struct node *n;
    while (!s->stalled && (n = next_event(s)))
        if (!offer(s, core, now, n))
            return;
    pthread_mutex_lock(&s->lock);
    bool close = s->closing && !s->events.first && !s->close_told;
    pthread_mutex_unlock(&s->lock);
    if (close) {
        s->close_told = true;
        rovei_node_sender_close(core, now, s->id, false);
    }
}

static void run_feed(rovei_task *task, rovei_node *core, rovei_now now)
{
    rove_sender *s = ROVEI_CONTAINER(task, rove_sender, task);
    pthread_mutex_lock(&s->lock);
    s->posted = false;
    pthread_mutex_unlock(&s->lock);
    feed(s, core, now);
}

static void take_note(void *user, rovei_node *core, rovei_now now, const rovei_note *note)
{
    rove_sender *s = user;
    if (note->kind == ROVEI_NOTE_ROOM) {
        s->stalled = false;
        feed(s, core, now);
        return;
    }
    rove_sent sent = {.kind = kind_of(note->kind),
                      .number = note->number,
                      .last = note->value,
                      .err = note->err,
                      .output_count = note->output_count,
                      .outputs = note->outputs,
                      .text = note->text,
                      .owner = note->owner};
    if (sent.kind)
        outcome(s, &sent);
}

/* ---- opening and freeing ---- */

struct open_call {
    rove_sender *sender;
    const rove_entity *daemon;
    rove_err err;
};

static void open_here(void *arg, rovei_node *core, rovei_now now)
{
    struct open_call *c = arg;
    rove_sender *s = c->sender;
    c->err = rovei_node_sender_open(core, now, c->daemon, &s->id);
    if (c->err)
        return;
    c->err = rovei_node_route_sender(s->node, s->id, take_note, s);
    if (c->err)
        rovei_node_sender_close(core, now, s->id, true);
}

static void sender_delete(rove_sender *s)
{
    const rove_alloc *a = &s->env->alloc;
    for (struct node *n; (n = pop(&s->outcomes));)
        node_free(s, n);
    for (size_t i = 0; i < s->window; i++) /* those still in the queue are open as well */
        if (s->open[i])
            node_free(s, s->open[i]);
    if (s->spare)
        node_free(s, s->spare);
    rovei_free(a, s->open, s->window * sizeof(struct node *));
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    ROVEI_DELETE(a, s);
}

static rove_sender *sender_new(rove_node *node, const rove_sender_config *cfg)
{
    const rovei_env *env = rovei_node_env(node);
    rove_sender *s = ROVEI_NEW(&env->alloc, rove_sender);
    if (!s)
        return NULL;
    s->window = (size_t)env->limits.lane_events;
    s->open = rovei_calloc(&env->alloc, s->window, sizeof(struct node *));
    if (!s->open) {
        ROVEI_DELETE(&env->alloc, s);
        return NULL;
    }
    s->node = node;
    s->env = env;
    s->sent = cfg ? cfg->sent : NULL;
    s->user = cfg ? cfg->user : NULL;
    s->task.run = run_feed;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    return s;
}

rove_err rove_sender_open(rove_sender **ret, rove_node *node, const rove_entity *daemon,
                          const rove_sender_config *cfg)
{
    if (!ret || !node || !daemon)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    if (cfg && cfg->struct_version != ROVE_SENDER_CONFIG_VERSION)
        return ROVE_E_STRUCT_VERSION;
    rove_sender *s = sender_new(node, cfg);
    if (!s)
        return ROVE_E_NOMEM;
    struct open_call c = {.sender = s, .daemon = daemon};
    rovei_node_call(node, open_here, &c);
    if (c.err) {
        sender_delete(s);
        return c.err;
    }
    *ret = s;
    return ROVE_OK;
}

static void end_here(void *arg, rovei_node *core, rovei_now now)
{
    rove_sender *s = arg;
    rovei_node_unroute_sender(s->node, s->id);
    rovei_node_sender_close(core, now, s->id, true);
}

void rove_sender_free(rove_sender *s)
{
    if (!s)
        return;
    /* In order: after the task, if that is on its way. */
    ROVEI_CHECK(!rovei_node_in_turn(s->node) && !rovei_thread_is_inside());
    rovei_node_call_in_order(s->node, end_here, s);
    sender_delete(s);
}

/* ---- sending ---- */

static bool has_room(const rove_sender *s, size_t size)
{
    uint64_t most = s->env->limits.lane_bytes;
    if (s->open_count + s->outcomes.count >= s->window || s->open[(s->number + 1) % s->window])
        return false;
    return s->open_count == 0 || (size <= most && s->open_bytes <= most - size);
}

static rove_err await_room(rove_sender *s, size_t size, bool wait)
{
    while (!s->closing && !has_room(s, size)) {
        if (!wait)
            return ROVE_E_WINDOW;
        if (rovei_node_on_loop(s->node) || rovei_thread_is_inside())
            return ROVE_E_WOULD_BLOCK;
        pthread_cond_wait(&s->changed, &s->lock);
    }
    return s->closing ? ROVE_E_CLOSED : ROVE_OK;
}

static void take_event(rove_sender *s, struct node *n, uint64_t *ret_number)
{
    n->sent.number = ++s->number;
    s->open[s->number % s->window] = n;
    s->open_count++;
    s->open_bytes += n->size;
    push(&s->events, n);
    post(s);
    if (ret_number)
        *ret_number = s->number;
}

rove_err rove_sender_send(rove_sender *s, rove_span payload, bool wait, uint64_t *ret_number)
{
    if (!s || (payload.size && !payload.data))
        return ROVE_E_USAGE;
    if (payload.size > s->env->limits.event_max)
        return ROVE_E_TOO_LARGE;
    struct node *n = ROVEI_NEW(&s->env->alloc, struct node);
    if (!n)
        return ROVE_E_NOMEM;
    n->size = payload.size;
    n->payload = rovei_buf_copy(&s->env->alloc, payload.data, payload.size);
    if (!n->payload) {
        node_free(s, n);
        return ROVE_E_NOMEM;
    }
    pthread_mutex_lock(&s->lock);
    rove_err err = await_room(s, payload.size, wait);
    if (err == ROVE_OK && !s->spare && !(s->spare = ROVEI_NEW(&s->env->alloc, struct node)))
        err = ROVE_E_NOMEM;
    if (err == ROVE_OK)
        take_event(s, n, ret_number);
    pthread_mutex_unlock(&s->lock);
    if (err)
        node_free(s, n);
    return err;
}

/* False when the time is up. */
static bool await_change(rove_sender *s, uint64_t deadline)
{
    if (deadline == ROVE_TIME_NEVER)
        return pthread_cond_wait(&s->changed, &s->lock) == 0;
    struct timespec t = {.tv_sec = (time_t)(deadline / ROVE_SECOND),
                         .tv_nsec = (long)(deadline % ROVE_SECOND)};
    return pthread_cond_timedwait(&s->changed, &s->lock, &t) != ETIMEDOUT;
}

rove_err rove_sender_next(rove_sender *s, uint64_t timeout_ns, rove_sent *ret)
{
    if (!s || !ret || s->sent)
        return ROVE_E_USAGE;
    if (timeout_ns && (rovei_node_on_loop(s->node) || rovei_thread_is_inside()))
        return ROVE_E_WOULD_BLOCK;
    uint64_t deadline = rovei_time_add(rovei_clock_now().mono, timeout_ns);
    rove_err err = ROVE_OK;
    pthread_mutex_lock(&s->lock);
    while (!s->outcomes.first && err == ROVE_OK) {
        if (s->pulled_end)
            err = ROVE_E_CLOSED;
        else if (!timeout_ns || !await_change(s, deadline))
            err = s->outcomes.first ? ROVE_OK : ROVE_E_TIMED_OUT;
    }
    if (err == ROVE_OK) {
        struct node *n = pop(&s->outcomes);
        *ret = n->sent;
        n->sent = (rove_sent){0};
        if (ret->kind == ROVE_SENT_ENDED)
            s->pulled_end = true;
        node_free(s, n);
        pthread_cond_broadcast(&s->changed); /* there is room again */
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

void rove_sender_close(rove_sender *s)
{
    pthread_mutex_lock(&s->lock);
    if (!s->closing) {
        s->closing = true;
        post(s);
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
}
