/* SPDX-License-Identifier: Apache-2.0
 *
 * The host on the loop thread: effects in, completions out, and the turn in which workers are
 * woken. */
#include <base/check.h>
#include <host/drain.h>
#include <host/host.h>
#include <host/moves.h>
#include <host/thread.h>

/* Mailboxes that the loop runs by itself in one turn, when there are no workers. */
#define TURNS_PER_TURN 16

static void mailbox_ran(rovei_mailbox *m)
{
    rovei_resident_drop(ROVEI_CONTAINER(m, rovei_resident, mailbox));
}

static void run_done(rovei_task *task, rovei_node *core, rovei_now now)
{
    struct rovei_host *h = ROVEI_CONTAINER(task, struct rovei_host, done_task);
    atomic_store(&h->done_posted, false);
    (void)rovei_work_finish(h, core, now);
}

static void run_kick(rovei_task *task, rovei_node *core, rovei_now now)
{
    /* Only the turn that follows is wanted. */
    struct rovei_host *h = ROVEI_CONTAINER(task, struct rovei_host, kick_task);
    (void)core;
    (void)now;
    atomic_store(&h->kicked, false);
}

void rovei_host_kick(struct rovei_host *h)
{
    if (!atomic_exchange(&h->kicked, true))
        rovei_postbox_post(rovei_node_postbox(h->node), &h->kick_task);
}

static void init_loop_side(struct rovei_host *h)
{
    uint64_t seed = rovei_rng_u64(&h->env->rng);
    rovei_map_init(&h->cells, h->alloc, sizeof(uint64_t), seed);
    rovei_list_init(&h->spawns);
    rovei_list_init(&h->subscribing);
    rovei_list_init(&h->spawns_away);
    rovei_list_init(&h->waits);
    rovei_list_init(&h->move_watches);
    rovei_list_init(&h->endings);
    h->burst_end = &h->burst;
    atomic_init(&h->done, NULL);
    atomic_init(&h->kicked, false);
    atomic_init(&h->announce, false);
    atomic_init(&h->done_posted, false);
    h->done_task.run = run_done;
    h->kick_task.run = run_kick;
}

rove_err rovei_host_init(struct rovei_host *h, rove_node *node, const rove_runtime_config *cfg)
{
    h->node = node;
    h->env = rovei_node_env(node);
    h->alloc = &h->env->alloc;
    h->policy = cfg->policy;
    h->told = cfg->told;
    h->told_user = cfg->told_user;
    atomic_init(&h->life, ROVEI_LIFE_REGISTERING);
    atomic_init(&h->bin, NULL);
    rovei_pendings_init(&h->pendings, node);
    init_loop_side(h);
    rove_err err = rovei_registry_init(&h->registry, h->alloc, rovei_rng_u64(&h->env->rng),
                                       rovei_resident_hold_entry, rovei_resident_drop_entry);
    if (err)
        return err;
    err = rovei_workers_init(&h->workers, h->alloc, cfg->workers, &h->bin, mailbox_ran);
    if (err) {
        rovei_registry_fini(&h->registry);
        return err;
    }
    rovei_factory_init(&h->factory, h->alloc, (size_t)h->env->limits.guests_kept,
                       rovei_rng_u64(&h->env->rng));
    rovei_observers_init(&h->observers, h->alloc, (size_t)h->env->limits.observers_max,
                         rovei_rng_u64(&h->env->rng));
    pthread_mutex_init(&h->lock, NULL);
    for (size_t i = 0; i < ROVEI_MAILBOX_LOCKS; i++)
        rovei_mailbox_shared_init(&h->mailboxes[i], &rovei_resident_mailbox_ops);
    return ROVE_OK;
}

void rovei_host_fini(struct rovei_host *h)
{
    ROVEI_CHECK(h->cells.count == 0 && rovei_list_empty(&h->spawns) &&
                rovei_list_empty(&h->waits) && rovei_list_empty(&h->endings) && !h->burst);
    rovei_workers_fini(&h->workers);
    rovei_rcu_reclaim(&h->bin);
    ROVEI_CHECK(!atomic_load(&h->done));
    rovei_registry_fini(&h->registry);
    rovei_factory_fini(&h->factory);
    rovei_observers_fini(&h->observers);
    rovei_map_fini(&h->cells);
    for (size_t i = 0; i < ROVEI_MAILBOX_LOCKS; i++)
        rovei_mailbox_shared_fini(&h->mailboxes[i]);
    pthread_mutex_destroy(&h->lock);
}

rove_err rovei_host_may_wait(const struct rovei_host *h)
{
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    if (rovei_thread_is_worker() || rovei_node_on_loop(h->node))
        return ROVE_E_WOULD_BLOCK;
    return ROVE_OK;
}

rove_err rovei_host_may_drive(const struct rovei_host *h)
{
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    return rovei_thread_is_worker() || rovei_node_in_turn(h->node) ? ROVE_E_WOULD_BLOCK : ROVE_OK;
}

rove_err rovei_host_admit(struct rovei_host *h, rovei_resident *r)
{
    if (h->cells.count >= h->env->limits.daemons_max)
        return ROVE_E_FULL;
    r->number = h->next_cell + 1;
    rove_err err = rovei_map_put(&h->cells, &r->number, r);
    if (err)
        return err;
    h->next_cell++;
    (void)rovei_resident_hold(r);
    return ROVE_OK;
}

