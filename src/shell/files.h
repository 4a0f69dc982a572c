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

/* The whole of a file that nobody but its owner has access to, with a terminator behind it: the
 * caller frees. E_FILE (missing, not a regular file, larger than `most`), E_PERMISSION, E_IO,
 * E_NOMEM. */
ROVE_MUST_USE rove_err rovei_files_read_private(const char *path, size_t most, char **ret,
                                                size_t *ret_size);
/* Replaces a file atomically, by way of "PATH.new", which nobody else may use meanwhile; mode 0600,
 * on disk when this returns. E_FILE, E_PERMISSION, E_IO: it is as it was. */
ROVE_MUST_USE rove_err rovei_files_replace(const char *path, rove_span bytes);
/* Digits up to the character `end`, and steps behind it; false for anything else, or beyond 64
 * bits. `*text` ends with a terminator. */
bool rovei_files_parse_u64(const char **text, char end, uint64_t *ret);
/* The error for a number in errno: E_FILE, E_PERMISSION, E_EXISTS, E_NOMEM, else E_IO. */
rove_err rovei_files_error(int number);
/* Makes a new name in the folder of `path` durable. */
ROVE_MUST_USE rove_err rovei_files_sync_directory(const char *path);

/* ---- files that appear whole ---- */
/* A file of mode 0600 under a name of its own in the folder of `path`, which gets its name only
 * when it is complete. */
typedef struct rovei_fresh_file {
    int fd;
    char path[4096], temporary[4096];
} rovei_fresh_file;
/* E_EXISTS: there is something of that name; it never overwrites. E_FILE (the folder is missing,
 * the name too long), E_PERMISSION, E_IO. */
ROVE_MUST_USE rove_err rovei_fresh_file_open(rovei_fresh_file *f, const char *path);
ROVE_MUST_USE rove_err rovei_fresh_file_write(rovei_fresh_file *f, rove_span bytes);
/* Takes back what was written from byte `size` on. E_IO. */
ROVE_MUST_USE rove_err rovei_fresh_file_cut(rovei_fresh_file *f, uint64_t size);
/* Puts it on disk, then gives it its name; E_EXISTS when somebody was quicker, E_PERMISSION, E_IO:
 * nothing is left then. The file is closed either way. */
ROVE_MUST_USE rove_err rovei_fresh_file_keep(rovei_fresh_file *f);
/* Throws it away. Harmless after _keep. */
void rovei_fresh_file_drop(rovei_fresh_file *f);

/* ---- hex ---- */
/* Lower-case digits of `size` bytes and a terminator: 2 * size + 1 bytes at `ret`. */
void rovei_hex_encode(const void *bytes, size_t size, char *ret);
/* Exactly 2 * size digits of either case at `text`; false otherwise, `ret` is then undefined. */
bool rovei_hex_decode(const char *text, size_t digits, void *ret, size_t size);

#endif
