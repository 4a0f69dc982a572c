/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups piece by piece. */
#include <base/check.h>
#include <crypto/crypto.h>
#include <host/backup.h>
#include <host/runtime.h>

typedef enum step {
    STEP_OPEN,  /* the point is still to come */
    STEP_HEAD,  /* the head is next */
    STEP_STATE, /* then the state */
    STEP_TAIL,  /* then the digest */
    STEP_DONE,
} step;

struct rovei_backup_stream {
    rovei_pending pending; /* of the runtime, which outlives it */
    rovei_work work;       /* one at a time, in the daemon's mailbox */
    struct rovei_host *host;
    rovei_resident *resident; /* one reference, once it was found */
    uint64_t origin;
    rovei_recipient recipient;
    rovei_backup_ready_fn *ready;
    void *user;
    step step;
    bool busy;  /* the work is under way */
    bool ended; /* nobody asks any more */
    rove_err err;
    rove_detail detail;
    rove_snapshot *snapshot;
    rovei_state_reader *reader; /* the runner's */
    struct rovei_digest *digest;
    bool head_added;
    rove_buf *head;
    uint64_t left; /* bytes of the state that were not read */
    uint8_t *room; /* a piece of it */
    size_t have;   /* bytes in it that nobody has taken */
    uint8_t tail[ROVEI_CONTAINER_DIGEST];
};

static void free_all(rovei_backup_stream *s)
{
    const rove_alloc *a = s->host->alloc;
    if (s->resident)
        rovei_resident_drop(s->resident);
    rove_detail_fini(&s->detail);
    rove_snapshot_unref(s->snapshot);
    rovei_digest_free(s->digest);
    rove_buf_unref(s->head);
    rovei_free(a, s->room, ROVEI_SNAPSHOT_PIECE);
    rovei_pending_end(&s->pending);
}

/* ---- in the daemon's mailbox ---- */

static void finish(rovei_work *w, rovei_node *core, rovei_now now);

static void put(rovei_backup_stream *s, bool (*run)(rovei_job *job, rovei_mailbox *m))
{
    s->busy = true;
    s->work = (rovei_work){
        .job.run = run, .resident = rovei_resident_hold(s->resident), .finish = finish};
    rovei_work_put(&s->work);
}

static bool open_run(rovei_job *job, rovei_mailbox *m)
{
    rovei_backup_stream *s = ROVEI_CONTAINER(job, rovei_backup_stream, work.job);
    rovei_resident *r = s->resident;
    (void)m;
    if (!r->cell)
        s->err = r->ended ? r->ended : ROVE_E_STALE;
    else
        s->err = rovei_backup_may_take(r->cell);
    if (s->err == ROVE_OK)
        s->err = rovei_cell_image_open(r->cell, rovei_clock_now().wall, &s->snapshot->image,
                                       &s->reader, &s->detail.text);
    if (s->err == ROVE_OK)
        s->err = rovei_backup_label(s->snapshot, s->host->env, r->cell, &s->recipient);
    rovei_work_done(&s->work);
    return true;
}

static void add_head(rovei_backup_stream *s)
{
    rove_span head = rove_buf_span(s->head);
    if (!s->head_added)
        rovei_digest_add(s->digest, head.data, head.size);
    s->head_added = true;
}

static bool read_run(rovei_job *job, rovei_mailbox *m)
{
    rovei_backup_stream *s = ROVEI_CONTAINER(job, rovei_backup_stream, work.job);
    size_t size = s->left < ROVEI_SNAPSHOT_PIECE ? (size_t)s->left : ROVEI_SNAPSHOT_PIECE;
    (void)m;
    s->err = rovei_state_read(s->reader, s->room, size);
    if (s->err == ROVE_OK) {
        add_head(s);
        rovei_digest_add(s->digest, s->room, size);
        s->have = size;
        s->left -= size;
    }
    rovei_work_done(&s->work);
    return true;
}

static bool close_run(rovei_job *job, rovei_mailbox *m)
{
    rovei_backup_stream *s = ROVEI_CONTAINER(job, rovei_backup_stream, work.job);
    (void)m;
    rovei_state_close(s->reader);
    s->reader = NULL;
    rovei_work_done(&s->work);
    return true;
}

/* ---- on the loop thread ---- */

