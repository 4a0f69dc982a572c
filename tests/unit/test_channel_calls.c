/* SPDX-License-Identifier: Apache-2.0
 *
 * The public calls of channels: what they refuse, what they report, and the order of completions;
 * subscriptions in snapshots. */
#include "driven.h"

#include <rove/channel.h>

static rove_span text(const char *s)
{
    return (rove_span){s, strlen(s)};
}

static void makes_and_ends(void **state)
{
    (void)state;
    place p;
    driven_open(&p, 1);
    rove_channel_config f;
    rove_channel_config_init(&f);
    rove_channel_info infos[2];
    assert_ok(rove_channel_create(p.node, "a/b", NULL, false));
    assert_int_equal(rove_channel_create(p.node, "a/b", NULL, false), ROVE_E_CHANNEL_EXISTS);
    assert_int_equal(rove_channel_create(p.node, "", NULL, false), ROVE_E_CHANNEL_EMPTY);
    assert_int_equal(rove_channel_create(p.node, "A", NULL, false), ROVE_E_CHANNEL_FORMAT);
    char name[258];
    memset(name, 'x', 257);
    name[257] = '\0';
    assert_int_equal(rove_channel_create(p.node, name, NULL, false), ROVE_E_CHANNEL_LONG);
    name[255] = '\0';
    f.roots = &p.info.entity;
    f.root_count = 1;
    f.visibility = ROVE_VISIBLE_SUBNET;
    f.groups = ROVE_GROUPS_TOKEN;
    assert_ok(rove_channel_create(p.node, name, &f, false));
    f.struct_version++;
    assert_int_equal(rove_channel_create(p.node, "c", &f, false), ROVE_E_STRUCT_VERSION);
    rove_channel_config_init(&f);
    f.root_count = 1;
    assert_int_equal(rove_channel_create(p.node, "c", &f, false), ROVE_E_USAGE);
    f.root_count = 0;
    f.subscribe_tag_count = 65;
    f.subscribe_tags = (const char *const[65]){0};
    assert_int_equal(rove_channel_create(p.node, "c", &f, false), ROVE_E_BOUND);
    f.subscribe_tag_count = 1;
    assert_int_equal(rove_channel_create(p.node, "c", &f, false), ROVE_E_USAGE);
    assert_int_equal(rove_channel_list(p.node, NULL, 0), 2);
    assert_int_equal(rove_channel_list(p.node, infos, 1), 2);
    assert_int_equal(rove_channel_list(p.node, infos, 2), 2);
    const rove_channel_info *gated = &infos[infos[0].name[0] != 'x'];
    assert_string_equal(gated->name, name);
    assert_true(gated->needs_token && gated->roots == 1);
    assert_int_equal(gated->visibility, ROVE_VISIBLE_SUBNET);
    assert_int_equal(gated->groups, ROVE_GROUPS_TOKEN);
    assert_ok(rove_channel_remove(p.node, "a/b", false));
    assert_int_equal(rove_channel_remove(p.node, "a/b", false), ROVE_E_NOT_FOUND);
    assert_int_equal(rove_channel_remove(NULL, "a", false), ROVE_E_USAGE);
    assert_int_equal(rove_channel_list(p.node, NULL, 0), 1);
    place_close(&p);
}

