/* Where the key comes from: the environment, a private file, or a command such as a password
 * manager. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/secret.h"
#include "api/secret_page.h"

#define COMMAND_TIMEOUT 30 /* seconds */

static bool is_variable(const char *entry, const char *name)
{
  size_t size = strlen(name);
  return strncmp(entry, name, size) == 0 && entry[size] == '=';
}

/* A process may have been given the same variable twice. */
static void wipe_variable(const char *name)
{
  for (char **entry = environ; entry && *entry; entry++)
    if (is_variable(*entry, name))
      explicit_bzero(*entry + strlen(name) + 1, strlen(*entry + strlen(name) + 1));
  unsetenv(name);
}

struct secret *secret_from_environment(const char *variable, struct error *err)
{
  const char *value = getenv(variable);
  if (!value || !*value) return NULL;
  struct secret *secret = secret_page_open(err);
  if (secret) {
    secret->size = strnlen(value, sizeof secret->text - 1);
    memcpy(secret->text, value, secret->size);
  }
  wipe_variable(variable);
  return secret ? secret_page_finish(secret, variable, err) : NULL;
}

static bool refuse_file(struct error *err, const char *path, const char *why)
{
  error_set(err, ERROR_CONFIG, "the API key's file %s %s", path, why);
  return false;
}

static bool is_private(int fd, const char *path, struct error *err)
{
  struct stat status;
  if (fstat(fd, &status) != 0) return refuse_file(err, path, strerror(errno));
  if (!S_ISREG(status.st_mode)) return refuse_file(err, path, "is not a regular file");
  if (status.st_uid != geteuid() && status.st_uid != 0)
    return refuse_file(err, path, "belongs to another user; use a file of your own");
  if (status.st_mode & (S_IRWXG | S_IRWXO))
    return refuse_file(err, path, "can be read by others; run chmod 600 on it");
  return true;
}

/* Reads on until the end, an error or a full page. */
static bool read_all(int fd, struct secret *secret)
{
  while (secret->size < sizeof secret->text - 1) {
    ssize_t size = read(fd, secret->text + secret->size, sizeof secret->text - 1 - secret->size);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return size == 0;
    secret->size += (size_t)size;
  }
  return true;
}

static struct secret *read_file(int fd, const char *path, struct error *err)
{
  if (!is_private(fd, path, err)) return NULL;
  struct secret *secret = secret_page_open(err);
  if (!secret) return NULL;
  if (read_all(fd, secret)) return secret_page_finish(secret, path, err);
  refuse_file(err, path, strerror(errno));
  secret_close(secret);
  return NULL;
}

struct secret *secret_from_file(const char *path, struct error *err)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO must not block */
  if (fd < 0) {
    error_set(err, ERROR_CONFIG, "cannot open the API key's file %s: %s", path, strerror(errno));
    return NULL;
  }
  struct secret *secret = read_file(fd, path, err);
  close(fd);
  return secret;
}

struct command {
  pid_t pid;
  int output;  /* the reading end of its standard output, -1 after the end of file */
  int process; /* becomes readable when it exits; -1 where the kernel has none, then the end of file
                  must do */
  int64_t deadline;
  bool whole; /* the first line was read; what follows is only drained, so that it is not killed for
                 printing more */
  struct secret *secret;
};

static struct secret *refuse_command(struct error *err, const char *why)
{
  error_set(err, ERROR_CONFIG, "the command for the API key (api_key_command) %s", why);
  return NULL;
}

