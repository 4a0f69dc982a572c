/* SPDX-License-Identifier: Apache-2.0
 *
 * rove spawn: starts a daemon. */
#include "client.h"

#include <crypto/crypto.h>
#include <shell/files.h>

static void show(void *user, json_object *o)
{
    (void)user;
    printf("%s\n", cli_show(o, "origin"));
}

int cli_spawn(int argc, char **argv)
{
    const char *control = NULL, *identity = NULL;
    bool json = false, force = false;
    cli_option options[] = {
        {CLI_TEXT, "--identity", "FILE", &identity,
         "the daemon's identity; else a fresh one that lives in memory only"},
        {CLI_FLAG, "--force", NULL, &force,
         "also when the identity is known to live, or to have lived, somewhere"},
        {CLI_TEXT, "--control", "PATH", &control, "the node's control socket"},
        {CLI_FLAG, "--json", NULL, &json, "one JSON object: origin, entity, kind, epoch"},
    };
    cli_syntax syntax = {
        "spawn",
        "KIND",
        "Starts a daemon of this kind on the node and prints its origin hash.\n"
        "With --identity the node first asks all that it can reach whether the daemon\n"
        "lives somewhere, and then refuses; --force overrides that: be sure that the other\n"
        "copy is gone.",
        options,
        sizeof options / sizeof options[0],
        1,
        1,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    char room[256];
    cli_client client;
    uint8_t seed[32];
    if (identity) {
        rove_err err = rovei_files_load_hex32(identity, seed);
        if (err)
            return cli_fail_file("identity file", identity, err);
    }
    status = cli_client_open(&client, cli_control_path(control, room, sizeof room), false);
    if (status == CLI_DONE && identity &&
        !cli_client_put(&client, ROVEI_FRAME_SEED, (rove_span){seed, sizeof seed}))
        status = cli_fail("out of memory");
    rovei_wipe(seed, sizeof seed);
    if (status != CLI_DONE)
        return status;
    json_object *request = cli_request("spawn");
    cli_add_text(request, "kind", operands.at[0]);
    json_object_object_add(request, "force", json_object_new_boolean(force));
    status = cli_client_converse(&client, request, json, show, NULL, "not spawned");
    cli_client_close(&client);
    return status;
}
