/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves ordered, followed and cancelled over the control socket. */
#include <host/names.h>
#include <host/placing.h>
#include <host/runtime.h>
#include <identity/entity.h>
#include <shell/control_job.h>
#include <shell/files.h>
#include <stdio.h>
#include <string.h>

#define MEETING_TIME (5 * ROVE_SECOND)

bool control_to(connection *c, rovei_node *core, json_object *request, rove_entity *ret)
{
    const char *name = control_field(request, "to");
    uint64_t id;
    if (name && rovei_hex_decode(name, strlen(name), ret->bytes, sizeof ret->bytes))
        return true;
    if (!name || !control_parse_id(name, &id)) {
        control_end(c, ROVE_E_USAGE, "the target is neither an entity nor a node id");
        return false;
    }
    rovei_peer_info peer;
    for (size_t it = 0; rovei_node_peer_next(core, &it, &peer);)
        if (peer.node_id == id) {
            *ret = peer.entity;
            return true;
        }
    rove_node_info self;
    rove_node_get_info(c->control->node, &self);
    if (self.node_id == id) {
        *ret = self.entity;
        return true;
    }
    control_end(c, ROVE_E_UNKNOWN_PEER,
                "this node has no peer of that id: see rove peers, or name it by its entity");
    return false;
}

static json_object *move_event(const connection *c, const char *what, const rovei_move_info *info,
                               uint64_t now)
{
    json_object *o = json_object_new_object();
    rove_node_info self;
    rove_node_get_info(c->control->node, &self);
    control_add(o, "event", control_text(what));
    control_add(o, "from", control_id(self.node_id));
    control_add(o, "to", control_id(rovei_entity_node_id(&c->target)));
    control_add(o, "bytes", control_u64(info->bytes));
    control_add(o, "total_ms", control_ms((info->ended ? info->ended : now) - c->ordered));
    control_add(o, "blackout_ms",
                info->frozen_at && info->active_at ? control_ms(info->active_at - info->frozen_at)
                                                   : NULL);
    control_add(o, "unbound", control_u64(info->unbound));
    control_add(o, "reason", control_move_reason(info));
    if (c->detail) { /* for the demo, which measures at the hosts by this machine's clock */
        control_add(o, "last_applied", info->last_applied ? control_u64(info->last_applied) : NULL);
        control_add(o, "widest_gap", control_u64(info->widest_gap));
        control_add(o, "held_back", control_u64(info->held_back));
        control_add(o, "applied_frozen", control_u64(info->applied_frozen));
    }
    return o;
}

static void tell_phase(connection *c, rovei_phase phase, uint64_t now)
{
    json_object *o = json_object_new_object();
    c->phase = phase;
    control_add(o, "event", control_text("phase"));
    control_add(o, "phase", control_text(rovei_phase_name(phase)));
    control_add(o, "at_ms", control_ms(now - c->ordered));
    control_say(c, o);
}

/* With a sentence that says what to do. */
static void end_move(connection *c, rove_err err)
{
    if (err == ROVE_E_TARGET_NO_FACTORY)
        control_end(c, err,
                    "the target does not expect this daemon: say rove expect KIND ORIGIN there");
    else if (err == ROVE_E_MOVED)
        control_end(c, err, "the daemon lives on another node: order it there (see rove ps)");
    else if (err == ROVE_E_SAME_NODE)
        control_end(c, err, "the daemon is on that node already");
    else if (err == ROVE_E_TARGET_UNAVAILABLE)
        control_end(c, err,
                    "this node has no session with the target: see rove peers, and rove connect");
    else if (err == ROVE_E_TARGET_KEY)
        control_end(c, err,
                    "the target's key is not known here, so the daemon's identity cannot be sealed "
                    "to it: give it with rove node --net-peer NODE_ID:X25519, or leave the "
                    "identity here with --no-identity");
    else if (err == ROVE_E_TOO_LARGE && rovei_entity_is_net(&c->target))
        control_end(c, err, "a target of class net takes at most 64 MiB of snapshot");
    else if (err == ROVE_E_ALREADY_MIGRATING)
        control_end(c, err, "the daemon is moving already: see rove moves");
    else if (err == ROVE_E_NOT_FOUND)
        control_end(c, err, "this node has no such daemon: see rove ps");
    else
        control_end_err(c, err);
}

