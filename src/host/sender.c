/* SPDX-License-Identifier: Apache-2.0
 *
 * Senders: events towards the loop thread, which feeds them to the core as far as its window goes,
 * and outcomes back. Numbers are given here, in the order in which the core will count. Events are
 * copied side by side into chunks that the loop takes whole; outcomes come in the same order, those
 * of many events in one entry of a ring, which has its room before their events are taken. So what
 * is outstanding or not pulled is bounded by the window, and an outcome never needs memory. */
#include <base/alloc.h>
#include <base/buf.h>
#include <base/check.h>
#include <base/cursor.h>
#include <errno.h>
#include <host/runtime.h>
#include <host/sender_impl.h>
#include <host/thread.h>
#include <rove/sender.h>
#include <shell/call.h>
#include <string.h>
#include <time.h>

#define SMALL_MAX   4096u  /* a larger event has a buffer of its own */
#define CHUNK_FIRST 256u   /* least room of a chunk; each is twice as large as the one before it, */
#define CHUNK_MAX   16384u /* up to this, until the loop takes them */
#define LENGTH_SIZE 4u

/* ---- chunks ---- */

static void chunks_init(struct chunks *q)
{
    q->first = q->last = NULL;
    q->end = &q->first;
}

static void chunks_push(struct chunks *q, struct chunk *c)
{
    c->next = NULL;
    *q->end = c;
    q->end = &c->next;
    q->last = c;
}

static void chunk_free(const rovei_env *env, struct chunk *c)
{
    rove_buf_unref(c->buf);
    ROVEI_DELETE(&env->alloc, c);
}

static void chunks_pop(struct chunks *q, const rovei_env *env)
{
    struct chunk *c = q->first;
    q->first = c->next;
    if (!q->first)
        chunks_init(q);
    chunk_free(env, c);
}

static struct chunk *chunk_new(const rovei_env *env, size_t room)
{
    struct chunk *c = ROVEI_NEW(&env->alloc, struct chunk);
    if (c)
        c->buf = rovei_buf_alloc(&env->alloc, room);
    if (c && !c->buf) {
        ROVEI_DELETE(&env->alloc, c);
        return NULL;
    }
    return c;
}

/* Copies a small event behind those before it. Under the lock. */
static rove_err put_small(rove_sender *s, rove_span payload)
{
    struct chunk *c = s->chunks.last;
    size_t need = LENGTH_SIZE + payload.size;
    if (!c || !c->used || rovei_buf_size(c->buf) - c->used < need) {
        size_t room = s->chunk_room > need ? s->chunk_room : need;
        c = chunk_new(s->env, room);
        if (!c)
            return ROVE_E_NOMEM;
        s->chunk_room = room < CHUNK_MAX / 2 ? room * 2 : CHUNK_MAX;
        chunks_push(&s->chunks, c);
    }
    uint8_t *at = rovei_buf_data(c->buf) + c->used;
    rovei_store32(at, (uint32_t)payload.size);
    if (payload.size)
        memcpy(at + LENGTH_SIZE, payload.data, payload.size);
    c->used += need;
    return ROVE_OK;
}

/* ---- outcomes ---- */

bool rove_sent_next(const rove_sent *sent, size_t *it, rove_link *ret_link, rove_span *ret_payload)
{
    return rovei_frames_next(sent->outputs, it, ret_link, ret_payload);
}

void rove_sent_fini(rove_sent *sent)
{
    if (!sent)
        return;
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
    case ROVEI_NOTE_ASIDE:
    case ROVEI_NOTE_CHANNEL_ROOM:
    case ROVEI_NOTE_SUBSCRIBED:
    case ROVEI_NOTE_UNSUBSCRIBED:
    case ROVEI_NOTE_PUBLISHED:
    case ROVEI_NOTE_FEED_GAP:
    case ROVEI_NOTE_FEED_ENDED:
    case ROVEI_NOTE_SPAWNED_THERE:
        break;
    }
    return (rove_outcome_kind)0;
}

static void post(rove_sender *s)
{
    if (!s->posted) {
        s->posted = true;
        rovei_postbox_post(rovei_node_postbox(s->node), &s->task);
    }
}

void rovei_sender_unlock(rove_sender *s)
{
    bool waiting = s->waiting;
    s->waiting = false;
    if (s->later)
        post(s);
    pthread_mutex_unlock(&s->lock);
    if (waiting)
        pthread_cond_broadcast(&s->changed);
}

/* Events `first` to `last` leave the window: false when they are not the next ones. Under the lock.
 */
static bool settle(rove_sender *s, uint64_t first, uint64_t last)
{
    if (first != s->settled + 1 || last < first || last > s->number)
        return false;
    for (; s->settled < last; s->settled++)
        s->open_bytes -= s->sizes[(s->settled + 1) % s->window];
    return true;
}

