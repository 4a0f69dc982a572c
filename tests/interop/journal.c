/* SPDX-License-Identifier: Apache-2.0
 *
 * A kind for the scripts: its state is every event that it was given, in order, each with a line
 * feed behind it. */
#include <rove/kind.h>
#include <string.h>

#define STATE_MAX ((size_t)1 << 20)

typedef struct journal {
    const rove_alloc *alloc;
    size_t size;
    char text[STATE_MAX];
} journal;

static rove_err journal_create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    journal *j = alloc->alloc(alloc->user, sizeof *j);
    if (!j)
        return ROVE_E_NOMEM;
    j->alloc = alloc;
    j->size = 0;
    *ret = j;
    return ROVE_OK;
}

static void journal_destroy(void *self)
{
    journal *j = self;
    j->alloc->free(j->alloc->user, j, sizeof *j);
}

static rove_err journal_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    journal *j = self;
    if (event->payload.size >= STATE_MAX - j->size)
        return rove_fail(ctx, "the journal is full");
    if (event->payload.size)
        memcpy(j->text + j->size, event->payload.data, event->payload.size);
    j->size += event->payload.size;
    j->text[j->size++] = '\n';
    return ROVE_OK;
}

static rove_err journal_snapshot(void *self, rove_ctx *ctx)
{
    const journal *j = self;
    return rove_write(ctx, (rove_span){j->text, j->size});
}

static rove_err journal_restore(void *self, rove_ctx *ctx, rove_span state)
{
    journal *j = self;
    if (state.size > STATE_MAX)
        return rove_fail(ctx, "a journal has at most %zu bytes", STATE_MAX);
    if (state.size)
        memcpy(j->text, state.data, state.size);
    j->size = state.size;
    return ROVE_OK;
}

ROVE_KIND("journal", .create = journal_create, .destroy = journal_destroy,
          .process = journal_process, .snapshot = journal_snapshot, .restore = journal_restore,
          .is_stateful = true, .is_prompt = true)
