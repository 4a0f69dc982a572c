/* SPDX-License-Identifier: Apache-2.0
 *
 * Outcomes in one block of bytes: appended behind, dropped in front. */
#include <shell/outcome_log.h>
#include <string.h>

#define ENTRY_HEAD 4
#define FIRST_ROOM ((size_t)4096)

void rovei_outcome_log_init(rovei_outcome_log *l, const rove_alloc *alloc)
{
    *l = (rovei_outcome_log){.alloc = alloc};
}

void rovei_outcome_log_fini(rovei_outcome_log *l)
{
    rovei_free(l->alloc, l->bytes, l->room);
    *l = (rovei_outcome_log){.alloc = l->alloc};
}

/* Room for `more` bytes behind; what was dropped makes room first. */
static rove_err make_room(rovei_outcome_log *l, size_t more)
{
    if (l->at && (l->at == l->size || l->at >= l->room / 2)) {
        memmove(l->bytes, l->bytes + l->at, l->size - l->at);
        l->size -= l->at;
        l->at = 0;
    }
    if (more <= l->room - l->size)
        return ROVE_OK;
    if (more > SIZE_MAX / 4 - l->size)
        return ROVE_E_NOMEM;
    size_t room = l->room ? l->room : FIRST_ROOM;
    while (room - l->size < more)
        room *= 2;
    uint8_t *bytes = rovei_realloc(l->alloc, l->bytes, l->room, room);
    if (!bytes)
        return ROVE_E_NOMEM;
    l->bytes = bytes;
    l->room = room;
    return ROVE_OK;
}

rove_err rovei_outcome_log_add(rovei_outcome_log *l, rove_span head, rove_span rest)
{
    if (head.size > UINT32_MAX || rest.size > UINT32_MAX - head.size)
        return ROVE_E_TOO_LARGE;
    size_t size = head.size + rest.size;
    if (size > SIZE_MAX - ENTRY_HEAD)
        return ROVE_E_TOO_LARGE;
    rove_err err = make_room(l, ENTRY_HEAD + size);
    if (err)
        return err;
    uint8_t *at = l->bytes + l->size;
    rovei_store32(at, (uint32_t)size);
    if (head.size)
        memcpy(at + ENTRY_HEAD, head.data, head.size);
    if (rest.size)
        memcpy(at + ENTRY_HEAD + head.size, rest.data, rest.size);
    l->size += ENTRY_HEAD + size;
    l->count++;
    return ROVE_OK;
}

rove_err rovei_outcome_log_drop(rovei_outcome_log *l, uint64_t number)
{
    if (number > l->count)
        return ROVE_E_BOUND;
    for (; l->dropped < number; l->dropped++)
        l->at += ENTRY_HEAD + (size_t)rovei_load32(l->bytes + l->at);
    if (l->at == l->size)
        l->at = l->size = 0;
    return ROVE_OK;
}

bool rovei_outcome_log_next(const rovei_outcome_log *l, size_t *it, rove_span *ret)
{
    size_t at = l->at + *it;
    if (at == l->size)
        return false;
    size_t size = rovei_load32(l->bytes + at);
    *ret = (rove_span){l->bytes + at + ENTRY_HEAD, size};
    *it += ENTRY_HEAD + size;
    return true;
}
