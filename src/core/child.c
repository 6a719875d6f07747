#include "core/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_ARGUMENTS 8

/* Standard streams lead nowhere; the socket keeps its place across exec. */
static int set_files(posix_spawn_file_actions_t *files, int socket)
{
  int failed = 0;
  for (int fd = 0; fd <= 2 && !failed; fd++)
    failed = posix_spawn_file_actions_addopen(files, fd, "/dev/null", fd == 0 ? O_RDONLY : O_WRONLY, 0);
  return failed ? failed : posix_spawn_file_actions_adddup2(files, socket, CHILD_SOCKET);
}

static int set_signals(posix_spawnattr_t *attributes)
{
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  int failed = posix_spawnattr_setsigdefault(attributes, &all);
  if (!failed) failed = posix_spawnattr_setsigmask(attributes, &none);
  return failed ? failed
                : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                                           POSIX_SPAWN_SETPGROUP);
}

static int spawn(pid_t *pid, int socket, char *const *argv, char *const *environment)
{
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  int failed = posix_spawn_file_actions_init(&files);
  if (failed) return failed;
  failed = posix_spawnattr_init(&attributes);
  if (!failed) {
    failed = set_files(&files, socket);
    if (!failed) failed = set_signals(&attributes);
    if (!failed) failed = posix_spawn(pid, "/proc/self/exe", &files, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&files);
  return failed;
}

static bool fail(struct child *child, struct error *err, int why)
{
  if (child->socket >= 0) close(child->socket);
  *child = CHILD_NONE;
  error_set(err, ERROR_INTERNAL, "cannot start a process: %s", strerror(why));
  return false;
}

bool child_start(struct child *child, const char *const *arguments, char *const *environment, struct error *err)
{
  int pair[2];
  char *argv[MOST_ARGUMENTS + 2] = {"proxylua"};
  *child = CHILD_NONE;
  for (int i = 0; i < MOST_ARGUMENTS && arguments[i]; i++) argv[i + 1] = (char *)arguments[i];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return fail(child, err, errno);
  child->socket = pair[0];
  int failed = fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0 ? errno : spawn(&child->pid, pair[1], argv, environment);
  close(pair[1]);
  if (failed) return fail(child, err, failed);
  child->handle = pidfd_open(child->pid, 0);
  if (child->handle >= 0) return true;
  failed = errno;
  kill(child->pid, SIGKILL); /* not reaped yet: the number is still its own */
  while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) continue;
  return fail(child, err, failed);
}

int64_t child_cpu(const struct child *child)
{
  clockid_t clock;
  struct timespec time;
  if (child->handle < 0 || clock_getcpuclockid(child->pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return -1;
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

void child_allow_cpu(const struct child *child, int64_t seconds)
{
  struct rlimit limit = {(rlim_t)seconds, RLIM_INFINITY};
  if (child->handle >= 0) prlimit(child->pid, RLIMIT_CPU, &limit, NULL);
}

/* The socket is closed first and last by the kernel: whoever sees it closed finds the process about to end, and the wait is
 * short. */
struct child_end child_end(struct child *child)
{
  siginfo_t info = {0};
  if (child->handle >= 0) {
    pidfd_send_signal(child->handle, SIGKILL, NULL, 0);
    while (waitid(P_PIDFD, (id_t)child->handle, &info, WEXITED) != 0 && errno == EINTR) continue;
    close(child->handle);
  }
  if (child->socket >= 0) close(child->socket);
  *child = CHILD_NONE;
  return (struct child_end){.killed = info.si_code != CLD_EXITED, .code = info.si_status};
}

bool child_follow_parent(void)
{
  return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0;
}
