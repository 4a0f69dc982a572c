/* SPDX-License-Identifier: Apache-2.0
 *
 * What the halves of a move in class net say while they keep no records: each function moves to
 * its half's file (net_source.c, net_orders.c, net_target.c). */
#include <migration/net_machine.h>

const rovei_net_roles *rovei_net_source_roles(const struct rovei_net_source *s)
{
    return (const void *)s;
}
void rovei_net_source_ordered(rovei_node *n, rovei_now now, uint64_t from, uint64_t origin,
                              uint64_t target)
{
    (void)n, (void)now, (void)from, (void)origin, (void)target;
}
void rovei_net_source_receive(struct rovei_net_source *s, rovei_now now, uint64_t from,
                              const rovei_netmove_message *m)
{
    (void)s, (void)now, (void)from, (void)m;
}
void rovei_net_source_peer_up(struct rovei_net_source *s, rovei_now now, uint64_t node_id)
{
    (void)s, (void)now, (void)node_id;
}
void rovei_net_source_peer_failed(struct rovei_net_source *s, rovei_now now, uint64_t node_id)
{
    (void)s, (void)now, (void)node_id;
}

struct rovei_net_order *rovei_net_order_find(const rovei_node *n, uint64_t origin)
{
    (void)n, (void)origin;
    return NULL;
}
const rovei_net_roles *rovei_net_order_roles(const struct rovei_net_order *o)
{
    return (const void *)o;
}
void rovei_net_order_receive(struct rovei_net_order *o, rovei_now now, uint64_t from,
                             const rovei_netmove_message *m)
{
    (void)o, (void)now, (void)from, (void)m;
}
void rovei_net_order_peer_up(struct rovei_net_order *o, rovei_now now, uint64_t node_id)
{
    (void)o, (void)now, (void)node_id;
}
void rovei_net_order_peer_failed(struct rovei_net_order *o, rovei_now now, uint64_t node_id)
{
    (void)o, (void)now, (void)node_id;
}

void rovei_net_source_free(struct rovei_net_source *s)
{
    (void)s;
}
bool rovei_net_source_answered(rovei_node *n, rovei_now now, uint64_t ticket, rove_err verdict)
{
    (void)n, (void)now, (void)ticket, (void)verdict;
    return false;
}
void rovei_net_source_frozen(struct rovei_net_source *s, rovei_now now, rovei_completion *c)
{
    (void)s, (void)now, (void)c;
}
void rovei_net_source_committed(struct rovei_net_source *s, rovei_now now,
                                const rovei_completion *c)
{
    (void)s, (void)now, (void)c;
}
void rovei_net_source_repeat(struct rovei_net_source *s, rovei_now now)
{
    (void)s, (void)now;
}
void rovei_net_source_limit(struct rovei_net_source *s, rovei_now now)
{
    (void)s, (void)now;
}
void rovei_net_source_turn(struct rovei_net_source *s, rovei_now now)
{
    (void)s, (void)now;
}
void rovei_net_source_detach(struct rovei_net_source *s, rovei_now now, rove_err err)
{
    (void)s, (void)now, (void)err;
}
void rovei_net_order_free(struct rovei_net_order *o)
{
    (void)o;
}
void rovei_net_order_repeat(struct rovei_net_order *o, rovei_now now)
{
    (void)o, (void)now;
}
void rovei_net_order_limit(struct rovei_net_order *o, rovei_now now)
{
    (void)o, (void)now;
}

void rovei_net_source_proved(struct rovei_net_source *s, rovei_now now)
{
    (void)s, (void)now;
}
