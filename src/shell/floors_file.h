/* SPDX-License-Identifier: Apache-2.0
 *
 * The file in which a node's floors outlive its process: "PATH.floors" beside its identity file
 * (docs/protocol/identity.md, "Identity files"). The lock on the identity keeps others away. */
#ifndef ROVEI_SHELL_FLOORS_FILE_H
#define ROVEI_SHELL_FLOORS_FILE_H

#include <identity/token_floors.h>

/* Raises the floors by what stands there; no such file: by nothing. E_FILE (there and not exactly
 * what was written: it is not guessed), E_PERMISSION (or others have access to it), E_FULL (more
 * issuers than there may be), E_IO, E_NOMEM; some may have been raised then. */
ROVE_MUST_USE rove_err rovei_floors_load(const char *path, rovei_token_floors *f);
/* Replaces it by the floors as they are; on disk when this returns. E_FILE, E_PERMISSION, E_IO,
 * E_NOMEM: the file is as it was. */
ROVE_MUST_USE rove_err rovei_floors_store(const char *path, const rovei_token_floors *f);

#endif
