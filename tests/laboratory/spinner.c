/* Spends processor time in two functions, and says how much in each: spinner LONG_MS SHORT_MS TIMES
   Does so for each line that it reads; it lives on meanwhile, so that its symbols can be found. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1000000000L + now.tv_nsec;
}

static volatile unsigned long sink;

/* No calls inside the loops: what is sampled is in the function itself. */
#define SPIN(name)                                                                                          \
  __attribute__((noinline)) void name(unsigned long turns) {                                                \
    for (unsigned long turn = 0; turn < turns; turn++) sink += turn;                                        \
  }
SPIN(spin_long)
SPIN(spin_short)

__attribute__((noinline)) static void spend(double turns_per_ms, int long_ms, int short_ms, int times) {
  long long_ns = 0, short_ns = 0, begin = cpu_ns();
  for (int time = 0; time < times; time++) {
    long before = cpu_ns();
    spin_long((unsigned long)(long_ms * turns_per_ms));
    long middle = cpu_ns();
    spin_short((unsigned long)(short_ms * turns_per_ms));
    long_ns += middle - before;
    short_ns += cpu_ns() - middle;
  }
  printf("%ld %ld %ld\n", long_ns, short_ns, cpu_ns() - begin);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  long before = cpu_ns();
  spin_long(20000000);
  double turns_per_ms = 20000000 / ((cpu_ns() - before) / 1e6);
  for (int byte; (byte = getchar()) != EOF;)
    if (byte == '\n') spend(turns_per_ms, atoi(argv[1]), atoi(argv[2]), atoi(argv[3]));
  return 0;
}
