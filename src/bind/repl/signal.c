/* Signals in a session. Ctrl-C marks the statement as cancelled, which ends its wait, and a debug
 * hook raises an error in its code once. If the statement has not returned to the session shortly
 * afterwards, because it computes or catches errors, the hook raises the error at every instruction
 * until it ends. */
#include <sys/time.h>
#include <unistd.h>

#include "bind/error.h"
#include "bind/repl/repl_private.h"
#include "bind/sched/task.h"

#define PATIENCE_US 250000
#define STUCK_FOR_LONG 6 /* consecutive checks without progress */

static void abort_code(lua_State *L, lua_Debug *where)
{
  (void)where;
  const struct repl *repl = runtime_of(L)->repl;
  bool asked = repl && repl->interrupted;
  if (!asked || !repl->forced) lua_sethook(L, NULL, 0, 0);
  struct error err = ERROR_INIT;
  error_set(&err, ERROR_CANCELLED, "interrupted");
  if (asked) error_raise(L, &err);
}

static void hook(struct repl *repl)
{
  lua_State *running = repl->runtime->sched.running;
  if (running)
    lua_sethook(running, abort_code, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static void interrupt(struct repl *repl)
{
  repl->interrupted = 1;
  repl_start_watchdog(repl);
  if (!repl->statement) return;
  repl->statement->cancelled = true;
  if (repl->runtime->sched.current == repl->statement) hook(repl);
}

/* Lua code has met the hook by now, unless it is where Lua has none: in a finalizer, and in the
 * message handler of an abort. In a signal handler: write(2) alone. */
static void report_stuck(void)
{
  static const char text[] =
      "\r\nstill inside a call that cannot be aborted: C code, such as a pattern match, or a "
      "finalizer (__gc); Ctrl-\\ ends the program\r\n";
  ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
  (void)written;
}

/* The terminal is gone, so an orderly end has no user. The journal has the open charges. */
static void end_at_once(void)
{
  struct sigaction usual = {.sa_handler = SIG_DFL};
  sigaction(SIGTERM, &usual, NULL);
  raise(SIGTERM);
}

/* The session's own code is spared: it comes back by itself. */
static void look_again(struct repl *repl)
{
  bool stuck = repl->steps == repl->seen && repl->runtime->sched.current != repl->main;
  repl->seen = repl->steps;
  repl->stuck = stuck ? repl->stuck + 1 : 0;
  if (!repl->interrupted || !stuck) return;
  repl->forced = 1;
  hook(repl);
  if (repl->stuck < STUCK_FOR_LONG) return;
  if (repl->ending)
    end_at_once();
  else if (repl->stuck == STUCK_FOR_LONG)
    report_stuck();
}

void repl_signal(struct repl *repl, int number)
{
  if (number == SIGWINCH) repl->resized = 1;
  if (number == SIGTSTP) repl->suspended = 1;
  if (number == SIGCONT) repl->resumed = 1;
  if (number == SIGALRM) look_again(repl);
  if (number == SIGTERM || number == SIGHUP) repl->ending = 1;
  if (number == SIGINT || number == SIGTERM || number == SIGHUP) interrupt(repl);
  loop_wake(repl->runtime->sched.loop);
}

static void tick_every(suseconds_t period)
{
  struct itimerval timer = {.it_interval.tv_usec = period, .it_value.tv_usec = period};
  setitimer(ITIMER_REAL, &timer, NULL);
}

void repl_start_watchdog(struct repl *repl)
{
  repl->seen = repl->steps;
  repl->stuck = 0;
  tick_every(PATIENCE_US);
}

void repl_stop_watchdog(struct repl *repl)
{
  if (repl->interrupted) tick_every(0);
  repl->interrupted = repl->forced = 0;
}

/* The end of the session is not taken back, whenever its signal comes. */
void repl_clear_interrupt(struct repl *repl)
{
  repl_stop_watchdog(repl);
  if (repl->ending) interrupt(repl);
}

/* The program has one handler, which hands all that comes to the session: the one of SIGINT. */
static void catch_too(int number, bool only_unless_ignored)
{
  struct sigaction ours, before;
  sigaction(SIGINT, NULL, &ours);
  sigaction(number, NULL, &before);
  ours.sa_flags = SA_RESTART;
  if (!only_unless_ignored || before.sa_handler != SIG_IGN) sigaction(number, &ours, NULL);
}

void repl_catch_signals(void)
{
  catch_too(SIGALRM, false);
  catch_too(SIGHUP, true);
}

static void release(int number)
{
  struct sigaction usual = {.sa_handler = SIG_DFL}, before;
  sigaction(number, NULL, &before);
  if (before.sa_handler != SIG_IGN) sigaction(number, &usual, NULL);
}

void repl_catch_editing_signals(bool editing)
{
  static const int numbers[] = {SIGWINCH, SIGTSTP, SIGCONT};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (editing)
      catch_too(numbers[i], true);
    else
      release(numbers[i]);
}

/* Stops the process as Ctrl-Z would have, until it is continued. */
void repl_suspend(struct repl *repl)
{
  struct sigaction usual = {.sa_handler = SIG_DFL};
  repl->suspended = 0;
  sigaction(SIGTSTP, &usual, NULL);
  raise(SIGTSTP);
  catch_too(SIGTSTP, false);
}
