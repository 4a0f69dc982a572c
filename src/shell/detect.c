/* SPDX-License-Identifier: Apache-2.0
 *
 * What the machine can do: sysfs, os-release and a few calls of the system. */
#include <capability/tag.h>
#include <dirent.h>
#include <shell/detect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#define GB (UINT64_C(1) << 30)

/* KEY=VALUE, unless the key is there. */
static rove_err add_text(rovei_caps_draft *d, const char *key, const char *value)
{
    char tag[256];
    rove_span ignored;
    if (!*value || rovei_caps_value(&d->set, rovei_span_of(key), &ignored))
        return ROVE_OK;
    int size = snprintf(tag, sizeof tag, "%s=%s", key, value);
    if (size < 0 || (size_t)size >= sizeof tag)
        return ROVE_OK;
    rove_err err = rovei_caps_add(d, rovei_span_of(tag));
    return err == ROVE_E_FORMAT ? ROVE_OK : err; /* not UTF-8: as if it were not known */
}

static rove_err add_number(rovei_caps_draft *d, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return value ? add_text(d, key, text) : ROVE_OK;
}

/* The first line of DIR/NAME. */
static bool read_line(const char *dir, const char *name, char *ret, size_t room)
{
    char path[512];
    int size = snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = size > 0 && (size_t)size < sizeof path ? fopen(path, "re") : NULL;
    bool any = f && fgets(ret, (int)room, f);
    if (f)
        fclose(f);
    if (any)
        ret[strcspn(ret, "\n")] = 0;
    return any;
}

/* ---- processors ---- */

typedef struct core {
    unsigned long package, core;
} core;

static int core_order(const void *a, const void *b)
{
    const core *x = a, *y = b;
    if (x->package != y->package)
        return x->package < y->package ? -1 : 1;
    return (x->core > y->core) - (x->core < y->core);
}

static bool read_core(const char *cpus, const char *name, core *ret)
{
    char dir[512], text[32];
    int size = snprintf(dir, sizeof dir, "%s/%s/topology", cpus, name);
    if (size < 0 || (size_t)size >= sizeof dir || !read_line(dir, "core_id", text, sizeof text))
        return false;
    ret->core = strtoul(text, NULL, 10);
    ret->package =
        read_line(dir, "physical_package_id", text, sizeof text) ? strtoul(text, NULL, 10) : 0;
    return true;
}

rove_err rovei_detect_processors(rovei_caps_draft *d, const char *cpus)
{
    size_t count = 0, room = 1024, distinct = 0, threads = 0;
    core *cores = calloc(room, sizeof *cores);
    DIR *dir = cores ? opendir(cpus) : NULL;
    for (struct dirent *e; dir && count < room && (e = readdir(dir));) {
        if (strncmp(e->d_name, "cpu", 3) != 0 || e->d_name[3] < '0' || e->d_name[3] > '9')
            continue;
        threads++;
        count += read_core(cpus, e->d_name, &cores[count]);
    }
    if (dir)
        closedir(dir);
    if (count)
        qsort(cores, count, sizeof *cores, core_order);
    for (size_t i = 0; i < count; i++)
        distinct += i == 0 || core_order(&cores[i - 1], &cores[i]) != 0;
    free(cores);
    rove_err err = add_number(d, "hardware.cpu_cores", distinct ? distinct : threads);
    return err ? err : add_number(d, "hardware.cpu_threads", threads);
}

/* ---- GPUs ---- */

static const char *vendor_name(const char *id)
{
    static const struct {
        const char *id, *name;
    } known[] = {{"0x10de", "nvidia"}, {"0x1002", "amd"},      {"0x8086", "intel"},
                 {"0x106b", "apple"},  {"0x17cb", "qualcomm"}, {"0x5143", "qualcomm"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(id, known[i].id) == 0)
            return known[i].name;
    return "";
}

typedef struct gpu {
    const char *vendor;
    uint64_t vram;
} gpu;

/* A card of the kernel's graphics; one without a vendor of GPUs (a virtual screen) is none. */
static bool read_gpu(const char *drm, const char *card, gpu *ret)
{
    char dir[512], text[64];
    int size = snprintf(dir, sizeof dir, "%s/%s/device", drm, card);
    if (size < 0 || (size_t)size >= sizeof dir || !read_line(dir, "vendor", text, sizeof text))
        return false;
    ret->vendor = vendor_name(text);
    ret->vram =
        read_line(dir, "mem_info_vram_total", text, sizeof text) ? strtoull(text, NULL, 10) : 0;
    return *ret->vendor != 0;
}

rove_err rovei_detect_gpus(rovei_caps_draft *d, const char *drm)
{
    gpu best = {"", 0}, one;
    DIR *dir = opendir(drm);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (strncmp(e->d_name, "card", 4) != 0 || strchr(e->d_name, '-')) /* or a connector */
            continue;
        if (read_gpu(drm, e->d_name, &one) && (!*best.vendor || one.vram > best.vram))
            best = one;
    }
    if (dir)
        closedir(dir);
    if (!*best.vendor)
        return ROVE_OK;
    rove_err err = rovei_caps_add(d, rovei_span_of("hardware.gpu"));
    if (!err)
        err = add_text(d, "hardware.gpu.vendor", best.vendor);
    return err ? err : add_number(d, "hardware.gpu.vram_gb", (best.vram + GB / 2) / GB);
}

/* ---- the system ---- */

rove_err rovei_detect_system(rovei_caps_draft *d, const char *os_release)
{
    struct utsname u;
    char line[256], version[128] = "";
    FILE *f = fopen(os_release, "re");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "VERSION_ID=", 11) != 0)
            continue;
        const char *from = line + 11 + (line[11] == '"');
        snprintf(version, sizeof version, "%.*s", (int)strcspn(from, "\"\n"), from);
    }
    if (f)
        fclose(f);
    if (uname(&u) != 0)
        return ROVE_OK;
    for (char *c = u.sysname; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    rove_err err = add_text(d, "software.os", u.sysname);
    return err ? err : add_text(d, "software.os_version", *version ? version : u.release);
}

rove_err rovei_detect(rovei_caps_draft *d)
{
    struct statvfs disk;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    uint64_t storage = statvfs(".", &disk) == 0 ? (uint64_t)disk.f_blocks * disk.f_frsize : 0;
    rove_err err = rovei_detect_processors(d, "/sys/devices/system/cpu");
    if (!err)
        err = add_number(d, "hardware.memory_gb", (memory + GB / 2) / GB);
    if (!err)
        err = add_number(d, "hardware.storage_gb", storage / GB);
    if (!err)
        err = rovei_detect_system(d, "/etc/os-release");
    return err ? err : rovei_detect_gpus(d, "/sys/class/drm");
}