static int64_t milliseconds(void)
{
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The environment without the key; the entries stay where they are, the list is the caller's to
 * free. */
static char **keyless_environment(void)
{
  size_t count = 0, kept = 0;
  while (environ && environ[count]) count++;
  char **copy = malloc((count + 1) * sizeof *copy);
  if (!copy) return NULL;
  for (size_t i = 0; i < count; i++)
    if (!is_variable(environ[i], SECRET_VARIABLE)) copy[kept++] = environ[i];
  copy[kept] = NULL;
  return copy;
}

/* Signals as a fresh program expects them: we may ignore or block some. */
static int default_signals(posix_spawnattr_t *attributes)
{
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(attributes, &all);
  posix_spawnattr_setsigmask(attributes, &none);
  return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

static int spawn_shell(const char *text, int output, pid_t *pid)
{
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  char *arguments[] = {"sh", "-c", (char *)text, NULL};
  char **environment = keyless_environment();
  if (!environment) return ENOMEM;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  int why = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (!why) why = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  if (!why) why = default_signals(&attributes);
  if (!why) why = posix_spawn(pid, "/bin/sh", &actions, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  free(environment);
  return why;
}

/* Takes in what is there to read: 0 at the end of file. */
static ssize_t take_output(struct command *command)
{
  char rest[512];
  struct secret *secret = command->secret;
  size_t room = sizeof secret->text - 1 - secret->size;
  ssize_t size = command->whole ? read(command->output, rest, sizeof rest)
                                : read(command->output, secret->text + secret->size, room);
  explicit_bzero(rest, sizeof rest);
  if (size <= 0 || command->whole) return size;
  const char *end = memchr(secret->text + secret->size, '\n', (size_t)size);
  secret->size = end ? (size_t)(end - secret->text) + 1 : secret->size + (size_t)size;
  command->whole = end || (size_t)size == room;
  return size;
}

/* Until the command has exited. False when its time is over or the output cannot be read. */
static bool await(struct command *command)
{
  while (command->output >= 0 || command->process >= 0) {
    struct pollfd ready[] = {{.fd = command->output, .events = POLLIN},
                             {.fd = command->process, .events = POLLIN}};
    int64_t left = command->deadline - milliseconds();
    int count = poll(ready, 2, left < 0 ? 0 : (int)left);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    if (!ready[0].revents) return true;
    ssize_t size = take_output(command);
    if (size < 0 && errno != EINTR) return false;
    if (size != 0) continue;
    close(command->output);
    command->output = -1;
  }
  return true;
}

/* Returns 0 and sets the status, or an errno. */
static int reap(pid_t pid, int *status)
{
  while (waitpid(pid, status, 0) < 0)
    if (errno != EINTR) return errno;
  return 0;
}

static struct secret *judge(struct secret *secret, bool in_time, int unknown, int status,
                            struct error *err)
{
  char why[128];
  if (in_time && !unknown && WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return secret_page_finish(secret, "api_key_command", err);
  secret_close(secret);
  if (!in_time) return refuse_command(err, "did not end within 30 s and was killed");
  if (unknown)
    snprintf(why, sizeof why, "ended; its exit code is lost: %s", strerror(unknown));
  else if (WIFEXITED(status))
    snprintf(why, sizeof why, "failed with exit code %d", WEXITSTATUS(status));
  else
    snprintf(why, sizeof why, "was ended by signal %d", WTERMSIG(status));
  return refuse_command(err, why);
}

static struct secret *run(struct command *command, struct error *err)
{
  command->process = pidfd_open(command->pid, 0);
  bool in_time = await(command);
  if (!in_time) kill(command->pid, SIGKILL);
  if (command->output >= 0) close(command->output);
  if (command->process >= 0) close(command->process);
  int status = 0, unknown = reap(command->pid, &status);
  return judge(command->secret, in_time, unknown, status, err);
}

struct secret *secret_from_command(const char *text, struct error *err)
{
  struct command command = {.deadline = milliseconds() + COMMAND_TIMEOUT * 1000};
  int ends[2];
  command.secret = secret_page_open(err);
  if (!command.secret) return NULL;
  int why = pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno;
  if (!why) {
    why = spawn_shell(text, ends[1], &command.pid);
    close(ends[1]);
    command.output = ends[0];
    if (!why) return run(&command, err);
    close(ends[0]);
  }
  secret_close(command.secret);
  return refuse_command(err, strerror(why));
}
