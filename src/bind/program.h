/* The runtime's functions for main, which do not involve Lua: open, run, interrupt, close. */
#ifndef PROXYLUA_BIND_PROGRAM_H
#define PROXYLUA_BIND_PROGRAM_H

#include <stdbool.h>

#include "base/error.h"

struct runtime;
struct secret;

/* Opens a runtime and takes over the key (NULL: there was none, and `key_error` may say why). NULL
 * when memory or file descriptors are out, with the reason. */
struct runtime *runtime_open(struct secret *key, const struct error *key_error, struct error *err);
void runtime_close(struct runtime *runtime);

/* Async-signal-safe, on the runtime's thread: hands a signal over. A session at the prompt takes
 * it, once and again; false when there is none, and the script was interrupted. */
bool program_signal(struct runtime *runtime, int number);

/* Async-signal-safe, on the runtime's thread: see sched_force. */
bool program_force(struct runtime *runtime);

/* Runs the function and its arguments on top of the main thread as a script: as task 0, until it
 * and all its tasks have ended. Pops them. 0, or the exit code of the failure, whose text and
 * traceback then lie on top of the main thread as one string. */
int runtime_run(struct runtime *runtime, int arguments);

/* Runs the command line (lua/proxylua/cli). Prints an uncaught error to standard error; returns the
 * exit code. */
int program_run(struct runtime *runtime, int argc, char **argv);

#endif
