/* SPDX-License-Identifier: Apache-2.0
 *
 * What one node can do, as it was announced, over the control socket: what its tags stand for, and
 * the tags and metadata themselves. */
#include <base/text.h>
#include <capability/index.h>
#include <capability/projection.h>
#include <identity/entity.h>
#include <node/placing.h>
#include <shell/control_inside.h>
#include <shell/files.h>
#include <string.h>

#define ITEMS_SHOWN 64u /* of each list; the tags have all */

static json_object *text(rove_span s)
{
    return s.size ? json_object_new_string_len(s.data, (int)s.size) : NULL;
}

static json_object *gpu(const rovei_gpu *g)
{
    json_object *o = json_object_new_object();
    control_add(o, "vendor", control_text(g->vendor ? rovei_vendor_name(g->vendor) : NULL));
    control_add(o, "model", text(g->model));
    control_add(o, "vram_gb", control_u64(g->vram_gb));
    control_add(o, "compute_units", control_u64(g->compute_units));
    control_add(o, "tensor_cores", control_u64(g->tensor_cores));
    control_add(o, "fp16_tflops_x10", control_u64(g->fp16_tflops_x10));
    return o;
}

static json_object *hardware(const rovei_caps *c)
{
    rovei_machine m = rovei_caps_machine(c);
    json_object *o = json_object_new_object();
    control_add(o, "cpu_cores", control_u64(m.cpu_cores));
    control_add(o, "cpu_threads", control_u64(m.cpu_threads));
    control_add(o, "memory_gb", control_u64(m.memory_gb));
    control_add(o, "storage_gb", control_u64(m.storage_gb));
    control_add(o, "network_gbps", control_u64(m.network_gbps));
    control_add(o, "gpu", m.has_gpu ? gpu(&m.gpu) : NULL);
    return o;
}

static json_object *limits(const rovei_caps *c)
{
    rovei_resource_limits l = rovei_caps_limits(c);
    json_object *o = json_object_new_object();
    control_add(o, "max_concurrent_requests", control_u64(l.max_concurrent_requests));
    control_add(o, "max_tokens_per_request", control_u64(l.max_tokens_per_request));
    control_add(o, "rate_limit_rpm", control_u64(l.rate_limit_rpm));
    control_add(o, "max_batch_size", control_u64(l.max_batch_size));
    control_add(o, "max_input_bytes", control_u64(l.max_input_bytes));
    control_add(o, "max_output_bytes", control_u64(l.max_output_bytes));
    return o;
}

static json_object *versions(const rovei_caps *c, rovei_software what)
{
    rovei_versioned items[ITEMS_SHOWN];
    size_t count = rovei_caps_software(c, what, items, ITEMS_SHOWN);
    json_object *all = json_object_new_array();
    for (size_t i = 0; all && i < count; i++) {
        json_object *o = json_object_new_object();
        control_add(o, "name", text(items[i].name));
        control_add(o, "version", text(items[i].version));
        json_object_array_add(all, o);
    }
    return all;
}

static json_object *software(const rovei_caps *c)
{
    rovei_system s = rovei_caps_system(c);
    json_object *o = json_object_new_object();
    control_add(o, "os", text(s.os));
    control_add(o, "os_version", text(s.os_version));
    control_add(o, "cuda_version", text(s.cuda_version));
    control_add(o, "runtimes", versions(c, ROVEI_SOFTWARE_RUNTIME));
    control_add(o, "frameworks", versions(c, ROVEI_SOFTWARE_FRAMEWORK));
    control_add(o, "drivers", versions(c, ROVEI_SOFTWARE_DRIVER));
    return o;
}

static json_object *modalities(uint32_t bits)
{
    json_object *all = json_object_new_array();
    for (uint32_t bit = 1; all && bit <= ROVEI_MODAL_TOOL_USE; bit <<= 1)
        if (bits & bit)
            json_object_array_add(all, control_text(rovei_modality_name(bit)));
    return all;
}

static json_object *models(const rovei_caps *c)
{
    rovei_model items[ITEMS_SHOWN];
    size_t count = rovei_caps_models(c, items, ITEMS_SHOWN);
    json_object *all = json_object_new_array();
    for (size_t i = 0; all && i < count; i++) {
        json_object *o = json_object_new_object();
        control_add(o, "id", text(items[i].id));
        control_add(o, "family", text(items[i].family));
        control_add(o, "quantization", text(items[i].quantization));
        control_add(o, "parameters_b_x10", control_u64(items[i].parameters_b_x10));
        control_add(o, "context_length", control_u64(items[i].context_length));
        control_add(o, "tokens_per_sec", control_u64(items[i].tokens_per_sec));
        control_add(o, "modalities", modalities(items[i].modalities));
        control_add(o, "loaded", json_object_new_boolean(items[i].loaded));
        json_object_array_add(all, o);
    }
    return all;
}

static json_object *tools(const rovei_caps *c)
{
    rovei_tool items[ITEMS_SHOWN];
    size_t count = rovei_caps_tools(c, items, ITEMS_SHOWN);
    json_object *all = json_object_new_array();
    for (size_t i = 0; all && i < count; i++) {
        json_object *o = json_object_new_object();
        control_add(o, "id", text(items[i].id));
        control_add(o, "name", text(items[i].name));
        control_add(o, "version", text(items[i].version));
        control_add(o, "requires", text(items[i].requires));
        control_add(o, "estimated_time_ms", control_u64(items[i].estimated_time_ms));
        control_add(o, "stateless", json_object_new_boolean(items[i].stateless));
        json_object_array_add(all, o);
    }
    return all;
}

/* The node that the request names, by node id or entity; without a name this one. */
static bool named(const connection *c, json_object *request, uint64_t *ret)
{
    const char *name = control_field(request, "node");
    rove_node_info info;
    rove_entity entity;
    rove_node_get_info(c->control->node, &info);
    *ret = info.node_id;
    if (!name || control_parse_id(name, ret))
        return true;
    if (!rovei_hex_decode(name, strlen(name), entity.bytes, sizeof entity.bytes))
        return false;
    *ret = rovei_entity_node_id(&entity);
    return true;
}

void control_caps(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    uint64_t id;
    if (!named(c, request, &id)) {
        control_end(c, ROVE_E_USAGE, "the node is a node id or an entity");
        return;
    }
    const rovei_index_entry *e = rovei_index_get(rovei_node_index(core), id);
    if (!e) {
        control_end(c, ROVE_E_NOT_FOUND, "that node has announced nothing that is known here");
        return;
    }
    json_object *o = control_announced(e, now);
    control_add(o, "entity", control_hex(e->entity.bytes, sizeof e->entity.bytes));
    control_add(o, "version", control_u64(e->generation));
    control_add(o, "hardware", hardware(&e->caps));
    control_add(o, "limits", limits(&e->caps));
    control_add(o, "software", software(&e->caps));
    control_add(o, "models", models(&e->caps));
    control_add(o, "tools", tools(&e->caps));
    control_say(c, o);
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}
