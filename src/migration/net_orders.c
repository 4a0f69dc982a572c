/* SPDX-License-Identifier: Apache-2.0
 *
 * The orchestrator's half of a move in class net: this node has a peer give a daemon to another
 * peer, or to itself. Here, and nowhere else, somebody drives: each step is said again until its
 * answer comes. The snapshot passes through and is not kept. Until CutoverNotify is said the order
 * can end, and both are told; from then on it only goes forward, since the source may have let go
 * (docs/protocol/net-moves.md, "The orchestrator"). */
#include <base/alloc.h>
#include <base/check.h>
#include <migration/net_machine.h>
#include <migration/net_passing.h>
#include <string.h>

/* Repetitions without a new chunk after which the source is told to give up and asked anew, before
 * the first chunk and in the middle of a set: one of the reference does not hear an order twice. */
#define SILENT_BEFORE 5
#define SILENT_WITHIN 2
/* ReplayCompletes with another head than the snapshot's after which it counts as the target's. One
 * may be left over from an earlier attempt. */
#define WRONG_HEADS 3
/* How often the end is said to those who do not know: nothing answers it. */
#define FAREWELLS 3

typedef enum order_step {
    STEP_SNAPSHOT, /* TakeSnapshot is said; chunks come and go on */
    STEP_PAUSE,    /* the target was not ready: ordered again later */
    STEP_REPLAY,   /* the target has it; an empty batch of events is said */
    STEP_CUTOVER,  /* CutoverNotify is said */
    STEP_ACTIVATE, /* the source has let go; ActivateTarget is said */
} order_step;

struct rovei_net_order {
    rovei_net_roles roles;
    rovei_attempt *a;
    uint64_t origin;
    order_step step;
    uint64_t retry_not_ready;
    rovei_net_stamp of_source, of_target; /* what they sent before this is of an earlier order */
    rovei_net_passing set;
    unsigned silent, wrong_heads;
};

/* ---- the table ---- */

#define NEXT(name) (1u << STEP_##name)
static const unsigned next_steps[] = {
    [STEP_SNAPSHOT] = NEXT(PAUSE) | NEXT(REPLAY),
    [STEP_PAUSE] = NEXT(SNAPSHOT),
    [STEP_REPLAY] = NEXT(PAUSE) | NEXT(CUTOVER),
    [STEP_CUTOVER] = NEXT(ACTIVATE),
    [STEP_ACTIVATE] = 0,
};

/* Class net takes its time before it calls a peer failed, and that verdict comes first. */
static void progress(const struct rovei_net_order *o, rovei_now now)
{
    rovei_node *n = o->a->node;
    rovei_timer_set(&n->timers, &o->a->limit,
                    rovei_time_add(now.mono, n->env->limits.net_move_stall));
}

static void set_step(struct rovei_net_order *o, rovei_now now, order_step step)
{
    ROVEI_CHECK(next_steps[o->step] >> step & 1);
    o->step = step;
    rovei_attempt_stop(o->a);
    rovei_attempt_repeat(o->a, now);
    if (step < STEP_CUTOVER)
        progress(o, now);
}

struct rovei_net_order *rovei_net_order_find(const rovei_node *n, uint64_t origin)
{
    ROVEI_LIST_EACH (it, next, &n->moves->running) {
        struct rovei_net_order *o = ROVEI_CONTAINER(it, rovei_attempt, running)->net_order;
        if (o && o->origin == origin)
            return o;
    }
    return NULL;
}

const rovei_net_roles *rovei_net_order_roles(const struct rovei_net_order *o)
{
    return &o->roles;
}

static void set_drop(struct rovei_net_order *o)
{
    rovei_net_passing_drop(&o->set, o->a->node->alloc);
}

void rovei_net_order_free(struct rovei_net_order *o)
{
    if (!o)
        return;
    set_drop(o);
    ROVEI_DELETE(o->a->node->alloc, o);
}