/* True for what only says that events were applied. */
static bool is_plain(const rove_sent *sent)
{
    return sent->kind == ROVE_SENT_APPLIED && !sent->err && !sent->owner;
}

static struct entry *entry_at(rove_sender *s, size_t i)
{
    return &s->entries[(s->entry_first + i) & (s->entry_room - 1)];
}

/* Room for the outcomes of all open events, for `more`, and for two words about the lane. Under the
 * lock. */
static rove_err reserve(rove_sender *s, size_t more)
{
    size_t need = s->entry_count + (size_t)(s->number - s->settled) + more + 2;
    if (need <= s->entry_room)
        return ROVE_OK;
    size_t room = s->entry_room ? s->entry_room * 2 : 8;
    while (room < need)
        room *= 2;
    struct entry *entries = rovei_calloc(&s->env->alloc, room, sizeof *entries);
    if (!entries)
        return ROVE_E_NOMEM;
    for (size_t i = 0; i < s->entry_count; i++)
        entries[i] = *entry_at(s, i);
    rovei_free(&s->env->alloc, s->entries, s->entry_room * sizeof *entries);
    s->entries = entries;
    s->entry_room = room;
    s->entry_first = 0;
    return ROVE_OK;
}

/* Under the lock. */
static void keep(rove_sender *s, const rove_sent *sent, uint64_t last)
{
    struct entry *before = s->entry_count ? entry_at(s, s->entry_count - 1) : NULL;
    if (before && is_plain(&before->sent) && is_plain(sent) && before->last + 1 == sent->number) {
        before->last = last;
        return;
    }
    ROVEI_CHECK(s->entry_count < s->entry_room);
    struct entry *e = entry_at(s, s->entry_count++);
    *e = (struct entry){*sent, last};
    e->sent.owner = rove_buf_ref(sent->owner);
}

static bool is_of_events(const rove_sent *sent)
{
    return sent->kind == ROVE_SENT_APPLIED || sent->kind == ROVE_SENT_REFUSED ||
           sent->kind == ROVE_SENT_UNKNOWN;
}

/* Whether it is to be told. Of the lane, one that finds no room is not: the counters have it. Under
 * the lock. */
static bool note_it(rove_sender *s, const rove_sent *sent, uint64_t last)
{
    if (is_of_events(sent))
        return settle(s, sent->number, last);
    if (sent->kind == ROVE_SENT_ENDED) {
        s->ended = true;
        return true;
    }
    return s->sent || reserve(s, 1) == ROVE_OK ||
           s->entry_count + (size_t)(s->number - s->settled) + 2 <= s->entry_room;
}

/* What became of the events `sent->number` to `last`. Loop thread. */
static void outcome(rove_sender *s, const rove_sent *sent, uint64_t last)
{
    pthread_mutex_lock(&s->lock);
    bool good = note_it(s, sent, last);
    if (good && !s->sent) {
        keep(s, sent, last);
        if (is_of_events(sent))
            s->unpulled += last - sent->number + 1;
    }
    rovei_sender_unlock(s);
    if (!s->sent || !good)
        return;
    rove_sent one = *sent;
    for (; one.number <= last; one.number++)
        s->sent(s->user, &one);
}

/* ---- loop thread ---- */

/* Offers the events of a chunk to the core: OK, and it has them all, or why it has not. */
static rove_err offer(rove_sender *s, rovei_node *core, rovei_now now, struct chunk *c,
                      uint64_t *ret_number)
{
    if (!c->used)
        return rovei_node_sender_send(core, now, s->id, c->buf, ret_number);
    rove_span run = {rovei_buf_data(c->buf) + c->given, c->used - c->given};
    rove_err err = rovei_node_sender_send_run(core, now, s->id, c->buf, &run, ret_number);
    c->given = c->used - run.size;
    return err;
}

/* The core has ended this sender: what comes now is refused. */
static void refuse_all(rove_sender *s, rove_err err)
{
    while (s->taken.first)
        chunks_pop(&s->taken, s->env);
    pthread_mutex_lock(&s->lock);
    while (s->chunks.first)
        chunks_pop(&s->chunks, s->env);
    uint64_t first = s->settled + 1, last = s->number;
    pthread_mutex_unlock(&s->lock);
    for (; first <= last; first++)
        outcome(s, &(rove_sent){.kind = ROVE_SENT_REFUSED, .number = first, .err = err}, first);
}

