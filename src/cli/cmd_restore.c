/* SPDX-License-Identifier: Apache-2.0
 *
 * rove restore: brings back what rove backup kept. */
#include "upload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <state/archive.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct restore {
    const char *control, *path;
    uint64_t timeout;
    bool json, dry, force;
    int fd;
    rovei_archive archive;
    uint64_t restored, refused;
} restore;

/* ---- the file ---- */

static rove_err read_at(void *user, uint64_t at, void *room, size_t size)
{
    const restore *r = user;
    for (uint8_t *to = room; size;) {
        ssize_t n = pread(r->fd, to, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) /* it has become shorter meanwhile */
            return n < 0 ? ROVE_E_IO : ROVE_E_SHORT;
        to += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return ROVE_OK;
}

static int open_archive(restore *r)
{
    struct stat st;
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (r->fd < 0)
        return cli_fail("the backup %s cannot be read: %s", r->path, strerror(errno));
    if (fstat(r->fd, &st) || !S_ISREG(st.st_mode))
        return cli_fail("%s is not a file with a backup", r->path);
    rove_err err =
        rovei_archive_open(&r->archive, &rovei_alloc_libc, read_at, r, (uint64_t)st.st_size);
    if (err == ROVE_E_MAGIC || err == ROVE_E_SHORT)
        return cli_fail("%s is not a backup that rove backup wrote, or is damaged", r->path);
    if (err == ROVE_E_VERSION || err == ROVE_E_FLAG)
        return cli_fail("%s was written by another version of rove, or is damaged", r->path);
    if (err)
        return cli_fail("%s is damaged: %s", r->path, rove_strerror(err));
    return CLI_DONE;
}

/* ---- what is said ---- */

static json_object *describe(const rovei_archive_entry *e, const char *event)
{
    const rovei_container *c = &e->container;
    json_object *o = json_object_new_object();
    cli_add_text(o, "event", event);
    json_object_object_add(o, "origin", cli_json_id(c->head.origin));
    json_object_object_add(o, "entity", cli_json_hex(c->entity.bytes, sizeof c->entity.bytes));
    cli_add_text(o, "kind", e->kind);
    json_object_object_add(o, "epoch_then", json_object_new_uint64(c->epoch));
    json_object_object_add(o, "sequence", json_object_new_uint64(c->head.sequence));
    json_object_object_add(o, "bytes", json_object_new_uint64(e->size));
    return o;
}

static void copy_object(void *user, json_object *o)
{
    *(json_object **)user = json_object_get(o);
}

static void pass_field(json_object *to, json_object *from, const char *name, const char *as)
{
    json_object *value = NULL;
    if (from && json_object_object_get_ex(from, name, &value))
        json_object_object_add(to, as, json_object_get(value));
}

/* ---- one daemon ---- */

/* What would be done, by what the node itself knows. */
static int foretell(restore *r, const rovei_archive_entry *e)
{
    json_object *where = NULL, *request = cli_request("where"), *o = describe(e, "would_restore");
    pass_field(request, o, "entity", "daemon");
    int status =
        cli_client_ask(r->control, request, false, copy_object, &where, "nothing is known");
    if (status == CLI_DONE) {
        const char *holder = cli_text(where, "node_id");
        json_object *stopped = NULL;
        bool free = !holder || (json_object_object_get_ex(where, "stopped", &stopped) &&
                                json_object_get_boolean(stopped));
        bool refused = !free && !r->force;
        cli_add_text(o, "event", refused ? "would_refuse" : "would_restore");
        pass_field(o, where, "epoch", "known_epoch");
        pass_field(o, where, "node_id", "known_node_id");
        r->restored += !refused;
        r->refused += refused;
        if (!r->json)
            printf("daemon %s, %s, epoch %" PRIu64 ", after %" PRIu64 " outputs: %s%s%s%s\n",
                   cli_show(o, "origin"), e->kind, e->container.epoch, e->container.head.sequence,
                   refused ? "would be refused" : "would be restored",
                   holder ? ", known to have been on " : "", holder ? holder : "",
                   !refused && !free ? ", and taken from there" : "");
    }
    if (status == CLI_DONE && r->json)
        cli_json(json_object_get(o));
    json_object_put(where);
    json_object_put(o);
    return status;
}

static int bring_back(const restore *r, const rovei_archive_entry *e, cli_client *c,
                      json_object **ret)
{
    char what[64];
    cli_upload upload;
    snprintf(what, sizeof what, "daemon 0x%" PRIx64 " is not restored", e->container.head.origin);
    int status = cli_upload_part(&upload, r->path, r->fd, e->at, e->size);
    if (status != CLI_DONE)
        return status;
    json_object *request = cli_request("spawn");
    cli_add_text(request, "kind", e->kind);
    json_object_object_add(request, "force", json_object_new_boolean(r->force));
    cli_upload_announce(&upload, request);
    if (!cli_client_request(c, request))
        return cli_fail("out of memory");
    return cli_upload_run(&upload, c, &(cli_printing){false, copy_object, ret}, what);
}

/* A daemon that the node refuses stops no other. */
static int put_back(restore *r, const rovei_archive_entry *e)
{
    char room[256];
    cli_client c;
    json_object *spawned = NULL;
    int status = cli_client_open(&c, cli_control_path(r->control, room, sizeof room), false);
    if (status != CLI_DONE)
        return status;
    c.patience = r->timeout;
    status = bring_back(r, e, &c, &spawned);
    bool refused = status != CLI_DONE && c.end;
    if (refused)
        status = CLI_DONE;
    if (status == CLI_DONE) {
        json_object *o = describe(e, refused ? "refused" : "restored");
        pass_field(o, spawned, "epoch", "epoch");
        if (refused)
            cli_add_text(o, "reason", c.end_text);
        if (!r->json && !refused)
            printf("daemon %s, %s: restored, epoch %s\n", cli_show(o, "origin"), e->kind,
                   cli_show(o, "epoch"));
        if (r->json)
            cli_json(json_object_get(o));
        json_object_put(o);
        r->restored += !refused;
        r->refused += refused;
    }
    json_object_put(spawned);
    cli_client_close(&c);
    return status;
}

/* ---- all of them ---- */

static bool is_meant(const rovei_archive_entry *e, const cli_operands *operands, uint64_t *found)
{
    for (size_t i = 1; i < operands->count; i++) {
        rove_entity entity;
        uint64_t origin;
        bool same =
            cli_parse_entity(operands->at[i], &entity)
                ? rovei_entity_equal(&entity, &e->container.entity)
                : cli_parse_id(operands->at[i], &origin) && origin == e->container.head.origin;
        if (same) {
            *found |= UINT64_C(1) << i;
            return true;
        }
    }
    return operands->count == 1;
}

static int run(restore *r, const cli_operands *operands)
{
    rovei_archive_entry entry;
    rove_err err = ROVE_OK;
    uint64_t found = 0;
    int status = open_archive(r);
    while (status == CLI_DONE && rovei_archive_next(&r->archive, &entry, &err))
        if (is_meant(&entry, operands, &found))
            status = r->dry ? foretell(r, &entry) : put_back(r, &entry);
    if (status == CLI_DONE && err)
        status = cli_fail("%s cannot be read: %s", r->path, rove_strerror(err));
    for (size_t i = 1; i < operands->count && status == CLI_DONE; i++)
        if (!(found >> i & 1))
            status = cli_fail("the daemon %s is not in %s: rove restore --dry-run %s lists those "
                              "that are",
                              operands->at[i], r->path, r->path);
    return status;
}

static int tell(const restore *r)
{
    if (r->json) {
        json_object *o = json_object_new_object();
        cli_add_text(o, "event", "summary");
        cli_add_text(o, "file", r->path);
        json_object_object_add(
            o, "node", cli_json_hex(r->archive.head.node.bytes, sizeof r->archive.head.node.bytes));
        json_object_object_add(o, "daemons", json_object_new_uint64(r->archive.count));
        json_object_object_add(o, r->dry ? "would_restore" : "restored",
                               json_object_new_uint64(r->restored));
        json_object_object_add(o, r->dry ? "would_refuse" : "refused",
                               json_object_new_uint64(r->refused));
        cli_json(o);
    }
    return r->refused && !r->dry ? CLI_FAILED : CLI_DONE;
}

int cli_restore(int argc, char **argv)
{
    static restore r = {.fd = -1, .timeout = 120 * ROVE_SECOND};
    cli_option options[] = {
        {CLI_FLAG, "--dry-run", NULL, &r.dry,
         "say what would be brought back, by what this node knows, and do nothing"},
        {CLI_FLAG, "--force", NULL, &r.force,
         "also those that are known to live, or to have lived, on another node since"},
        {CLI_SECONDS, "--timeout", "S", &r.timeout,
         "for how long the node may be silent about one (120; 0 = for ever)"},
        {CLI_TEXT, "--control", "PATH", &r.control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &r.json,
         "one JSON object for each daemon (event: restored, refused), then one summary"},
    };
    cli_syntax syntax = {
        "restore",
        "FILE [ORIGIN]...",
        "Brings back the daemons of a backup, or those that are named, on the node for which it\n"
        "was sealed. Each is asked for all over the mesh first, and refused where somebody knows\n"
        "of it; --force overrides that: be sure that the other copy is gone. Those who sent to\n"
        "it are told which of their events came after the backup and are lost. The whole file\n"
        "is checked before anything is brought back.",
        options,
        sizeof options / sizeof options[0],
        1,
        CLI_OPERANDS,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    for (size_t i = 1; i < operands.count; i++)
        if (!cli_check_name("ORIGIN", operands.at[i], &status))
            return status;
    r.path = operands.at[0];
    status = run(&r, &operands);
    if (status == CLI_DONE)
        status = tell(&r);
    if (r.fd >= 0)
        close(r.fd);
    return status;
}
