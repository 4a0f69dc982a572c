/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers of class net as people write them. */
#include "net_peer.h"

#include <shell/files.h>
#include <shell/udp.h>
#include <string.h>

#define FORM     "NODE_ID[:X25519[@HOST:PORT]]"
#define KEY_SIZE 64 /* hex digits */

static int wrong(const char *text, const char *what)
{
    return cli_usage("--net-peer takes " FORM ", not \"%s\": %s", text, what);
}

/* The part of `text` in front of the first character of `ends`, as a string. */
static bool cut(const char *text, const char *ends, char *ret, size_t room, const char **ret_rest)
{
    size_t size = strcspn(text, ends);
    if (size >= room)
        return false;
    memcpy(ret, text, size);
    ret[size] = '\0';
    *ret_rest = text + size;
    return true;
}

int net_peer_parse(const char *text, net_peer *ret)
{
    char id[19], key[KEY_SIZE + 1];
    const char *rest;
    *ret = (net_peer){0};
    if (!cut(text, ":@", id, sizeof id, &rest) || !cli_parse_id(id, &ret->node_id))
        return wrong(text, "a node id is 0x and up to 16 hex digits");
    if (!ret->node_id)
        return wrong(text, "no node has the id 0");
    if (*rest == '@')
        return wrong(text, "an address needs the node's key in front of it");
    if (!*rest)
        return CLI_DONE;
    if (!cut(rest + 1, "@", key, sizeof key, &rest) ||
        !rovei_hex_decode(key, strlen(key), ret->key, sizeof ret->key))
        return wrong(text, "an X25519 key has 64 hex digits");
    ret->has_key = true;
    if (!*rest)
        return CLI_DONE;
    ret->address = rest + 1;
    if (!rovei_address_is_well_formed(ret->address))
        return wrong(text, "an address is HOST:PORT, or [IPv6]:PORT");
    return CLI_DONE;
}
