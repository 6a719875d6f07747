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

/* Async-signal-safe, on the runtime's thread: ends the script as cancelled, whether it computes or
 * waits. */
void runtime_interrupt(struct runtime *runtime);

/* Async-signal-safe, on the runtime's thread: after runtime_interrupt, ends code that goes on by
 * catching the error: from now on every instruction of Lua raises it. Returns false if one call of
 * C has run since the last signal, so that neither Lua nor the loop could notice that. */
bool runtime_insist(struct runtime *runtime);

/* Async-signal-safe, on the runtime's thread: hands a signal over. A session at the prompt takes
 * it, once and again; false when there is none, and the script was interrupted. */
bool runtime_signal(struct runtime *runtime, int number);

/* Ends a child of fork() with that code, after its buffered output is written: nothing is closed,
 * since all of it is the parent's too. Returns in the process that opened the runtime. */
void program_end_fork(struct runtime *runtime, int code);

/* Runs the command line (lua/proxylua/cli). Prints an uncaught error to standard error; returns the
 * exit code. */
int program_run(struct runtime *runtime, int argc, char **argv);

#endif