/* Gives the core what it takes of the chunks. */
static void give(rove_sender *s, rovei_node *core, rovei_now now)
{
    while (!s->stalled && s->taken.first) {
        uint64_t number;
        rove_err err = offer(s, core, now, s->taken.first, &number);
        if (err == ROVE_OK) {
            chunks_pop(&s->taken, s->env);
        } else if (err == ROVE_E_WINDOW) {
            s->stalled = true; /* until the note of room */
        } else if (err == ROVE_E_NOMEM) {
            pthread_mutex_lock(&s->lock);
            post(s);
            pthread_mutex_unlock(&s->lock);
            return;
        } else {
            refuse_all(s, err);
        }
    }
}

static void feed(rove_sender *s, rovei_node *core, rovei_now now)
{
    pthread_mutex_lock(&s->lock);
    s->posted = false;
    if (s->leaving) {
        pthread_mutex_unlock(&s->lock);
        return;
    }
    if (s->chunks.first) {
        *s->taken.end = s->chunks.first;
        s->taken.end = s->chunks.end;
        chunks_init(&s->chunks);
        s->chunk_room = CHUNK_FIRST;
    }
    bool close = s->closing && !s->close_told;
    pthread_mutex_unlock(&s->lock);
    give(s, core, now);
    if (close && !s->taken.first) {
        s->close_told = true;
        rovei_node_sender_close(core, now, s->id, false);
    }
}

static void run_feed(rovei_task *task, rovei_node *core, rovei_now now)
{
    rove_sender *s = ROVEI_CONTAINER(task, rove_sender, task);
    feed(s, core, now);
    rovei_sender_serve(s);
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
                      .last = note->kind == ROVEI_NOTE_LOST ? note->value : 0,
                      .err = note->err,
                      .output_count = note->output_count,
                      .outputs = note->outputs,
                      .text = note->text,
                      .owner = note->owner};
    if (sent.kind)
        outcome(s, &sent, note->kind == ROVEI_NOTE_APPLIED ? note->value : note->number);
}

/* ---- opening and freeing ---- */

rove_err rovei_sender_join_core(rove_sender *s, rovei_node *core, rovei_now now,
                                const rove_entity *daemon)
{
    if (rovei_pendings_closed(rovei_node_pendings(s->node)))
        return ROVE_E_SHUTTING_DOWN; /* nobody could free it any more */
    rove_err err = rovei_node_sender_open(core, now, daemon, &s->id);
    if (err)
        return err;
    err = rovei_node_route_sender(s->node, s->id, take_note, s);
    if (err)
        rovei_node_sender_close(core, now, s->id, true);
    return err;
}

struct open_call {
    rove_sender *sender;
    const rove_entity *daemon;
    rove_err err;
};

static void open_here(void *arg, rovei_node *core, rovei_now now)
{
    struct open_call *c = arg;
    c->err = rovei_sender_join_core(c->sender, core, now, c->daemon);
}

void rovei_sender_delete(rove_sender *s)
{
    const rove_alloc *a = &s->env->alloc;
    for (size_t i = 0; i < s->entry_count; i++)
        rove_sent_fini(&entry_at(s, i)->sent);
    while (s->taken.first)
        chunks_pop(&s->taken, s->env);
    while (s->chunks.first)
        chunks_pop(&s->chunks, s->env);
    rovei_free(a, s->entries, s->entry_room * sizeof *s->entries);
    rovei_free(a, s->sizes, s->window * sizeof *s->sizes);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    ROVEI_DELETE(a, s);
}

/* It is never held for longer than a copy: who finds it taken does better to try for a moment. */
static void init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

rove_sender *rovei_sender_new(rove_node *node, const rove_sender_config *cfg)
{
    const rovei_env *env = rovei_node_env(node);
    rove_sender *s = ROVEI_NEW(&env->alloc, rove_sender);
    if (!s)
        return NULL;
    s->node = node;
    s->env = env;
    s->window = (size_t)env->limits.lane_events;
    s->sizes = rovei_calloc(&env->alloc, s->window, sizeof *s->sizes);
    if (!s->sizes || reserve(s, 0)) {
        rovei_free(&env->alloc, s->sizes, s->window * sizeof *s->sizes);
        ROVEI_DELETE(&env->alloc, s);
        return NULL;
    }
    chunks_init(&s->chunks);
    chunks_init(&s->taken);
    s->chunk_room = CHUNK_FIRST;
    s->sent = cfg ? cfg->sent : NULL;
    s->user = cfg ? cfg->user : NULL;
    s->task.run = run_feed;
    rovei_list_init(&s->waits);
    init_lock(&s->lock);
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
    rove_sender *s = rovei_sender_new(node, cfg);
    if (!s)
        return ROVE_E_NOMEM;
    struct open_call c = {.sender = s, .daemon = daemon};
    rovei_node_call(node, open_here, &c);
    if (c.err) {
        rovei_sender_delete(s);
        return c.err;
    }
    *ret = s;
    return ROVE_OK;
}

