/* SPDX-License-Identifier: Apache-2.0
 *
 * rove id: identities of nodes and daemons. */
#include "cli.h"

#include <crypto/crypto.h>
#include <identity/entity.h>
#include <inttypes.h>
#include <shell/files.h>
#include <string.h>

/* The public half of a seed. */
static rove_entity entity_of(const uint8_t seed[32])
{
    uint8_t secret[64];
    rove_entity entity;
    rovei_ed25519_from_seed(seed, secret, &entity);
    rovei_wipe(secret, sizeof secret);
    return entity;
}

static int show(const char *file, bool json)
{
    uint8_t seed[32], x25519[32];
    rove_err err = rovei_files_load_hex32(file, seed);
    if (err)
        return cli_fail_file("identity file", file, err);
    rove_entity entity = entity_of(seed);
    rovei_wipe(seed, sizeof seed);
    err = rovei_ed25519_image(x25519, &entity);
    if (err)
        return cli_fail("%s cannot be used: %s", file, rove_strerror(err));
    if (json) {
        json_object *o = json_object_new_object();
        json_object_object_add(o, "entity", cli_json_hex(entity.bytes, sizeof entity.bytes));
        json_object_object_add(o, "node_id", cli_json_id(rovei_entity_node_id(&entity)));
        json_object_object_add(o, "origin", cli_json_id(rovei_entity_origin(&entity)));
        json_object_object_add(o, "x25519", cli_json_hex(x25519, sizeof x25519));
        cli_json(o);
        return CLI_DONE;
    }
    char text[65];
    rovei_hex_encode(entity.bytes, sizeof entity.bytes, text);
    printf("entity   %s\n", text);
    printf("node id  0x%" PRIx64 "\n", rovei_entity_node_id(&entity));
    printf("origin   0x%" PRIx64 "\n", rovei_entity_origin(&entity));
    rovei_hex_encode(x25519, sizeof x25519, text);
    printf("x25519   %s\n", text);
    return CLI_DONE;
}

static int make(const char *file, bool json)
{
    uint8_t seed[32];
    rove_entity entity;
    do {
        rovei_rng_fill(&rovei_rng_system, seed, sizeof seed);
        entity = entity_of(seed);
    } while (rovei_node_id_is_reserved(rovei_entity_node_id(&entity)));
    rove_err err = rovei_files_create_hex32(file, seed);
    rovei_wipe(seed, sizeof seed);
    if (err == ROVE_E_EXISTS)
        return cli_fail("%s is there already and is not overwritten: name another file", file);
    if (err)
        return cli_fail("%s cannot be written: %s", file,
                        err == ROVE_E_FILE ? "its folder does not exist" : rove_strerror(err));
    return json ? show(file, true) : CLI_DONE;
}

int cli_id(int argc, char **argv)
{
    const char *file = NULL;
    bool json = false;
    cli_option options[] = {
        {CLI_TEXT, "-o", "FILE", &file, "new: the file to write; it must not be there yet"},
        {CLI_FLAG, "--json", NULL, &json, "print the public half as JSON"},
    };
    cli_syntax syntax = {
        "id",
        "new -o FILE | show FILE",
        "new   Makes an ed25519 identity, of a node or of a daemon: the seed as one\n"
        "      line of 64 hex digits, mode 0600. Never overwrites a file.\n"
        "show  Prints the public half: entity, node id, origin hash, X25519 key.",
        options,
        sizeof options / sizeof options[0],
        1,
        2,
        NULL};
    cli_operands operands;
    int status;
    if (!cli_parse(&syntax, argc, argv, &operands, &status))
        return status;
    if (rovei_crypto_init())
        return cli_fail("the crypto library cannot be started");
    if (strcmp(operands.at[0], "new") == 0) {
        if (!file || operands.count != 1)
            return cli_usage("say where to: rove id new -o FILE");
        return make(file, json);
    }
    if (strcmp(operands.at[0], "show") == 0) {
        if (operands.count != 2 || file)
            return cli_usage("say which: rove id show FILE");
        return show(operands.at[1], json);
    }
    return cli_usage("id does not know \"%s\": see rove id --help", operands.at[0]);
}
