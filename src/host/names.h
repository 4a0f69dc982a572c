/* SPDX-License-Identifier: Apache-2.0
 *
 * What states are called where people and programs read them: in dumps, and on the control
 * socket. */
#ifndef ROVEI_HOST_NAMES_H
#define ROVEI_HOST_NAMES_H

#include <node/core.h>

const char *rovei_peer_state_name(rovei_peer_state state);
const char *rovei_daemon_state_name(rovei_daemon_state state);
const char *rovei_phase_name(rovei_phase phase); /* NULL: none */
const char *rovei_outcome_name(rovei_move_outcome outcome);

#endif
