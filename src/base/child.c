#include "base/child.h"

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

/* Sets the child's descriptors: its end of the socket, and /dev/null for the other streams except
 * the standard error of a program. */
static int set_files(posix_spawn_file_actions_t *files, int socket, int place)
{
  int failed = 0;
  for (int fd = 0; fd <= 2 && !failed; fd++)
    if (fd != place && (fd < 2 || place == CHILD_SOCKET))
      failed = posix_spawn_file_actions_addopen(files, fd, "/dev/null",
                                                fd == 0 ? O_RDONLY : O_WRONLY, 0);
  return failed ? failed : posix_spawn_file_actions_adddup2(files, socket, place);
}

static int set_signals(posix_spawnattr_t *attributes)
{
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  int failed = posix_spawnattr_setsigdefault(attributes, &all);
  if (!failed) failed = posix_spawnattr_setsigmask(attributes, &none);
  return failed
             ? failed
             : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                                        POSIX_SPAWN_SETPGROUP);
}

struct start {
  const char *path;
  char *const *arguments, *const *environment;
  int place; /* of the socket */
};

static int spawn(pid_t *pid, int socket, const struct start *start)
{
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  int failed = posix_spawn_file_actions_init(&files);
  if (failed) return failed;
  failed = posix_spawnattr_init(&attributes);
  if (!failed) {
    failed = set_files(&files, socket, start->place);
    if (!failed) failed = set_signals(&attributes);
    if (!failed)
      failed =
          posix_spawn(pid, start->path, &files, &attributes, start->arguments, start->environment);
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

static bool start_child(struct child *child, const struct start *start, struct error *err)
{
  int pair[2];
  *child = CHILD_NONE;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return fail(child, err, errno);
  child->socket = pair[0];
  int failed =
      fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0 ? errno : spawn(&child->pid, pair[1], start);
  close(pair[1]);
  if (failed) return fail(child, err, failed);
  child->handle = pidfd_open(child->pid, 0);
  if (child->handle >= 0) return true;
  failed = errno;
  kill(child->pid, SIGKILL); /* not reaped yet: the number is still its own */
  while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) continue;
  return fail(child, err, failed);
}

bool child_start(struct child *child, char *const *arguments, char *const *environment,
                 struct error *err)
{
  struct start start = {"/proc/self/exe", arguments, environment, CHILD_SOCKET};
  return start_child(child, &start, err);
}

bool child_run(struct child *child, const char *path, char *const *arguments,
               char *const *environment, struct error *err)
{
  struct start start = {path, arguments, environment, STDOUT_FILENO};
  return start_child(child, &start, err);
}

int64_t child_cpu(const struct child *child)
{
  clockid_t clock;
  struct timespec time;
  if (child->handle < 0 || clock_getcpuclockid(child->pid, &clock) != 0 ||
      clock_gettime(clock, &time) != 0)
    return -1;
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

void child_allow_cpu(const struct child *child, int64_t seconds)
{
  struct rlimit limit = {(rlim_t)seconds, RLIM_INFINITY};
  if (child->handle >= 0) prlimit(child->pid, RLIMIT_CPU, &limit, NULL);
}

/* A child's socket closes when it ends. A caller that has seen it closed therefore waits only
 * briefly here. */
struct child_end child_end(struct child *child)
{
  siginfo_t info = {0};
  struct child_end end = {.unknown = ESRCH};
  if (child->handle >= 0) {
    if (pidfd_send_signal(child->handle, SIGKILL, NULL, 0) == 0)
      kill(-child->pid, SIGKILL); /* not reaped yet: the group is still its own */
    do end.unknown = waitid(P_PIDFD, (id_t)child->handle, &info, WEXITED) == 0 ? 0 : errno;
    while (end.unknown == EINTR);
    close(child->handle);
  }
  if (child->socket >= 0) close(child->socket);
  *child = CHILD_NONE;
  if (end.unknown) return end;
  end.killed = info.si_code != CLD_EXITED;
  end.code = info.si_status;
  return end;
}

bool child_follow_parent(void)
{
  return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0;
}
