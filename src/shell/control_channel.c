/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests about the channels of a node: making, listing and ending them. */
#include <channel/publisher.h>
#include <shell/control_inside.h>
#include <shell/files.h>
#include <string.h>

static const char *const visibilities[] = {"global", "subnet", "parent", "exported"};
static const char *const group_policies[] = {"any", "deny", "token"};

static rove_span text_span(const char *text)
{
    return (rove_span){text, strlen(text)};
}

/* The place of a word in a list: `*ret` stays when it is not given. False: it is none of them. */
static bool parse_word(json_object *request, const char *field, const char *const *words,
                       size_t count, int *ret)
{
    const char *text = control_field(request, field);
    for (size_t i = 0; text && i < count; i++)
        if (strcmp(words[i], text) == 0) {
            *ret = (int)i;
            return true;
        }
    return !text;
}

/* A list of texts, at most `room`; false: something else. */
static bool parse_texts(json_object *request, const char *field, size_t room, const char **ret,
                        size_t *ret_count)
{
    json_object *list = NULL;
    *ret_count = 0;
    if (!json_object_object_get_ex(request, field, &list))
        return true;
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) > room)
        return false;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *one = json_object_array_get_idx(list, i);
        if (!json_object_is_type(one, json_type_string))
            return false;
        ret[(*ret_count)++] = json_object_get_string(one);
    }
    return true;
}

static bool parse_roots(json_object *request, rove_entity *ret, size_t *ret_count)
{
    const char *texts[ROVEI_CHANNEL_ROOTS_MAX];
    if (!parse_texts(request, "roots", ROVEI_CHANNEL_ROOTS_MAX, texts, ret_count))
        return false;
    for (size_t i = 0; i < *ret_count; i++)
        if (!rovei_hex_decode(texts[i], strlen(texts[i]), ret[i].bytes, sizeof ret[i].bytes))
            return false;
    return true;
}

void control_channel_create(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    const char *name = control_field(request, "channel");
    rove_entity roots[ROVEI_CHANNEL_ROOTS_MAX];
    const char *texts[ROVEI_CHANNEL_TAGS_MAX];
    rove_span tags[ROVEI_CHANNEL_TAGS_MAX];
    size_t root_count, tag_count;
    int visibility = ROVEI_VISIBLE_GLOBAL, groups = ROVEI_GROUPS_ANY;
    if (!name || !parse_roots(request, roots, &root_count) ||
        !parse_texts(request, "tags", ROVEI_CHANNEL_TAGS_MAX, texts, &tag_count) ||
        !parse_word(request, "visibility", visibilities, ROVEI_VISIBLE_PARENT + 1, &visibility) ||
        !parse_word(request, "groups", group_policies, ROVEI_GROUPS_TOKEN + 1, &groups)) {
        control_end(c, ROVE_E_USAGE, "the request lacks the channel, or says something unknown");
        return;
    }
    for (size_t i = 0; i < tag_count; i++)
        tags[i] = text_span(texts[i]);
    const rovei_channel_config config = {.name = text_span(name),
                                         .prefix = control_flag(request, "prefix"),
                                         .visibility = (rovei_visibility)visibility,
                                         .subscribe_caps = {tags, tag_count},
                                         .require_token = control_flag(request, "require_token"),
                                         .roots = roots,
                                         .root_count = root_count,
                                         .groups = (rovei_group_policy)groups};
    control_end_err(c,
                    rovei_channels_create(core, now, &config, !control_flag(request, "replace")));
}

void control_channel_remove(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    const char *name = control_field(request, "channel");
    if (!name) {
        control_end(c, ROVE_E_USAGE, "the request lacks the channel");
        return;
    }
    rove_err err =
        rovei_channels_remove(core, now, text_span(name), control_flag(request, "prefix"));
    if (err == ROVE_E_NOT_FOUND)
        control_end(c, err, "this node has no such channel");
    else
        control_end_err(c, err);
}

static json_object *text_of(rove_span s)
{
    return json_object_new_string_len(s.size ? s.data : "", (int)s.size);
}

static json_object *member(const rovei_member_info *m)
{
    json_object *o = json_object_new_object();
    control_add(o, "node_id", control_id(m->node_id));
    control_add(o, "group", m->group.size ? text_of(m->group) : NULL);
    control_add(o, "gated", json_object_new_boolean(m->gated));
    control_add(o, "took", control_u64(m->took));
    control_add(o, "gaps", control_u64(m->gaps));
    return o;
}

static json_object *describe(const rovei_node *core, const rovei_channel_info *i)
{
    const rovei_channel_config *f = i->config;
    json_object *o = json_object_new_object(), *roots = json_object_new_array(),
                *members = json_object_new_array();
    rovei_member_info m;
    control_add(o, "channel", text_of(i->name));
    control_add(o, "prefix", json_object_new_boolean(i->prefix));
    control_add(o, "needs_token", json_object_new_boolean(f && rovei_channel_token_required(f)));
    control_add(o, "visibility", control_text(visibilities[f ? f->visibility : 0]));
    control_add(o, "groups", control_text(group_policies[f ? f->groups : 0]));
    for (size_t k = 0; f && roots && k < f->root_count; k++)
        json_object_array_add(roots, control_hex(f->roots[k].bytes, sizeof f->roots[k].bytes));
    control_add(o, "roots", roots);
    control_add(o, "hash", control_id(i->hash));
    control_add(o, "published", control_u64(i->published));
    control_add(o, "next", control_u64(i->next));
    control_add(o, "kept", control_u64(i->next - i->first));
    control_add(o, "kept_bytes", control_u64(i->bytes));
    for (size_t it = 0;
         members && !i->prefix && rovei_channels_member_next(core, i->name, &it, &m);)
        json_object_array_add(members, member(&m));
    control_add(o, "members", members);
    return o;
}

void control_channels(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    rovei_channel_info info;
    (void)now;
    (void)request;
    for (size_t it = 0; !c->closing && rovei_channels_next(core, &it, &info);)
        control_say(c, describe(core, &info));
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}
