/* Does one thing again and again: pace WHAT SECONDS
   Says each tenth of a second when it is (CLOCK_MONOTONIC, ns), how often it did it since, and how long that took
   (ns). `syscall` calls getppid, `signal` sends itself a signal that it ignores, `function` calls a function,
   `spin` does nothing of interest to anybody. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TURNS = 500, TENTH_NS = 100000000 };

static long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000L + now.tv_nsec;
}

static volatile unsigned long sink;

__attribute__((noinline)) void pace_function(void) { sink++; }

static void block(char what, pid_t own) {
  for (int turn = 0; turn < TURNS; turn++) {
    if (what == 'y') syscall(SYS_getppid);
    else if (what == 'i') syscall(SYS_kill, own, SIGURG);
    else if (what == 'u') pace_function();
    else for (int spin = 0; spin < 100; spin++) sink++;
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  /* syscall, signal, function and spin differ in their second letter. */
  char what = argv[1][1];
  pid_t own = getpid();
  signal(SIGURG, SIG_IGN);
  long end = now_ns() + (long)(atof(argv[2]) * 1e9), since = now_ns(), turns = 0;
  for (long now = since; now < end;) {
    block(what, own);
    turns += TURNS;
    now = now_ns();
    if (now - since < TENTH_NS) continue;
    printf("%ld %ld %ld\n", now, turns, now - since);
    fflush(stdout);
    since = now_ns(), turns = 0;
  }
  return 0;
}
