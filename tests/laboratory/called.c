/* Calls functions so often as it is told, and says how long they took: called WORD NUMBER per line on stdin.
   It sleeps in between, so that what is counted of it is exactly what was asked for. Build it with -O1 -pthread;
   the same file makes the library that it calls (-DLIBRARY). */
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FUNCTION __attribute__((noinline, noclone))

#ifdef LIBRARY
FUNCTION void in_library(void) { __asm__ volatile("nop"); }
#else
void in_library(void);

enum { THREADS = 4 };

static long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000L + now.tv_nsec;
}

#ifdef OTHER /* So that each function lies elsewhere in the file. */
FUNCTION void other(void) { __asm__ volatile(".skip 4096, 0x90"); }
#endif

FUNCTION void empty(void) { __asm__ volatile("nop"); }

/* The time that it took itself, without what comes before and after. */
FUNCTION long spin(long ns) {
  long begin = now_ns(), end;
  while ((end = now_ns()) < begin + ns) {}
  return end - begin;
}

FUNCTION int recurse(int depth) {
  if (depth > 1) return recurse(depth - 1) + 1;
  usleep(2000);
  return 1;
}

static jmp_buf back;
FUNCTION void jump_out(int really) {
  if (really) longjmp(back, 1);
  __asm__ volatile("nop");
}

/* The thread alone ends, and nothing is unwound. */
FUNCTION void end_inside(void) { syscall(SYS_exit, 0); }

static void *many_empty(void *number) {
  for (long n = (long)number; n > 0; n--) empty();
  return NULL;
}
static void *ending(void *unused) {
  end_inside();
  return unused;
}

static void in_threads(void *(*what)(void *), long threads, void *argument) {
  pthread_t each[THREADS];
  for (long n = 0; n < threads; n++) pthread_create(&each[n], NULL, what, argument);
  for (long n = 0; n < threads; n++) pthread_join(each[n], NULL);
}

/* Times from 30 us to 2 ms, so distributed that each quantile is another one. */
static long length_of(long n) { return 30000 + (n * 7919 % 1000) * (n * 7919 % 1000) * 2; }

int main(void) {
  char word[32];
  long number;
  setvbuf(stdin, NULL, _IONBF, 0);
  while (scanf("%31s %ld", word, &number) == 2) {
    if (!strcmp(word, "empty")) in_threads(many_empty, THREADS, (void *)(number / THREADS));
    if (!strcmp(word, "library"))
      for (long n = 0; n < number; n++) in_library();
    if (!strcmp(word, "parent"))
      for (long n = 0; n < number; n++) syscall(SYS_getppid);
    if (!strcmp(word, "spin"))
      for (long n = 0; n < number; n++) printf("%ld ", spin(length_of(n)));
    if (!strcmp(word, "recurse")) recurse((int)number);
    if (!strcmp(word, "jump"))
      for (volatile long n = 0; n < number; n++) {
        if (!setjmp(back)) jump_out(1);
        jump_out(0);
      }
    if (!strcmp(word, "end"))
      for (long n = 0; n < number; n++) in_threads(ending, 1, NULL);
    printf("done\n");
    fflush(stdout);
  }
  return 0;
}
#endif