static void publishes(void **state)
{
    (void)state;
    place p;
    driven_open(&p, 1);
    rove_span events[3] = {text("one"), text(""), text("three")};
    rove_publish_report r;
    rove_publish_options o;
    rove_publish_options_init(&o);
    o.policy = ROVE_PUBLISH_HOLD;
    memset(&r, 0xff, sizeof r);
    assert_ok(rove_channel_publish(p.node, "nobody", events, 3, &o, &r));
    assert_true(!r.attempted && !r.delivered && !r.failed && !r.first);
    assert_ok(rove_channel_create(p.node, "ch", NULL, false));
    assert_ok(rove_channel_publish(p.node, "ch", events, 3, &o, &r));
    assert_int_equal(r.first, 1);
    assert_ok(rove_channel_publish(p.node, "ch", events, 2, NULL, &r));
    assert_int_equal(r.first, 4);
    assert_ok(rove_channel_publish(p.node, "ch", events, 0, NULL, NULL));
    rove_channel_info info;
    assert_int_equal(rove_channel_list(p.node, &info, 1), 1);
    assert_true(info.published == 5 && info.next == 6 && !info.members);
    /* What is refused publishes nothing and leaves the report alone. */
    r.first = 77;
    rove_span none = {NULL, 4};
    assert_int_equal(rove_channel_publish(p.node, "ch", &none, 1, NULL, &r), ROVE_E_USAGE);
    assert_int_equal(rove_channel_publish(p.node, "ch", NULL, 1, NULL, &r), ROVE_E_USAGE);
    assert_int_equal(rove_channel_publish(p.node, "c h", events, 1, NULL, &r), ROVE_E_CHANNEL_CHAR);
    rove_span large = {events, ((size_t)1 << 20) + 1};
    assert_int_equal(rove_channel_publish(p.node, "ch", &large, 1, NULL, &r), ROVE_E_TOO_LARGE);
    o.policy = (rove_publish_policy)9;
    assert_int_equal(rove_channel_publish(p.node, "ch", events, 1, &o, &r), ROVE_E_USAGE);
    o.struct_version = 0;
    assert_int_equal(rove_channel_publish(p.node, "ch", events, 1, &o, &r), ROVE_E_STRUCT_VERSION);
    /* One that needs a token, which this node does not have. */
    rove_channel_config f;
    rove_channel_config_init(&f);
    f.require_token = true;
    assert_ok(rove_channel_create(p.node, "ch", &f, true));
    assert_int_equal(rove_channel_publish(p.node, "ch", events, 1, NULL, &r),
                     ROVE_E_CHANNEL_DENIED);
    assert_int_equal(r.first, 77);
    assert_int_equal(rove_channel_list(p.node, &info, 1), 1);
    assert_int_equal(info.published, 5);
    place_close(&p);
}

typedef struct told {
    rove_node *node;
    size_t count;
    uint64_t next;
    bool blocks;
} told;

static void note(void *user, rove_err err, const rove_publish_report *report)
{
    told *t = user;
    rove_span event = text("inside");
    assert_ok(err);
    assert_int_equal(report->first, t->next);
    t->next += 2;
    t->count++;
    t->blocks = rove_channel_publish(t->node, "ch", &event, 1, NULL, NULL) == ROVE_E_WOULD_BLOCK;
}

static void tells_in_order(void **state)
{
    (void)state;
    place p;
    driven_open(&p, 1);
    told t = {.node = p.node, .next = 1};
    loop l = {.places = &p, .count = 1};
    char bytes[2][8];
    rove_span events[2] = {{bytes[0], 8}, {bytes[1], 8}};
    assert_ok(rove_channel_create(p.node, "ch", NULL, false));
    for (int i = 0; i < 10; i++) {
        memset(bytes, i, sizeof bytes);
        assert_ok(rove_channel_publish_async(p.node, "ch", events, 2, NULL, note, &t));
        assert_int_equal(t.count, 0); /* never inside of the call */
    }
    LOOP_UNTIL(&l, t.count == 10);
    assert_true(t.blocks);
    assert_int_equal(rove_channel_publish_async(p.node, "ch", events, 2, NULL, NULL, NULL),
                     ROVE_E_USAGE);
    place_close(&p);
}

/* ---- listening ---- */

typedef struct ears {
    rove_heard last;
    unsigned subscribed, events, wrong;
    char payload[8];
    rove_buf *kept;
} ears;

static void hear(void *user, const rove_heard *h)
{
    ears *e = user;
    e->last = *h;
    e->subscribed += h->kind == ROVE_HEARD_SUBSCRIBED;
    if (h->kind != ROVE_HEARD_EVENT)
        return;
    e->wrong += h->number != ++e->events;
    snprintf(e->payload, sizeof e->payload, "%.*s", (int)h->payload.size,
             (const char *)h->payload.data);
    if (!e->kept)
        e->kept = rove_buf_ref(h->owner);
}

