/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of other nodes, and why a daemon would go to which, over the control socket. */
#include <host/placing.h>
#include <host/runtime.h>
#include <identity/entity.h>
#include <shell/control_inside.h>
#include <shell/predicate_json.h>
#include <stdio.h>
#include <string.h>

static json_object *span_text(rove_span s)
{
    return json_object_new_string_len(s.data, (int)s.size);
}

json_object *control_announced(const rovei_index_entry *e, rovei_now now)
{
    json_object *o = json_object_new_object(), *tags = json_object_new_array();
    json_object *metadata = json_object_new_object();
    for (size_t i = 0; i < e->caps.tag_count; i++)
        json_object_array_add(tags, span_text(e->caps.tags[i]));
    for (size_t i = 0; i < e->caps.metadata_count; i++) {
        rovei_text key;
        rovei_text_set(&key, "");
        rovei_text_add_span(&key, e->caps.metadata[i].key);
        json_object_object_add(metadata, key.chars, span_text(e->caps.metadata[i].value));
    }
    control_add(o, "node_id", control_id(e->node_id));
    control_add(o, "hops", control_u64(e->hop_count));
    control_add(o, "expires_s",
                control_u64(e->expires > now.mono ? (e->expires - now.mono) / ROVE_SECOND : 0));
    control_add(o, "tags", tags);
    control_add(o, "metadata", metadata);
    return o;
}

/* A condition as text, or as the JSON form of a predicate. */
typedef struct condition {
    bool is_json;
    rovei_where where;
    rovei_json_predicate json;
} condition;

/* False: it does not read, and the request has ended. */
static bool read_condition(connection *c, const char *text, condition *ret)
{
    const rove_alloc *a = c->control->alloc;
    rove_span span = {text, text ? strlen(text) : 0};
    rovei_where_error error = {0, ""};
    rovei_pred_error wrong = (rovei_pred_error)0;
    char said[160];
    *ret = (condition){.is_json = text && text[0] == '{'};
    rove_err err = ret->is_json ? rovei_json_predicate_read(&ret->json, a, span, &wrong)
                                : rovei_where_read(&ret->where, a, span, &error);
    if (err == ROVE_E_WHERE)
        snprintf(said, sizeof said, "the condition, at character %zu: %s", error.at + 1,
                 error.what);
    else if (err == ROVE_E_PREDICATE && wrong)
        snprintf(said, sizeof said, "the predicate: %s", rovei_pred_error_name(wrong));
    else if (err)
        snprintf(said, sizeof said, "%s", rove_strerror(err));
    if (err)
        control_end(c, err, said);
    return err == ROVE_OK;
}

static bool condition_holds(const condition *k, const rovei_caps *caps)
{
    return k->is_json ? rovei_predicate_holds(&k->json.predicate, caps)
                      : rovei_where_selects(&k->where, caps, NULL);
}

void control_nodes(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    condition k;
    if (!read_condition(c, control_field(request, "where"), &k))
        return;
    const rovei_index *index = rovei_node_index(core);
    const rovei_index_entry *e;
    for (size_t it = 0; !c->closing && (e = rovei_index_next(index, &it)) != NULL;)
        if (condition_holds(&k, &e->caps))
            control_say(c, control_announced(e, now));
    if (k.is_json)
        rovei_json_predicate_fini(&k.json);
    else
        rovei_where_fini(&k.where);
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}

static json_object *candidate_object(const rovei_candidate *judged, bool chosen)
{
    json_object *o = json_object_new_object();
    control_add(o, "node_id", control_id(judged->node_id));
    control_add(o, "verdict",
                control_text(chosen             ? "chosen"
                             : judged->eligible ? "eligible"
                                                : "rejected"));
    control_add(o, "score", judged->eligible ? json_object_new_double(judged->score) : NULL);
    control_add(o, "rtt_us", judged->rtt ? control_u64(judged->rtt / 1000) : NULL);
    control_add(o, "why", span_text(rovei_text_span(&judged->why)));
    return o;
}

void control_why(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    rove_entity daemon, unused;
    rovei_daemon_info info;
    rovei_wishes w;
    rovei_placement best = {0};
    (void)now;
    if (!control_daemon(c, core, request, &daemon))
        return;
    rove_err err = rovei_node_daemon_get(core, &daemon, &info);
    if (err == ROVE_OK)
        err = rovei_wishes_init(&w, &c->control->runtime->host, info.kind, true);
    if (err) {
        control_end_err(c, err);
        return;
    }
    bool found = rovei_node_place(core, &w.placing, &best, &unused) == ROVE_OK;
    const rovei_index *index = rovei_node_index(core);
    const rovei_index_entry *e;
    for (size_t it = 0; !c->closing && (e = rovei_index_next(index, &it)) != NULL;) {
        rovei_candidate judged;
        rovei_node_judge(core, &w.placing, e, &judged);
        control_say(c, candidate_object(&judged, found && best.node == e->node_id));
    }
    rovei_wishes_fini(&w);
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}