/* The point is passed: what the core has to say of it, and the head. */
static void opened(rovei_backup_stream *s, rovei_node *core, rovei_now now)
{
    if (s->err == ROVE_OK)
        s->err = rovei_node_backup(core, now, s->resident->number, &s->snapshot->positions);
    if (s->err == ROVE_OK)
        rovei_snapshot_put_ledger(s->snapshot);
    if (s->err == ROVE_OK)
        s->err = rovei_snapshot_container_head(s->snapshot, &s->head);
    if (s->err == ROVE_E_TOO_LARGE)
        s->detail.most = s->host->env->limits.state_max;
    s->left = s->snapshot->image.state_size;
    s->step = STEP_HEAD;
}

static void release(rovei_backup_stream *s)
{
    if (s->reader)
        put(s, close_run);
    else
        free_all(s);
}

static void finish(rovei_work *w, rovei_node *core, rovei_now now)
{
    rovei_backup_stream *s = ROVEI_CONTAINER(w, rovei_backup_stream, work);
    s->busy = false;
    if (s->step == STEP_OPEN)
        opened(s, core, now);
    if (s->ended)
        release(s);
    else
        s->ready(s->user, core, now);
}

static void begin(rovei_task *task, rovei_node *core, rovei_now now)
{
    rovei_backup_stream *s = ROVEI_CONTAINER(task, rovei_backup_stream, pending.task);
    s->busy = false;
    if (s->ended) {
        free_all(s);
        return;
    }
    s->err = rovei_host_gate(s->host);
    if (s->err == ROVE_OK)
        s->err = rovei_host_resident(s->host, s->origin, &s->resident);
    if (s->err == ROVE_OK)
        put(s, open_run);
    else
        s->ready(s->user, core, now);
}

rove_err rovei_backup_stream_new(rovei_backup_stream **ret, rove_runtime *rt, uint64_t origin,
                                 const rove_entity *sealed_for, rovei_backup_ready_fn *ready,
                                 void *user)
{
    struct rovei_host *h = &rt->host;
    rovei_backup_stream *s;
    rovei_recipient recipient;
    rove_err err = rovei_recipient_of(&recipient, sealed_for);
    if (err == ROVE_OK)
        err = ROVEI_PENDING_NEW(&s, &h->pendings);
    if (err)
        return err;
    s->host = h;
    s->recipient = recipient;
    s->origin = origin;
    s->ready = ready;
    s->user = user;
    s->snapshot = rovei_snapshot_new(h->alloc);
    s->digest = rovei_digest_new(h->alloc);
    s->room = rovei_alloc(h->alloc, ROVEI_SNAPSHOT_PIECE);
    if (!s->snapshot || !s->digest || !s->room) {
        free_all(s);
        return ROVE_E_NOMEM;
    }
    s->busy = true;
    rovei_pending_post(&s->pending, begin);
    *ret = s;
    return ROVE_OK;
}

rove_err rovei_backup_stream_next(rovei_backup_stream *s, rove_span *ret)
{
    *ret = (rove_span){NULL, 0};
    if (s->busy || s->err)
        return s->busy ? ROVE_E_BUSY : s->err;
    if (s->step == STEP_HEAD) {
        *ret = rove_buf_span(s->head);
        s->step = STEP_STATE;
    } else if (s->step == STEP_STATE && s->have) {
        *ret = (rove_span){s->room, s->have};
        s->have = 0;
    } else if (s->step == STEP_STATE && s->left) {
        put(s, read_run);
        return ROVE_E_BUSY;
    } else if (s->step == STEP_STATE) {
        add_head(s);
        rovei_digest_end(s->digest, s->tail);
        *ret = (rove_span){s->tail, sizeof s->tail};
        s->step = STEP_TAIL;
    } else {
        s->step = STEP_DONE;
    }
    return ROVE_OK;
}

const rove_snapshot *rovei_backup_stream_snapshot(const rovei_backup_stream *s)
{
    return s->snapshot;
}

uint64_t rovei_backup_stream_size(const rovei_backup_stream *s)
{
    return s->head ? rovei_buf_size(s->head) + s->snapshot->image.state_size + sizeof s->tail : 0;
}

const rove_detail *rovei_backup_stream_detail(const rovei_backup_stream *s)
{
    return &s->detail;
}

void rovei_backup_stream_end(rovei_backup_stream *s)
{
    if (!s)
        return;
    s->ended = true;
    if (!s->busy)
        release(s);
}
