/* SPDX-License-Identifier: Apache-2.0
 *
 * Identities as applications hold them. */
#include <crypto/crypto.h>
#include <host/runtime.h>
#include <host/snapshot.h>

rove_err rovei_keypair_dup(rovei_keypair **ret, const rovei_env *env, const rovei_keypair *key)
{
    if (rovei_keypair_is_read_only(key))
        return rovei_keypair_public_only(ret, env, rovei_keypair_entity(key));
    uint8_t seed[32];
    rove_err err = rovei_keypair_seed(key, seed);
    if (err == ROVE_OK)
        err = rovei_keypair_from_seed(ret, env, seed);
    rovei_wipe(seed, sizeof seed);
    return err;
}

/* Takes the key over. */
static rove_err wrap(rove_identity **ret, const rovei_env *env, rovei_keypair *key, bool fresh)
{
    rove_identity *identity = ROVEI_NEW(&env->alloc, rove_identity);
    if (!identity) {
        rovei_keypair_unref(key);
        return ROVE_E_NOMEM;
    }
    identity->env = env;
    identity->key = key;
    atomic_init(&identity->fresh, fresh);
    *ret = identity;
    return ROVE_OK;
}

rove_err rove_identity_generate(rove_identity **ret, rove_node *node)
{
    if (!ret || !node)
        return ROVE_E_USAGE;
    rovei_keypair *key;
    rove_err err = rovei_keypair_generate(&key, rovei_node_env(node));
    return err ? err : wrap(ret, rovei_node_env(node), key, true);
}

rove_err rove_identity_from_seed(rove_identity **ret, rove_node *node, const uint8_t seed[32])
{
    if (!ret || !node || !seed)
        return ROVE_E_USAGE;
    rovei_keypair *key;
    rove_err err = rovei_keypair_from_seed(&key, rovei_node_env(node), seed);
    return err ? err : wrap(ret, rovei_node_env(node), key, false);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

rove_err rove_identity_from_file_bytes(rove_identity **ret, rove_node *node, rove_span bytes)
{
    const uint8_t *text = bytes.data;
    if (!ret || !node || (bytes.size && !text))
        return ROVE_E_USAGE;
    if (bytes.size < 64 || bytes.size > 65 || (bytes.size == 65 && text[64] != '\n'))
        return ROVE_E_FILE;
    uint8_t seed[32];
    rove_err err = ROVE_OK;
    for (size_t i = 0; i < sizeof seed; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            err = ROVE_E_FILE;
        seed[i] = (uint8_t)((high & 15) << 4 | (low & 15));
    }
    if (err == ROVE_OK)
        err = rove_identity_from_seed(ret, node, seed);
    rovei_wipe(seed, sizeof seed);
    return err;
}

rove_err rove_identity_public_only(rove_identity **ret, rove_node *node, const rove_entity *entity)
{
    if (!ret || !node || !entity)
        return ROVE_E_USAGE;
    uint8_t image[32]; /* every key that a seed gives has one */
    rovei_keypair *key;
    rove_err err = rovei_ed25519_image(image, entity);
    if (err == ROVE_OK)
        err = rovei_keypair_public_only(&key, rovei_node_env(node), entity);
    return err ? err : wrap(ret, rovei_node_env(node), key, false);
}

rove_err rove_identity_unseal(rove_identity **ret, rove_node *node, const rove_snapshot *snapshot)
{
    if (!ret || !node || !snapshot)
        return ROVE_E_USAGE;
    if (!snapshot->sealed)
        return ROVE_E_IDENTITY_MISSING;
    const rovei_env *env = rovei_node_env(node);
    rove_span bytes = {snapshot->envelope, sizeof snapshot->envelope};
    rovei_envelope envelope;
    rovei_keypair *key;
    uint8_t secret[32];
    rove_err err = rovei_envelope_decode(&envelope, bytes);
    if (err == ROVE_OK)
        err = rovei_keypair_x25519(rovei_node_key(node), secret);
    if (err)
        return err;
    err =
        rovei_envelope_open(&key, env, &envelope, secret, &snapshot->image.head, &snapshot->entity);
    rovei_wipe(secret, sizeof secret);
    return err ? err : wrap(ret, env, key, false);
}

rove_entity rove_identity_entity(const rove_identity *identity)
{
    return *rovei_keypair_entity(identity->key);
}

uint64_t rove_identity_origin(const rove_identity *identity)
{
    return rovei_keypair_origin(identity->key);
}

rove_entity rove_entity_of_net(uint64_t node_id)
{
    return node_id ? rovei_entity_of_net(node_id) : (rove_entity){{0}};
}

uint64_t rove_entity_origin(const rove_entity *entity)
{
    return rovei_entity_origin(entity);
}

rove_err rove_identity_sign(const rove_identity *identity, rove_span message,
                            uint8_t ret_signature[64])
{
    if (!identity || !ret_signature || (message.size && !message.data))
        return ROVE_E_USAGE;
    return rovei_keypair_sign(identity->key, message.data, message.size, ret_signature);
}

void rove_identity_free(rove_identity *identity)
{
    if (!identity)
        return;
    rovei_keypair_unref(identity->key);
    ROVEI_DELETE(&identity->env->alloc, identity);
}
