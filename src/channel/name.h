/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of channels and of queue groups: which are legal, and the hashes that stand for them
 * (docs/protocol/channels.md, "Names"). A hash is a hint or a key of something that was looked up
 * by name; no right is ever given by a hash alone, but where a token names nothing else. */
#ifndef ROVEI_CHANNEL_NAME_H
#define ROVEI_CHANNEL_NAME_H

#include <rove/types.h>

#define ROVEI_CHANNEL_NAME_MAX 255 /* bytes, of a queue group's name as well */

/* E_CHANNEL_EMPTY, E_CHANNEL_LONG, E_CHANNEL_FORMAT, E_CHANNEL_CHAR: the first rule that fails. */
ROVE_MUST_USE rove_err rovei_channel_name_check(rove_span name);
/* Of a legal name: its segments, at least 1. */
size_t rovei_channel_name_depth(rove_span name);
/* `name` is `above`, or lies under it: a/b/c under a/b, a/bc not. */
bool rovei_channel_name_under(rove_span above, rove_span name);

/* The hash that tokens and tables use. */
uint64_t rovei_channel_hash(rove_span name);
/* What stands in the header of a packet of class net. */
static inline uint16_t rovei_channel_hash16(uint64_t hash)
{
    return (uint16_t)hash;
}
/* The stream of class net that carries what is published. */
static inline uint64_t rovei_channel_stream(uint64_t hash)
{
    return hash | UINT64_C(0x0001000000000000);
}
/* Of `channel`#`group`, which is the hash of no channel's name, since # is not legal there. */
uint64_t rovei_channel_group_hash(rove_span channel, rove_span group);

#endif