void rovei_host_dismiss(struct rovei_host *h, rovei_resident *r)
{
    if (rovei_map_remove(&h->cells, &r->number) == r)
        rovei_resident_drop(r);
}

void rovei_host_schedule(struct rovei_host *h, rovei_mailbox *m)
{
    (void)rovei_resident_hold(ROVEI_CONTAINER(m, rovei_resident, mailbox));
    m->ready_next = NULL;
    *h->burst_end = m;
    h->burst_end = &m->ready_next;
    h->burst_count++;
}

/* One push, and with it one wake, for all that was scheduled in this turn. */
static void flush_burst(struct rovei_host *h)
{
    if (!h->burst)
        return;
    rovei_mailbox *first = h->burst;
    size_t count = h->burst_count;
    h->burst = NULL;
    h->burst_end = &h->burst;
    h->burst_count = 0;
    (void)rovei_workers_push(&h->workers, first, count);
}

static void effect(struct rovei_host *h, rovei_node *core, rovei_now now, rovei_effect *e)
{
    if (e->kind == ROVEI_EFFECT_ASK) {
        rovei_host_ask(h, core, now, e);
    } else if (e->kind == ROVEI_EFFECT_ASK_PLACE) {
        rovei_host_ask_place(h, core, now, e);
    } else if (e->kind == ROVEI_EFFECT_SPAWN) {
        rovei_host_spawn_for(h, core, now, e);
    } else if (e->kind == ROVEI_EFFECT_RESTORE) {
        rovei_host_restore(h, core, now, e);
    } else if (e->kind == ROVEI_EFFECT_OPEN_STATE) {
        rovei_host_open_state(h, core, now, e);
    } else {
        rovei_resident *r = rovei_map_get(&h->cells, &e->cell);
        if (r && !r->forgotten)
            rovei_work_begin(r, core, now, e);
    }
}

/* Moves may also be ordered past the runtime; one that is closed was told of. */
static void watch_running(struct rovei_host *h, rovei_node *core, rovei_now now,
                          const rovei_attempt_id *attempt)
{
    rovei_move_info info;
    if (h->told && atomic_load(&h->life) == ROVEI_LIFE_READY &&
        rovei_node_move_get(core, attempt, &info) == ROVE_OK && !info.closed)
        rovei_host_watch_move(h, now, attempt);
}

static void note(struct rovei_host *h, rovei_node *core, rovei_now now, rovei_note *n)
{
    if (n->kind == ROVEI_NOTE_SPAWNED) {
        rovei_host_spawned(h, core, now, n);
    } else if (n->kind == ROVEI_NOTE_SUBSCRIBED || n->kind == ROVEI_NOTE_UNSUBSCRIBED) {
        rovei_host_subscribed(h, core, now, n);
    } else if (n->kind == ROVEI_NOTE_SPAWNED_THERE) {
        rovei_host_spawned_there(h, n);
    } else if (n->kind == ROVEI_NOTE_MOVE) {
        watch_running(h, core, now, &n->attempt);
        rovei_host_move_phase(h, core, now, n);
    } else if (n->kind == ROVEI_NOTE_MOVE_ENDED) {
        rovei_host_move_ended(h, core, now, n);
    }
}

/* Shutdown: what the core did not end by an effect of its own ends here. */
static void sweep(struct rovei_host *h, rovei_node *core, rovei_now now)
{
    h->sweep = false;
    size_t it = 0;
    for (rovei_resident *r; (r = rovei_map_next(&h->cells, &it));) {
        size_t before = h->cells.count;
        rovei_work_forget(r, core, now, ROVE_E_SHUTTING_DOWN);
        if (h->cells.count != before) /* done at once, for want of memory: the table changed */
            it = 0;
    }
    rovei_host_end_waits(h, ROVE_E_SHUTTING_DOWN);
    if (h->drain)
        rovei_drain_end(h->drain, ROVE_E_SHUTTING_DOWN);
    rovei_host_end_watches(h, core, now);
}

static bool turn(struct rovei_host *h, rovei_node *core, rovei_now now)
{
    bool more = false;
    h->turning = true;
    if (h->sweep)
        sweep(h, core, now);
    if (h->unlisted)
        rovei_host_list_again(h);
    flush_burst(h);
    /* Without workers, also when they have ended: what still comes then is run here. */
    if (h->workers.running == 0) {
        more = rovei_workers_drain(&h->workers, TURNS_PER_TURN);
        rovei_rcu_reclaim(&h->bin);
    }
    more |= rovei_work_finish(h, core, now) || h->answered;
    h->answered = false;
    h->turning = false;
    if (!rovei_list_empty(&h->move_watches))
        rovei_host_look_at_moves(h, core, now);
    if (h->drain)
        more |= rovei_drain_turn(h->drain, core, now);
    if (atomic_load(&h->announce))
        rovei_host_announce(h, core, now);
    if (!rovei_list_empty(&h->endings))
        rovei_host_tell_endings(h);
    return more;
}

const rovei_host_ops rovei_host_ops_table = {effect, note, turn};
