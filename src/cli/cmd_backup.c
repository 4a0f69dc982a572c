/* SPDX-License-Identifier: Apache-2.0
 *
 * rove backup: keeps all daemons of a node in one file. */
#include "client.h"
#include "signals.h"

#include <crypto/crypto.h>
#include <errno.h>
#include <inttypes.h>
#include <shell/files.h>
#include <shell/node.h>
#include <state/archive.h>
#include <string.h>
#include <unistd.h>

typedef struct backup {
    const char *control, *sealed_for;
    bool json;
    json_object *daemons; /* what ps said of each */
    rovei_fresh_file file;
    uint64_t size; /* written, of whole containers */
    uint64_t kept, left_out;
} backup;

/* One daemon on its way into the file. */
typedef struct keeping {
    backup *b;
    json_object *head; /* what the node said of it */
    uint64_t bytes;
} keeping;

static int fail_write(const backup *b, rove_err err)
{
    const char *path = b->file.path;
    if (err == ROVE_E_EXISTS)
        return cli_fail("%s is there already and is not overwritten: name another file", path);
    if (err == ROVE_E_PERMISSION)
        return cli_fail("%s cannot be made: you may not write there", path);
    if (err == ROVE_E_FILE)
        return cli_fail("%s cannot be made: its folder is missing", path);
    return cli_fail("%s cannot be written: is the disk full? Nothing is kept", path);
}

static int write_bytes(backup *b, const void *data, size_t size)
{
    rove_err err = rovei_fresh_file_write(&b->file, (rove_span){data, size});
    return err ? fail_write(b, err) : CLI_DONE;
}

static int open_client(const backup *b, cli_client *c)
{
    char room[256];
    return cli_client_open(c, cli_control_path(b->control, room, sizeof room), false);
}

/* ---- what there is ---- */

static void take_status(void *user, json_object *o)
{
    *(json_object **)user = json_object_get(o);
}

static void take_daemon(void *user, json_object *o)
{
    const char *state = cli_text(o, "state");
    if (state && (strcmp(state, "running") == 0 || strcmp(state, "moving") == 0))
        json_object_array_add(user, json_object_get(o));
}

static int ask(const backup *b, const char *command, cli_show_fn *show, void *user)
{
    return cli_client_ask(b->control, cli_request(command), false, show, user, "no backup");
}

/* The head of the file, with the node's own entity; the daemons are sealed for it unless another
 * one was named. */
static int begin(backup *b, char room[65])
{
    json_object *status = NULL;
    uint8_t bytes[ROVEI_ARCHIVE_HEAD];
    rovei_archive_head head = {.created_at = rovei_clock_now().wall};
    int result = ask(b, "status", take_status, &status);
    if (result != CLI_DONE)
        return result;
    const char *entity = cli_text(status, "entity");
    if (!entity || !cli_parse_entity(entity, &head.node)) {
        json_object_put(status);
        return cli_fail("no backup: the node does not say who it is");
    }
    snprintf(room, 65, "%s", entity);
    json_object_put(status);
    if (!b->sealed_for)
        b->sealed_for = room;
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_archive_write_head(&head, &w);
    b->size = sizeof bytes;
    return write_bytes(b, bytes, sizeof bytes);
}

/* ---- one daemon ---- */

static int take(void *user, uint8_t type, rove_span body)
{
    keeping *k = user;
    uint8_t size[8];
    if (type == ROVEI_FRAME_JSON && !k->head) {
        k->head = cli_client_json(body);
        rovei_store64(size, k->head ? cli_u64(k->head, "bytes") : 0);
        return write_bytes(k->b, size, sizeof size);
    }
    if (type != ROVEI_FRAME_BYTES)
        return CLI_DONE;
    k->bytes += body.size;
    return write_bytes(k->b, body.data, body.size);
}

static void tell(const backup *b, json_object *o, const char *event, const char *reason)
{
    if (b->json) {
        cli_add_text(o, "event", event);
        if (reason)
            cli_add_text(o, "reason", reason);
        cli_json(json_object_get(o));
    } else if (reason) {
        (void)cli_fail("daemon %s is left out: %s", cli_show(o, "origin"), reason);
    } else {
        printf("daemon %s, %s: %s bytes\n", cli_show(o, "origin"), cli_show(o, "kind"),
               cli_show(o, "bytes"));
    }
}

/* What is the daemon's own affair leaves only the daemon out. */
static bool is_its_own(rove_err err)
{
    return err == ROVE_E_MOVED || err == ROVE_E_NOT_FOUND || err == ROVE_E_STALE ||
           err == ROVE_E_ALREADY_MIGRATING || err == ROVE_E_SUPERSEDED || err == ROVE_E_NOT_READY ||
           err == ROVE_E_SNAPSHOT_FAILED || err == ROVE_E_TOO_LARGE || err == ROVE_E_READ_ONLY;
}

static int leave_out(backup *b, json_object *daemon, const cli_client *c)
{
    rove_err err = rovei_fresh_file_cut(&b->file, b->size);
    if (err)
        return fail_write(b, err);
    b->left_out++;
    tell(b, daemon, "left_out", c->end_text);
    return CLI_DONE;
}

/* Follows the answer to its end, as cli_client_follow does, but says nothing of what the node says
 * about the daemon. */
static int follow(cli_client *c, keeping *k)
{
    for (;;) {
        uint8_t type;
        rove_span body;
        rove_err err = cli_client_next(c, &type, &body);
        if (err == ROVE_OK && type == ROVEI_FRAME_END)
            return CLI_DONE;
        int status = err == ROVE_OK ? take(k, type, body) : CLI_DONE;
        if (err == ROVE_E_SHORT)
            err = cli_client_await(c);
        if (status != CLI_DONE)
            return status;
        if (err == ROVE_E_CANCELLED)
            return CLI_INTERRUPTED;
        if (err)
            return cli_client_lost(c, err, "no backup");
    }
}

