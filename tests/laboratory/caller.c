/* Makes system calls when it is told to by a line on its input, and answers with a line of JSON:
   `calls` makes known numbers of several kinds, many of which fail, and says how many of each;
   `times` makes calls of known length and says how long each was by its own clock, in nanoseconds.
   `caller again TIMES` executes itself so often, each time from a thread that is not the leader. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PARENTS = 20000, SEEKS = 700, OPENS = 500, READS = 400, SIGNALS = 50, PAUSES = 3, USERS = 300 };
enum { REFUSED = 60, SLEEPS = 300, WAITS = 100, QUICK = 20000 };
enum { SLEEP_NS = 300000, WAIT_NS = 2000000, REST_NS = 200000000 };

static long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000L + now.tv_nsec;
}

static void rest(long ns) {
  struct timespec time = {0, ns};
  syscall(SYS_nanosleep, &time, NULL);
}

static void expect(long result, int error) {
  if ((error == 0 && result >= 0) || (result == -1 && errno == error)) return;
  fprintf(stderr, "a call returned %ld, errno %d, and not errno %d\n", result, errno, error);
  exit(1);
}

static void handle(int number) { (void)number; }

static void *help(void *unused) {
  prctl(PR_SET_NAME, "helper");
  for (int turn = 0; turn < USERS; turn++) expect(syscall(SYS_getuid), 0);
  return unused;
}

/* In a process of its own: a filter stays. */
static pid_t refuse(void) {
  pid_t child = fork();
  if (child != 0) {
    waitpid(child, NULL, 0);
    return child;
  }
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
  for (int turn = 0; turn < REFUSED; turn++) expect(syscall(SYS_getsid, 0), EACCES);
  _exit(0);
}

static void calls(void) {
  int ends[2];
  char byte;
  pthread_t helper;
  struct itimerval soon = {{0, 0}, {0, 5000}};
  rest(REST_NS);
  expect(pipe2(ends, O_NONBLOCK), 0);
  for (int turn = 0; turn < PARENTS; turn++) expect(syscall(SYS_getppid), 0);
  for (int turn = 0; turn < SEEKS; turn++) expect(syscall(SYS_lseek, -1, 0, SEEK_SET), EBADF);
  for (int turn = 0; turn < OPENS; turn++)
    expect(syscall(SYS_openat, AT_FDCWD, "/nowhere/at/all", O_RDONLY), ENOENT);
  for (int turn = 0; turn < READS; turn++) expect(syscall(SYS_read, ends[0], &byte, 1), EAGAIN);
  for (int turn = 0; turn < SIGNALS; turn++)
    expect(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1), 0);
  for (int turn = 0; turn < PAUSES; turn++) {
    setitimer(ITIMER_REAL, &soon, NULL);
    expect(syscall(SYS_rt_sigsuspend, &(sigset_t){0}, 8), EINTR);
  }
  pthread_create(&helper, NULL, help, NULL);
  pthread_join(helper, NULL);
  pid_t child = refuse();
  close(ends[0]);
  close(ends[1]);
  rest(REST_NS);
  printf("{\"calls\": {\"getppid\": %d, \"lseek\": %d, \"openat\": %d, \"tgkill\": %d, \"rt_sigreturn\": %d, "
         "\"rt_sigsuspend\": %d, \"getuid\": %d}, \"errors\": {\"lseek EBADF\": %d, \"openat ENOENT\": %d, "
         "\"read EAGAIN\": %d, \"rt_sigsuspend ERESTARTNOHAND\": %d}, \"refused\": %d, \"child\": %d}\n",
         PARENTS, SEEKS, OPENS, SIGNALS, SIGNALS + PAUSES, PAUSES, USERS, SEEKS, OPENS, READS, PAUSES, REFUSED,
         child);
}

static int messages[2];

static void *write_later(void *unused) {
  for (int turn = 0; turn < WAITS; turn++) {
    rest(WAIT_NS);
    expect(write(messages[1], "x", 1), 0);
  }
  return unused;
}

static void say(const char *name, const long *taken, int count, const char *after) {
  printf("\"%s\": [", name);
  for (int place = 0; place < count; place++) printf("%s%ld", place ? ", " : "", taken[place]);
  printf("]%s", after);
}

static void times(void) {
  static long slept[SLEEPS], waited[WAITS], quick[QUICK];
  char byte;
  pthread_t writer;
  rest(REST_NS);
  for (int turn = 0; turn < SLEEPS; turn++) {
    struct timespec time = {0, SLEEP_NS};
    long before = now_ns();
    syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL);
    slept[turn] = now_ns() - before;
  }
  expect(pipe2(messages, 0), 0);
  pthread_create(&writer, NULL, write_later, NULL);
  for (int turn = 0; turn < WAITS; turn++) {
    long before = now_ns();
    expect(syscall(SYS_readv, messages[0], &(struct iovec){&byte, 1}, 1), 0);
    waited[turn] = now_ns() - before;
  }
  pthread_join(writer, NULL);
  for (int turn = 0; turn < QUICK; turn++) {
    long before = now_ns();
    syscall(SYS_getppid);
    quick[turn] = now_ns() - before;
  }
  rest(REST_NS);
  printf("{");
  say("clock_nanosleep", slept, SLEEPS, ", ");
  say("readv", waited, WAITS, ", ");
  say("getppid", quick, QUICK, "}\n");
}

static void *run_again(void *left) {
  execl("/proc/self/exe", "caller", "again", (char *)left, NULL);
  exit(1);
}

static int again(int left) {
  char text[16];
  pthread_t thread;
  if (left == 0) return 0;
  snprintf(text, sizeof text, "%d", left - 1);
  pthread_create(&thread, NULL, run_again, text);
  pthread_join(thread, NULL);
  return 1;
}

int main(int argc, char **argv) {
  char line[16];
  if (argc == 3) return again(atoi(argv[2]));
  /* Without SA_RESTART: what a signal interrupts fails. */
  struct sigaction action = {.sa_handler = handle};
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGALRM, &action, NULL);
  /* It waits for who waits for it, however late that is: rt_sigsuspend lets it in. */
  sigset_t alarm_;
  sigemptyset(&alarm_);
  sigaddset(&alarm_, SIGALRM);
  sigprocmask(SIG_BLOCK, &alarm_, NULL);
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (strcmp(line, "calls\n") == 0) calls();
    if (strcmp(line, "times\n") == 0) times();
    fflush(stdout);
  }
  return 0;
}
