/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of states. */
#include <host/names.h>

const char *rovei_peer_state_name(rovei_peer_state state)
{
    switch (state) {
    case ROVEI_PEER_CONNECTING:
        return "connecting";
    case ROVEI_PEER_UP:
        return "up";
    case ROVEI_PEER_SUSPECT:
        return "suspect";
    case ROVEI_PEER_FAILED:
        return "failed";
    }
    return NULL;
}

const char *rovei_daemon_state_name(rovei_daemon_state state)
{
    switch (state) {
    case ROVEI_DAEMON_RUNNING:
        return "running";
    case ROVEI_DAEMON_MOVING:
        return "moving";
    case ROVEI_DAEMON_RECEIVING:
        return "receiving";
    case ROVEI_DAEMON_PREPARED:
        return "prepared";
    case ROVEI_DAEMON_COMMITTED:
        return "committed";
    case ROVEI_DAEMON_ASIDE:
        return "aside";
    case ROVEI_DAEMON_MOVED:
        return "moved";
    }
    return NULL;
}

const char *rovei_phase_name(rovei_phase phase)
{
    switch (phase) {
    case ROVEI_PHASE_SNAPSHOT:
        return "snapshot";
    case ROVEI_PHASE_TRANSFER:
        return "transfer";
    case ROVEI_PHASE_RESTORE:
        return "restore";
    case ROVEI_PHASE_REPLAY:
        return "replay";
    case ROVEI_PHASE_CUTOVER:
        return "cutover";
    case ROVEI_PHASE_COMPLETE:
        return "complete";
    case ROVEI_PHASE_NONE:
        break;
    }
    return NULL;
}

const char *rovei_outcome_name(rovei_move_outcome outcome)
{
    switch (outcome) {
    case ROVEI_OUTCOME_RUNNING:
        return "running";
    case ROVEI_OUTCOME_COMPLETED:
        return "completed";
    case ROVEI_OUTCOME_FAILED:
        return "failed";
    case ROVEI_OUTCOME_CANCELLED:
        return "cancelled";
    case ROVEI_OUTCOME_TIMED_OUT:
        return "timed_out";
    }
    return NULL;
}
