#include "plugin/jail.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/library.h"

#define LAST_CLOCK CLOCK_TAI /* the clocks beyond belong to other processes */

extern char **environ;

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* The clock is there for machines whose vDSO cannot read it. */
const int jail_calls[] = {SCMP_SYS(read),
                          SCMP_SYS(write),
                          SCMP_SYS(brk),
                          SCMP_SYS(mmap),
                          SCMP_SYS(munmap),
                          SCMP_SYS(mremap),
                          SCMP_SYS(madvise),
                          SCMP_SYS(exit),
                          SCMP_SYS(exit_group),
                          SCMP_SYS(clock_gettime),
#ifdef SANITIZED
                          SCMP_SYS(futex),
                          SCMP_SYS(
                              sigaltstack), /* the sanitizer's own, at every error that is raised */
#endif
                          -1};

static bool fail(struct error *err, const char *what)
{
  error_set(err, ERROR_INTERNAL, "cannot lock a plugin in: %s: %s", what, strerror(errno));
  return false;
}

static bool limit(int resource, rlim_t most)
{
  struct rlimit both = {most, most};
  return setrlimit(resource, &both) == 0;
}

#ifdef SANITIZED
/* The shadow memory alone is larger than any limit. */
static bool limit_memory(size_t more)
{
  (void)more;
  return true;
}
#else
static bool limit_memory(size_t more)
{
  unsigned long pages;
  FILE *file = fopen("/proc/self/statm", "r");
  bool known = file && fscanf(file, "%lu", &pages) == 1;
  if (file) fclose(file);
  return known && limit(RLIMIT_AS, (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + more);
}
#endif

/* Sets only the soft limit of processor time: the parent raises it. */
static bool limit_processor(unsigned seconds)
{
  struct rlimit time = {seconds, RLIM_INFINITY};
  return signal(SIGXCPU, SIG_DFL) != SIG_ERR && setrlimit(RLIMIT_CPU, &time) == 0;
}

static bool limit_resources(const struct jail_limits *limits, struct error *err)
{
  static const int none[] = {RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_NPROC, RLIMIT_MEMLOCK,
                             RLIMIT_NOFILE};
  if (!limit_memory(limits->memory)) return fail(err, "memory");
  if (!limit_processor(limits->cpu)) return fail(err, "processor time");
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
    if (!limit(none[i], 0)) return fail(err, "resources");
  return true;
}

static bool close_but(int fd)
{
  if (fd > 0 && close_range(0, (unsigned)fd - 1, 0) != 0) return false;
  return close_range((unsigned)fd + 1, ~0U, 0) == 0;
}

static void wipe_environment(void)
{
  for (char **entry = environ; entry && *entry; entry++) explicit_bzero(*entry, strlen(*entry));
  clearenv();
}

bool jail_is_possible(void)
{
  unsigned action = SECCOMP_RET_KILL_PROCESS;
  return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

struct seccomp {
  __typeof__(&seccomp_init) init;
  __typeof__(&seccomp_attr_set) attr_set;
  __typeof__(&seccomp_rule_add) rule_add;
  __typeof__(&seccomp_load) load;
  __typeof__(&seccomp_release) release;
};

static bool open_seccomp(struct seccomp *seccomp, struct error *err)
{
  const struct library_function functions[] = {{"seccomp_init", &seccomp->init, false},
                                               {"seccomp_attr_set", &seccomp->attr_set, false},
                                               {"seccomp_rule_add", &seccomp->rule_add, false},
                                               {"seccomp_load", &seccomp->load, false},
                                               {"seccomp_release", &seccomp->release, false}};
  const struct library library = {.user = "a plugin",
                                  .file = "libseccomp.so.2",
                                  .package = "libseccomp2",
                                  .functions = functions,
                                  .count = sizeof functions / sizeof functions[0]};
  return library_open(&library, err);
}

/* Allows private, anonymous, non-executable memory only. */
static int allow_memory(const struct seccomp *seccomp, scmp_filter_ctx filter, int call)
{
  const unsigned kind = MAP_TYPE | MAP_ANONYMOUS;
  return seccomp->rule_add(filter, SCMP_ACT_ALLOW, call, 2,
                           SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                           SCMP_A3(SCMP_CMP_MASKED_EQ, kind, MAP_PRIVATE | MAP_ANONYMOUS));
}

static int allow(const struct seccomp *seccomp, scmp_filter_ctx filter, int call, int fd)
{
  switch (call) {
    case SCMP_SYS(read):
    case SCMP_SYS(write):
      return seccomp->rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                               SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)fd, 0));
    case SCMP_SYS(mmap):
      return allow_memory(seccomp, filter, call);
    case SCMP_SYS(clock_gettime):
      return seccomp->rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                               SCMP_A0(SCMP_CMP_LE, LAST_CLOCK, 0));
    default:
      return seccomp->rule_add(filter, SCMP_ACT_ALLOW, call, 0);
  }
}

static bool filter_calls(const struct seccomp *seccomp, int fd, struct error *err)
{
  scmp_filter_ctx filter = seccomp->init(SCMP_ACT_KILL_PROCESS);
  int failed =
      filter ? seccomp->attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) : -ENOMEM;
  for (const int *call = jail_calls; failed == 0 && *call != -1; call++)
    failed = allow(seccomp, filter, *call, fd);
  if (failed == 0) failed = seccomp->load(filter);
  if (filter) seccomp->release(filter);
  errno = -failed;
  return failed == 0 || fail(err, "system calls");
}

bool jail_enter(int fd, const struct jail_limits *limits, struct error *err)
{
  struct seccomp seccomp;
  if (!limits->calls_free && !open_seccomp(&seccomp, err)) return false;
  if (!limit_resources(limits, err)) return false;
  if (!close_but(fd)) return fail(err, "descriptors");
  wipe_environment();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(err, "privileges");
  return limits->calls_free || filter_calls(&seccomp, fd, err);
}
