/* SPDX-License-Identifier: Apache-2.0
 *
 * What the halves of a move in class net say while they keep no records: each function moves to
 * its half's file (net_orders.c). */
#include <migration/net_machine.h>

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
