/* SPDX-License-Identifier: Apache-2.0
 *
 * Kinds out of shared objects. */
#include <dlfcn.h>
#include <host/cell.h>
#include <limits.h>
#include <shell/plugin.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* dlsym gives an object pointer; POSIX promises that it holds a function's address. */
static rove_kind_main_fn *find_main(void *handle)
{
    rove_kind_main_fn *fn = NULL;
    void *symbol = dlsym(handle, ROVE_KIND_MAIN_NAME);
    memcpy(&fn, &symbol, sizeof fn);
    return fn;
}

rove_err rovei_plugin_load(rovei_plugin *ret, const char *path, char *ret_why, size_t size)
{
    char full[PATH_MAX];
    struct stat st;
    snprintf(ret_why, size, "%s", "");
    /* A bare name would be looked for where the system keeps its libraries. */
    int length = snprintf(full, sizeof full, "%s%s", strchr(path, '/') ? "" : "./", path);
    if (length < 0 || (size_t)length >= sizeof full || stat(full, &st) || !S_ISREG(st.st_mode) ||
        access(full, R_OK))
        return ROVE_E_FILE;
    void *handle = dlopen(full, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *why = dlerror();
        snprintf(ret_why, size, "%s", why ? why : "");
        return ROVE_E_ABI;
    }
    rove_kind_main_fn *kind_main = find_main(handle);
    const rove_kind *kind = kind_main ? kind_main() : NULL;
    rove_err err = rovei_kind_check(kind);
    if (!kind_main)
        snprintf(ret_why, size, "it does not export %s", ROVE_KIND_MAIN_NAME);
    else if (err == ROVE_E_ABI && kind)
        snprintf(ret_why, size, "it was built for ABI %u, this is ABI %u", (unsigned)kind->abi,
                 (unsigned)ROVE_ABI);
    if (err) {
        dlclose(handle);
        return err;
    }
    *ret = (rovei_plugin){handle, kind};
    return ROVE_OK;
}

void rovei_plugin_unload(rovei_plugin *p)
{
    if (p->handle)
        dlclose(p->handle);
    *p = (rovei_plugin){NULL, NULL};
}
