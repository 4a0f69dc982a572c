/* SPDX-License-Identifier: Apache-2.0
 *
 * The two rings of what is under way. Positions only grow; a slot is its position modulo the size,
 * so growing a ring moves each record to its new slot and nothing else changes. */
#include <base/alloc.h>
#include <base/check.h>
#include <mesh/sent.h>

#define PACKETS_FIRST_ROOM 64
#define FRAMES_FIRST_ROOM  256

void rovei_sent_init(rovei_sent *s, const rove_alloc *a)
{
    *s = (rovei_sent){.alloc = a, .first = 1, .next = 1};
}

void rovei_sent_fini(rovei_sent *s)
{
    if (s->packets)
        rovei_free(s->alloc, s->packets, s->packets_room * sizeof *s->packets);
    if (s->frames)
        rovei_free(s->alloc, s->frames, s->frames_room * sizeof *s->frames);
    s->packets = NULL;
    s->frames = NULL;
}

static rove_err grow_packets(rovei_sent *s)
{
    size_t room = s->packets_room ? s->packets_room * 2 : PACKETS_FIRST_ROOM;
    rovei_sent_packet *packets = rovei_calloc(s->alloc, room, sizeof *packets);
    if (!packets)
        return ROVE_E_NOMEM;
    for (uint64_t n = s->first; n < s->next; n++)
        packets[n & (room - 1)] = *rovei_sent_at(s, n);
    if (s->packets)
        rovei_free(s->alloc, s->packets, s->packets_room * sizeof *s->packets);
    s->packets = packets;
    s->packets_room = room;
    return ROVE_OK;
}

static rove_err grow_frames(rovei_sent *s)
{
    size_t room = s->frames_room ? s->frames_room * 2 : FRAMES_FIRST_ROOM;
    rovei_sent_frame *frames = rovei_calloc(s->alloc, room, sizeof *frames);
    if (!frames)
        return ROVE_E_NOMEM;
    for (uint64_t n = s->first_frame; n < s->next_frame; n++)
        frames[n & (room - 1)] = s->frames[n & (s->frames_room - 1)];
    if (s->frames)
        rovei_free(s->alloc, s->frames, s->frames_room * sizeof *s->frames);
    s->frames = frames;
    s->frames_room = room;
    return ROVE_OK;
}

rove_err rovei_sent_reserve(rovei_sent *s)
{
    ROVEI_CHECK(s->open == 0);
    if (s->next - s->first >= s->packets_room) {
        rove_err err = grow_packets(s);
        if (err)
            return err;
    }
    if (s->next_frame - s->first_frame + ROVEI_SENT_FRAMES > s->frames_room)
        return grow_frames(s);
    return ROVE_OK;
}

void rovei_sent_note(rovei_sent *s, rovei_sent_frame frame)
{
    ROVEI_CHECK(s->open < ROVEI_SENT_FRAMES);
    s->frames[(s->next_frame + s->open) & (s->frames_room - 1)] = frame;
    s->open++;
}

void rovei_sent_cancel(rovei_sent *s)
{
    s->open = 0;
}

void rovei_sent_commit(rovei_sent *s, uint64_t now, size_t size, bool eliciting)
{
    rovei_sent_packet *p = rovei_sent_at(s, s->next);
    *p = (rovei_sent_packet){.sent_at = now,
                             .frames = s->next_frame,
                             .size = (uint16_t)size,
                             .count = eliciting ? s->open : 0,
                             .outstanding = eliciting};
    s->next++;
    if (eliciting) {
        s->next_frame += s->open;
        s->in_flight += size;
        s->outstanding++;
    }
    s->open = 0;
    rovei_sent_trim(s);
}

void rovei_sent_settle(rovei_sent *s, rovei_sent_packet *p)
{
    ROVEI_CHECK(p->outstanding && s->outstanding > 0 && s->in_flight >= p->size);
    p->outstanding = false;
    s->in_flight -= p->size;
    s->outstanding--;
}

void rovei_sent_trim(rovei_sent *s)
{
    while (s->first < s->next && !rovei_sent_at(s, s->first)->outstanding)
        s->first++;
    s->first_frame = s->first < s->next ? rovei_sent_at(s, s->first)->frames : s->next_frame;
}

void rovei_sent_check(const rovei_sent *s)
{
    uint64_t bytes = 0, count = 0, position = s->first_frame;
    ROVEI_CHECK(s->first <= s->next && s->next - s->first <= s->packets_room);
    ROVEI_CHECK(s->first_frame <= s->next_frame);
    ROVEI_CHECK(s->next_frame - s->first_frame <= s->frames_room);
    for (uint64_t n = s->first; n < s->next; n++) {
        const rovei_sent_packet *p = rovei_sent_at(s, n);
        ROVEI_CHECK(p->frames == position);
        position += p->count;
        if (p->outstanding) {
            bytes += p->size;
            count++;
        }
    }
    ROVEI_CHECK(position == s->next_frame);
    ROVEI_CHECK(bytes == s->in_flight && count == s->outstanding);
    ROVEI_CHECK(s->first == s->next || rovei_sent_at(s, s->first)->outstanding);
}