static void tell_ended(connection *c, const rovei_move_info *info, uint64_t now)
{
    bool moved = info->outcome == ROVEI_OUTCOME_COMPLETED;
    char text[128 + ROVE_MIGRATION_TEXT_MAX];
    if (moved && c->phase != ROVEI_PHASE_COMPLETE)
        tell_phase(c, ROVEI_PHASE_COMPLETE, info->ended ? info->ended : now);
    if (!c->closing)
        control_say(c, move_event(c, moved ? "moved" : "failed", info, now));
    if (c->closing)
        return;
    if (!moved && info->text.size) {
        snprintf(text, sizeof text, "%s; it says: %.*s", rove_strerror(info->reason),
                 (int)info->text.size, (const char *)info->text.data);
        control_end(c, info->reason, text);
        return;
    }
    end_move(c, moved ? ROVE_OK : info->reason ? info->reason : ROVE_E_CANCELLED);
}

/* ---- the order ---- */

static void give_order(connection *c, rovei_node *core, rovei_now now, json_object *request);

static void meet_work(job *j)
{
    j->err = rove_node_wait_peer(j->node, &j->entity, j->timeout);
}

static void meet_finish(job *j, rovei_node *core, rovei_now now)
{
    connection *c = j->connection;
    c->mode = MODE_IDLE;
    give_order(c, core, now, j->request);
}

static void meet_drop(job *j)
{
    json_object_put(j->request);
}

/* A session with the target that is still being opened for the first time is waited for, shortly:
 * the move is then ordered again. False: there is nothing to wait for. */
static bool wait_meeting(connection *c, rovei_node *core, const rovei_move_order *order,
                         json_object *request)
{
    rovei_peer_info peer;
    json_object *timeout = NULL;
    uint64_t wait = order->retry_not_ready < MEETING_TIME ? order->retry_not_ready : MEETING_TIME;
    if (json_object_object_get_ex(request, "timeout_ns", &timeout) &&
        json_object_get_uint64(timeout) < wait)
        wait = json_object_get_uint64(timeout);
    if (c->met || !wait || rovei_node_peer(core, &order->target, &peer) != ROVE_OK ||
        peer.state != ROVEI_PEER_CONNECTING)
        return false;
    c->met = true;
    job *j = control_job_new(c);
    if (!j)
        return true; /* and the request has ended */
    j->entity = order->target;
    j->timeout = wait;
    j->request = json_object_get(request);
    j->work = meet_work;
    j->finish = meet_finish;
    j->drop = meet_drop;
    control_job_start(j);
    return true;
}

/* By placement. False: there is none, and the request has ended. */
static bool choose_target(connection *c, const rovei_node *core, rovei_move_order *order)
{
    rove_placement p = {0};
    rove_err err = rovei_host_choose_target(&c->control->runtime->host, core, &order->daemon, &p);
    if (err == ROVE_E_NO_TARGET)
        control_end(c, err, "no node that can be reached takes the daemon: see rove why");
    else if (err)
        end_move(c, err);
    order->target = p.node;
    return err == ROVE_OK;
}

