/* SPDX-License-Identifier: Apache-2.0
 *
 * Kinds out of shared objects. */
#ifndef ROVEI_SHELL_PLUGIN_H
#define ROVEI_SHELL_PLUGIN_H

#include <rove/kind.h>

typedef struct rovei_plugin {
    void *handle;
    const rove_kind *kind; /* valid until unloaded */
} rovei_plugin;

/* Loads a shared object and checks that it is a kind of this ABI. E_FILE when it cannot be read,
 * E_ABI when it is no shared object, exports no kind or one for another ABI, E_USAGE when a
 * function that a kind needs is missing. `ret_why`: `size` bytes for what the system says, may be
 * empty. Code of the object runs while it is loaded. Threads: any. */
ROVE_MUST_USE rove_err rovei_plugin_load(rovei_plugin *ret, const char *path, char *ret_why,
                                         size_t size);
/* Nothing of the kind may be in use any more. */
void rovei_plugin_unload(rovei_plugin *p);

#endif
