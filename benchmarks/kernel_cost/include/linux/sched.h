/* What runqlat.bt of bpftrace 0.17 asks of the kernel: include/linux/sched.h. */
#define TASK_RUNNING 0
