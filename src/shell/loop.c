/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop: it moves bytes, timers, tasks, effects and notes between the core that it owns
 * and the outside. A turn: sleep until something happens or the core's deadline; take everything
 * in; let the core work; hand out what it wants done; send. */
#include <base/alloc.h>
#include <errno.h>
#include <sched.h>
#include <shell/node_inside.h>
#include <sys/epoll.h>

#define EVENTS_PER_TURN          64
#define RECEIVE_BATCHES_PER_TURN 8
#define ROUNDS_PER_TURN          16 /* of the core's work; then the socket has its turn */
#define BUSY_TURNS               16 /* that look at the socket alone */
#define FULL_SOCKET_WAIT         (ROVE_SECOND / 1000)
#define SHORT_WAIT               (ROVE_SECOND / 5000)  /* 0.2 ms: about what a sleep costs twice */
#define LOOK_TIME                (ROVE_SECOND / 20000) /* 50 us */
#define QUIET_WAITS              8 /* short ones in a row, before a look is worth its time */
#define VAIN_LOOKS               4

typedef struct watch {
    rovei_list all;
    int fd;
    bool dead; /* unwatched during this turn: freed at its end */
    rovei_watch_fn *fn;
    void *user;
} watch;

/* ---- watched descriptors ---- */

static watch *find_watch(rove_node *node, int fd)
{
    ROVEI_LIST_EACH (it, next, &node->watches) {
        watch *w = ROVEI_CONTAINER(it, watch, all);
        if (w->fd == fd && !w->dead)
            return w;
    }
    return NULL;
}

rove_err rovei_loop_watch(rove_node *node, int fd, uint32_t events, rovei_watch_fn *fn, void *user)
{
    watch *w = ROVEI_NEW(&node->env.alloc, watch);
    if (!w)
        return ROVE_E_NOMEM;
    *w = (watch){.fd = fd, .fn = fn, .user = user};
    struct epoll_event e = {.events = events, .data.ptr = w};
    if (epoll_ctl(node->epoll_fd, EPOLL_CTL_ADD, fd, &e)) {
        ROVEI_DELETE(&node->env.alloc, w);
        return ROVE_E_IO;
    }
    rovei_list_add_tail(&node->watches, &w->all);
    return ROVE_OK;
}

rove_err rovei_loop_modify(rove_node *node, int fd, uint32_t events)
{
    watch *w = find_watch(node, fd);
    if (!w)
        return ROVE_E_NOT_FOUND;
    struct epoll_event e = {.events = events, .data.ptr = w};
    return epoll_ctl(node->epoll_fd, EPOLL_CTL_MOD, fd, &e) ? ROVE_E_IO : ROVE_OK;
}

void rovei_loop_unwatch(rove_node *node, int fd)
{
    watch *w = find_watch(node, fd);
    if (!w)
        return;
    (void)epoll_ctl(node->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    w->dead = true; /* an event for it may still stand in this turn's batch */
}

void rovei_loop_bury(rove_node *node, bool all)
{
    ROVEI_LIST_EACH (it, next, &node->watches) {
        watch *w = ROVEI_CONTAINER(it, watch, all);
        if (!w->dead && !all)
            continue;
        rovei_list_remove(&w->all);
        ROVEI_DELETE(&node->env.alloc, w);
    }
}

/* ---- the loop ---- */

typedef struct turn_context {
    rove_node *node;
    rovei_now now;
} turn_context;

static bool take_datagram(void *user, const rovei_addr *from, uint8_t *dgram, size_t size)
{
    turn_context *t = user;
    return rovei_node_receive(t->node->core, t->now, from, dgram, size);
}

static size_t next_datagram(void *user, uint8_t *ret, size_t room, rovei_addr *ret_to)
{
    turn_context *t = user;
    return rovei_node_transmit(t->node->core, t->now, ret, room, ret_to);
}

static void send_datagrams(rove_node *node, rovei_now now)
{
    turn_context t = {node, now};
    node->socket_full = !rovei_udp_send(node->udp, next_datagram, &t);
}

/* Peers whose address has changed, who came or went: what each of them sends waits in a queue of
 * its own. */
static void favour_peers(rove_node *node)
{
    const rovei_net *net = rovei_node_net(node->core);
    uint64_t places =
        rovei_mesh_places(rovei_node_mesh(node->core)) + (net ? rovei_net_places(net) : 0);
    if (places == node->places)
        return;
    node->places = places;
    rovei_addr addrs[ROVEI_UDP_PEERS];
    size_t count = 0;
    rovei_peer_info peer;
    for (size_t it = 0; count < ROVEI_UDP_PEERS && rovei_node_peer_next(node->core, &it, &peer);)
        if (peer.association)
            addrs[count++] = peer.addr;
    rovei_udp_favour(node->udp, addrs, count);
}

/* Lets the core work until nothing more follows within this instant; true when the rounds did not
 * suffice and the next turn is to follow at once. */
static bool work(rove_node *node, rovei_now now)
{
    for (int round = 0; round < ROUNDS_PER_TURN; round++) {
        rovei_node_turn(node->core, now);
        bool more = rovei_node_drain_effects(node, now);
        more |= rovei_node_drain_notes(node, now);
        if (node->host)
            more |= node->ops->turn(node->host, node->core, now);
        if (!more)
            return false;
    }
    return true;
}

static void receive(rove_node *node, rovei_now now)
{
    turn_context t = {node, now};
    for (int batch = 0; batch < RECEIVE_BATCHES_PER_TURN; batch++)
        if (!rovei_udp_receive(node->udp, take_datagram, &t))
            break;
}

static void take_events(rove_node *node, rovei_now now, struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        void *who = events[i].data.ptr;
        if (who == &node->udp) {
            receive(node, now);
        } else if (who != &node->postbox) {
            watch *w = who;
            if (!w->dead)
                w->fn(w->user, node->core, now, events[i].events);
        }
    }
    rovei_loop_bury(node, false);
}

