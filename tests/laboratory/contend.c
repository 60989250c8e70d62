/* Threads that want processors: contend SECONDS SPINNERS
   On each processor two threads do a little every 2 ms, by a clock that does not wait for them, and SPINNERS threads
   compute all the time. How many turns the first had goes into the file that EBPF_RECIPE_WORK names. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const long period_ns = 2000000;
static atomic_int ended;
static atomic_long turns;

static void on_processor(long number) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(number, &set);
  sched_setaffinity(0, sizeof set, &set);
}

static void *spin(void *number) {
  on_processor((long)number);
  while (!atomic_load_explicit(&ended, memory_order_relaxed)) {
  }
  return NULL;
}

static void *pace(void *number) {
  struct timespec next;
  volatile unsigned long sink = 0;
  on_processor((long)number);
  clock_gettime(CLOCK_MONOTONIC, &next);
  while (!atomic_load(&ended)) {
    next.tv_nsec += period_ns;
    if (next.tv_nsec >= 1000000000L) {
      next.tv_nsec -= 1000000000L;
      next.tv_sec++;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    for (int turn = 0; turn < 20000; turn++) sink += turn;
    atomic_fetch_add(&turns, 1);
  }
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  int spinners = atoi(argv[2]);
  pthread_t thread;
  for (long number = 0; number < processors; number++) {
    for (int each = 0; each < 2 + spinners; each++)
      if (pthread_create(&thread, NULL, each < 2 ? pace : spin, (void *)number)) return 1;
  }
  struct timespec left = {atoi(argv[1]), 0};
  nanosleep(&left, NULL);
  atomic_store(&ended, 1);
  const char *path = getenv("EBPF_RECIPE_WORK");
  FILE *file = path ? fopen(path, "w") : stdout;
  if (!file) return 1;
  fprintf(file, "%ld turns\n", atomic_load(&turns));
  return fclose(file) ? 1 : 0;
}
