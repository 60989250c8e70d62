/* Makes system calls as a 32-bit program does: 5 getpid, 7 getppid, 3 lseek and 4 openat that fail, 2 sleeps
   of 2 ms. Without a C library, so that it needs none of 32 bits to be built (gcc -m32 -nostdlib -static). */
static long call(long number, long first, long second, long third) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory");
  return result;
}

void _start(void) {
  long time[2] = {0, 2000000};
  /* The numbers of arch/x86/entry/syscalls/syscall_32.tbl; a program of 64 bits has others for all of them. */
  for (int turn = 0; turn < 5; turn++) call(20, 0, 0, 0);
  for (int turn = 0; turn < 7; turn++) call(64, 0, 0, 0);
  for (int turn = 0; turn < 3; turn++) call(19, -1, 0, 0);
  for (int turn = 0; turn < 4; turn++) call(295, -100, (long)"/nowhere/at/all", 0);
  for (int turn = 0; turn < 2; turn++) call(162, (long)time, 0, 0);
  call(1, 0, 0, 0);
}
