/* SPDX-License-Identifier: Apache-2.0
 *
 * The publisher that tests of channels speak to. */
#include "channels_kit.h"

static bool see(void *user, const rove_entity *to, uint16_t tag, rove_span head, rove_buf *body)
{
    kit *k = user;
    if (tag != ROVEI_TAG_CHANNEL)
        return false;
    assert_true(k->count < KIT_SAID);
    rove_span rest = rove_buf_span(body);
    kit_said *s = &k->said[k->count++];
    *s = (kit_said){.to = *to, .size = head.size + rest.size};
    s->bytes = malloc(s->size + 1);
    assert_non_null(s->bytes);
    memcpy(s->bytes, head.data, head.size);
    if (rest.size)
        memcpy(s->bytes + head.size, rest.data, rest.size);
    return true;
}

void kit_init(kit *k)
{
    memset(k, 0, sizeof *k);
    world_init(&k->w, WORLD_NODES);
    world_run(&k->w, 2 * ROVE_SECOND);
    k->node = k->w.nodes[0].node;
    k->tap = (rovei_node_tap){see, k};
    rovei_node_set_tap(k->node, &k->tap);
}

void kit_fini(kit *k)
{
    kit_clear(k);
    rovei_node_check(k->node);
    rovei_node_set_tap(k->node, NULL);
    world_fini(&k->w);
}

void kit_clear(kit *k)
{
    for (size_t i = 0; i < k->count; i++)
        free(k->said[i].bytes);
    k->count = 0;
}

void kit_turn(kit *k)
{
    world_run(&k->w, ROVE_MILLISECOND);
    rovei_channels_check(k->node);
}

void kit_open(kit *k, const char *name)
{
    assert_ok(rovei_channels_create(k->node, k->w.now,
                                    &(rovei_channel_config){.name = span_of(name)}, false));
}

void kit_put(kit *k, const rove_entity *from, const void *bytes, size_t size)
{
    rove_buf *message = rovei_buf_copy(NULL, bytes, size);
    rovei_node_inject(k->node, k->w.now, from, ROVEI_TAG_CHANNEL, message);
    rove_buf_unref(message);
    kit_turn(k);
}

static int request(kit *k, size_t node, rovei_membership *m)
{
    uint8_t bytes[1 + ROVEI_MEMBERSHIP_MAX] = {ROVEI_CHANNEL_MEMBERSHIP};
    rovei_writer w = rovei_writer_of(bytes + 1, sizeof bytes - 1);
    m->nonce = ++k->nonce;
    rovei_membership_write(&w, m);
    assert_ok(w.err);
    size_t from = k->count;
    kit_put(k, &k->w.nodes[node].entity, bytes, 1 + rovei_writer_size(&w));
    for (size_t i = from; i < k->count; i++) {
        rovei_membership ack;
        const kit_said *s = &k->said[i];
        if (s->bytes[0] != ROVEI_CHANNEL_MEMBERSHIP)
            continue;
        assert_ok(rovei_membership_read((rove_span){s->bytes + 1, s->size - 1}, &ack));
        assert_int_equal(ack.type, ROVEI_MEMBERSHIP_ACK);
        if (ack.nonce != m->nonce)
            continue;
        assert_true(rovei_entity_equal(&s->to, &k->w.nodes[node].entity));
        assert_int_equal(ack.accepted, ack.reason == ROVEI_REASON_NONE);
        return (int)ack.reason;
    }
    return -1;
}

int kit_subscribe(kit *k, size_t node, const char *channel, rove_span token, const char *group)
{
    return request(k, node,
                   &(rovei_membership){.type = ROVEI_MEMBERSHIP_SUBSCRIBE,
                                       .channel = span_of(channel),
                                       .token = token,
                                       .group = span_of(group)});
}

int kit_join(kit *k, size_t node, const char *channel)
{
    return kit_subscribe(k, node, channel, (rove_span){0}, "");
}

int kit_leave(kit *k, size_t node, const char *channel)
{
    return request(
        k, node,
        &(rovei_membership){.type = ROVEI_MEMBERSHIP_UNSUBSCRIBE, .channel = span_of(channel)});
}

