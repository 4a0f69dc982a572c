/* SPDX-License-Identifier: Apache-2.0
 *
 * A process of its own that floods a node at full speed, from a socket that nobody knows: random
 * bytes, datagrams that begin like ours, messages 1 with a wrong mac, and given datagrams again and
 * again. Merged by the kernel where it can, as no honest sender could be quicker. */
#ifndef ROVE_TESTS_FLOODER_H
#define ROVE_TESTS_FLOODER_H

#include "kit.h"

#define FLOODER_SAMPLES 16

/* The programs begin with: if (argc > 1 && !strcmp(argv[1], "flood")) return flooder_main(argv); */
int flooder_main(char **argv);
/* Floods `address`, also with the samples, until it is stopped or the caller ends. */
pid_t flooder_start(const char *address, const datagram *samples, size_t count);
void flooder_stop(pid_t pid);

#endif