void rovei_net_order_check(const struct rovei_net_order *o)
{
    ROVEI_CHECK(o->a->net_order == o && o->a->info.origin == o->origin);
    ROVEI_CHECK(rovei_net_order_find(o->a->node, o->origin) == o);
    ROVEI_CHECK(o->set.passed <= o->set.total && (o->set.seen != NULL) == (o->set.total != 0));
    ROVEI_CHECK(o->step < STEP_REPLAY || rovei_net_passing_is_whole(&o->set));
    ROVEI_CHECK((o->a->info.phase >= ROVEI_PHASE_CUTOVER) == (o->step >= STEP_CUTOVER));
}

/* ---- what it says ---- */

static void say(struct rovei_net_order *o, rovei_now now, uint64_t to, rovei_netmove_message *m)
{
    m->origin = o->origin;
    (void)!rovei_netmove_send(o->a->node, now, to, m); /* or with the timer */
}

static void say_take(struct rovei_net_order *o, rovei_now now)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_TAKE_SNAPSHOT, .node = o->roles.target};
    say(o, now, o->roles.source, &m);
}

/* There is nothing to replay: what it draws, a ReplayComplete, is what moves the chain on. */
static void say_events(struct rovei_net_order *o, rovei_now now)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_BUFFERED_EVENTS};
    say(o, now, o->roles.target, &m);
}

static void say_cutover(struct rovei_net_order *o, rovei_now now)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_CUTOVER_NOTIFY, .node = o->roles.target};
    say(o, now, o->roles.source, &m);
}

static void say_activate(struct rovei_net_order *o, rovei_now now)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_ACTIVATE_TARGET};
    say(o, now, o->roles.target, &m);
}

static void say_step(struct rovei_net_order *o, rovei_now now)
{
    switch (o->step) {
    case STEP_SNAPSHOT:
        say_take(o, now);
        break;
    case STEP_REPLAY:
        say_events(o, now);
        break;
    case STEP_CUTOVER:
        say_cutover(o, now);
        break;
    case STEP_ACTIVATE:
        say_activate(o, now);
        break;
    case STEP_PAUSE:
        break;
    }
}

/* ---- failing ---- */

/* One that is this node itself hears it at once: what has come of the snapshot goes. */
static void fail_here(rovei_node *n, rovei_now now, uint64_t source, const rovei_netmove_message *m)
{
    const rovei_daemon *d = rovei_daemon_by_origin(n, m->origin);
    (void)rovei_net_place_drop(n, source, m->origin);
    if (d && d->net_target &&
        rovei_net_target_roles(d->net_target)->orchestrator == n->net_moves->self)
        rovei_net_target_receive(d->net_target, now, n->net_moves->self, m);
}

static void pass_failure(struct rovei_net_order *o, rovei_now now, uint64_t to,
                         rovei_netmove_message *m)
{
    rovei_node *n = o->a->node;
    m->origin = o->origin;
    if (to == n->net_moves->self)
        fail_here(n, now, o->roles.source, m);
    else
        (void)!rovei_netmove_send(n, now, to, m); /* lost: its own time runs out */
}

static void tell_both(struct rovei_net_order *o, rovei_now now, const char *text)
{
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_MIGRATION_FAILED};
    m.failed.code = ROVEI_NETMOVE_STATE_FAILED;
    m.failed.text = rovei_utf8_cut((rove_span){text, strlen(text)}, ROVEI_NETMOVE_TEXT_MAX);
    pass_failure(o, now, o->roles.source, &m);
    pass_failure(o, now, o->roles.target, &m);
}

static void end(struct rovei_net_order *o, rovei_now now, rovei_move_outcome outcome, rove_err err)
{
    rovei_attempt *a = o->a;
    a->net_order = NULL;
    rovei_net_order_free(o);
    rovei_attempt_conclude(a, now, outcome, err);
    rovei_attempt_retire(a, now);
}

