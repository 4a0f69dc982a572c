/* SPDX-License-Identifier: Apache-2.0
 *
 * The channels of a node as applications see them. What publishes is one object from its call to
 * its completion; one that has to wait for room stands in a list of the loop thread's, and tries
 * again when the core says that there is room. */
#include <base/alloc.h>
#include <base/buf.h>
#include <channel/publisher.h>
#include <host/thread.h>
#include <rove/channel.h>
#include <shell/channels.h>
#include <shell/latch.h>
#include <shell/node_inside.h>
#include <string.h>

_Static_assert((int)ROVE_PUBLISH_HOLD == (int)ROVEI_PUBLISH_HOLD &&
                   (int)ROVE_PUBLISH_COLLECT == (int)ROVEI_PUBLISH_COLLECT,
               "the public policies are the core's");
_Static_assert((int)ROVE_VISIBLE_PARENT == (int)ROVEI_VISIBLE_PARENT &&
                   (int)ROVE_GROUPS_TOKEN == (int)ROVEI_GROUPS_TOKEN,
               "the public configuration is the core's");
_Static_assert(ROVE_CHANNEL_NAME_MAX == ROVEI_CHANNEL_NAME_MAX, "of one length");

/* A name that is too long stays so for the check of names. */
static rove_span name_of(const char *name)
{
    return (rove_span){name, strnlen(name, ROVE_CHANNEL_NAME_MAX + 1)};
}

/* ---- which channels there are ---- */

typedef struct create_call {
    rovei_channel_config config;
    bool replace;
    rove_err err;
} create_call;

static void create_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    create_call *c = arg;
    c->err = rovei_channels_create(core, now, &c->config, !c->replace);
}

rove_err rove_channel_create(rove_node *node, const char *name, const rove_channel_config *config,
                             bool replace)
{
    rove_channel_config defaults;
    rove_channel_config_init(&defaults);
    const rove_channel_config *f = config ? config : &defaults;
    rove_span tags[ROVEI_CHANNEL_TAGS_MAX];
    if (!node || !name)
        return ROVE_E_USAGE;
    if (f->struct_version != ROVE_CHANNEL_CONFIG_VERSION)
        return ROVE_E_STRUCT_VERSION;
    if ((f->root_count && !f->roots) || (f->subscribe_tag_count && !f->subscribe_tags) ||
        f->visibility < ROVE_VISIBLE_GLOBAL || f->visibility > ROVE_VISIBLE_PARENT ||
        f->groups < ROVE_GROUPS_ANY || f->groups > ROVE_GROUPS_TOKEN)
        return ROVE_E_USAGE;
    if (f->subscribe_tag_count > ROVEI_CHANNEL_TAGS_MAX)
        return ROVE_E_BOUND;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    for (size_t i = 0; i < f->subscribe_tag_count; i++) {
        if (!f->subscribe_tags[i])
            return ROVE_E_USAGE;
        tags[i] = (rove_span){f->subscribe_tags[i], strlen(f->subscribe_tags[i])};
    }
    create_call c = {.replace = replace,
                     .config = {.name = name_of(name),
                                .prefix = f->prefix,
                                .visibility = (rovei_visibility)f->visibility,
                                .subscribe_caps = {tags, f->subscribe_tag_count},
                                .require_token = f->require_token,
                                .roots = f->roots,
                                .root_count = f->root_count,
                                .groups = (rovei_group_policy)f->groups}};
    rovei_node_call(node, create_on_loop, &c);
    return c.err;
}

typedef struct remove_call {
    rove_span name;
    bool prefix;
    rove_err err;
} remove_call;

static void remove_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    remove_call *c = arg;
    c->err = rovei_channels_remove(core, now, c->name, c->prefix);
}

rove_err rove_channel_remove(rove_node *node, const char *name, bool prefix)
{
    if (!node || !name)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    remove_call c = {.name = name_of(name), .prefix = prefix};
    rovei_node_call(node, remove_on_loop, &c);
    return c.err;
}

typedef struct list_call {
    rove_channel_info *ret;
    size_t room, count;
} list_call;

