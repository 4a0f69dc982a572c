/* SPDX-License-Identifier: Apache-2.0
 *
 * What scenarios share. */
#include "cast.h"

sim_cast cast;

bool cast_a_serves(sim_world *w)
{
    (void)w;
    return cast_serves(cast.a);
}

bool cast_b_serves(sim_world *w)
{
    (void)w;
    return cast_serves(cast.b);
}

bool cast_c_serves(sim_world *w)
{
    (void)w;
    return cast_serves(cast.c);
}

bool cast_b_prepared(sim_world *w)
{
    (void)w;
    return cast_has_role(cast.b, ROVEI_ROLE_PREPARED);
}

bool cast_a_committed(sim_world *w)
{
    (void)w;
    return cast_has_role(cast.a, ROVEI_ROLE_COMMITTED);
}

bool cast_a_frozen(sim_world *w)
{
    (void)w;
    return cast_has_role(cast.a, ROVEI_ROLE_FROZEN);
}

bool cast_b_closed(sim_world *w)
{
    (void)w;
    const rovei_daemon *r = cast.b->up ? rovei_daemon_find(cast.b->core, &cast.d->entity) : NULL;
    return r && r->role == ROVEI_ROLE_SERVING && !r->target;
}

bool cast_event_applied(sim_world *w)
{
    (void)w;
    return cast.event->fate == SIM_FATE_APPLIED;
}

bool cast_event_told(sim_world *w)
{
    (void)w;
    return cast.event->fate != SIM_FATE_OPEN;
}

bool cast_all_told(sim_world *w)
{
    return sim_clients_rest(w);
}

void cast_begin(sim_world *w)
{
    cast = (sim_cast){.a = &w->nodes[0], .b = &w->nodes[1], .c = &w->nodes[2]};
    sim_mesh_up(w);
    cast.d = sim_daemon_new(w);
    if (!sim_cell_spawn(cast.a, cast.d))
        sim_fail(w, "the daemon cannot be spawned");
    sim_pump(cast.a);
    sim_until(w, 2 * ROVE_SECOND, cast_a_serves, "A serves");
}

void cast_move(sim_world *w, sim_node *from, sim_node *to)
{
    rove_err err = sim_move(from, cast.d, to, &cast.attempt);
    sim_pump(from);
    if (err)
        sim_fail(w, "the order to move is not taken: %s", rove_err_name(err));
}

void cast_open_move(sim_world *w)
{
    sim_rule(w, cast.b, cast.a, ROVEI_TAG_MOVE, ROVEI_MOVE_ACTIVE, SIM_SWALLOW);
    cast_move(w, cast.a, cast.b);
    sim_until(w, 5 * ROVE_SECOND, cast_b_serves, "B serves");
}

void cast_b_forgets(sim_world *w)
{
    sim_node_crash(cast.b);
    sim_pass(w, 100 * MS);
    sim_rules_clear(w);
    sim_return(cast.b);
    sim_until(w, 30 * ROVE_SECOND, cast_b_serves, "B serves again");
}

void cast_send(sim_client *c)
{
    rove_err err = sim_client_send(c, &cast.event);
    if (err)
        sim_fail(c->node->world, "%s cannot send: %s", c->name, rove_err_name(err));
    sim_pump(c->node);
}

void cast_apply(sim_world *w, sim_client *c)
{
    cast_send(c);
    sim_until(w, 20 * ROVE_SECOND, cast_event_applied, "an event is applied");
}