/* It ended, and `to` (0: both) may not have heard it. */
static void say_farewell(rovei_attempt *a, uint64_t to)
{
    a->farewells = FAREWELLS - 1;
    a->net_told = to;
}

/* In the words of the reference, where it has some. */
static const char *words_of(rove_err err)
{
    return err == ROVE_E_CANCELLED   ? "cancel requested"
           : err == ROVE_E_TIMED_OUT ? "timeout"
                                     : rove_strerror(err);
}

void rovei_net_order_farewell(rovei_attempt *a, rovei_now now)
{
    const rovei_move_info *i = &a->info;
    const char *words = words_of(i->reason);
    rovei_netmove_message m = {.type = ROVEI_NETMOVE_MIGRATION_FAILED, .origin = i->origin};
    m.failed.code = ROVEI_NETMOVE_STATE_FAILED;
    m.failed.text = i->text.size ? i->text : (rove_span){words, strlen(words)};
    uint64_t both[] = {rovei_entity_node_id(&i->source), rovei_entity_node_id(&i->target)};
    a->farewells--;
    for (size_t k = 0; k < 2; k++)
        if (both[k] != a->node->net_moves->self && (!a->net_told || a->net_told == both[k]))
            (void)!rovei_netmove_send(a->node, now, both[k], &m);
}

/* What is still said of an earlier order would end this one. */
static void forget_farewells(rovei_node *n, uint64_t origin)
{
    for (size_t i = 0; i < n->moves->count; i++)
        if (n->moves->all[i]->info.ordered && n->moves->all[i]->info.origin == origin)
            n->moves->all[i]->farewells = 0;
}

/* Before CutoverNotify: the daemon goes on where it is. */
static void give_up(struct rovei_net_order *o, rovei_now now, rovei_move_outcome outcome,
                    rove_err err, const char *text)
{
    ROVEI_CHECK(o->step < STEP_CUTOVER);
    tell_both(o, now, text);
    say_farewell(o->a, 0);
    end(o, now, outcome, err);
}

static void fail(struct rovei_net_order *o, rovei_now now, rove_err err, const char *text)
{
    rovei_attempt_text(o->a, (rove_span){text, strlen(text)});
    give_up(o, now, ROVEI_OUTCOME_FAILED, err, text);
}

rove_err rovei_net_order_cancel(struct rovei_net_order *o, rovei_now now, rove_err why)
{
    if (o->step >= STEP_CUTOVER)
        return ROVE_E_TOO_LATE;
    rovei_move_outcome outcome = why == ROVE_E_CANCELLED   ? ROVEI_OUTCOME_CANCELLED
                                 : why == ROVE_E_TIMED_OUT ? ROVEI_OUTCOME_TIMED_OUT
                                                           : ROVEI_OUTCOME_FAILED;
    give_up(o, now, outcome, why, words_of(why));
    return ROVE_OK;
}

void rovei_net_order_shutdown(struct rovei_net_order *o, rovei_now now)
{
    if (o->step < STEP_CUTOVER)
        tell_both(o, now, rove_strerror(ROVE_E_SHUTTING_DOWN));
    end(o, now, ROVEI_OUTCOME_FAILED, ROVE_E_SHUTTING_DOWN);
}

/* ---- beginning ---- */

static void order_anew(struct rovei_net_order *o, rovei_now now)
{
    set_drop(o);
    o->silent = o->wrong_heads = 0;
    o->a->info.attempts++;
    o->of_source = rovei_net_moves_heard(o->a->node, o->roles.source);
    o->of_target = rovei_net_moves_heard(o->a->node, o->roles.target);
    rovei_attempt_repeat(o->a, now);
    progress(o, now);
    say_take(o, now);
}