void rovei_sender_leave_core(rove_sender *s, rovei_node *core, rovei_now now)
{
    rovei_node_unroute_sender(s->node, s->id);
    rovei_node_sender_close(core, now, s->id, true);
}

/* ---- sending ---- */

bool rovei_sender_has_room(const rove_sender *s, size_t size)
{
    uint64_t most = s->env->limits.lane_bytes, open = s->number - s->settled;
    if (open + s->unpulled >= s->window)
        return false;
    return open == 0 || (size <= most && s->open_bytes <= most - size);
}

/* False when the time is up. Under the lock. */
static bool await_change(rove_sender *s, uint64_t deadline)
{
    int err;
    s->waiting = true;
    if (deadline == ROVE_TIME_NEVER) {
        err = pthread_cond_wait(&s->changed, &s->lock);
    } else {
        struct timespec t = {.tv_sec = (time_t)(deadline / ROVE_SECOND),
                             .tv_nsec = (long)(deadline % ROVE_SECOND)};
        err = pthread_cond_timedwait(&s->changed, &s->lock, &t);
    }
    return err != ETIMEDOUT;
}

static rove_err await_room(rove_sender *s, size_t size, bool wait)
{
    while (!s->closing && !rovei_sender_has_room(s, size)) {
        if (!wait)
            return ROVE_E_WINDOW;
        if (rovei_node_on_loop(s->node) || rovei_thread_is_inside())
            return ROVE_E_WOULD_BLOCK;
        (void)await_change(s, ROVE_TIME_NEVER);
    }
    return s->closing ? ROVE_E_CLOSED : ROVE_OK;
}

/* `large` is the chunk of a large event, else NULL; it is taken over. Under the lock. */
static rove_err take_event(rove_sender *s, rove_span payload, struct chunk *large,
                           uint64_t *ret_number)
{
    rove_err err = reserve(s, 1);
    if (!err && !large)
        err = put_small(s, payload);
    if (err)
        return err;
    if (large)
        chunks_push(&s->chunks, large);
    s->number++;
    s->sizes[s->number % s->window] = (uint32_t)payload.size;
    s->open_bytes += payload.size;
    post(s);
    if (ret_number)
        *ret_number = s->number;
    return ROVE_OK;
}

rove_err rove_sender_send(rove_sender *s, rove_span payload, bool wait, uint64_t *ret_number)
{
    if (!s || (payload.size && !payload.data))
        return ROVE_E_USAGE;
    if (payload.size > s->env->limits.event_max)
        return ROVE_E_TOO_LARGE;
    struct chunk *large = NULL;
    if (payload.size > SMALL_MAX) {
        large = chunk_new(s->env, payload.size);
        if (!large)
            return ROVE_E_NOMEM;
        memcpy(rovei_buf_data(large->buf), payload.data, payload.size);
    }
    pthread_mutex_lock(&s->lock);
    rove_err err = await_room(s, payload.size, wait);
    if (err == ROVE_OK)
        err = take_event(s, payload, large, ret_number);
    pthread_mutex_unlock(&s->lock);
    if (err && large)
        chunk_free(s->env, large);
    return err;
}

void rovei_sender_pull(rove_sender *s, rove_sent *ret)
{
    struct entry *e = entry_at(s, 0);
    *ret = e->sent;
    if (is_of_events(ret))
        s->unpulled--;
    if (ret->kind == ROVE_SENT_ENDED)
        s->pulled_end = true;
    if (e->sent.number < e->last) {
        e->sent.number++;
    } else {
        s->entry_first = (s->entry_first + 1) & (s->entry_room - 1);
        s->entry_count--;
    }
}

rove_err rove_sender_next(rove_sender *s, uint64_t timeout_ns, rove_sent *ret)
{
    if (!s || !ret || s->sent)
        return ROVE_E_USAGE;
    bool may_wait = !rovei_node_on_loop(s->node) && !rovei_thread_is_inside();
    uint64_t deadline = 0;
    rove_err err = ROVE_OK;
    pthread_mutex_lock(&s->lock);
    while (!s->entry_count && err == ROVE_OK) {
        if (timeout_ns && !deadline)
            deadline = rovei_time_add(rovei_clock_now().mono, timeout_ns);
        if (s->pulled_end)
            err = ROVE_E_CLOSED;
        else if (timeout_ns && !may_wait)
            err = ROVE_E_WOULD_BLOCK;
        else if (!timeout_ns || !await_change(s, deadline))
            err = s->entry_count ? ROVE_OK : ROVE_E_TIMED_OUT;
    }
    if (err == ROVE_OK)
        rovei_sender_pull(s, ret);
    rovei_sender_unlock(s); /* there may be room again */
    return err;
}

void rove_sender_close(rove_sender *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    if (!s->closing) {
        s->closing = true;
        post(s);
    }
    rovei_sender_unlock(s);
}
