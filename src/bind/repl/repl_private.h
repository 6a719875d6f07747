/* What the files of the session at the prompt share. */
#ifndef PROXYLUA_BIND_REPL_REPL_PRIVATE_H
#define PROXYLUA_BIND_REPL_REPL_PRIVATE_H

#include <histedit.h>
#include <locale.h>
#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <wchar.h>

#include "base/buffer.h"
#include "bind/repl/repl.h"
#include "bind/runtime.h"
#include "net/loop.h"

#define REPL_HISTORY 1000 /* inputs that the editor remembers */
#define REPL_PASTE_ON "\033[?2004h"
#define REPL_PASTE_OFF "\033[?2004l"

/* Standard output and error while a line is edited: a file in memory, so that no output tears the
 * line. */
struct capture {
  int memory, saved[3]; /* by descriptor; -1: not captured */
};

struct repl {
  struct runtime *runtime;
  struct task *main; /* reads the lines; is never interrupted */
  lua_State *L;      /* its thread while it stands in C: callbacks run there */

  FILE *tty;        /* where the line is shown */
  EditLine *editor; /* NULL: the terminal's own editing has to do */
  History *history; /* of the editor */
  locale_t locale;  /* in which the editor reads and shows UTF-8 */
  const char *prompt;
  struct buffer input; /* where there is no editor */
  int pending;         /* byte of the keyboard that was read too early; 0: none */
  bool reading;        /* a line is being read */
  bool ended;          /* the terminal has no more input */
  struct loop_reader reader;
  struct capture capture;
  struct repl_question *first_question; /* on the screen; the others wait behind it */

  struct task *volatile statement; /* what Ctrl-C aborts; NULL at the prompt */
  volatile sig_atomic_t interrupted, forced, stuck, ending, resized, suspended, resumed;
  volatile unsigned steps; /* counts what the session has let run, so that an interrupt sees who
                              does not come back */
  volatile unsigned seen;
};

/* Waits for something to happen, unless tasks are ready; then lets these run. */
void repl_turn(struct repl *repl);

/* Calls a callback with the arguments on top of repl->L and pops them. Pushes `results`; false, and
 * nothing pushed, when it failed. */
bool repl_call(struct repl *repl, const char *name, int arguments, int results);

/* Calls the callback for each failure of a task that no other task joined. */
void repl_report_failures(struct repl *repl);

/* repl_signal.c: the handlers of the session, and those that only make sense while a line is
 * edited. */
void repl_catch_signals(void);
void repl_catch_editing_signals(bool editing);
void repl_suspend(struct repl *repl);

/* Looks again and again, four times a second, for code that does not come back after an interrupt;
 * and ends that. */
void repl_start_watchdog(struct repl *repl);

/* Forgets an interrupt, unless the session is to end; and that too, when it has ended. */
void repl_clear_interrupt(struct repl *repl);
void repl_stop_watchdog(struct repl *repl);

/* repl_editor.c */
bool repl_editor_open(struct repl *repl);
void repl_editor_close(struct repl *repl);

/* Gives the terminal back: its own editing, and pasted texts without marks. */
void repl_editor_leave(struct repl *repl);

/* The input, in the editor's memory, without the newline at its end; NULL when there is none. */
const char *repl_editor_read(struct repl *repl, size_t *size);

/* repl_input.c: the next byte of the terminal, letting tasks run until there is one; -1:
 * interrupted, or no more to come. */
int repl_next_byte(struct repl *repl);

/* repl_screen.c: takes the line from the screen, and shows it again; shows a text above it. */
void repl_hide(struct repl *repl);
void repl_show(struct repl *repl);
void repl_show_above(struct repl *repl, const char *text, size_t size);
void repl_leave_line(struct repl *repl, const char *mark);

void repl_capture_begin(struct repl *repl);
void repl_capture_end(struct repl *repl);
void repl_show_captured(struct repl *repl);

/* repl_ask.c */
int repl_ask(lua_State *L);
void repl_read_reply(struct repl *repl);
void repl_refuse_question(struct repl *repl);

#endif
