/* SPDX-License-Identifier: Apache-2.0
 *
 * Scenarios of backups: what is kept under traffic comes back without a doubled event, the senders
 * hear exactly what is lost, and lanes go on. That state and positions are of one point shows in
 * what is applied afterwards: the truth knows the line of every daemon. */
#include "cast.h"
#include "scenarios.h"
#include <compute/lanes_inside.h>

static sim_backup backup;

static bool backup_done(sim_world *w)
{
    (void)w;
    return backup.done;
}

/* Events of both clients, several at once and several under way. */
static void send_some(sim_world *w, unsigned count)
{
    for (unsigned i = 0; i < count && !w->failed; i++) {
        cast_send(i % 8 < 4 ? cast.client : cast.other);
        if (i % 4 == 3)
            sim_pass(w, 150000);
    }
}

/* The cell has events that it has not applied, and the core outcomes that it has not heard of. */
static bool cell_is_busy(sim_world *w)
{
    (void)w;
    const rovei_daemon *r = rovei_daemon_find(cast.a->core, &cast.d->entity);
    return r && r->lanes && r->lanes->in_cell > 0;
}

static void begin_traffic(sim_world *w)
{
    cast_begin(w);
    cast.client = sim_client_open(cast.b, cast.d);
    cast.other = sim_client_open(cast.c, cast.d);
    cast_apply(w, cast.client);
    cast_apply(w, cast.other);
    send_some(w, 40);
    for (int i = 0; i < 4; i++)
        cast_send(cast.client);
    uint64_t end = w->now + ROVE_SECOND;
    while (w->now < end && !cell_is_busy(w) && sim_step(w)) {
    }
    if (!cell_is_busy(w))
        sim_fail(w, "no event waits in A's cell");
    sim_cell *c = sim_cell_find(cast.a, cast.d);
    if (c)
        sim_cell_backup(c, &backup);
    else
        sim_fail(w, "A has no cell");
}

static size_t fates(const sim_client *c, sim_fate fate)
{
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++)
        count += c->events[i]->fate == fate;
    return count;
}

static size_t both(sim_fate fate)
{
    return fates(cast.client, fate) + fates(cast.other, fate);
}

/* The node is gone; B brings the daemon back, whatever the others know. */
static void bring_back(sim_world *w, sim_node *gone)
{
    sim_node_crash(gone);
    sim_pass(w, 50 * MS);
    w->forced = true;
    cast.d->crashed = true; /* what follows is the operator's doing */
    if (!sim_cell_spawn_from(cast.b, cast.d, &backup, true))
        sim_fail(w, "the spawn from the backup is not taken");
    sim_pump(cast.b);
    sim_until(w, 5 * ROVE_SECOND, cast_b_serves, "B serves what was kept");
    const rovei_daemon *r = rovei_daemon_find(cast.b->core, &cast.d->entity);
    if (r && (r->epoch < ROVEI_EPOCH_FORCED || r->sinc.number != r->epoch))
        sim_fail(w, "the epoch is not a forced one, or the state incarnation not its number");
}

void sim_play_backup(sim_world *w)
{
    begin_traffic(w);
    send_some(w, 40);
    sim_until(w, 5 * ROVE_SECOND, backup_done, "the backup is there");
    sim_until(w, 5 * ROVE_SECOND, cast_all_told, "every event has an outcome");
    if (backup.err)
        sim_fail(w, "no backup: %s", rove_err_name(backup.err));
    size_t applied = both(SIM_FATE_APPLIED),
           kept = (size_t)backup.image.events_processed + (size_t)backup.image.errors;
    if (w->failed || kept >= applied || kept < 2)
        sim_fail(w, "the backup was not taken under traffic: %zu of %zu", kept, applied);
    bring_back(w, cast.a);
    send_some(w, 40);
    sim_until(w, 20 * ROVE_SECOND, cast_all_told, "every event has an outcome");
    sim_pass(w, 2 * ROVE_SECOND);
    if (both(SIM_FATE_LOST) != applied - kept)
        sim_fail(w, "%zu events are reported lost, not %zu", both(SIM_FATE_LOST), applied - kept);
    if (both(SIM_FATE_APPLIED) != kept + 40)
        sim_fail(w, "%zu events are applied, not %zu", both(SIM_FATE_APPLIED), kept + 40);
    sim_backup_fini(&backup);
}

/* The order to move comes right behind it: the freeze does not get into its way, nor does it into
 * the move's. The new host dies, and the daemon comes back as it was before the move. */
void sim_play_backup_and_move(sim_world *w)
{
    begin_traffic(w);
    cast_move(w, cast.a, cast.c);
    send_some(w, 20);
    sim_until(w, 5 * ROVE_SECOND, cast_c_serves, "C serves");
    sim_until(w, 5 * ROVE_SECOND, cast_all_told, "every event has an outcome");
    if (!backup.done || backup.err)
        sim_fail(w, "no backup: %s", rove_err_name(backup.err));
    /* Frozen, and gone: nothing to keep here. */
    sim_backup late;
    sim_cell *c = sim_cell_find(cast.a, cast.d);
    if (c) {
        sim_cell_backup(c, &late);
        sim_pass(w, ROVE_SECOND);
        if (!late.done || !late.err)
            sim_fail(w, "a node keeps what it has given away");
    }
    sim_client_close(cast.other, false);
    sim_pump(cast.c);
    sim_pass(w, ROVE_SECOND);
    size_t applied = fates(cast.client, SIM_FATE_APPLIED);
    bring_back(w, cast.c);
    cast_apply(w, cast.client);
    sim_pass(w, 2 * ROVE_SECOND);
    if (!fates(cast.client, SIM_FATE_LOST))
        sim_fail(w, "nobody was told of a loss");
    if (fates(cast.client, SIM_FATE_LOST) + fates(cast.client, SIM_FATE_APPLIED) != applied + 1)
        sim_fail(w, "an event has another outcome than applied or lost");
    sim_backup_fini(&backup);
}