static rove_err listen_with(place *p, ears *e, const char *channel, const char *group,
                            rove_span token, rove_listener **ret)
{
    rove_listen_options o;
    rove_listen_options_init(&o);
    o.group = group;
    o.token = token;
    o.heard = hear;
    o.user = e;
    return rove_channel_listen(ret, p->node, channel, &o);
}

static void hears(void **state)
{
    (void)state;
    place p;
    driven_open(&p, 1);
    loop l = {.places = &p, .count = 1};
    ears e = {0}, f = {0};
    rove_listener *one, *two;
    rove_span events[2] = {text("a"), text("bc")};
    assert_ok(rove_channel_create(p.node, "ch", NULL, false));
    assert_ok(listen_with(&p, &e, "ch", NULL, text(""), &one));
    assert_int_equal(e.subscribed, 0); /* never inside of the call */
    LOOP_UNTIL(&l, e.subscribed == 1);
    assert_ok(e.last.err);
    assert_ok(rove_channel_publish(p.node, "ch", events, 2, NULL, NULL));
    LOOP_UNTIL(&l, e.events == 2);
    assert_string_equal(e.payload, "bc");
    assert_non_null(e.kept);

    /* One that is held misses nothing, and others go on meanwhile. */
    assert_ok(listen_with(&p, &f, "ch", NULL, text(""), &two));
    LOOP_UNTIL(&l, f.subscribed == 1);
    f.events = 2; /* it begins behind the second */
    rove_listener_hold(one, true);
    assert_ok(rove_channel_publish(p.node, "ch", events, 2, NULL, NULL));
    LOOP_UNTIL(&l, f.events == 4);
    assert_int_equal(e.events, 2);
    rove_listener_hold(one, false);
    LOOP_UNTIL(&l, e.events == 4);
    assert_int_equal(e.wrong + f.wrong, 0);

    rove_listener_free(one);
    assert_ok(rove_channel_publish(p.node, "ch", events, 1, NULL, NULL));
    LOOP_UNTIL(&l, f.events == 5);
    assert_int_equal(e.events, 4);
    rove_listener_free(two);
    rove_buf_unref(e.kept);
    rove_buf_unref(f.kept);
    place_close(&p);
}

static void does_not_listen(void **state)
{
    (void)state;
    place p;
    driven_open(&p, 1);
    loop l = {.places = &p, .count = 1};
    ears e = {0};
    rove_listener *one = NULL, *two = NULL;
    rove_listen_options o;
    rove_listen_options_init(&o);
    static char long_token[ROVE_SUBSCRIBE_TOKEN_MAX + 1], long_group[257];
    memset(long_group, 'g', sizeof long_group - 1);
    assert_int_equal(rove_channel_listen(&one, p.node, "ch", &o), ROVE_E_USAGE);
    assert_int_equal(rove_channel_listen(&one, p.node, "ch", NULL), ROVE_E_USAGE);
    o.heard = hear;
    assert_int_equal(rove_channel_listen(&one, p.node, NULL, &o), ROVE_E_USAGE);
    assert_int_equal(rove_channel_listen(&one, NULL, "ch", &o), ROVE_E_USAGE);
    o.struct_version++;
    assert_int_equal(rove_channel_listen(&one, p.node, "ch", &o), ROVE_E_STRUCT_VERSION);
    assert_int_equal(listen_with(&p, &e, "", NULL, text(""), &one), ROVE_E_CHANNEL_EMPTY);
    assert_int_equal(listen_with(&p, &e, "c h", NULL, text(""), &one), ROVE_E_CHANNEL_CHAR);
    assert_int_equal(listen_with(&p, &e, long_group, NULL, text(""), &one), ROVE_E_CHANNEL_LONG);
    assert_int_equal(listen_with(&p, &e, "ch", long_group, text(""), &one), ROVE_E_BOUND);
    assert_int_equal(listen_with(&p, &e, "ch", NULL, (rove_span){NULL, 1}, &one), ROVE_E_USAGE);
    assert_int_equal(
        listen_with(&p, &e, "ch", NULL, (rove_span){long_token, sizeof long_token}, &one),
        ROVE_E_BOUND);
    assert_null(one);

    /* What the publisher answers is told. */
    assert_ok(listen_with(&p, &e, "elsewhere", NULL, text(""), &one));
    LOOP_UNTIL(&l, e.subscribed == 1);
    assert_int_equal(e.last.err, ROVE_E_CHANNEL_UNKNOWN);
    rove_listener_free(one);
    rove_listener_free(NULL);
    rove_listener_hold(NULL, true);

    assert_ok(rove_channel_create(p.node, "ch", NULL, false));
    assert_ok(listen_with(&p, &e, "ch", "g", text(""), &one));
    assert_int_equal(listen_with(&p, &e, "ch", "h", text(""), &two), ROVE_E_CHANNEL_SEAT);
    rove_listener_free(one); /* before it was answered */
    place_close(&p);
}