static void show(const rovei_channel_info *from, rove_channel_info *ret)
{
    const rovei_channel_config *f = from->config;
    *ret = (rove_channel_info){.prefix = from->prefix,
                               .members = from->members,
                               .published = from->published,
                               .first = from->first,
                               .next = from->next,
                               .bytes = from->bytes};
    if (from->name.size)
        memcpy(ret->name, from->name.data, from->name.size);
    if (!f)
        return;
    ret->needs_token = rovei_channel_token_required(f);
    ret->roots = f->root_count;
    ret->visibility = (rove_visibility)f->visibility;
    ret->groups = (rove_group_policy)f->groups;
}

static void list_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    list_call *c = arg;
    rovei_channel_info info;
    (void)now;
    for (size_t it = 0; rovei_channels_next(core, &it, &info); c->count++)
        if (c->count < c->room)
            show(&info, &c->ret[c->count]);
}

size_t rove_channel_list(rove_node *node, rove_channel_info *ret, size_t room)
{
    if (!node || rovei_thread_is_inside())
        return 0;
    list_call c = {.ret = ret, .room = ret ? room : 0};
    rovei_node_call(node, list_on_loop, &c);
    return c.count;
}

/* ---- publishing ---- */

typedef struct publishing {
    rovei_pending pending;
    rovei_list parked; /* in node->publishing while it waits for room */
    rove_node *node;
    char name[ROVE_CHANNEL_NAME_MAX + 2];
    rove_publish_options options;
    rove_buf *owner; /* the events: as many spans, then their bytes */
    size_t count;
    rove_publish_fn *done;
    void *user;
} publishing;

static void end(publishing *p, rove_err err, const rove_publish_report *report)
{
    rovei_list_remove(&p->parked);
    p->done(p->user, err, report);
    rove_buf_unref(p->owner);
    rovei_pending_end(&p->pending);
}

/* E_WINDOW: there is no room. */
static rove_err attempt(publishing *p, rovei_now now, rove_publish_report *ret)
{
    rovei_publish_error errors[ROVE_PUBLISH_ERRORS];
    rovei_publish_report report = {.errors = errors, .room = ROVE_PUBLISH_ERRORS};
    rovei_publish order = {.channel = name_of(p->name),
                           .events = (const void *)rovei_buf_data(p->owner),
                           .count = p->count,
                           .owner = p->owner,
                           .policy = (rovei_publish_policy)p->options.policy,
                           .reliable = p->options.reliable};
    rove_err err = rovei_channels_publish(p->node->core, now, &order, &report);
    *ret = (rove_publish_report){0};
    if (err && err != ROVE_E_NOT_DELIVERED)
        return err;
    ret->attempted = report.attempted;
    ret->delivered = report.delivered;
    ret->failed = report.failed;
    ret->first = report.first;
    for (size_t i = 0; i < report.failed && i < ROVE_PUBLISH_ERRORS; i++) {
        ret->errors[i].node_id = errors[i].node_id;
        ret->errors[i].err = errors[i].err;
    }
    return err;
}

static bool waits_for(const publishing *p, rove_span name)
{
    return strlen(p->name) == name.size && memcmp(p->name, name.data, name.size) == 0;
}

static bool is_taken(const rove_node *node, const char *name)
{
    ROVEI_LIST_EACH (it, next, &node->publishing)
        if (waits_for(ROVEI_CONTAINER(it, publishing, parked), name_of(name)))
            return true;
    return false;
}

static void publish_run(rovei_task *task, rovei_node *core, rovei_now now)
{
    publishing *p = ROVEI_CONTAINER(task, publishing, pending.task);
    rove_publish_report report = {0};
    bool behind = is_taken(p->node, p->name);
    (void)core;
    rove_err err = behind ? ROVE_E_WINDOW : attempt(p, now, &report);
    if (err == ROVE_E_WINDOW && p->node->ending)
        err = ROVE_E_SHUTTING_DOWN;
    if (err == ROVE_E_WINDOW && p->options.wait)
        rovei_list_add_tail(&p->node->publishing, &p->parked);
    else
        end(p, err, &report);
}

void rovei_node_channel_room(rove_node *node, rovei_now now, rove_span name)
{
    ROVEI_LIST_EACH (it, next, &node->publishing) {
        publishing *p = ROVEI_CONTAINER(it, publishing, parked);
        if (!waits_for(p, name))
            continue;
        rove_publish_report report;
        rove_err err = attempt(p, now, &report);
        if (err == ROVE_E_WINDOW)
            return; /* and those behind it */
        end(p, err, &report);
    }
}

