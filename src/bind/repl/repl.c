/* The session at the prompt as Lua sees it. It stands in C while a line is read and while a
 * statement runs, and lets the other tasks run from there: its own task never yields, so nothing
 * that happens to another ends it. */
#include "bind/repl/repl.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/args.h"
#include "bind/error.h"
#include "bind/push.h"
#include "bind/repl/repl_private.h"
#include "bind/sched/task.h"

static struct repl *repl_of(lua_State *L)
{
  struct repl *repl = runtime_of(L)->repl;
  if (!repl) error_usage(L, "the session has not begun");
  return repl;
}

void repl_turn(struct repl *repl)
{
  struct runtime *runtime = repl->runtime;
  repl->steps++;
  deliver_turn(&runtime->sched, runtime->sched.first_ready ? 0 : -1);
  const struct task *last = runtime->sched.last_ready;
  for (const struct task *task; (task = runtime->sched.first_ready);) {
    repl->steps++;
    task_step(&runtime->sched);
    runtime_end_fork(runtime, 0);
    if (task == last) break;
  }
  repl->steps++;
}

bool repl_call(struct repl *repl, const char *name, int arguments, int results)
{
  lua_State *L = repl->L;
  lua_rawgetp(L, LUA_REGISTRYINDEX, repl);
  lua_getfield(L, -1, name);
  lua_replace(L, -2);
  lua_insert(L, -arguments - 1);
  if (lua_pcall(L, arguments, results, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

void repl_report_failures(struct repl *repl)
{
  while (task_take_failed(repl->L)) repl_call(repl, "failed", 2, 0);
}

static int report_failures(lua_State *L)
{
  struct repl *repl = repl_of(L);
  repl->L = L;
  repl_report_failures(repl);
  return 0;
}

static void on_input(void *arg)
{
  struct repl *repl = arg;
  if (repl->first_question) repl_read_reply(repl);
}

static int start(lua_State *L)
{
  struct runtime *runtime = runtime_of(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  if (runtime->repl) return error_usage(L, "the session has begun already");
  struct repl *repl = calloc(1, sizeof *repl);
  if (!repl) return luaL_error(L, "not enough memory");
  repl->runtime = runtime;
  repl->main = runtime->sched.current;
  repl->reader = (struct loop_reader){.fd = STDIN_FILENO, .ready = on_input, .arg = repl};
  repl->capture.memory = -1;
  runtime->repl = repl;
  if (!repl_editor_open(repl))
    return luaL_error(L, "cannot open the terminal: %s", strerror(errno));
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, repl);
  repl_catch_signals();
  return 0;
}

void repl_close(struct repl *repl)
{
  if (!repl) return;
  repl->runtime->repl = NULL;
  repl_editor_close(repl);
  free(repl);
}

static const char *read_input(struct repl *repl, size_t *size)
{
  struct loop *loop = repl->runtime->sched.loop;
  if (!loop_read(loop, &repl->reader)) {
    repl->ended = true;
    return NULL;
  }
  repl->reading = true;
  repl_clear_interrupt(repl);
  repl_catch_editing_signals(true);
  repl_capture_begin(repl);
  const char *text = repl_editor_read(repl, size);
  repl->reading = false;
  repl_capture_end(repl);
  repl_catch_editing_signals(false);
  loop_stop_reading(loop, &repl->reader);
  return text;
}

static int read_line(lua_State *L)
{
  struct repl *repl = repl_of(L);
  size_t size;
  repl->prompt = luaL_checkstring(L, 1);
  repl->L = L;
  const char *text = read_input(repl, &size);
  if (text) {
    lua_pushlstring(L, text, size);
    return 1;
  }
  bool dropped = repl->interrupted && !repl->ending && !repl->ended;
  repl_clear_interrupt(repl);
  lua_pushnil(L);
  lua_pushstring(L, dropped ? "interrupted" : "end");
  return 2;
}

static int remember(lua_State *L)
{
  struct repl *repl = repl_of(L);
  HistEvent event;
  size_t count = list_length(L, 1, INT_MAX);
  if (!repl->history) return 0;
  history(repl->history, &event, H_CLEAR);
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, (lua_Integer)i);
    history(repl->history, &event, H_ENTER, luaL_checkstring(L, -1));
    lua_pop(L, 1);
  }
  return 0;
}

static bool has_ended(const struct task *task)
{
  return task->state == TASK_DONE || task->state == TASK_FAILED;
}

static int run(lua_State *L)
{
  struct repl *repl = repl_of(L);
  struct task *task = task_check(L, 1); /* its handle stays on the stack */
  repl->statement = task;
  while (!has_ended(task)) {
    if (repl->interrupted) task_cancel(task);
    repl_turn(repl);
  }
  repl->statement = NULL;
  lua_pushboolean(L, repl->interrupted);
  repl_clear_interrupt(repl);
  return 1;
}

static bool is_users(const lua_Debug *where)
{
  return *where->what != 'C' && strncmp(where->short_src, "proxylua/", 9) != 0;
}

/* The line of a function of the user's that the function on top of the thread, which it pops,
 * holds: what px.every calls. */
static int line_of_held(lua_State *thread, lua_Debug *where)
{
  int line = 0;
  for (int i = 1; line == 0 && lua_getupvalue(thread, -1, i); i++) {
    if (lua_isfunction(thread, -1)) {
      lua_getinfo(thread, ">S", where);
      if (is_users(where)) line = where->linedefined;
    } else {
      lua_pop(thread, 1);
    }
  }
  lua_pop(thread, 1);
  return line;
}

/* Where its code stands: the innermost line that is not of the standard module. */
static void push_place(lua_State *L, lua_State *thread)
{
  lua_Debug where;
  int line = 0;
  for (int level = 0; line == 0 && lua_checkstack(thread, 4) && lua_getstack(thread, level, &where);
       level++) {
    lua_getinfo(thread, "Slf", &where);
    if (!is_users(&where))
      line = line_of_held(thread, &where);
    else
      lua_pop(thread, 1);
    if (line == 0 && is_users(&where)) line = where.currentline;
  }
  if (line > 0)
    lua_pushfstring(L, "%s:%d", where.short_src, line);
  else
    lua_pushliteral(L, "");
}

static void push_task(lua_State *L, const struct task *task)
{
  static const char *const states[] = {"ready", "running", "waiting", "done", "failed"};
  lua_createtable(L, 0, 3);
  set_integer(L, "number", task->serial);
  set_text(L, "status", states[task->state]);
  push_place(L, task->thread);
  lua_setfield(L, -2, "place");
}

static bool is_other(const struct repl *repl, const struct task *task)
{
  return task != repl->main && task != repl->runtime->sched.current && !has_ended(task);
}

static int list_tasks(lua_State *L)
{
  struct repl *repl = repl_of(L);
  int count = 0;
  lua_newtable(L);
  for (const struct task *task = repl->runtime->sched.all; task; task = task->next) {
    if (!is_other(repl, task)) continue;
    push_task(L, task);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

static int cancel(lua_State *L)
{
  struct repl *repl = repl_of(L);
  lua_Integer number = luaL_checkinteger(L, 1);
  struct task *task = repl->runtime->sched.all;
  while (task && (task->serial != number || !is_other(repl, task))) task = task->next;
  if (task) task_cancel(task);
  lua_pushboolean(L, task != NULL);
  return 1;
}

static int finish(lua_State *L)
{
  struct repl *repl = repl_of(L);
  struct sched *sched = &repl->runtime->sched;
  for (struct task *task = sched->all; task; task = task->next)
    if (is_other(repl, task)) task_cancel(task);
  repl->interrupted = 1;
  repl_start_watchdog(repl);
  while (sched->alive > 1) repl_turn(repl);
  repl_stop_watchdog(repl);
  return report_failures(L);
}

static int is_interrupted(lua_State *L)
{
  lua_pushboolean(L, repl_of(L)->interrupted);
  return 1;
}

static int is_ending(lua_State *L)
{
  lua_pushboolean(L, repl_of(L)->ending);
  return 1;
}

/* For a task that ends the program while a line is edited: the terminal would stay as the editor
 * has it. */
static int restore(lua_State *L)
{
  struct repl *repl = repl_of(L);
  if (!repl->reading) return 0;
  repl_capture_end(repl);
  repl_leave_line(repl, "");
  repl_editor_leave(repl);
  return 0;
}

void repl_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"start", start},
                                       {"read", read_line},
                                       {"remember", remember},
                                       {"run", run},
                                       {"ask", repl_ask},
                                       {"tasks", list_tasks},
                                       {"cancel", cancel},
                                       {"failures", report_failures},
                                       {"restore", restore},
                                       {"finish", finish},
                                       {"interrupted", is_interrupted},
                                       {"ending", is_ending},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}
