/* SPDX-License-Identifier: Apache-2.0
 *
 * An account: `in N` and `out N` move money, `show` tells the balance, and it is never overdrawn.
 * Beside it account.events, for the simulator (sim/README.md). */
#include <errno.h>
#include <inttypes.h>
#include <rove/kind.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct account {
    const rove_alloc *alloc;
    uint64_t balance, turns;
} account;

static rove_err account_create(void **ret, const rove_alloc *alloc, void *user)
{
    (void)user;
    account *a = alloc->alloc(alloc->user, sizeof *a);
    if (!a)
        return ROVE_E_NOMEM;
    *a = (account){.alloc = alloc};
    *ret = a;
    return ROVE_OK;
}

static void account_destroy(void *self)
{
    account *a = self;
    a->alloc->free(a->alloc->user, a, sizeof *a);
}

/* The number that `text` is, or false. */
static bool number_of(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    *ret = v;
    return *text >= '0' && *text <= '9' && !*end && !errno;
}

static rove_err account_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    account *a = self;
    char line[32] = "";
    uint64_t amount = 0;
    if (event->payload.size < sizeof line && event->payload.size)
        memcpy(line, event->payload.data, event->payload.size);
    if (!strncmp(line, "in ", 3) && number_of(line + 3, &amount) &&
        amount <= UINT64_MAX - a->balance)
        a->balance += amount;
    else if (!strncmp(line, "out ", 4) && number_of(line + 4, &amount) && amount <= a->balance)
        a->balance -= amount;
    else if (strcmp(line, "show") != 0)
        return rove_fail(ctx, "\"%s\" cannot be done with a balance of %" PRIu64, line, a->balance);
    a->turns++;
    char text[64];
    int size = snprintf(text, sizeof text, "%" PRIu64 " after %" PRIu64, a->balance, a->turns);
    return rove_emit(ctx, (rove_span){text, (size_t)size});
}

static rove_err account_snapshot(void *self, rove_ctx *ctx)
{
    const account *a = self;
    char text[64];
    int size = snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64, a->balance, a->turns);
    return rove_write(ctx, (rove_span){text, (size_t)size});
}

static rove_err account_restore(void *self, rove_ctx *ctx, rove_span state)
{
    account *a = self;
    char text[64] = "";
    if (state.size < sizeof text && state.size)
        memcpy(text, state.data, state.size);
    char *space = strchr(text, ' ');
    if (space)
        *space = '\0';
    if (!space || !number_of(text, &a->balance) || !number_of(space + 1, &a->turns))
        return rove_fail(ctx, "this is no account");
    return ROVE_OK;
}

ROVE_KIND("account", .create = account_create, .destroy = account_destroy,
          .process = account_process, .snapshot = account_snapshot, .restore = account_restore,
          .is_stateful = true)