static int receive(backup *b, json_object *daemon, cli_client *c)
{
    keeping k = {.b = b};
    int status = follow(c, &k);
    if (status == CLI_DONE && c->end && is_its_own(c->end)) {
        status = leave_out(b, daemon, c);
    } else if (status == CLI_DONE && c->end) {
        status = cli_client_fail(c, "no backup");
    } else if (status == CLI_DONE && (!k.head || k.bytes != cli_u64(k.head, "bytes"))) {
        status = cli_fail("no backup: the node sent less than it promised");
    } else if (status == CLI_DONE) {
        b->size += 8 + k.bytes;
        b->kept++;
        tell(b, k.head, "kept", NULL);
    }
    json_object_put(k.head);
    return status;
}

static int keep(backup *b, json_object *daemon)
{
    cli_client c;
    int status = open_client(b, &c);
    if (status != CLI_DONE)
        return status;
    json_object *request = cli_request("snapshot");
    cli_add_text(request, "daemon", cli_text(daemon, "entity"));
    cli_add_text(request, "sealed_for", b->sealed_for);
    status = cli_client_request(&c, request) ? receive(b, daemon, &c) : cli_fail("out of memory");
    cli_client_close(&c);
    return status;
}

/* ---- the end ---- */

static int digest(const backup *b, uint8_t ret[32])
{
    uint8_t piece[16384];
    struct rovei_digest *d = rovei_digest_new(&rovei_alloc_libc);
    if (!d)
        return cli_fail("out of memory");
    off_t at = 0;
    ssize_t n;
    while ((n = pread(b->file.fd, piece, sizeof piece, at)) != 0) {
        if (n < 0 && errno != EINTR)
            break;
        if (n > 0)
            rovei_digest_add(d, piece, (size_t)n);
        at += n > 0 ? n : 0;
    }
    rovei_digest_end(d, ret);
    rovei_digest_free(d);
    return n < 0 ? cli_fail("%s cannot be read back: %s", b->file.path, strerror(errno)) : CLI_DONE;
}

static int end(backup *b)
{
    uint8_t numbers[16], sum[32];
    rovei_store64(numbers, 0);
    rovei_store64(numbers + 8, b->kept);
    int status = write_bytes(b, numbers, sizeof numbers);
    if (status == CLI_DONE)
        status = digest(b, sum);
    if (status == CLI_DONE)
        status = write_bytes(b, sum, sizeof sum);
    if (status != CLI_DONE)
        return status;
    rove_err err = rovei_fresh_file_keep(&b->file);
    if (err)
        return fail_write(b, err);
    uint64_t bytes = b->size + sizeof numbers + sizeof sum;
    if (b->json) {
        json_object *o = json_object_new_object();
        cli_add_text(o, "event", "summary");
        cli_add_text(o, "file", b->file.path);
        json_object_object_add(o, "daemons", json_object_new_uint64(b->kept));
        json_object_object_add(o, "left_out", json_object_new_uint64(b->left_out));
        json_object_object_add(o, "bytes", json_object_new_uint64(bytes));
        cli_add_text(o, "sealed_for", b->sealed_for);
        cli_json(o);
    } else {
        printf("%s: %" PRIu64 " daemons, %" PRIu64 " bytes\n", b->file.path, b->kept, bytes);
    }
    return b->left_out ? cli_fail("%" PRIu64 " daemons are left out: see above why", b->left_out)
                       : CLI_DONE;
}

static int run(backup *b, const char *path)
{
    char own[65];
    rove_err err = rovei_fresh_file_open(&b->file, path);
    if (err) {
        snprintf(b->file.path, sizeof b->file.path, "%s", path);
        return fail_write(b, err);
    }
    b->daemons = json_object_new_array();
    int status = begin(b, own);
    if (status == CLI_DONE)
        status = ask(b, "ps", take_daemon, b->daemons);
    size_t count = json_object_array_length(b->daemons);
    for (size_t i = 0; i < count && status == CLI_DONE; i++)
        status = keep(b, json_object_array_get_idx(b->daemons, i));
    if (status == CLI_DONE)
        status = end(b);
    rovei_fresh_file_drop(&b->file);
    json_object_put(b->daemons);
    return status;
}

int cli_backup(int argc, char **argv)
{
    static backup b;
    const char *path = NULL;
    cli_option options[] = {
        {CLI_TEXT, "-o", "FILE", &path, "where to keep them; a file that is there stays as it is"},
        {CLI_TEXT, "--sealed-for", "ENTITY", &b.sealed_for,
         "the node that shall be able to bring them back (this one)"},
        {CLI_TEXT, "--control", "PATH", &b.control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &b.json,
         "one JSON object for each daemon (event: kept, left_out), then one summary"},
    };
    cli_syntax syntax = {
        "backup",
        "-o FILE",
        "Keeps all daemons of a node in one file, each as it is between two of its events; they\n"
        "go on meanwhile. Their keys are in it, sealed for one node, which can bring them back\n"
        "with rove restore. A daemon that is being moved, or leaves meanwhile, is left out and\n"
        "named. The file has mode 0600 and appears when it is complete.",
        options,
        sizeof options / sizeof options[0],
        0,
        0,
        NULL};
    cli_operands operands;
    rove_entity recipient;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    if (!path)
        return cli_usage("say where to keep them: rove backup -o FILE");
    if (b.sealed_for && !cli_parse_entity(b.sealed_for, &recipient))
        return cli_usage("--sealed-for takes the entity of a node: 64 hex digits");
    cli_signals_hold();
    return run(&b, path);
}
