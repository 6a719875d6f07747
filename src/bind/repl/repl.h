/* The session at the prompt: what lua/proxylua/repl needs of C. It reads lines, runs statements
 * that Ctrl-C aborts, and lets the other tasks go on meanwhile. */
#ifndef PROXYLUA_BIND_REPL_REPL_H
#define PROXYLUA_BIND_REPL_REPL_H

#include <lua.h>
#include <stdbool.h>

struct repl;

/* Pushes the table:
 *   start(callbacks): begins the session, in the task that reads its lines. The callbacks:
 *     whole(text) -> whether Enter ends the input
 *     complete(text before the cursor) -> what to insert, lines to show (nil: none)
 *     failed(error, traceback): prints the failure of a task that no other task joins
 *   read(prompt) -> the input; or nil and "interrupted" or "end". The other tasks run meanwhile
 *   remember(list): the inputs that the arrow keys bring back, oldest first
 *   run(task) -> whether it was interrupted: waits for its end; Ctrl-C aborts it
 *   ask(question) -> whether the user typed yes. Waits, in any task, at the prompt too; false when
 *     the input ends
 *   tasks() -> list of { number =, status =, place = } of all tasks but this one
 *   cancel(number) -> whether there is such a task
 *   failures(): prints those that happened so far
 *   restore(): makes the terminal what it was before the line; the program is about to end
 *   finish(): cancels all other tasks and waits for their end
 *   ending() -> whether a signal has ended the session
 *   interrupted() -> whether what runs is being aborted */
void repl_open(lua_State *L);

/* A question of C code to the user at the prompt; a field of its owner's struct. One is shown at a
 * time. */
struct repl_question {
  const char *text; /* without " [y/N]"; must live until `done` is called or it is withdrawn */
  void (*done)(struct repl_question *question, bool yes);
  void *arg;
  struct repl_question *next; /* the rest is the session's */
  char first;                 /* letter of the reply */
};

void repl_put_question(struct repl *repl, struct repl_question *question);
void repl_withdraw_question(struct repl *repl, struct repl_question *question);

/* Async-signal-safe: takes a signal. */
void repl_signal(struct repl *repl, int number);

/* NULL is fine. */
void repl_close(struct repl *repl);

#endif
