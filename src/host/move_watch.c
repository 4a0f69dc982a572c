/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling of moves. While somebody is to be told, each turn compares what the core knows of the
 * move with what was told: so no phase is left out, however many pass in one turn, and none comes
 * twice. */
#include <base/alloc.h>
#include <host/moves.h>
#include <host/runtime.h>

/* Time in which a move that was allowed to come here has to be known to the core. */
#define ARRIVAL_TIME ROVE_SECOND

struct rovei_move_watch {
    rovei_list all; /* h->move_watches */
    rove_migration migration;
    rove_move_fn *told; /* of this move alone; or NULL */
    void *user;
    uint64_t since;
    bool known;
    rove_migration_info info; /* as last told, but for `phase`, `bytes` and `attempts` */
    rove_phase phase;
    uint64_t bytes;
    uint32_t attempts;
};

rovei_move_watch *rovei_move_watch_new(struct rovei_host *h)
{
    rovei_move_watch *w = ROVEI_NEW(h->alloc, rovei_move_watch);
    if (w)
        rovei_list_init(&w->all);
    return w;
}

void rovei_move_watch_free(struct rovei_host *h, rovei_move_watch *w)
{
    if (!w)
        return;
    rovei_list_remove(&w->all);
    ROVEI_DELETE(h->alloc, w);
}

static rovei_move_watch *find(struct rovei_host *h, const rovei_attempt_id *attempt)
{
    ROVEI_LIST_EACH (it, next, &h->move_watches) {
        rovei_move_watch *w = ROVEI_CONTAINER(it, rovei_move_watch, all);
        if (memcmp(w->migration.attempt, attempt->bytes, sizeof attempt->bytes) == 0)
            return w;
    }
    return NULL;
}

void rovei_move_watch_begin(struct rovei_host *h, rovei_move_watch *w, rovei_now now,
                            const rovei_attempt_id *attempt, rove_move_fn *told, void *user)
{
    memcpy(w->migration.attempt, attempt->bytes, sizeof w->migration.attempt);
    w->told = told;
    w->user = user;
    w->since = now.mono;
    w->known =
        rovei_migration_get(rovei_node_core(h->node), now, &w->migration, &w->info) == ROVE_OK;
    rovei_list_add_tail(&h->move_watches, &w->all);
}

void rovei_host_watch_move(struct rovei_host *h, rovei_now now, const rovei_attempt_id *attempt)
{
    if (!h->told || find(h, attempt))
        return;
    rovei_move_watch *w = rovei_move_watch_new(h);
    if (w)
        rovei_move_watch_begin(h, w, now, attempt, NULL, NULL);
}

/* ---- telling ---- */

static void say(struct rovei_host *h, const rovei_move_watch *w, rove_move_event event,
                const rove_migration_info *info)
{
    if (w->told)
        w->told(w->user, event, info);
    if (h->told)
        h->told(h->told_user, event, info);
}

static void say_bytes(struct rovei_host *h, rovei_move_watch *w, const rove_migration_info *info)
{
    bool all = info->phase > ROVE_PHASE_TRANSFER;
    if (info->bytes < w->bytes) /* the transfer began anew */
        w->bytes = info->bytes;
    if (info->bytes == w->bytes || (!all && info->bytes - w->bytes < ROVE_MOVE_BYTES_STEP))
        return;
    rove_migration_info then = *info;
    then.phase = w->phase;
    w->bytes = info->bytes;
    say(h, w, ROVE_MOVE_BYTES, &then);
}

static void say_phases(struct rovei_host *h, rovei_move_watch *w, const rove_migration_info *info)
{
    while (w->phase < info->phase) {
        if (w->phase == ROVE_PHASE_TRANSFER)
            say_bytes(h, w, info);
        rove_migration_info then = *info;
        then.phase = ++w->phase;
        then.outcome = ROVE_OUTCOME_RUNNING;
        then.reason = ROVE_OK;
        say(h, w, ROVE_MOVE_PHASE, &then);
    }
}

static void say_news(struct rovei_host *h, rovei_move_watch *w, const rove_migration_info *info)
{
    if (info->attempts > w->attempts) {
        bool again = w->attempts > 0;
        w->attempts = info->attempts;
        if (again)
            say(h, w, ROVE_MOVE_RETRY, info);
    }
    say_phases(h, w, info);
    say_bytes(h, w, info);
    w->info = *info;
}

static void end(struct rovei_host *h, rovei_move_watch *w, bool closed)
{
    rovei_list_remove(&w->all);
    if (closed && w->info.outcome == ROVE_OUTCOME_COMPLETED)
        say(h, w, ROVE_MOVE_CLOSED, &w->info);
    say(h, w, ROVE_MOVE_ENDED, &w->info);
    rovei_move_watch_free(h, w);
}

/* ---- loop thread ---- */

void rovei_host_watched_ended(struct rovei_host *h, rovei_node *core, const rovei_note *note)
{
    rovei_move_watch *w = find(h, &note->attempt);
    rovei_move_info i;
    if (!w || !w->known || rovei_node_move_get(core, &note->attempt, &i) == ROVE_OK)
        return;
    rove_migration_info info = w->info;
    rovei_migration_ended(&info, note);
    say_news(h, w, &info);
}

static void look(struct rovei_host *h, rovei_move_watch *w, rovei_node *core, rovei_now now)
{
    rovei_attempt_id attempt = rovei_migration_attempt(w->migration);
    rovei_move_info i;
    if (rovei_node_move_get(core, &attempt, &i) == ROVE_OK) {
        rove_migration_info info = rovei_migration_info(&i, now);
        w->known = true;
        say_news(h, w, &info);
        if (i.closed)
            end(h, w, true);
    } else if (w->known) {
        end(h, w, true);
    } else if (now.mono - w->since > ARRIVAL_TIME) {
        rovei_move_watch_free(h, w);
    }
}

void rovei_host_look_at_moves(struct rovei_host *h, rovei_node *core, rovei_now now)
{
    ROVEI_LIST_EACH (it, next, &h->move_watches)
        look(h, ROVEI_CONTAINER(it, rovei_move_watch, all), core, now);
}

void rovei_host_end_watches(struct rovei_host *h, rovei_node *core, rovei_now now)
{
    rovei_host_look_at_moves(h, core, now);
    while (!rovei_list_empty(&h->move_watches)) {
        rovei_move_watch *w = ROVEI_CONTAINER(h->move_watches.next, rovei_move_watch, all);
        if (!w->known) {
            rovei_move_watch_free(h, w);
            continue;
        }
        if (w->info.outcome == ROVE_OUTCOME_RUNNING) {
            w->info.outcome = ROVE_OUTCOME_FAILED;
            w->info.reason = ROVE_E_SHUTTING_DOWN;
        }
        end(h, w, false);
    }
}