static void give_order(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    rovei_move_order order = {.keep_identity = control_flag(request, "keep_identity")};
    json_object *retry = NULL;
    rovei_move_info info = {0};
    if (!control_daemon(c, core, request, &order.daemon) ||
        (control_flag(request, "auto") ? !choose_target(c, core, &order)
                                       : !control_to(c, core, request, &order.target)))
        return;
    order.retry_not_ready = rovei_node_env(c->control->node)->limits.retry_not_ready;
    if (json_object_object_get_ex(request, "retry_ns", &retry))
        order.retry_not_ready = json_object_get_uint64(retry);
    c->target = order.target;
    c->daemon = order.daemon;
    c->detail = control_flag(request, "detail");
    c->phase = ROVEI_PHASE_NONE;
    rove_err err = c->aborted ? ROVE_E_TIMED_OUT : rovei_node_move(core, now, &order, &c->attempt);
    rovei_daemon_info daemon;
    if (err == ROVE_E_TARGET_UNAVAILABLE && wait_meeting(c, core, &order, request))
        return;
    if (err == ROVE_E_NOT_FOUND && rovei_node_daemon_get(core, &order.daemon, &daemon) == ROVE_OK &&
        daemon.state == ROVEI_DAEMON_MOVED)
        err = ROVE_E_MOVED;
    if (err) {
        info.reason = err;
        control_say(c, move_event(c, "failed", &info, now.mono));
        if (!c->closing)
            end_move(c, err);
        return;
    }
    if (control_flag(request, "detach")) {
        json_object *o = json_object_new_object();
        control_add(o, "event", control_text("started"));
        control_add(o, "attempt", control_attempt(&c->attempt));
        control_say(c, o);
        if (!c->closing)
            control_end_err(c, ROVE_OK);
        return;
    }
    c->mode = MODE_MOVE;
    if (rovei_node_move_get(core, &c->attempt, &info) == ROVE_OK &&
        info.outcome != ROVEI_OUTCOME_RUNNING)
        tell_ended(c, &info, now.mono);
}

void control_migrate(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    c->ordered = now.mono;
    c->met = c->aborted = false;
    give_order(c, core, now, request);
}

void control_move_note(rovei_control *control, rovei_node *core, rovei_now now,
                       const rovei_note *note)
{
    ROVEI_LIST_EACH (it, next, &control->connections) {
        connection *c = ROVEI_CONTAINER(it, connection, all);
        if (c->mode != MODE_MOVE || memcmp(&c->attempt, &note->attempt, sizeof c->attempt) != 0)
            continue;
        rovei_move_info info;
        if (note->kind == ROVEI_NOTE_MOVE && note->phase > c->phase)
            tell_phase(c, note->phase, now.mono);
        else if (note->kind == ROVEI_NOTE_MOVE_ENDED &&
                 rovei_node_move_get(core, &c->attempt, &info) == ROVE_OK)
            tell_ended(c, &info, now.mono);
        else if (note->kind == ROVEI_NOTE_MOVE_ENDED)
            control_end_err(c, note->err ? note->err : ROVE_E_GONE);
        control_leave(c);
    }
}

void control_move_abort(connection *c, rovei_node *core, rovei_now now)
{
    rovei_move_info info = {0};
    c->aborted = true;
    if (c->mode != MODE_MOVE)
        return; /* there is no move yet, and there will be none */
    rove_err err = rovei_node_cancel(core, now, &c->attempt, ROVE_E_TIMED_OUT);
    if (err != ROVE_E_TOO_LATE)
        return; /* the end comes as a note, or has come */
    if (rovei_node_move_get(core, &c->attempt, &info))
        info = (rovei_move_info){0};
    if (!info.reason)
        info.reason = ROVE_E_STILL_MOVING;
    control_say(c, move_event(c, "still_moving", &info, now.mono));
    if (!c->closing)
        control_end_err(c, ROVE_E_STILL_MOVING);
}

void control_cancel(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    rove_entity daemon;
    rovei_move_info info, found = {0};
    bool running = false;
    if (!control_daemon(c, core, request, &daemon))
        return;
    for (size_t it = 0; rovei_node_move_next(core, &it, &info);)
        if (rovei_entity_equal(&info.daemon, &daemon) && info.local_source &&
            (info.outcome == ROVEI_OUTCOME_RUNNING || !running)) {
            running = info.outcome == ROVEI_OUTCOME_RUNNING;
            found = info;
        }
    rove_err err = ROVE_E_NOT_FOUND;
    if (running)
        err = rovei_node_cancel(core, now, &found.attempt, ROVE_E_CANCELLED);
    else if (found.outcome == ROVEI_OUTCOME_COMPLETED)
        err = ROVE_E_TOO_LATE;
    if (err && err != ROVE_E_TOO_LATE) {
        control_end(c, err, "this node is not moving that daemon away");
        return;
    }
    json_object *o = json_object_new_object();
    control_add(o, "origin", control_id(rovei_entity_origin(&daemon)));
    control_add(o, "result", control_text(err ? "too_late" : "aborted"));
    control_say(c, o);
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}
