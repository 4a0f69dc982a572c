/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers over the control socket. */
#include <ctype.h>
#include <inttypes.h>
#include <shell/control_inside.h>
#include <shell/files.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void control_say(connection *c, json_object *object)
{
    size_t size = 0;
    const char *text =
        object ? json_object_to_json_string_length(
                     object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size)
               : NULL;
    rove_err err = text ? rovei_channel_put(&c->channel, ROVEI_FRAME_JSON, (rove_span){text, size},
                                            (rove_span){NULL, 0})
                        : ROVE_E_NOMEM;
    json_object_put(object);
    if (err)
        control_close(c);
}

void control_end(connection *c, rove_err err, const char *text)
{
    uint8_t number[4];
    rovei_store32(number, (uint32_t)(int32_t)err);
    c->mode = MODE_IDLE;
    c->holds_state = false;
    if (rovei_channel_put(&c->channel, ROVEI_FRAME_END, (rove_span){number, sizeof number},
                          (rove_span){text, strlen(text)}))
        control_close(c);
}

void control_end_err(connection *c, rove_err err)
{
    control_end(c, err, rove_strerror(err));
}

json_object *control_id(uint64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "0x%" PRIx64, id);
    return json_object_new_string(text);
}

json_object *control_hex(const void *bytes, size_t size)
{
    char text[2 * 64 + 1];
    if (size > 64)
        return NULL;
    rovei_hex_encode(bytes, size, text);
    return json_object_new_string(text);
}

json_object *control_attempt(const rovei_attempt_id *a)
{
    char digits[2 * sizeof a->bytes + 1], text[sizeof digits + 2];
    rovei_hex_encode(a->bytes, sizeof a->bytes, digits);
    size_t zeros = strspn(digits, "0");
    if (zeros == strlen(digits))
        zeros--;
    snprintf(text, sizeof text, "0x%s", digits + zeros);
    return json_object_new_string(text);
}

json_object *control_text(const char *text)
{
    return text ? json_object_new_string(text) : NULL;
}

json_object *control_u64(uint64_t v)
{
    return json_object_new_uint64(v);
}

static json_object *decimals(double v)
{
    char text[40];
    snprintf(text, sizeof text, "%.3f", v);
    return json_object_new_double_s(v, text);
}

json_object *control_s(uint64_t nanoseconds)
{
    return decimals((double)nanoseconds / 1e9);
}

json_object *control_ms(uint64_t nanoseconds)
{
    return decimals((double)nanoseconds / 1e6);
}

json_object *control_us(uint64_t nanoseconds)
{
    return decimals((double)nanoseconds / 1e3);
}

json_object *control_reason(rove_err err)
{
    if (err == ROVE_OK)
        return NULL;
    char text[64];
    const char *name = rove_err_name(err);
    size_t size = 0;
    if (strncmp(name, "E_", 2) == 0)
        name += 2;
    for (; name[size] && size < sizeof text - 1; size++)
        text[size] = (char)tolower((unsigned char)name[size]);
    text[size] = '\0';
    return json_object_new_string(text);
}

json_object *control_move_reason(const rovei_move_info *info)
{
    json_object *name = control_reason(info->reason);
    if (!name || !info->text.size)
        return name;
    char text[64 + ROVE_MIGRATION_TEXT_MAX];
    snprintf(text, sizeof text, "%s: %.*s", json_object_get_string(name), (int)info->text.size,
             (const char *)info->text.data);
    json_object_put(name);
    return json_object_new_string(text);
}

void control_add(json_object *o, const char *name, json_object *value)
{
    json_object_object_add(o, name, value);
}

const char *control_field(json_object *request, const char *name)
{
    json_object *value = NULL;
    if (!json_object_object_get_ex(request, name, &value) ||
        !json_object_is_type(value, json_type_string))
        return NULL;
    return json_object_get_string(value);
}

bool control_flag(json_object *request, const char *name)
{
    json_object *value = NULL;
    return json_object_object_get_ex(request, name, &value) && json_object_get_boolean(value);
}

bool control_parse_id(const char *text, uint64_t *ret)
{
    size_t size = strlen(text);
    if (size < 3 || size > 18 || text[0] != '0' || text[1] != 'x' ||
        strspn(text + 2, "0123456789abcdefABCDEF") != size - 2)
        return false;
    *ret = strtoull(text + 2, NULL, 16);
    return true;
}

bool control_daemon(connection *c, rovei_node *core, json_object *request, rove_entity *ret)
{
    const char *name = control_field(request, "daemon");
    uint64_t origin;
    if (name && rovei_hex_decode(name, strlen(name), ret->bytes, sizeof ret->bytes))
        return true;
    if (!name || !control_parse_id(name, &origin)) {
        control_end(c, ROVE_E_USAGE, "the daemon is neither an entity nor an origin hash");
        return false;
    }
    if (rovei_node_find_origin(core, origin, ret) == ROVE_OK)
        return true;
    control_end(c, ROVE_E_NOT_FOUND,
                "this node knows no daemon of that origin: name it by its entity, which rove ps "
                "--json prints where it lives");
    return false;
}
