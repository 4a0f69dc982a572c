/* SPDX-License-Identifier: Apache-2.0
 *
 * Pause points, for tests. */
#include <host/pause.h>

#ifdef ROVEI_PAUSE_POINTS
#include <pthread.h>
#include <stdbool.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static struct {
    bool armed, standing;
} points[ROVEI_PAUSE_COUNT];

void rovei_pause_here(rovei_pause point)
{
    pthread_mutex_lock(&lock);
    if (points[point].armed) {
        points[point].standing = true;
        pthread_cond_broadcast(&moved);
        while (points[point].armed)
            pthread_cond_wait(&moved, &lock);
        points[point].standing = false;
    }
    pthread_mutex_unlock(&lock);
}

void rovei_pause_arm(rovei_pause point)
{
    pthread_mutex_lock(&lock);
    points[point].armed = true;
    pthread_mutex_unlock(&lock);
}

void rovei_pause_await(rovei_pause point)
{
    pthread_mutex_lock(&lock);
    while (!points[point].standing)
        pthread_cond_wait(&moved, &lock);
    pthread_mutex_unlock(&lock);
}

void rovei_pause_release(rovei_pause point)
{
    pthread_mutex_lock(&lock);
    points[point].armed = false;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
}
#else
/* A translation unit needs a declaration. */
typedef int rovei_no_pause_points;
#endif
