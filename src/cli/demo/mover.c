/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves the demo's daemon round its ring. */
#include "mover.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct move_report {
    json_object *moved;
    uint64_t first_after; /* monotonic: the first event applied at the target; 0 = none */
    uint64_t last_before; /* the last one before it, wherever that was */
    uint64_t widest;      /* between two events that the same host applied, around the move */
    uint64_t during, stalled;
} move_report;

bool demo_progress_init(demo_progress *p, uint64_t lines)
{
    *p = (demo_progress){.lines = lines,
                         .streamed = lines == 0,
                         .settled = lines == 0,
                         .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    return p->wake_fd >= 0;
}

void demo_progress_fini(demo_progress *p)
{
    if (p->wake_fd >= 0)
        close(p->wake_fd);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->changed);
}

bool demo_progress_tell(demo_progress *p)
{
    pthread_mutex_lock(&p->lock);
    bool first = !p->stop && !p->told;
    p->told = true;
    pthread_mutex_unlock(&p->lock);
    return first;
}

/* ---- waiting for the stream ---- */

/* Until `due` lines are handed over, or all. False: stop. */
static bool wait_due(demo_progress *p, uint64_t due)
{
    pthread_mutex_lock(&p->lock);
    while (!p->stop && !p->streamed && p->handed < due)
        pthread_cond_wait(&p->changed, &p->lock);
    bool go_on = !p->stop;
    p->stalled = 0;
    pthread_mutex_unlock(&p->lock);
    return go_on;
}

/* Until there are more outcomes than `seen`: false when there will be none, or it is to stop. */
static bool wait_outcome(demo_progress *p, uint64_t *seen)
{
    pthread_mutex_lock(&p->lock);
    while (!p->stop && !p->settled && p->outcomes == *seen)
        pthread_cond_wait(&p->changed, &p->lock);
    bool more = !p->stop && p->outcomes != *seen;
    *seen = p->outcomes;
    pthread_mutex_unlock(&p->lock);
    return more;
}

/* The stall that the move caused, once lines flow again. */
static uint64_t wait_flow(demo_progress *p)
{
    pthread_mutex_lock(&p->lock);
    uint64_t handed = p->handed;
    while (!p->stop && !p->streamed && p->handed == handed)
        pthread_cond_wait(&p->changed, &p->lock);
    uint64_t stalled = p->stalled;
    pthread_mutex_unlock(&p->lock);
    return stalled;
}

/* ---- a move ---- */

static bool fail(demo_mover *m, demo_node *n, const char *what, rove_err err)
{
    m->failed = true;
    if (err == ROVE_E_CANCELLED || !demo_progress_tell(m->progress))
        return false;
    if (demo_node_ended(n, err == ROVE_E_CLOSED))
        demo_node_lost(n);
    else
        cli_fail("%s at node %zu: %s", what, n->number, rove_strerror(err));
    return false;
}

static bool look(demo_mover *m, demo_node *target, move_report *r)
{
    rove_err err;
    json_object *request = cli_request("ps");
    cli_add_text(request, "daemon", m->origin);
    json_object_object_add(request, "detail", json_object_new_boolean(true));
    json_object *o = demo_node_ask(target, request, NULL, &err);
    uint64_t gap = cli_u64(o, "widest_gap");
    r->first_after = cli_u64(o, "first_applied");
    r->widest = gap > r->widest ? gap : r->widest;
    json_object_put(o);
    return !err || fail(m, target, "the daemon cannot be looked at", err);
}

/* Until the target has applied its first event under the new epoch; it may be that none ever
 * comes. */
static bool find_first(demo_mover *m, demo_node *target, move_report *r)
{
    uint64_t seen = 0;
    do
        if (!look(m, target, r))
            return false;
    while (!r->first_after && wait_outcome(m->progress, &seen));
    return true;
}

static bool expect(demo_mover *m, demo_node *target)
{
    rove_err err;
    json_object *request = cli_request("expect");
    cli_add_text(request, "daemon", m->origin);
    cli_add_text(request, "kind", "wordcount");
    json_object_put(demo_node_ask(target, request, NULL, &err));
    /* A node where the daemon has been expects it already. */
    if (err && err != ROVE_E_EXISTS)
        return fail(m, target, "the daemon is not expected", err);
    return true;
}

