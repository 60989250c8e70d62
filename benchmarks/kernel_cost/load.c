/* Does one thing a known number of times: load WHAT TIMES [ARGUMENT]
   Prints how many events that made and how long they took (ns, CLOCK_MONOTONIC). What is there before the first one
   and after the last is not in that time. Build it with -O1 -pthread. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, UNDER_WAY = 32, SPINS = 1000, FUNCTION_SPINS = 4000 };

static long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000L + now.tv_nsec;
}

static long expect(long result, const char *what) {
  if (result >= 0) return result;
  perror(what);
  exit(1);
}

static long timed(long begun, long events) {
  printf("%ld %ld\n", events, now_ns() - begun);
  return 0;
}

static volatile unsigned long sink;

__attribute__((noinline)) void load_function(void) {
  for (int each = 0; each < FUNCTION_SPINS; each++) sink++;
}

static int there[2], back[2];

static void *answer(void *unused) {
  char byte;
  while (read(there[0], &byte, 1) == 1) expect(write(back[1], &byte, 1), "write");
  return unused;
}

/* How often the threads of this process went to sleep. */
static long sleeps(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return used.ru_nvcsw;
}

/* Two threads take turns: each turn wakes the other one, goes to sleep, and so switches to it. Who loses the processor
   to somebody else between its write and its read may be answered before it sleeps: such a turn wakes nobody. */
static long wake(long times) {
  pthread_t other;
  /* Whoever is woken does not take the processor from who wakes it: both have one wake-up and one switch a turn. */
  expect(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}), "sched_setscheduler");
  char byte = 'x';
  expect(pipe(there), "pipe");
  expect(pipe(back), "pipe");
  pthread_create(&other, NULL, answer, NULL);
  expect(write(there[1], &byte, 1), "write");
  expect(read(back[0], &byte, 1), "read");
  long before = sleeps(), begun = now_ns();
  for (long turn = 0; turn < times / 2; turn++) {
    expect(write(there[1], &byte, 1), "write");
    expect(read(back[0], &byte, 1), "read");
  }
  return timed(begun, sleeps() - before);
}

static long call(long times) {
  long begun = now_ns();
  for (long turn = 0; turn < times; turn++) syscall(SYS_getppid);
  return timed(begun, times);
}

static long function(long times) {
  long begun = now_ns();
  for (long turn = 0; turn < times; turn++) load_function();
  return timed(begun, times);
}

static long spin(long times) {
  long begun = now_ns();
  for (long turn = 0; turn < times; turn++)
    for (int each = 0; each < SPINS; each++) sink++;
  return timed(begun, times);
}

static long open_file(long times, const char *path) {
  long begun = now_ns();
  for (long turn = 0; turn < times; turn++) close((int)expect(openat(AT_FDCWD, path, O_RDONLY), path));
  return timed(begun, times);
}

static long read_file(long times, const char *path) {
  static char block[BLOCK];
  int file = (int)expect(open(path, O_RDONLY), path);
  expect(pread(file, block, BLOCK, 0), path);
  long begun = now_ns();
  for (long turn = 0; turn < times; turn++) expect(pread(file, block, BLOCK, 0), path);
  return timed(begun, times);
}

/* Blocks in an order without neighbours, past the page cache; so many under way that nobody waits to be woken. */
static long read_device(long times, const char *path) {
  static _Alignas(BLOCK) char block[BLOCK];
  static struct iocb each[UNDER_WAY], *all[UNDER_WAY];
  static struct io_event done[UNDER_WAY];
  aio_context_t context = 0;
  int device = (int)expect(open(path, O_RDONLY | O_DIRECT), path);
  long blocks = expect(lseek(device, 0, SEEK_END), path) / BLOCK;
  expect(syscall(SYS_io_setup, UNDER_WAY, &context), "io_setup");
  long begun = now_ns();
  for (long turn = 0; turn < times; turn += UNDER_WAY) {
    for (int place = 0; place < UNDER_WAY; place++) {
      each[place] = (struct iocb){
          .aio_fildes = (unsigned)device,
          .aio_lio_opcode = IOCB_CMD_PREAD,
          .aio_buf = (unsigned long)block,
          .aio_nbytes = BLOCK,
          .aio_offset = (turn + place) * 7919 % blocks * BLOCK,
      };
      all[place] = &each[place];
    }
    if (syscall(SYS_io_submit, context, UNDER_WAY, all) != UNDER_WAY) return 1;
    if (syscall(SYS_io_getevents, context, UNDER_WAY, UNDER_WAY, done, NULL) != UNDER_WAY) return 1;
  }
  return timed(begun, times);
}

