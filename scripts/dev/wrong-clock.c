/* Gives a program a wrong clock: LD_PRELOAD=wrong-clock.so BDA_TEST_CLOCK_OFFSET=SECONDS.
 *
 * The time of day that the program reads is shifted; monotonic clocks are not. Deadlines computed from a shifted time are
 * shifted back before the system waits for them, as on a machine with a wrong clock. (libfaketime extends librdkafka's
 * waits by the offset.) */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long offset(void) {
    static long known, seconds;
    if (!known) {
        const char *text = getenv("BDA_TEST_CLOCK_OFFSET");
        seconds = text ? atol(text) : 0;
        known = 1;
    }
    return seconds;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = NEXT(clock_gettime)(clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += offset();
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    int result = NEXT(gettimeofday)(time, zone);
    if (result == 0) time->tv_sec += offset();
    return result;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}

/* A deadline by the clock that starts with the machine is smaller than any time of day. */
static struct timespec real(const struct timespec *deadline) {
    struct timespec shifted = *deadline;
    if (shifted.tv_sec > 1000000000) shifted.tv_sec -= offset();
    return shifted;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    struct timespec shifted = real(deadline);
    return NEXT(pthread_cond_timedwait)(condition, mutex, &shifted);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict deadline) {
    struct timespec shifted = real(deadline);
    return NEXT(pthread_mutex_timedlock)(mutex, &shifted);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict deadline) {
    struct timespec shifted = real(deadline);
    return NEXT(sem_timedwait)(semaphore, &shifted);
}
