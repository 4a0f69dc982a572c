/* SPDX-License-Identifier: Apache-2.0
 *
 * The network of a world: for each direction between two nodes a latency, and how often a datagram
 * is lost, doubled, overtaken, or comes very late; cuts in one direction or both; and a hold, with
 * which a scenario keeps one direction back and lets it go when it wants. Nodes may change their
 * address. Thieves, at addresses of their own, listen to everything: they send copies, quicker than
 * the real ones where they want, and datagrams of their own making. */
#ifndef SIM_NET_H
#define SIM_NET_H

#include <mesh/address.h>
#include <rove/types.h>

struct sim_world;
struct sim_node;

#define SIM_NET_NODES    6 /* the last one is the stranger's (stranger.h) */
#define SIM_NET_STRANGER (SIM_NET_NODES - 1)
#define SIM_NET_ARCHIVE  96
#define SIM_THIEVES      3

typedef struct sim_datagram {
    struct sim_datagram *next;
    unsigned from, to;
    uint32_t from_life;
    rovei_addr from_addr;
    uint32_t place; /* of the receiver when it was sent: at another one it is lost */
    size_t size;
    uint64_t number; /* of its direction, to tell when one overtakes another */
    bool again;      /* a copy of one that was sent before */
    uint8_t bytes[];
} sim_datagram;

typedef struct sim_link {
    uint64_t latency, jitter;           /* nanoseconds */
    uint32_t loss, twice, astray, late; /* of 10,000 */
    unsigned cut;                       /* number of cuts that cover this direction */
    bool held;
    unsigned steal; /* so many datagrams come first from a thief */
    unsigned thief;
    sim_datagram *waiting, **waiting_end; /* while held */
    uint64_t sent, highest_arrived;
    uint8_t *taken; /* bits by number: a core has accepted this datagram */
    size_t taken_size;
} sim_link;

typedef struct sim_net {
    sim_link links[SIM_NET_NODES][SIM_NET_NODES]; /* [from][to] */
    sim_datagram *archive[SIM_NET_ARCHIVE];       /* recent ones, to come again much later */
    uint64_t archived;
    struct {
        uint64_t sent, received; /* bytes, from it and to it */
    } thieves[SIM_THIEVES];
    uint64_t stolen, flooded, moved;
    uint64_t sent, lost, doubled, reordered, late, arrived, to_nobody, in_flight, replayed;
} sim_net;

void sim_net_init(struct sim_world *w);
void sim_net_fini(struct sim_world *w);
void sim_net_send(struct sim_world *w, struct sim_node *from, const rovei_addr *to,
                  const uint8_t *bytes, size_t size);
/* The same for a sender by its number. */
void sim_net_post(struct sim_world *w, unsigned from, uint32_t life, const rovei_addr *from_addr,
                  const rovei_addr *to, const uint8_t *bytes, size_t size);
/* Same numbers for all directions. */
void sim_net_quality(struct sim_world *w, uint64_t latency, uint64_t jitter, uint32_t loss,
                     uint32_t twice, uint32_t astray, uint32_t late);
void sim_net_cut(struct sim_world *w, unsigned from, unsigned to, bool cut);
/* Keeps a direction back from now on; what is on its way already still arrives. */
void sim_net_hold(struct sim_world *w, unsigned from, unsigned to);
/* Lets go what was held, in order, or drops it. */
void sim_net_release(struct sim_world *w, unsigned from, unsigned to, bool drop);
/* Lets an old datagram arrive once more, from where it came or from a thief; `pick` chooses which.
 * False when there is none. */
bool sim_net_replay(struct sim_world *w, uint64_t pick, bool from_thief);
/* The node has another address from now on; sim_net_home: the one that it had at first. */
void sim_net_move(struct sim_node *n);
void sim_net_home(struct sim_node *n);
rovei_addr sim_home_addr(const struct sim_node *n);
rovei_addr sim_thief_addr(unsigned thief);
/* The next datagrams from one node to another come first from the thief. */
void sim_net_steal(struct sim_world *w, unsigned from, unsigned to, unsigned thief, unsigned count);
/* One datagram of the thief's own making. */
void sim_net_flood(struct sim_world *w, unsigned to, unsigned thief, const uint8_t *bytes,
                   size_t size);

#endif