rove_err rovei_net_order_may(const rovei_node *n, const rovei_move_order *o, uint64_t origin)
{
    bool here = rovei_entity_equal(&o->target, &n->self);
    const rovei_daemon *d = rovei_daemon_by_origin(n, origin);
    if (!here && (!rovei_entity_is_net(&o->target) || !rovei_node_reaches(n, &o->target)))
        return ROVE_E_TARGET_UNAVAILABLE;
    return d && (d->net_source || d->net_target) ? ROVE_E_ALREADY_MIGRATING : ROVE_OK;
}

rove_err rovei_net_order_begin(rovei_attempt *a, rovei_now now, const rovei_move_order *o)
{
    rovei_node *n = a->node;
    struct rovei_net_order *order = ROVEI_NEW(n->alloc, struct rovei_net_order);
    if (!order)
        return ROVE_E_NOMEM;
    uint64_t self = n->net_moves->self;
    forget_farewells(n, a->info.origin);
    order->roles =
        (rovei_net_roles){rovei_entity_node_id(&o->source), rovei_entity_node_id(&o->target), self};
    order->a = a;
    order->origin = a->info.origin;
    order->retry_not_ready = o->retry_not_ready;
    a->net_order = order;
    order_anew(order, now);
    return ROVE_OK;
}

/* ---- the snapshot passes ---- */

/* Whose it is, as far as that was known before. */
static bool read_head(struct rovei_net_order *o, const rovei_netmove_chunk *c, rovei_text *why)
{
    rovei_move_info *info = &o->a->info;
    rove_entity entity;
    if (!rovei_net_passing_read_head(&o->set, o->origin, c, &entity, why))
        return false;
    if (!rovei_entity_is_zero(&info->daemon) && !rovei_entity_equal(&info->daemon, &entity)) {
        rovei_text_set(why, "the snapshot is of another daemon of the same origin");
        return false;
    }
    info->daemon = entity;
    return true;
}

static void note_passed(struct rovei_net_order *o, rovei_now now, const rovei_netmove_chunk *c)
{
    if (!rovei_net_passing_note(&o->set, c))
        return;
    o->silent = 0;
    o->a->info.bytes = o->set.bytes;
    rovei_attempt_phase(o->a, ROVEI_PHASE_TRANSFER);
    rovei_attempt_repeat(o->a, now);
    progress(o, now);
}

static void chunk(struct rovei_net_order *o, rovei_now now, const rovei_netmove_message *m)
{
    rovei_node *n = o->a->node;
    rovei_text why = {0};
    rove_err err = o->step == STEP_SNAPSHOT ? rovei_net_passing_take(&o->set, n->alloc, &m->chunk)
                                            : ROVE_E_WRONG_PHASE;
    if (err == ROVE_E_TOO_LARGE) {
        fail(o, now, err, "the snapshot is larger than a target takes");
        return;
    }
    if (err) {
        if (err != ROVE_E_NOMEM) /* that is as if it was lost */
            rovei_netmove_out_of_phase(n, m->type);
        return;
    }
    if (m->chunk.index == 0 && !read_head(o, &m->chunk, &why)) {
        fail(o, now, ROVE_E_STATE_FAILED, why.chars);
        return;
    }
    if (o->roles.target == n->net_moves->self)
        rovei_net_target_chunk(n, now, o->roles.source, n->net_moves->self, o->origin, &m->chunk);
    else if (rovei_netmove_send(n, now, o->roles.target, m))
        return; /* it comes again with the set */
    note_passed(o, now, &m->chunk);
}

/* ---- the target ---- */

/* Only after all of it went there: an earlier one is forged, or left over. */
static void restored(struct rovei_net_order *o, rovei_now now, const rovei_netmove_message *m)
{
    if (o->step == STEP_REPLAY) {
        say_events(o, now);
        return;
    }
    if (o->step != STEP_SNAPSHOT || !rovei_net_passing_is_whole(&o->set) ||
        m->sequence != o->set.sequence) {
        rovei_netmove_out_of_phase(o->a->node, m->type);
        return;
    }
    rovei_attempt_phase(o->a, ROVEI_PHASE_RESTORE);
    set_step(o, now, STEP_REPLAY);
    say_events(o, now);
}

