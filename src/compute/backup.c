/* SPDX-License-Identifier: Apache-2.0
 *
 * What the core knows of a daemon beyond its cell, for a backup: the right under which it runs, the
 * incarnation of its state, and its lanes. compute/spawn.c takes it back in. */
#include <node/core.h>
#include <string.h>

rove_err rovei_node_backup(rovei_node *n, rovei_now now, uint64_t cell, rovei_backup *ret)
{
    rovei_daemon *d = rovei_daemon_by_cell(n, cell);
    if (!d || d->role == ROVEI_ROLE_CLAIMING)
        return ROVE_E_NOT_FOUND;
    if (d->role == ROVEI_ROLE_ASIDE)
        return ROVE_E_SUPERSEDED;
    if (!rovei_daemon_serves(d))
        return ROVE_E_ALREADY_MIGRATING;
    rovei_backup b = {.daemon = d->entity, .epoch = d->epoch, .sinc = d->sinc};
    memcpy(b.kind, d->kind, strlen(d->kind) + 1);
    rove_err err = rovei_lanes_make(n, d);
    if (err == ROVE_OK)
        err = rovei_feeds_ledger(d, now, &b.ledger);
    if (err == ROVE_OK)
        err = rovei_lanes_export(d->lanes, now, &b.lanes);
    if (err)
        rovei_backup_fini(&b);
    else
        *ret = b;
    return err;
}

void rovei_backup_fini(rovei_backup *b)
{
    rove_buf_unref(b->lanes);
    rove_buf_unref(b->ledger);
    memset(b, 0, sizeof *b);
}
