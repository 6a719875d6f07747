/* Tries what the jail must prevent, each in a process of its own that is locked in first.
 *   jail_check                 tries everything; says what went wrong, or how many attempts were
 * made jail_check deny PROGRAM …  runs a program where the kernel does not filter system calls */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plugin/jail.h"

#define SOCKET 3
#define LAST_CALL 600 /* beyond the last system call there is */
#define MEMORY ((size_t)16 << 20)
#define PAGE ((size_t)4096)
#define X32 0x40000000
#define UPROBES                                                                                   \
  335 /* this and the next: the kernel's own calls, which no filter sees and which do nothing for \
         others */

static int attempts, failures;

static void die(const char *what)
{
  perror(what);
  exit(2);
}

static void lock_in(void)
{
  struct jail_limits limits = {.memory = MEMORY, .cpu = 1};
  struct error err = ERROR_INIT;
  if (jail_enter(SOCKET, &limits, &err)) return;
  fprintf(stderr, "%s\n", err.message);
  _exit(2);
}

/* How a process ends that does this inside: its signal, or minus its exit code. */
static int outcome(void (*attempt)(long), long arg)
{
  int status;
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    lock_in();
    attempt(arg);
    _exit(0);
  }
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) die("waitpid");
  attempts++;
  return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

/* The other way into the kernel, with numbers of its own. */
static void try_old_entry(long number)
{
#ifdef __x86_64__
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(0), "c"(0), "d"(0) : "memory");
#else
  syscall(number);
#endif
}

static void expect(const char *what, void (*attempt)(long), long arg, int expected)
{
  int got = outcome(attempt, arg);
  if (got == expected || (attempt == try_old_entry && got == SIGSEGV))
    return; /* a kernel without that entry */
  printf("%s %ld: ended by %d, not by %d\n", what, arg, got, expected);
  failures++;
}

#ifdef __x86_64__
#define IS_EXEMPT(number) ((number) == UPROBES || (number) == UPROBES + 1)
#else
#define IS_EXEMPT(number) false
#endif

/* --- attempts --- */

static void try_call(long number)
{
  syscall(number, 0, 0, 0, 0, 0, 0);
}

static void try_read(long fd)
{
  char byte;
  syscall(SYS_read, fd, &byte, 1);
}

static void try_write(long fd)
{
  syscall(SYS_write, fd, "x", 1);
}

static void map(int protection, int flags, int fd)
{
  syscall(SYS_mmap, 0, PAGE, protection, flags, fd, 0);
}

static void try_map_code(long unused)
{
  (void)unused;
  map(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void try_map_shared(long unused)
{
  (void)unused;
  map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
}

static void try_map_file(long unused)
{
  (void)unused;
  map(PROT_READ, MAP_PRIVATE, SOCKET);
}

static void try_clock(long clock)
{
  struct timespec time;
  syscall(SYS_clock_gettime, clock, &time);
}

/* Exits with 0 when memory ended where it should: at less than twice the limit. */
static void take_memory(long unused)
{
  (void)unused;
  size_t taken = 0;
  while (taken <= 2 * MEMORY && mmap(NULL, PAGE * 16, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
    taken += PAGE * 16;
  _exit(taken > 2 * MEMORY || taken < MEMORY / 2);
}

static void compute(long unused)
{
  (void)unused;
  for (volatile unsigned i = 0;; i++) continue;
}

static void do_nothing(long unused)
{
  (void)unused;
}

static void look_at_environment(long unused)
{
  (void)unused;
  _exit(getenv("CAGE_CHECK") != NULL);
}

static bool is_left(long number)
{
  for (const int *call = jail_calls; *call != -1; call++)
    if (*call == number) return true;
  return false;
}

static void try_everything(void)
{
  for (long number = 0; number <= LAST_CALL; number++)
    if (!is_left(number) && !IS_EXEMPT(number)) expect("system call", try_call, number, SIGSYS);
#ifdef __x86_64__
  for (long number = 0; number <= LAST_CALL; number += 30)
    expect("x32 call", try_call, X32 | number, SIGSYS);
  for (long number = 1; number <= 450; number += 30)
    expect("32-bit call", try_old_entry, number, SIGSYS);
#endif
  static const int others[] = {0, 1, 2, SOCKET + 1, -1};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    expect("read", try_read, others[i], SIGSYS);
    expect("write", try_write, others[i], SIGSYS);
  }
  expect("write", try_write, SOCKET, 0);
  expect("memory for code", try_map_code, 0, SIGSYS);
  expect("memory that is shared", try_map_shared, 0, SIGSYS);
  expect("memory from a file", try_map_file, 0, SIGSYS);
  expect("clock", try_clock, CLOCK_MONOTONIC, 0);
  expect("clock of another process", try_clock, ~(long)getpid() << 3 | 2, SIGSYS);
  expect("memory", take_memory, 0, 0);
  expect("environment", look_at_environment, 0, 0);
  expect("endless loop", compute, 0, SIGXCPU);
  expect("nothing", do_nothing, 0, 0);
}

/* --- a kernel without filters --- */

static void deny(char **argv)
{
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  if (!filter || seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0) != 0 ||
      seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
                       SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP, 0)) != 0 ||
      seccomp_load(filter) != 0)
    die("seccomp");
  execv(argv[0], argv);
  die(argv[0]);
}

int main(int argc, char **argv)
{
  if (argc > 2 && strcmp(argv[1], "deny") == 0) deny(argv + 2);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) die("socketpair");
  if (pair[0] == SOCKET) pair[0] = dup(pair[0]);
  if (pair[0] < 0 || dup2(pair[1], SOCKET) != SOCKET || setenv("CAGE_CHECK", "1", 1) != 0)
    die("socket");
  try_everything();
  if (failures == 0) printf("%d attempts\n", attempts);
  return failures != 0;
}
