/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses as people write them. */
#include <arpa/inet.h>
#include <netdb.h>
#include <shell/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Splits "HOST:PORT" or "[HOST]:PORT" into `host`; false when it has another shape. */
static bool split(const char *text, char *host, size_t room, uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || !colon[1])
        return false;
    const char *begin = text, *end = colon;
    if (*begin == '[') {
        if (end[-1] != ']')
            return false;
        begin++;
        end--;
    } else if (memchr(begin, ':', (size_t)(end - begin))) {
        return false; /* IPv6 needs its brackets */
    }
    size_t size = (size_t)(end - begin);
    if (!size || size >= room)
        return false;
    char *rest;
    unsigned long port = strtoul(colon + 1, &rest, 10);
    if (*rest || port > 65535 || colon[1] < '0' || colon[1] > '9')
        return false;
    memcpy(host, begin, size);
    host[size] = 0;
    *ret_port = (uint16_t)port;
    return true;
}

bool rovei_address_is_well_formed(const char *text)
{
    char host[256];
    uint16_t port = 0;
    return split(text, host, sizeof host, &port) && port;
}

rove_err rovei_address_parse(const char *text, bool names, rovei_addr *ret)
{
    char host[256];
    rovei_addr a = {0};
    if (!text || !split(text, host, sizeof host, &a.port))
        return ROVE_E_ADDRESS;
    if (inet_pton(AF_INET, host, a.ip) == 1) {
        a.family = 4;
    } else if (inet_pton(AF_INET6, host, a.ip) == 1) {
        a.family = 6;
    } else {
        struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found = NULL;
        if (!names || getaddrinfo(host, NULL, &hints, &found) || !found)
            return ROVE_E_ADDRESS;
        if (found->ai_family == AF_INET) {
            a.family = 4;
            memcpy(a.ip, &((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr, 4);
        } else if (found->ai_family == AF_INET6) {
            a.family = 6;
            memcpy(a.ip, &((struct sockaddr_in6 *)(void *)found->ai_addr)->sin6_addr, 16);
        }
        freeaddrinfo(found);
        if (!a.family)
            return ROVE_E_ADDRESS;
    }
    *ret = a;
    return ROVE_OK;
}

void rovei_address_format(const rovei_addr *a, char *ret, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (a->family == 4)
        (void)inet_ntop(AF_INET, a->ip, ip, sizeof ip);
    else if (a->family == 6)
        (void)inet_ntop(AF_INET6, a->ip, ip, sizeof ip);
    (void)snprintf(ret, size, a->family == 6 ? "[%s]:%u" : "%s:%u", ip, (unsigned)a->port);
}