static long fork_process(long times) {
  long begun = now_ns();
  for (long turn = 0; turn < times; turn++) {
    pid_t child = (pid_t)expect(fork(), "fork");
    if (child == 0) _exit(0);
    waitpid(child, NULL, 0);
  }
  return timed(begun, times);
}

static long start_program(long times) {
  char *arguments[] = {"load", "nothing", "0", NULL}, *environment[] = {NULL};
  long begun = now_ns();
  for (long turn = 0; turn < times; turn++) {
    pid_t child;
    if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environment) != 0) return 1;
    waitpid(child, NULL, 0);
  }
  return timed(begun, times);
}

static struct sockaddr_in bound(int socket_) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  expect(bind(socket_, (struct sockaddr *)&address, size), "bind");
  expect(getsockname(socket_, (struct sockaddr *)&address, &size), "getsockname");
  return address;
}

/* Each datagram over the loopback device is taken in by a soft interrupt of its own. */
static long datagram(long times) {
  char byte = 'x';
  int one = (int)expect(socket(AF_INET, SOCK_DGRAM, 0), "socket");
  struct sockaddr_in address = bound(one);
  expect(connect(one, (struct sockaddr *)&address, sizeof address), "connect");
  long begun = now_ns();
  for (long turn = 0; turn < times; turn++) {
    expect(send(one, &byte, 1, 0), "send");
    expect(recv(one, &byte, 1, 0), "recv");
  }
  return timed(begun, times);
}

/* A rule of the firewall drops each: see loads.py. */
static long dropped(long times) {
  char byte = 'x';
  struct sockaddr_in address = {AF_INET, htons(9), {htonl(INADDR_LOOPBACK)}, {0}};
  int one = (int)expect(socket(AF_INET, SOCK_DGRAM, 0), "socket");
  long begun = now_ns(), left_out = 0;
  for (long turn = 0; turn < times; turn++)
    if (sendto(one, &byte, 1, 0, (struct sockaddr *)&address, sizeof address) < 0) left_out++;
  long ended = now_ns();
  if (left_out != times) return 1;
  printf("%ld %ld\n", times, ended - begun);
  return 0;
}

/* Ended by a reset: none waits for packets that are late (TIME_WAIT), and there are always ports. */
static void reset(int connection) {
  struct linger none = {1, 0};
  setsockopt(connection, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close(connection);
}

static int opened(const struct sockaddr_in *address) {
  int one = (int)expect(socket(AF_INET, SOCK_STREAM, 0), "socket");
  expect(connect(one, (const struct sockaddr *)address, sizeof *address), "connect");
  return one;
}

static long connect_tcp(long times) {
  int listener = (int)expect(socket(AF_INET, SOCK_STREAM, 0), "socket");
  struct sockaddr_in address = bound(listener);
  expect(listen(listener, 8), "listen");
  long begun = now_ns();
  for (long turn = 0; turn < times; turn++) {
    int one = opened(&address), other = (int)expect(accept(listener, NULL, NULL), "accept");
    reset(one);
    close(other);
  }
  return timed(begun, times);
}

/* Half of them send, half receive. */
static long transfer(long times) {
  char byte = 'x';
  int listener = (int)expect(socket(AF_INET, SOCK_STREAM, 0), "socket"), yes = 1;
  struct sockaddr_in address = bound(listener);
  expect(listen(listener, 8), "listen");
  int one = opened(&address), other = (int)expect(accept(listener, NULL, NULL), "accept");
  setsockopt(one, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  long begun = now_ns();
  for (long turn = 0; turn < times / 2; turn++) {
    expect(send(one, &byte, 1, 0), "send");
    expect(recv(other, &byte, 1, 0), "recv");
  }
  timed(begun, times);
  reset(one);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  const char *what = argv[1], *argument = argc > 3 ? argv[3] : "";
  long times = atol(argv[2]);
  if (!strcmp(what, "nothing")) return 0;
  if (!strcmp(what, "wake")) return (int)wake(times);
  if (!strcmp(what, "call")) return (int)call(times);
  if (!strcmp(what, "function")) return (int)function(times);
  if (!strcmp(what, "spin")) return (int)spin(times);
  if (!strcmp(what, "open")) return (int)open_file(times, argument);
  if (!strcmp(what, "read-file")) return (int)read_file(times, argument);
  if (!strcmp(what, "read-device")) return (int)read_device(times, argument);
  if (!strcmp(what, "fork")) return (int)fork_process(times);
  if (!strcmp(what, "start")) return (int)start_program(times);
  if (!strcmp(what, "datagram")) return (int)datagram(times);
  if (!strcmp(what, "dropped")) return (int)dropped(times);
  if (!strcmp(what, "connect")) return (int)connect_tcp(times);
  if (!strcmp(what, "transfer")) return (int)transfer(times);
  return 2;
}