void kit_tell(kit *k, size_t node, const char *channel, rovei_channel_type type, uint64_t number)
{
    rovei_channel_info info = kit_info(k, channel);
    uint8_t bytes[64];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_channel_frame_write(&w, &(rovei_channel_frame){.type = type,
                                                         .channel = info.hash,
                                                         .incarnation = info.incarnation,
                                                         .number = number});
    kit_put(k, &k->w.nodes[node].entity, bytes, rovei_writer_size(&w));
}

rove_err kit_publish(kit *k, const char *channel, size_t count, rovei_publish_policy policy,
                     rovei_publish_report *ret)
{
    rove_buf *owner = rovei_buf_alloc(&k->w.nodes[0].t.env.alloc, count * 4);
    rove_span *events = calloc(count, sizeof *events);
    assert_true(owner && events);
    for (size_t i = 0; i < count; i++) {
        rovei_store32(rovei_buf_data(owner) + 4 * i, (uint32_t)i);
        events[i] = (rove_span){rovei_buf_data(owner) + 4 * i, 4};
    }
    rove_err err = rovei_channels_publish(k->node, k->w.now,
                                          &(rovei_publish){.channel = span_of(channel),
                                                           .events = events,
                                                           .count = count,
                                                           .owner = owner,
                                                           .policy = policy},
                                          ret);
    rove_buf_unref(owner);
    free(events);
    kit_turn(k);
    return err;
}

size_t kit_count(const kit *k, size_t node, rovei_channel_type type, rovei_channel_frame *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < k->count; i++) {
        const kit_said *s = &k->said[i];
        rovei_channel_frame f;
        if (!rovei_entity_equal(&s->to, &k->w.nodes[node].entity) || s->bytes[0] != type)
            continue;
        assert_ok(rovei_channel_frame_read((rove_span){s->bytes, s->size}, &f));
        count++;
        if (ret)
            *ret = f;
    }
    return count;
}

size_t kit_events(const kit *k, size_t node, uint64_t ret[KIT_SAID])
{
    size_t count = 0;
    for (size_t i = 0; i < k->count; i++) {
        const kit_said *s = &k->said[i];
        rovei_channel_frame f;
        if (!rovei_entity_equal(&s->to, &k->w.nodes[node].entity) ||
            s->bytes[0] != ROVEI_CHANNEL_EVENTS)
            continue;
        assert_ok(rovei_channel_frame_read((rove_span){s->bytes, s->size}, &f));
        rovei_reader r = rovei_reader_of(f.run);
        rove_span payload;
        for (uint64_t number = f.number; rovei_channel_event_read(&r, &number, &payload);
             number++) {
            assert_true(count < KIT_SAID);
            assert_int_equal(payload.size, 4);
            ret[count++] = number;
        }
    }
    return count;
}

rovei_channel_info kit_info(const kit *k, const char *channel)
{
    rovei_channel_info info;
    assert_ok(rovei_channels_get(k->node, span_of(channel), &info));
    return info;
}

rovei_member_info kit_member(const kit *k, size_t node, const char *channel)
{
    rovei_member_info info;
    size_t it = 0;
    while (rovei_channels_member_next(k->node, span_of(channel), &it, &info))
        if (rovei_entity_equal(&info.peer, &k->w.nodes[node].entity))
            return info;
    return (rovei_member_info){0};
}

rove_span kit_token(kit *k, size_t root, size_t subject, uint32_t scope, uint64_t hash,
                    uint64_t life, uint8_t room[ROVE_TOKEN_CHAIN_MAX])
{
    rove_token_chain chain = {.count = 1};
    assert_ok(rovei_token_issue(&chain.links[0], &k->w.nodes[0].t.env.rng, k->w.nodes[root].id,
                                &(rovei_token_grant){.subject = k->w.nodes[subject].entity,
                                                     .channel = hash,
                                                     .not_before = k->w.now.wall / ROVE_SECOND,
                                                     .life = life,
                                                     .scope = scope}));
    return (rove_span){room, rovei_token_chain_encode(&chain, room)};
}
