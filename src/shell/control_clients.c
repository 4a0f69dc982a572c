/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients of the control socket that send and may come back: what is kept for them, how much and
 * how long. */
#include <shell/control_sending.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- the timer of those that have left ---- */

static void arm(const rovei_control *control)
{
    struct itimerspec at = {0};
    if (!rovei_list_empty(&control->left)) {
        const sending *first = ROVEI_CONTAINER(control->left.next, sending, all);
        uint64_t keep = rovei_node_env(control->node)->limits.client_keep;
        uint64_t due = rovei_time_add(first->left_at, keep);
        at.it_value.tv_sec = (time_t)(due / ROVE_SECOND);
        at.it_value.tv_nsec = (long)(due % ROVE_SECOND);
    }
    /* With these arguments it cannot fail. */
    (void)timerfd_settime(control->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

void control_clients_expire(void *user, rovei_node *core, rovei_now now, uint32_t events)
{
    rovei_control *control = user;
    uint64_t count, keep = rovei_node_env(control->node)->limits.client_keep;
    (void)events;
    if (read(control->timer_fd, &count, sizeof count) < 0)
        return;
    while (!rovei_list_empty(&control->left)) {
        sending *first = ROVEI_CONTAINER(control->left.next, sending, all);
        if (rovei_time_add(first->left_at, keep) > now.mono)
            break;
        control_sending_free(first, core, now);
    }
    arm(control);
}

/* ---- sendings ---- */

sending *control_sending_new(connection *c, const uint8_t *client)
{
    rovei_control *control = c->control;
    sending *s = ROVEI_NEW(control->alloc, sending);
    if (!s)
        return NULL;
    s->control = control;
    s->connection = c;
    s->named = client != NULL;
    if (client)
        memcpy(s->client, client, sizeof s->client);
    rovei_list_init(&s->waiting);
    rovei_outcome_log_init(&s->log, control->alloc);
    rovei_list_add_tail(&control->sendings, &s->all);
    c->sending = s;
    return s;
}

static sending *find_in(const rovei_list *list, const uint8_t *client)
{
    ROVEI_LIST_EACH (it, next, list) {
        sending *s = ROVEI_CONTAINER(it, sending, all);
        if (s->named && memcmp(s->client, client, sizeof s->client) == 0)
            return s;
    }
    return NULL;
}

sending *control_sending_find(const rovei_control *control, const uint8_t *client)
{
    sending *s = find_in(&control->sendings, client);
    return s ? s : find_in(&control->left, client);
}

bool control_sending_is_there(const rovei_control *control, const sending *s)
{
    const rovei_list *lists[] = {&control->sendings, &control->left};
    for (size_t i = 0; i < 2; i++) {
        ROVEI_LIST_EACH (it, next, lists[i])
            if (it == &s->all)
                return true;
    }
    return false;
}

void control_sending_attach(sending *s, connection *c)
{
    rovei_control *control = s->control;
    rovei_list_remove(&s->all);
    rovei_list_add_tail(&control->sendings, &s->all);
    s->connection = c;
    c->sending = s;
    arm(control);
}

void control_sending_detach(sending *s)
{
    control_sending_forget_waiting(s);
    s->finishing = false;
    s->connection->sending = NULL;
    s->connection = NULL;
}

void control_sending_free(sending *s, rovei_node *core, rovei_now now)
{
    control_sending_close(s, core, now);
    control_sending_forget_waiting(s);
    if (s->connection)
        s->connection->sending = NULL;
    rovei_list_remove(&s->all);
    rovei_outcome_log_fini(&s->log);
    ROVEI_DELETE(s->control->alloc, s);
}

void control_sending_leave(connection *c, rovei_node *core, rovei_now now)
{
    sending *s = c->sending;
    rovei_control *control = c->control;
    if (!s)
        return;
    if (!s->named || control->closed) {
        control_sending_free(s, core, now);
        return;
    }
    control_sending_detach(s);
    s->left_at = now.mono;
    rovei_list_remove(&s->all);
    rovei_list_add_tail(&control->left, &s->all);
    control_sending_bound(control, core, now);
    arm(control);
}

void control_sendings_free(rovei_control *control, rovei_node *core, rovei_now now)
{
    ROVEI_LIST_EACH (it, next, &control->left)
        control_sending_free(ROVEI_CONTAINER(it, sending, all), core, now);
}

void control_sending_bound(rovei_control *control, rovei_node *core, rovei_now now)
{
    const rove_limits *limits = &rovei_node_env(control->node)->limits;
    uint64_t count = 0, bytes = 0;
    ROVEI_LIST_EACH (it, next, &control->left) {
        count++;
        bytes += ROVEI_CONTAINER(it, sending, all)->log.room;
    }
    while (count > limits->clients_kept || (count && bytes > limits->client_outcomes)) {
        sending *first = ROVEI_CONTAINER(control->left.next, sending, all);
        count--;
        bytes -= first->log.room;
        control_sending_free(first, core, now);
    }
}
