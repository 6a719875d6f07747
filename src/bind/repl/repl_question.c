/* Questions to the person at the terminal, from any task: while a statement runs, and above the
 * line that is being edited. One is on the screen at a time; the reply is a line that the terminal
 * edits. */
#include <ctype.h>
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/error.h"
#include "bind/repl/repl_private.h"
#include "bind/sched/wait.h"

/* A question of a task: its text is in Lua's memory, held by the thread's stack. */
struct query {
  struct wait wait;
  struct repl *repl;
  struct repl_question question;
  bool yes;
};

static void show(struct repl *repl)
{
  if (repl->reading) {
    repl_show_captured(repl);
    repl_hide(repl);
    if (repl->editor) el_set(repl->editor, EL_PREP_TERM, 0);
  } else {
    fflush(stdout);
    loop_read(repl->runtime->sched.loop, &repl->reader);
  }
  fprintf(repl->tty, "%s [y/N] ", repl->first_question->text);
  fflush(repl->tty);
}

static void leave(struct repl *repl)
{
  if (!repl->reading) {
    loop_stop_reading(repl->runtime->sched.loop, &repl->reader);
    return;
  }
  if (repl->editor) el_set(repl->editor, EL_PREP_TERM, 1);
  repl_show(repl);
}

/* Takes the question off the screen, and brings the next one there. */
static void close_question(struct repl *repl)
{
  repl->first_question = repl->first_question->next;
  leave(repl);
  if (repl->first_question) show(repl);
}

static void reply(struct repl *repl, bool yes)
{
  struct repl_question *question = repl->first_question;
  close_question(repl);
  question->done(question, yes);
}

void repl_refuse_question(struct repl *repl)
{
  repl_clear_interrupt(repl);
  fputc('\n', repl->tty);
  reply(repl, false);
}

void repl_read_reply(struct repl *repl)
{
  struct repl_question *question = repl->first_question;
  char bytes[256];
  ssize_t got = read(repl->reader.fd, bytes, sizeof bytes);
  if (got < 0 && errno == EINTR) return;
  for (ssize_t i = 0; i < got; i++) {
    if (bytes[i] == '\n') return reply(repl, tolower((unsigned char)question->first) == 'y');
    if (!question->first && !isspace((unsigned char)bytes[i])) question->first = bytes[i];
  }
  if (got <= 0) repl_refuse_question(repl);
}

void repl_put_question(struct repl *repl, struct repl_question *question)
{
  struct repl_question **at = &repl->first_question;
  while (*at) at = &(*at)->next;
  *at = question;
  question->next = NULL;
  question->first = '\0';
  if (repl->first_question == question) show(repl);
}

void repl_withdraw_question(struct repl *repl, struct repl_question *question)
{
  if (repl->first_question == question) {
    fputc('\n', repl->tty);
    close_question(repl);
    return;
  }
  struct repl_question **at = &repl->first_question;
  while (*at != question) at = &(*at)->next;
  *at = question->next;
}

static void on_reply(struct repl_question *question, bool yes)
{
  struct query *query = question->arg;
  query->yes = yes;
  wait_done(&query->wait);
}

static void withdraw(struct wait *wait)
{
  struct query *query = (struct query *)wait;
  repl_withdraw_question(query->repl, &query->question);
}

static int finish(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  const struct query *query = (const struct query *)context;
  if (query->wait.cancelled) return wait_raise(L, false);
  lua_pushboolean(L, query->yes);
  return 1;
}

int repl_ask(lua_State *L)
{
  const char *text = luaL_checkstring(L, 1);
  struct repl *repl = runtime_of(L)->repl;
  if (!repl)
    return error_usage(L, "cannot ask a question: the program was not started at a prompt");
  struct query *query = lua_newuserdatauv(L, sizeof *query, 0);
  *query = (struct query){.wait = {.cancel = withdraw}, .repl = repl};
  query->question = (struct repl_question){.text = text, .done = on_reply, .arg = query};
  repl_put_question(repl, &query->question);
  return wait_for(L, &query->wait, finish, (lua_KContext)query);
}