static bool order(demo_mover *m, demo_node *source, const demo_node *target, move_report *r)
{
    rove_err err;
    json_object *request = cli_request("migrate");
    cli_add_text(request, "daemon", m->origin);
    cli_add_text(request, "to", target->node_id);
    json_object_object_add(request, "detail", json_object_new_boolean(true));
    r->moved = demo_node_ask(source, request, "moved", &err);
    if (err || !r->moved)
        return fail(m, source, "the move failed", err ? err : ROVE_E_INTERNAL);
    r->during = cli_u64(r->moved, "held_back");
    r->last_before = cli_u64(r->moved, "last_applied");
    r->widest = cli_u64(r->moved, "widest_gap");
    if (cli_u64(r->moved, "applied_frozen")) {
        m->failed = true;
        cli_fail("node %zu applied events of a daemon that it had frozen", source->number);
        return false;
    }
    return true;
}

static void print(const demo_mover *m, const demo_node *source, const demo_node *target,
                  const move_report *r)
{
    bool dark = r->first_after && r->last_before;
    uint64_t blackout =
        dark && r->first_after > r->last_before ? r->first_after - r->last_before : 0;
    blackout = r->widest > blackout ? r->widest : blackout;
    if (!m->json) {
        printf("move %llu: node %zu -> node %zu, %llu bytes in %.1f ms, ",
               (unsigned long long)m->made, source->number, target->number,
               (unsigned long long)cli_u64(r->moved, "bytes"), cli_double(r->moved, "total_ms"));
        if (dark)
            printf("blackout %.1f ms, ", (double)blackout / 1e6);
        printf("%llu events meanwhile\n", (unsigned long long)r->during);
        fflush(stdout);
        return;
    }
    json_object *o = json_object_new_object();
    cli_add_text(o, "event", "move");
    cli_add_text(o, "from", source->node_id);
    cli_add_text(o, "to", target->node_id);
    json_object_object_add(o, "bytes", json_object_new_uint64(cli_u64(r->moved, "bytes")));
    json_object_object_add(o, "total_ms", cli_json_ms(cli_double(r->moved, "total_ms")));
    json_object_object_add(o, "blackout_ms", dark ? cli_json_ms((double)blackout / 1e6) : NULL);
    json_object_object_add(o, "during", json_object_new_uint64(r->during));
    json_object_object_add(o, "send_stall_ms", cli_json_ms((double)r->stalled / 1e6));
    cli_json(o);
}

static bool make_move(demo_mover *m)
{
    demo_node *source = &m->nodes->at[m->place];
    demo_node *target = &m->nodes->at[(m->place + 1) % m->ring];
    move_report r = {0};
    bool good = expect(m, target) && order(m, source, target, &r) && find_first(m, target, &r);
    if (good)
        r.stalled = wait_flow(m->progress);
    /* The stream may have stopped at the target again before it flowed. */
    if (good && r.first_after)
        good = look(m, target, &r);
    if (good) {
        m->made++;
        m->place = (m->place + 1) % m->ring;
        m->during += r.during;
        /* The source may have applied nothing in its time: then the last one was before that. */
        if (!r.last_before)
            r.last_before = m->last_before;
        m->last_before = r.first_after ? r.first_after : r.last_before;
        print(m, source, target, &r);
    }
    json_object_put(r.moved);
    return good;
}

static void *run(void *arg)
{
    demo_mover *m = arg;
    for (uint64_t k = 1; k <= m->moves; k++) {
        /* k of moves + 1 parts of the lines, rounded up, without overflow. */
        uint64_t parts = m->moves + 1, lines = m->progress->lines;
        uint64_t due = lines / parts * k + (lines % parts * k + parts - 1) / parts;
        if (!wait_due(m->progress, due) || !make_move(m))
            break;
    }
    m->failed = m->failed || m->made < m->moves;
    if (m->failed)
        (void)eventfd_write(m->progress->wake_fd, 1);
    return NULL;
}

bool demo_mover_start(demo_mover *m)
{
    return pthread_create(&m->thread, NULL, run, m) == 0;
}

void demo_mover_join(demo_mover *m)
{
    pthread_join(m->thread, NULL);
}
