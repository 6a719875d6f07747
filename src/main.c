/* The program: takes the key, opens the runtime, runs the command line, ends the process. Only
 * os.exit ends it elsewhere. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api/secret.h"
#include "base/streams.h"
#include "bind/plugin/guest_process.h"
#include "bind/program.h"
#include "bind/runtime.h"

static struct runtime *volatile interrupted_runtime;

/* Seconds that a script has for an orderly end, before even code that catches errors is ended, and
 * the process where a call of C does not return. */
#define GRACE 1

/* libcurl's threads do not block signals, and the runtime is the first thread's. Hands the signal
 * over; false on the first thread. */
static bool hand_over(int number)
{
  pid_t first = getpid();
  return gettid() != first && syscall(SYS_tgkill, first, first, number) == 0;
}

static void on_alarm(int number)
{
  static const char message[] = "proxylua: cancelled: interrupted\n";
  if (hand_over(number) || !interrupted_runtime) return;
  if (!program_force(interrupted_runtime)) {
    (void)!write(STDERR_FILENO, message, sizeof message - 1);
    _exit(error_exit_code(ERROR_CANCELLED));
  }
  alarm(GRACE);
}

/* The first signal ends the script as cancelled; a second one ends the process. At the prompt they
 * go to the session. */
static void on_signal(int number)
{
  struct sigaction once = {.sa_handler = SIG_DFL},
                   force = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  if (hand_over(number)) return;
  if (interrupted_runtime && program_signal(interrupted_runtime, number)) return;
  sigaction(number, &once, NULL);
  sigaction(SIGALRM, &force, NULL);
  alarm(GRACE);
}

/* Unlike SIG_IGN this is not handed down to the programs that a script starts, which count on dying
 * of these. */
static void stay_alive(int number)
{
  (void)number;
}

/* An ignored SIGCHLD survives exec: the kernel then reaps our children itself, and their exit codes
 * are lost. */
static void keep_exit_codes(void)
{
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigaction(SIGCHLD, &action, NULL);
}

static void catch_signals(struct runtime *runtime)
{
  struct sigaction action = {.sa_handler = on_signal},
                   ignore = {.sa_handler = stay_alive, .sa_flags = SA_RESTART};
  interrupted_runtime = runtime;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGPIPE, &ignore, NULL);
  sigaction(SIGXFSZ, &ignore, NULL); /* a file that may grow no further is an error of its write */
}

/* A thousand simultaneous HTTP requests need as many descriptors. The low soft limit exists for
 * programs that use select. */
static void raise_descriptor_limit(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/* The next file or socket would get the number of a closed standard stream, and output would go to
 * it. The replacement fails in the same way as a closed stream. */
static void hold_standard_streams(void)
{
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
  struct error err = ERROR_INIT, key_error = ERROR_INIT;
  keep_exit_codes();
  if (plugin_process_asked(argc, argv)) plugin_process_run(argc, argv);
  secret_disable_dumps();
  hold_standard_streams();
  if (!streams_wait()) return error_exit_code(ERROR_INTERNAL);
  raise_descriptor_limit();
  struct secret *key = secret_from_environment(SECRET_VARIABLE, &key_error);
  struct runtime *runtime = runtime_open(key, &key_error, &err);
  if (!runtime) {
    fprintf(stderr, "proxylua: %s\n", err.message);
    return error_exit_code(err.kind);
  }
  catch_signals(runtime);
  int code = program_run(runtime, argc, argv);
  interrupted_runtime = NULL;
  runtime_end_fork(runtime, code);
  runtime_close(runtime);
  return streams_finish(code, error_exit_code(ERROR_STORE));
}
