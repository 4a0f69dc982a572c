/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a node: keys as one line of hex digits, the lock on an identity, and the state file
 * beside it (docs/protocol.md, "Identity files"). Threads: any, one at a time per path. */
#ifndef ROVEI_SHELL_FILES_H
#define ROVEI_SHELL_FILES_H

#include <rove/types.h>

/* Reads a psk or a seed: 64 hex digits and at most one newline. E_FILE when it is missing, not a
 * regular file or anything else; E_PERMISSION when others than the owner have access to it, or this
 * process has none; E_IO. `ret` is only written on success. */
ROVE_MUST_USE rove_err rovei_files_load_hex32(const char *path, uint8_t ret[32]);

/* Writes a new file of that form with mode 0600, on disk when this returns. E_EXISTS: it never
 * overwrites; E_PERMISSION, E_IO; on an error no file is left. */
ROVE_MUST_USE rove_err rovei_files_create_hex32(const char *path, const uint8_t bytes[32]);

/* Locks an identity file for as long as *ret_fd stays open, also against this very process.
 * E_LOCKED, E_FILE, E_PERMISSION, E_IO. */
ROVE_MUST_USE rove_err rovei_identity_lock(const char *path, int *ret_fd);

/* What must never go back for an identity, from "PATH.state": zeros when there is no such file yet.
 * E_FILE when it is there and cannot be understood (it is not guessed), E_PERMISSION, E_IO. */
ROVE_MUST_USE rove_err rovei_identity_state_load(const char *path, uint64_t *ret_incarnation,
                                                 uint64_t *ret_handshake_time);

/* Replaces that file atomically; on disk when this returns. E_PERMISSION, E_IO. */
ROVE_MUST_USE rove_err rovei_identity_state_store(const char *path, uint64_t incarnation,
                                                  uint64_t handshake_time);

/* ---- hex ---- */
/* Lower-case digits of `size` bytes and a terminator: 2 * size + 1 bytes at `ret`. */
void rovei_hex_encode(const void *bytes, size_t size, char *ret);
/* Exactly 2 * size digits of either case at `text`; false otherwise, `ret` is then undefined. */
bool rovei_hex_decode(const char *text, size_t digits, void *ret, size_t size);

#endif
