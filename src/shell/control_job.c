/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads for requests that make calls which wait. */
#include <crypto/crypto.h>
#include <shell/control_job.h>

job *control_job_new(connection *c)
{
    job *j = ROVEI_NEW(c->control->alloc, job);
    if (!j) {
        control_end_err(c, ROVE_E_NOMEM);
        return NULL;
    }
    j->connection = c;
    j->control = c->control;
    j->node = c->control->node;
    j->runtime = c->control->runtime;
    return j;
}

void control_job_free(job *j)
{
    if (j->drop)
        j->drop(j);
    rovei_wipe(j->seed, sizeof j->seed);
    ROVEI_DELETE(j->control->alloc, j);
}

/* Back on the loop. */
static void come_back(rovei_task *task, rovei_node *core, rovei_now now)
{
    job *j = ROVEI_CONTAINER(task, job, task);
    connection *c = j->connection;
    c->job = NULL;
    if (!c->closing)
        j->finish(j, core, now);
    control_job_free(j);
    control_leave(c);
}

static void *run(void *arg)
{
    job *j = arg;
    rovei_control *control = j->control;
    j->work(j);
    /* The control object waits for the count, then for the tasks posted before. */
    pthread_mutex_lock(&control->lock);
    rovei_postbox_post(rovei_node_postbox(control->node), &j->task);
    control->jobs--;
    pthread_cond_signal(&control->idle);
    pthread_mutex_unlock(&control->lock);
    return NULL;
}

void control_job_start(job *j)
{
    connection *c = j->connection;
    rovei_control *control = j->control;
    pthread_t thread;
    pthread_attr_t attributes;
    j->task.run = come_back;
    pthread_mutex_lock(&control->lock);
    control->jobs++;
    pthread_mutex_unlock(&control->lock);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    c->job = j;
    c->mode = MODE_JOB;
    if (pthread_create(&thread, &attributes, run, j) != 0) {
        pthread_mutex_lock(&control->lock);
        control->jobs--;
        pthread_mutex_unlock(&control->lock);
        c->job = NULL;
        control_job_free(j);
        control_end_err(c, ROVE_E_NOMEM);
    }
    pthread_attr_destroy(&attributes);
}
