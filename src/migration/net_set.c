/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot on its way in class net: one set of chunks, each a datagram that nobody acknowledges.
 * A receiver of the reference loses what its socket cannot hold while it is busy, so chunks leave
 * in small bursts; what is lost all the same comes with the next round, since a chunk that is there
 * twice does no harm. */
#include <migration/net_source.h>

/* Fewer bytes than the smallest receive buffer that a system gives by default. */
#define BURST_BYTES 131072u
#define BURST_TIME  (5 * ROVE_MILLISECOND)
#define CHUNK_BYTES (29u + ROVEI_NETMOVE_CHUNK_MAX)
#define BURST       (BURST_BYTES / CHUNK_BYTES)
/* Rounds after which a round takes twice as long as before: the target cannot keep up. */
#define SLOWER_EACH 2
#define SLOWER_MOST 3
/* Pauses between rounds double so often. Nothing is heard of a lost chunk, nor of a lost answer:
 * more rounds are worth more than longer pauses. */
#define WAIT_DOUBLES 2

void rovei_net_set_init(rovei_net_set *set, rove_buf *bytes, uint64_t sequence)
{
    *set = (rovei_net_set){.bytes = bytes,
                           .sequence = sequence,
                           .total = rovei_netmove_chunk_count(rovei_buf_size(bytes))};
}

void rovei_net_set_fini(rovei_net_set *set)
{
    rove_buf_unref(set->bytes);
    *set = (rovei_net_set){0};
}

void rovei_net_set_again(rovei_net_set *set, rovei_now now)
{
    set->next = 0;
    set->began = now.mono;
}

rove_err rovei_net_set_burst(rovei_net_set *set, rovei_node *n, rovei_now now, uint64_t to,
                             uint64_t origin, size_t sharers)
{
    size_t most = sharers < BURST ? BURST / (sharers ? sharers : 1) : 1;
    for (; most && set->next < set->total; most--, set->next++) {
        rovei_netmove_message m = {
            .type = ROVEI_NETMOVE_SNAPSHOT_READY,
            .origin = origin,
            .chunk = {.seq_through = set->sequence,
                      .index = set->next,
                      .total = set->total,
                      .bytes = rovei_netmove_chunk_at(rove_buf_span(set->bytes), set->next)}};
        rove_err err = rovei_netmove_send(n, now, to, &m);
        if (err)
            return err;
    }
    if (rovei_net_set_sent(set)) {
        set->took = now.mono - set->began;
        set->rounds++;
    }
    return ROVE_OK;
}

uint64_t rovei_net_set_pause(const rovei_net_set *set, size_t sharers)
{
    uint32_t doubles = set->rounds / SLOWER_EACH;
    uint64_t turns = (sharers + BURST - 1) / BURST;
    return (BURST_TIME << (doubles < SLOWER_MOST ? doubles : SLOWER_MOST)) * (turns ? turns : 1);
}

uint64_t rovei_net_set_wait(const rovei_net_set *set, const rove_limits *limits)
{
    uint64_t wait = set->took > limits->move_repeat ? set->took : limits->move_repeat;
    uint32_t doubles = set->rounds ? set->rounds - 1 : 0;
    return wait << (doubles < WAIT_DOUBLES ? doubles : WAIT_DOUBLES);
}

uint64_t rovei_net_set_bytes(const rovei_net_set *set)
{
    uint64_t sent = (uint64_t)set->next * ROVEI_NETMOVE_CHUNK_MAX;
    return rovei_time_min(sent, rovei_buf_size(set->bytes));
}
