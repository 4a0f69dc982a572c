/* SPDX-License-Identifier: Apache-2.0
 *
 * The UDP port of a node: batches in both directions, with the kernel's segmentation offload where
 * it has it and plain datagrams where it has not. Never blocks.
 *
 * The port is one to the outside and several sockets inside. Everybody's datagrams come to the
 * first; each peer that has a session gets one more, connected to its address, so that what it
 * sends waits in a queue of its own. Strangers may fill theirs: then the first socket is read less
 * often and through a filter in the kernel, and the peers do not notice (docs/architecture.md). */
#ifndef ROVEI_SHELL_UDP_H
#define ROVEI_SHELL_UDP_H

#include <mesh/address.h>
#include <netinet/in.h>
#include <sys/socket.h>

typedef struct rovei_udp rovei_udp;

/* Peers with a queue of their own; further ones share everybody's. */
#define ROVEI_UDP_PEERS 64

/* Parses "ADDR:PORT" or "[V6]:PORT"; `host` allows names (may block to resolve). E_ADDRESS. */
ROVE_MUST_USE rove_err rovei_address_parse(const char *text, bool names, rovei_addr *ret);
/* Whether it has that shape, with a port that is not 0; nothing is resolved. */
bool rovei_address_is_well_formed(const char *text);
void rovei_address_format(const rovei_addr *a, char *ret, size_t size);

/* Binds without SO_REUSEADDR: E_ADDRESS when the port is taken or the address is not ours. E_IO,
 * E_NOMEM. With `net` datagrams of class net are let in during a flood as well. */
ROVE_MUST_USE rove_err rovei_udp_new(rovei_udp **ret, const rove_alloc *a, const rovei_addr *bind,
                                     bool net);
void rovei_udp_free(rovei_udp *u);
/* Readable when _receive or _send has something to do. */
int rovei_udp_fd(const rovei_udp *u);
rovei_addr rovei_udp_address(const rovei_udp *u);

/* These addresses, and no others, have queues of their own from now on. Where the system refuses
 * one, that address shares everybody's. */
void rovei_udp_favour(rovei_udp *u, const rovei_addr *addrs, size_t count);
/* Datagrams that the kernel dropped before they were read: a queue was full, or the filter. */
uint64_t rovei_udp_unread(rovei_udp *u);

/* Takes a batch off each socket that has something and hands over each datagram, writable, valid
 * during the call; the function says whether it was of any use. True when there may be more. */
typedef bool rovei_datagram_fn(void *user, const rovei_addr *from, uint8_t *dgram, size_t size);
bool rovei_udp_receive(rovei_udp *u, rovei_datagram_fn *fn, void *user);

/* Sends what `next` gives until it gives 0. False when the socket is full: what was taken is kept,
 * and the call is repeated when it is writable. A send that the system refuses (packet filter,
 * unreachable) counts as loss. */
typedef size_t rovei_next_fn(void *user, uint8_t *ret, size_t room, rovei_addr *ret_to);
bool rovei_udp_send(rovei_udp *u, rovei_next_fn *next, void *user);

/* Tests: sends and receives without offload, as on a kernel that has none. */
void rovei_udp_plain(rovei_udp *u);

#endif