/* Its chain has to stand where the daemon's stood. Each one is answered by CutoverNotify, which to
 * the source is the word that a batch of its own has come as well. */
static void replayed(struct rovei_net_order *o, rovei_now now, const rovei_netmove_message *m)
{
    if (o->step == STEP_CUTOVER) {
        say_cutover(o, now);
        return;
    }
    if (o->step != STEP_REPLAY) {
        rovei_netmove_out_of_phase(o->a->node, m->type);
        return;
    }
    if (rovei_link_equal(&m->replayed.head, &o->set.head)) {
        rovei_attempt_phase(o->a, ROVEI_PHASE_REPLAY);
        rovei_attempt_phase(o->a, ROVEI_PHASE_CUTOVER);
        set_step(o, now, STEP_CUTOVER);
        say_cutover(o, now);
        return;
    }
    rovei_netmove_out_of_phase(o->a->node, m->type);
    if (++o->wrong_heads == WRONG_HEADS)
        fail(o, now, ROVE_E_STATE_FAILED,
             "the target's chain stands elsewhere than the snapshot's");
    else
        say_events(o, now);
}

static void acknowledged(struct rovei_net_order *o, rovei_now now, const rovei_netmove_message *m)
{
    if (o->step != STEP_ACTIVATE) {
        rovei_netmove_out_of_phase(o->a->node, m->type);
        return;
    }
    rovei_attempt_phase(o->a, ROVEI_PHASE_COMPLETE);
    end(o, now, ROVEI_OUTCOME_COMPLETED, ROVE_OK);
}

/* ---- the source ---- */

static void cleaned(struct rovei_net_order *o, rovei_now now, const rovei_netmove_message *m)
{
    if (o->step == STEP_CUTOVER)
        set_step(o, now, STEP_ACTIVATE);
    if (o->step == STEP_ACTIVATE)
        say_activate(o, now);
    else
        rovei_netmove_out_of_phase(o->a->node, m->type);
}

/* ---- failures that are told ---- */

#define REFUSAL "migration refused: "

static rove_err reason_of(const rovei_netmove_reason *r)
{
    bool refusal = r->text.size >= sizeof REFUSAL - 1 &&
                   memcmp(r->text.data, REFUSAL, sizeof REFUSAL - 1) == 0;
    return refusal ? ROVE_E_REFUSED : rovei_netmove_err_of(r);
}

/* The source goes on, and is ordered anew after a while. */
static void not_ready(struct rovei_net_order *o, rovei_now now, uint64_t other)
{
    rovei_attempt *a = o->a;
    uint64_t pause = rovei_attempt_retry(a, now, o->retry_not_ready);
    if (!pause) {
        say_farewell(a, other);
        end(o, now, ROVEI_OUTCOME_FAILED,
            o->retry_not_ready ? ROVE_E_NOT_READY_TIMEOUT : ROVE_E_TARGET_NOT_READY);
        return;
    }
    set_step(o, now, STEP_PAUSE);
    rovei_attempt_stop(a);
    rovei_timer_set(&a->node->timers, &a->repeat, rovei_time_add(now.mono, pause));
}

/* The other one of the two hears it in the same words. */
static void failed(struct rovei_net_order *o, rovei_now now, uint64_t from,
                   const rovei_netmove_message *m)
{
    rovei_attempt *a = o->a;
    rovei_netmove_message on = *m;
    rove_err err = reason_of(&m->failed);
    if (o->step == STEP_PAUSE) { /* of what has ended already */
        rovei_netmove_out_of_phase(a->node, m->type);
        return;
    }
    if (m->failed.text.size)
        rovei_attempt_text(a, m->failed.text);
    if (o->step >= STEP_CUTOVER) { /* it undoes nothing, and says why it stands */
        a->info.reason = err;
        return;
    }
    uint64_t other = from == o->roles.source ? o->roles.target : o->roles.source;
    pass_failure(o, now, other, &on);
    if (err == ROVE_E_TARGET_NOT_READY && from == o->roles.target) {
        not_ready(o, now, other);
        return;
    }
    say_farewell(a, other);
    end(o, now, ROVEI_OUTCOME_FAILED, err);
}

