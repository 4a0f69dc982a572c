/* SPDX-License-Identifier: Apache-2.0
 *
 * rove snapshot: keeps a daemon in a file. */
#include "client.h"
#include "signals.h"

#include <inttypes.h>
#include <shell/files.h>

typedef struct keeping {
    cli_client client;
    rovei_fresh_file file;
    json_object *head; /* what the node said of it */
    uint64_t bytes;
} keeping;

static int fail_write(const keeping *k, rove_err err)
{
    const char *path = k->file.path;
    if (err == ROVE_E_EXISTS)
        return cli_fail("%s is there already and is not overwritten: name another file", path);
    if (err == ROVE_E_PERMISSION)
        return cli_fail("%s cannot be made: you may not write there", path);
    if (err == ROVE_E_FILE)
        return cli_fail("%s cannot be made: its folder is missing", path);
    return cli_fail("%s cannot be written: is the disk full? Nothing is kept", path);
}

static int take(void *user, uint8_t type, rove_span body)
{
    keeping *k = user;
    if (type == ROVEI_FRAME_JSON && !k->head) {
        k->head = cli_client_json(body);
    } else if (type == ROVEI_FRAME_BYTES) {
        k->bytes += body.size;
        rove_err err = rovei_fresh_file_write(&k->file, body);
        return err ? fail_write(k, err) : CLI_DONE;
    }
    return CLI_DONE;
}

static int receive(keeping *k)
{
    int status = cli_client_follow(&k->client, take, NULL, k, "no snapshot");
    if (status != CLI_DONE)
        return status;
    if (!k->head || k->bytes != cli_u64(k->head, "bytes"))
        return cli_fail("no snapshot: the node sent less than it promised");
    rove_err err = rovei_fresh_file_keep(&k->file);
    return err ? fail_write(k, err) : CLI_DONE;
}

static void tell(keeping *k, const char *path, bool json)
{
    if (json) {
        cli_add_text(k->head, "file", path);
        cli_json(k->head);
        k->head = NULL;
        return;
    }
    printf("%s: daemon %s after %s outputs, %" PRIu64 " bytes\n", path, cli_show(k->head, "origin"),
           cli_show(k->head, "sequence"), k->bytes);
}

static int keep(keeping *k, const char *control, json_object *request, const char *path)
{
    char room[256];
    rove_err err = rovei_fresh_file_open(&k->file, path);
    if (err) {
        snprintf(k->file.path, sizeof k->file.path, "%s", path);
        json_object_put(request);
        return fail_write(k, err);
    }
    int status = cli_client_open(&k->client, cli_control_path(control, room, sizeof room), false);
    if (status == CLI_DONE) {
        status = cli_client_request(&k->client, request) ? receive(k) : cli_fail("out of memory");
        cli_client_close(&k->client);
    } else {
        json_object_put(request);
    }
    rovei_fresh_file_drop(&k->file);
    return status;
}

int cli_snapshot(int argc, char **argv)
{
    static keeping k;
    const char *control = NULL, *path = NULL, *sealed_for = NULL;
    bool json = false, raw = false;
    cli_option options[] = {
        {CLI_TEXT, "-o", "FILE", &path, "where to keep it; a file that is there stays as it is"},
        {CLI_FLAG, "--raw", NULL, &raw,
         "the bare state snapshot that other nodes of the mesh know: no lanes, no statistics"},
        {CLI_TEXT, "--sealed-for", "ENTITY", &sealed_for,
         "with the daemon's key in it, for this node alone"},
        {CLI_TEXT, "--control", "PATH", &control, "the control socket of the node it lives on"},
        {CLI_FLAG, "--json", NULL, &json,
         "one JSON object: origin, entity, kind, epoch, sequence, bytes, sealed, file"},
    };
    cli_syntax syntax = {
        "snapshot",
        "ORIGIN -o FILE",
        "Keeps a daemon of this node in a file, as it is between two events; it goes on\n"
        "meanwhile. rove spawn --from brings it back, with the daemon's identity, which is in the\n"
        "file only with --sealed-for, and then only for that node. Senders are told which of\n"
        "their events came after the snapshot and are lost. The file has mode 0600 and appears\n"
        "when it is complete.",
        options,
        sizeof options / sizeof options[0],
        1,
        1,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status) ||
        !cli_check_name("ORIGIN", operands.at[0], &status))
        return status;
    if (!path)
        return cli_usage("say where to keep it: rove snapshot ORIGIN -o FILE");
    rove_entity recipient;
    if (sealed_for && !cli_parse_entity(sealed_for, &recipient))
        return cli_usage("--sealed-for takes the entity of a node: 64 hex digits");
    if (sealed_for && raw)
        return cli_usage("the bare format holds no key: leave --raw or --sealed-for away");
    cli_signals_hold();
    json_object *request = cli_request("snapshot");
    cli_add_text(request, "daemon", operands.at[0]);
    json_object_object_add(request, "raw", json_object_new_boolean(raw));
    if (sealed_for)
        cli_add_text(request, "sealed_for", sealed_for);
    status = keep(&k, control, request, path);
    if (status == CLI_DONE)
        tell(&k, path, json);
    json_object_put(k.head);
    return status;
}
