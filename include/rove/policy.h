/* SPDX-License-Identifier: Apache-2.0
 *
 * The one hook that is asked before another node may do something to a daemon of this one. */
#ifndef ROVE_POLICY_H
#define ROVE_POLICY_H

#include <rove/types.h>

ROVE_BEGIN_DECLS

typedef enum rove_question {
    ROVE_ASK_ORDER = 1, /* order the daemon to another node; by default refused */
    ROVE_ASK_PLACE,     /* bring the daemon here, where it is expected, or its kind accepted; or
                           have one spawned here: by default only of an accepted kind */
    ROVE_ASK_SEND,      /* open a lane to the daemon; by default allowed */
    ROVE_ASK_READ,      /* read the outputs of its own lane; by default allowed */
    ROVE_ASK_SNAPSHOT,  /* take the daemon's snapshot; by default refused */
} rove_question;

typedef struct rove_policy_request {
    rove_question question;
    rove_entity peer;   /* who asks */
    rove_entity daemon; /* about whom; zero for one that is still to be drawn */
    const char *kind;   /* its kind where that is known, else NULL; borrowed */
    bool preset;        /* what the default would say */
} rove_policy_request;

/* Says yes or no. Called on the node's own thread: short, and without any call that waits.
 * Questions that a kind does not know yet are answered with `preset`. */
typedef struct rove_policy {
    bool (*allow)(void *user, const rove_policy_request *request); /* NULL: the defaults */
    void *user;
} rove_policy;

ROVE_END_DECLS

#endif
