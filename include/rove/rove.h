/* SPDX-License-Identifier: Apache-2.0
 *
 * All of the public interface. Whoever writes a kind needs <rove/kind.h> alone. */
#ifndef ROVE_ROVE_H
#define ROVE_ROVE_H

#include <rove/async.h>
#include <rove/channel.h>
#include <rove/daemon.h>
#include <rove/drain.h>
#include <rove/dump.h>
#include <rove/error.h>
#include <rove/identity.h>
#include <rove/kind.h>
#include <rove/limits.h>
#include <rove/migration.h>
#include <rove/node.h>
#include <rove/observer.h>
#include <rove/placement.h>
#include <rove/policy.h>
#include <rove/runtime.h>
#include <rove/sender.h>
#include <rove/snapshot.h>
#include <rove/token.h>
#include <rove/types.h>

#endif
