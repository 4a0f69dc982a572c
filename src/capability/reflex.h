/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a socket address in announcements: read as the reference reads it, written in the one
 * short form that is signed. */
#ifndef ROVEI_CAPABILITY_REFLEX_H
#define ROVEI_CAPABILITY_REFLEX_H

#include <rove/types.h>

#define ROVEI_REFLEX_ROOM 72

/* Where a node is seen from outside, as it says: the canonical text. */
typedef struct rovei_reflex {
    size_t size; /* 0: not said */
    char text[ROVEI_REFLEX_ROOM];
} rovei_reflex;

/* The canonical text of the address `text`, and its size; 0: it is none. */
size_t rovei_reflex_canonical(char ret[ROVEI_REFLEX_ROOM], rove_span text);

#endif
