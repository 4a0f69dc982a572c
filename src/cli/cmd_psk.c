/* SPDX-License-Identifier: Apache-2.0
 *
 * rove psk: the key that the nodes of a mesh share. */
#include "cli.h"

#include <crypto/crypto.h>
#include <shell/files.h>
#include <string.h>

int cli_psk(int argc, char **argv)
{
    const char *file = NULL;
    bool json = false;
    cli_option options[] = {
        {CLI_TEXT, "-o", "FILE", &file, "the file to write; it must not be there yet"},
        {CLI_FLAG, "--json", NULL, &json, "say what was written as JSON"},
    };
    cli_syntax syntax = {
        "psk",
        "new",
        "Makes a fresh key of 32 random bytes: one line of 64 hex digits, mode 0600.\n"
        "Every node of a mesh has the same one; whoever has it can join.",
        options,
        sizeof options / sizeof options[0],
        1,
        1,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    if (strcmp(operands.at[0], "new") != 0)
        return cli_usage("psk does not know \"%s\": see rove psk --help", operands.at[0]);
    if (!file)
        return cli_usage("say where to: rove psk new -o FILE");
    uint8_t key[32];
    rove_err err = rovei_crypto_init();
    if (!err) {
        rovei_rng_fill(&rovei_rng_system, key, sizeof key);
        err = rovei_files_create_hex32(file, key);
        rovei_wipe(key, sizeof key);
    }
    if (err == ROVE_E_EXISTS)
        return cli_fail("%s is there already and is not overwritten: name another file", file);
    if (err)
        return cli_fail("%s cannot be written: %s", file,
                        err == ROVE_E_FILE ? "its folder does not exist" : rove_strerror(err));
    if (json) {
        json_object *o = json_object_new_object();
        json_object_object_add(o, "file", json_object_new_string(file));
        cli_json(o);
    }
    return CLI_DONE;
}