/* ---- subscriptions and snapshots ---- */

static size_t subscribed(place *p, rove_daemon d, rove_subscription *ret)
{
    size_t n;
    assert_ok(rove_runtime_subscriptions(p->rt, d, ret, 1, &n));
    return n;
}

/* By way of its bytes in the common format. */
static rove_snapshot *snapshot_of(place *p, rove_daemon d)
{
    rove_snapshot *s, *again;
    rove_buf *bytes;
    assert_ok(rove_runtime_snapshot(p->rt, d, &s, NULL));
    assert_ok(rove_snapshot_encode(s, &bytes));
    assert_ok(rove_snapshot_decode(&again, rove_buf_span(bytes), NULL));
    rove_buf_unref(bytes);
    rove_snapshot_unref(s);
    return again;
}

/* A plain snapshot has what the daemon is subscribed to, with the token, and it comes back. */
static void snapshots_have_subscriptions(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    rove_daemon d;
    rove_identity *id;
    rove_subscription s = {0};
    rove_daemon_stats stats;
    uint64_t self = rovei_entity_node_id(&p.info.entity);
    assert_ok(rove_channel_create(p.node, "a/b", NULL, false));
    assert_ok(rove_channel_create(p.node, "c", NULL, false));
    assert_ok(rove_identity_generate(&id, p.node));
    assert_ok(rove_runtime_spawn(p.rt, "probe", id, NULL, &d));
    assert_ok(rove_runtime_subscribe_channel(p.rt, d, self, "a/b", text("some token")));
    assert_ok(rove_runtime_subscribe_channel(p.rt, d, self, "c", text("")));
    assert_ok(rove_runtime_stats(p.rt, d, &stats));
    assert_int_equal(stats.subscriptions, 2);
    assert_ok(rove_runtime_unsubscribe_channel(p.rt, d, self, "c"));
    rove_snapshot *one = snapshot_of(&p, d);
    assert_ok(rove_runtime_unsubscribe_channel(p.rt, d, self, "a/b"));
    rove_snapshot *none = snapshot_of(&p, d);
    assert_ok(rove_runtime_stop(p.rt, d));

    assert_ok(rove_runtime_spawn_from_snapshot(p.rt, "probe", id, one, NULL, &d, NULL));
    assert_int_equal(subscribed(&p, d, &s), 1);
    assert_int_equal(s.publisher, self);
    assert_string_equal(s.channel, "a/b");
    assert_true(s.has_token);
    while (s.state != ROVE_FEED_BOUND)
        assert_int_equal(subscribed(&p, d, &s), 1);
    rove_snapshot_unref(one);
    one = snapshot_of(&p, d); /* it has them from the one before */
    assert_ok(rove_runtime_stop(p.rt, d));
    assert_ok(rove_runtime_spawn_from_snapshot(p.rt, "probe", id, one, NULL, &d, NULL));
    assert_int_equal(subscribed(&p, d, &s), 1);
    assert_ok(rove_runtime_stop(p.rt, d));
    assert_ok(rove_runtime_spawn_from_snapshot(p.rt, "probe", id, none, NULL, &d, NULL));
    assert_int_equal(subscribed(&p, d, &s), 0);
    rove_snapshot_unref(one);
    rove_snapshot_unref(none);
    rove_identity_free(id);
    place_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_and_ends),  cmocka_unit_test(publishes),
        cmocka_unit_test(tells_in_order),  cmocka_unit_test(hears),
        cmocka_unit_test(does_not_listen), cmocka_unit_test(snapshots_have_subscriptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