void rovei_net_order_receive(struct rovei_net_order *o, rovei_now now, uint64_t from,
                             const rovei_netmove_message *m)
{
    rovei_net_stamp mark = from == o->roles.source ? o->of_source : o->of_target;
    if (rovei_net_moves_late(o->a->node, mark, m->type))
        return;
    switch ((int)m->type) {
    case ROVEI_NETMOVE_SNAPSHOT_READY:
        chunk(o, now, m);
        break;
    case ROVEI_NETMOVE_RESTORE_COMPLETE:
        restored(o, now, m);
        break;
    case ROVEI_NETMOVE_REPLAY_COMPLETE:
        replayed(o, now, m);
        break;
    case ROVEI_NETMOVE_ACTIVATE_ACK:
        acknowledged(o, now, m);
        break;
    case ROVEI_NETMOVE_CLEANUP_COMPLETE:
        cleaned(o, now, m);
        break;
    case ROVEI_NETMOVE_MIGRATION_FAILED:
        failed(o, now, from, m);
        break;
    default:
        break;
    }
}

/* ---- time and peers ---- */

/* Chunks that do not come, or an answer to the last of them: a source like this node sends the set
 * again for the same order; one of the reference only after it has been told to give up. */
static void ask_again(struct rovei_net_order *o, rovei_now now)
{
    bool waits =
        !rovei_net_passing_is_whole(&o->set); /* else for the target, which may need its time */
    if (++o->silent == (o->set.total ? SILENT_WITHIN : SILENT_BEFORE) && waits) {
        tell_both(o, now, "the snapshot has not come whole");
        set_drop(o);
        o->silent = 0;
    }
    rovei_attempt_back_off(o->a, now);
    say_take(o, now);
}

void rovei_net_order_repeat(struct rovei_net_order *o, rovei_now now)
{
    if (o->step == STEP_PAUSE) {
        o->step = STEP_SNAPSHOT;
        order_anew(o, now);
    } else if (o->step == STEP_SNAPSHOT) {
        ask_again(o, now);
    } else {
        rovei_attempt_back_off(o->a, now);
        say_step(o, now);
    }
}

static bool reaches(const struct rovei_net_order *o, uint64_t node_id)
{
    rove_entity peer = rovei_entity_of_net(node_id);
    return node_id == o->a->node->net_moves->self || rovei_node_reaches(o->a->node, &peer);
}

void rovei_net_order_limit(struct rovei_net_order *o, rovei_now now)
{
    if (o->step >= STEP_CUTOVER)
        return;
    bool both = reaches(o, o->roles.source) && reaches(o, o->roles.target);
    rove_err err = both ? ROVE_E_TIMED_OUT : ROVE_E_PEER_LOST;
    give_up(o, now, ROVEI_OUTCOME_FAILED, err, rove_strerror(err));
}

void rovei_net_order_peer_up(struct rovei_net_order *o, rovei_now now, uint64_t node_id)
{
    bool to_source = o->step == STEP_SNAPSHOT || o->step == STEP_CUTOVER;
    if (o->step == STEP_PAUSE || node_id != (to_source ? o->roles.source : o->roles.target))
        return;
    rovei_attempt_repeat(o->a, now);
    say_step(o, now);
}

void rovei_net_order_peer_failed(struct rovei_net_order *o, rovei_now now, uint64_t node_id)
{
    if (o->step < STEP_CUTOVER && (node_id == o->roles.source || node_id == o->roles.target))
        give_up(o, now, ROVEI_OUTCOME_FAILED, ROVE_E_PEER_LOST, rove_strerror(ROVE_E_PEER_LOST));
}