/* What follows once the input is in. */
static void rest_of_turn(rove_node *node, rovei_now now)
{
    (void)rovei_postbox_run(&node->postbox, node->core, now);
    if (rovei_node_deadline(node->core) <= now.mono)
        rovei_node_expire(node->core, now);
    rovei_timers_expire(&node->timers, now);
    node->more = false;
    bool more = work(node, now);
    node->more |= more; /* calls in place may have set it meanwhile */
    favour_peers(node);
    send_datagrams(node, now);
}

uint64_t rovei_loop_next_turn(rove_node *node, uint64_t now)
{
    if (node->more)
        return 0;
    uint64_t deadline = rovei_node_deadline(node->core);
    if (!deadline && node->socket_full) /* the core has datagrams that nobody takes just now */
        deadline = rovei_time_add(now, FULL_SOCKET_WAIT);
    deadline = rovei_time_min(deadline, rovei_timers_deadline(&node->timers));
    return deadline > now && rovei_postbox_may_sleep(&node->postbox) ? deadline : 0;
}

/* Falling asleep and being woken takes longer than what many nodes wait for. A thread whose last
 * wait was short looks a little while before it sleeps, and lets others run meanwhile; it stops
 * when that was in vain a few times, until waits are short again. */
static int look_for_events(rove_node *node, uint64_t now, uint64_t sleep,
                           struct epoll_event *events)
{
    if (!sleep || node->driven || node->quiet)
        return 0;
    uint64_t until = rovei_time_add(now, sleep < LOOK_TIME ? sleep : LOOK_TIME);
    do {
        int count = epoll_wait(node->epoll_fd, events, EVENTS_PER_TURN, 0);
        if (count)
            return count;
        sched_yield();
    } while (rovei_clock_now().mono < until);
    return 0;
}

/* After a wait: whether the next one is worth a look. */
static void judge_wait(rove_node *node, uint64_t waited, bool looked)
{
    if (waited > SHORT_WAIT)
        node->quiet = QUIET_WAITS;
    else if (node->quiet)
        node->quiet--;
    else if (looked)
        node->vain = 0;
    else if (++node->vain == VAIN_LOOKS) {
        node->vain = 0;
        node->quiet = QUIET_WAITS;
    }
}

static int wait_events(rove_node *node, uint64_t sleep, struct epoll_event *events)
{
    struct timespec t = {.tv_sec = (time_t)(sleep / ROVE_SECOND),
                         .tv_nsec = (long)(sleep % ROVE_SECOND)};
    int count = epoll_pwait2(node->epoll_fd, events, EVENTS_PER_TURN,
                             sleep == ROVE_TIME_NEVER ? NULL : &t, NULL);
    if (count < 0 && errno == ENOSYS)
        count = epoll_wait(node->epoll_fd, events, EVENTS_PER_TURN,
                           sleep == ROVE_TIME_NEVER     ? -1
                           : sleep > 1000 * ROVE_SECOND ? 1000000
                                                        : (int)((sleep + 999999) / 1000000));
    return count;
}

/* Who does not sleep looks straight at the socket; at what else there is to watch after a sleep of
 * his own, and now and then. */
static bool looks_around(rove_node *node)
{
    if (rovei_list_empty(&node->watches))
        return false;
    return node->postbox.armed || ++node->busy_turns >= BUSY_TURNS;
}

void rovei_loop_turn(rove_node *node, bool may_sleep)
{
    rovei_now now = rovei_clock_now();
    uint64_t next = may_sleep ? rovei_loop_next_turn(node, now.mono) : 0;
    if (next || looks_around(node)) {
        struct epoll_event events[EVENTS_PER_TURN];
        uint64_t sleep = next && next != ROVE_TIME_NEVER ? next - now.mono : next;
        int count = look_for_events(node, now.mono, sleep, events);
        bool looked = count > 0;
        if (!looked)
            count = wait_events(node, sleep, events);
        node->busy_turns = 0;
        uint64_t begun = now.mono;
        now = rovei_clock_now();
        if (next)
            judge_wait(node, now.mono - begun, looked);
        take_events(node, now, events, count);
    } else {
        receive(node, now);
    }
    rovei_postbox_woken(&node->postbox);
    if (node->driven)
        rovei_postbox_read(&node->postbox);
    rest_of_turn(node, now);
}

void *rovei_loop_main(void *arg)
{
    rove_node *node = arg;
    rovei_node_own(node, true);
    while (!node->stop)
        rovei_loop_turn(node, true);
    return NULL;
}