void rovei_node_end_publishing(rove_node *node)
{
    rove_publish_report none = {0};
    while (!rovei_list_empty(&node->publishing))
        end(ROVEI_CONTAINER(node->publishing.next, publishing, parked), ROVE_E_SHUTTING_DOWN,
            &none);
}

/* All events in one counted piece: first their spans, then their bytes. */
static rove_err copy_events(const rove_node *node, const rove_span *events, size_t count,
                            uint64_t *ret_bytes, rove_buf **ret)
{
    const uint64_t most = node->env.limits.pending_bytes;
    uint64_t bytes = 0;
    if (count > node->env.limits.pending_events)
        return ROVE_E_FULL;
    for (size_t i = 0; i < count; i++) {
        if (!events[i].data && events[i].size)
            return ROVE_E_USAGE;
        if (events[i].size > node->env.limits.event_max)
            return ROVE_E_TOO_LARGE;
        bytes += events[i].size;
        if (bytes > most)
            return ROVE_E_FULL;
    }
    rove_buf *buf = rovei_buf_alloc(&node->env.alloc, count * sizeof *events + (size_t)bytes);
    if (!buf)
        return ROVE_E_NOMEM;
    uint8_t *at = rovei_buf_data(buf) + count * sizeof *events;
    for (size_t i = 0; i < count; i++) {
        rove_span span = {at, events[i].size};
        memcpy(rovei_buf_data(buf) + i * sizeof span, &span, sizeof span);
        if (span.size)
            memcpy(at, events[i].data, span.size);
        at += span.size;
    }
    *ret_bytes = bytes;
    *ret = buf;
    return ROVE_OK;
}

rove_err rove_channel_publish_async(rove_node *node, const char *name, const rove_span *events,
                                    size_t count, const rove_publish_options *options,
                                    rove_publish_fn *done, void *user)
{
    rove_publish_options defaults;
    rove_publish_options_init(&defaults);
    if (!node || !name || (count && !events) || !done)
        return ROVE_E_USAGE;
    if (rovei_thread_is_inside())
        return ROVE_E_REENTRANT;
    if (!options)
        options = &defaults;
    if (options->struct_version != ROVE_PUBLISH_OPTIONS_VERSION)
        return ROVE_E_STRUCT_VERSION;
    if (options->policy < ROVE_PUBLISH_BEST_EFFORT || options->policy > ROVE_PUBLISH_HOLD)
        return ROVE_E_USAGE;
    rove_err err = rovei_channel_name_check(name_of(name));
    uint64_t bytes = 0;
    rove_buf *owner = NULL;
    if (!err)
        err = copy_events(node, events, count, &bytes, &owner);
    if (err)
        return err;
    publishing *p;
    const size_t size = (size_t)bytes;
    err = rovei_pending_new(&p, &node->pendings, sizeof *p, &size);
    if (err) {
        rove_buf_unref(owner);
        return err;
    }
    rovei_list_init(&p->parked);
    p->node = node;
    memcpy(p->name, name, strlen(name) + 1);
    p->options = *options;
    p->owner = owner;
    p->count = count;
    p->done = done;
    p->user = user;
    rovei_pending_post(&p->pending, publish_run);
    return ROVE_OK;
}

typedef struct publish_wait {
    rovei_latch latch;
    rove_err err;
    rove_publish_report report;
} publish_wait;

static void published(void *user, rove_err err, const rove_publish_report *report)
{
    publish_wait *w = user;
    w->err = err;
    w->report = *report;
    rovei_latch_open(&w->latch);
}

rove_err rove_channel_publish(rove_node *node, const char *name, const rove_span *events,
                              size_t count, const rove_publish_options *options,
                              rove_publish_report *ret)
{
    publish_wait w;
    if (!node)
        return ROVE_E_USAGE;
    if (rovei_node_in_turn(node))
        return ROVE_E_WOULD_BLOCK;
    rovei_latch_init(&w.latch);
    rove_err err = rove_channel_publish_async(node, name, events, count, options, published, &w);
    if (err)
        rovei_latch_open(&w.latch);
    rovei_latch_wait(&w.latch, node);
    if (err)
        return err;
    if (ret && (!w.err || w.err == ROVE_E_NOT_DELIVERED))
        *ret = w.report;
    return w.err;
}
