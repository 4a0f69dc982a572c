/* SPDX-License-Identifier: Apache-2.0
 *
 * Permission tokens as text. */
#include <ctype.h>
#include <inttypes.h>
#include <shell/files.h>
#include <shell/token_text.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bit;
} scopes[] = {
    {"publish", ROVE_SCOPE_PUBLISH},   {"subscribe", ROVE_SCOPE_SUBSCRIBE},
    {"admin", ROVE_SCOPE_ADMIN},       {"delegate", ROVE_SCOPE_DELEGATE},
    {"wildcard", ROVE_SCOPE_WILDCARD},
};
#define SCOPES (sizeof scopes / sizeof scopes[0])

static uint32_t scope_bit(const char *name, size_t size)
{
    for (size_t i = 0; i < SCOPES; i++)
        if (strlen(scopes[i].name) == size && memcmp(scopes[i].name, name, size) == 0)
            return scopes[i].bit;
    return 0;
}

bool rovei_token_scope_parse(const char *text, uint32_t *ret)
{
    uint32_t scope = 0;
    for (;;) {
        size_t size = strcspn(text, ",");
        uint32_t bit = scope_bit(text, size);
        if (!bit)
            return false;
        scope |= bit;
        text += size;
        if (!*text++)
            break;
    }
    *ret = scope;
    return true;
}

void rovei_token_scope_text(uint32_t scope, char ret[ROVEI_TOKEN_SCOPE_TEXT])
{
    size_t at = 0;
    for (size_t i = 0; i < SCOPES; i++)
        if (scope & scopes[i].bit)
            at += (size_t)snprintf(ret + at, ROVEI_TOKEN_SCOPE_TEXT - at, "%s%s", at ? "," : "",
                                   scopes[i].name);
    if (!at)
        (void)snprintf(ret, ROVEI_TOKEN_SCOPE_TEXT, "-");
}

static rove_err read_bytes(rove_token_chain *ret, rove_span bytes)
{
    if (bytes.size != ROVE_TOKEN_SIZE)
        return rovei_token_chain_decode(ret, bytes);
    rove_token_chain c = {.count = 1};
    rove_err err = rovei_token_decode(&c.links[0], bytes);
    if (err == ROVE_OK)
        *ret = c;
    return err;
}

/* No form is taken for another: the bytes of a chain begin with its count, which is no digit, and
 * one token has an odd number of them. */
rove_err rovei_token_read(rove_token_chain *ret, rove_span bytes)
{
    uint8_t decoded[ROVE_TOKEN_CHAIN_MAX];
    const char *text = bytes.data;
    size_t size = bytes.size;
    while (size && isspace((unsigned char)text[size - 1]))
        size--;
    while (size && isspace((unsigned char)*text)) {
        text++;
        size--;
    }
    if (size && size % 2 == 0 && size / 2 <= sizeof decoded &&
        rovei_hex_decode(text, size, decoded, size / 2))
        return read_bytes(ret, (rove_span){decoded, size / 2});
    return read_bytes(ret, bytes);
}

void rovei_token_write(const rove_token_chain *c, char ret[ROVEI_TOKEN_TEXT_MAX])
{
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    rovei_hex_encode(bytes, rovei_token_chain_encode(c, bytes), ret);
}

/* ---- JSON ---- */

static void add_entity(json_object *o, const char *name, const rove_entity *e)
{
    char text[65];
    rovei_hex_encode(e->bytes, sizeof e->bytes, text);
    json_object_object_add(o, name, json_object_new_string(text));
}

static void add_id(json_object *o, const char *name, uint64_t id)
{
    char text[19];
    (void)snprintf(text, sizeof text, "0x%" PRIx64, id);
    json_object_object_add(o, name, json_object_new_string(text));
}

static json_object *token_json(const rove_token *t)
{
    char scope[ROVEI_TOKEN_SCOPE_TEXT];
    json_object *o = json_object_new_object();
    if (!o)
        return NULL;
    rovei_token_scope_text(t->scope, scope);
    add_entity(o, "issuer", &t->issuer);
    add_entity(o, "subject", &t->subject);
    json_object_object_add(o, "scope", json_object_new_string(scope));
    add_id(o, "channel", t->channel);
    json_object_object_add(o, "generation", json_object_new_int64(t->generation));
    json_object_object_add(o, "not_before", json_object_new_uint64(t->not_before));
    json_object_object_add(o, "not_after", json_object_new_uint64(t->not_after));
    json_object_object_add(o, "depth", json_object_new_int(t->depth));
    add_id(o, "nonce", t->nonce);
    return o;
}

json_object *rovei_token_chain_json(const rove_token_chain *c)
{
    char text[ROVEI_TOKEN_TEXT_MAX];
    json_object *o = token_json(&c->links[c->count - 1]), *links = json_object_new_array();
    if (!o || !links) {
        json_object_put(o);
        json_object_put(links);
        return NULL;
    }
    for (size_t i = 0; i < c->count; i++)
        json_object_array_add(links, token_json(&c->links[i]));
    add_entity(o, "root", &c->links[0].issuer);
    json_object_object_add(o, "expires", json_object_new_uint64(rovei_token_chain_expiry(c)));
    json_object_object_add(o, "links", links);
    rovei_token_write(c, text);
    json_object_object_add(o, "token", json_object_new_string(text));
    return o;
}
