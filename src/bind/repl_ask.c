/* Questions to the person at the terminal, from any task: while a statement runs, and above the line that is being edited.
 * One is on the screen at a time; its answer is a line that the terminal edits. */
#include <ctype.h>
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/error.h"
#include "bind/repl_private.h"
#include "bind/wait.h"

struct question {
  struct wait wait;
  struct repl *repl;
  struct question *next;
  const char *text; /* in Lua's memory, held by the asking thread's stack */
  char first;       /* letter of the answer */
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
    loop_read(repl->runtime->loop, &repl->reader);
  }
  fprintf(repl->tty, "%s [y/N] ", repl->first_question->text);
  fflush(repl->tty);
}

static void leave(struct repl *repl)
{
  if (!repl->reading) {
    loop_stop_reading(repl->runtime->loop);
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

static void answer(struct repl *repl, bool yes)
{
  struct question *question = repl->first_question;
  question->yes = yes;
  close_question(repl);
  wait_done(&question->wait);
}

void repl_refuse_question(struct repl *repl)
{
  repl_relent(repl);
  fputc('\n', repl->tty);
  answer(repl, false);
}

void repl_read_answer(struct repl *repl)
{
  struct question *question = repl->first_question;
  char bytes[256];
  ssize_t got = read(repl->reader.fd, bytes, sizeof bytes);
  if (got < 0 && errno == EINTR) return;
  for (ssize_t i = 0; i < got; i++) {
    if (bytes[i] == '\n') return answer(repl, tolower(question->first) == 'y');
    if (!question->first && !isspace((unsigned char)bytes[i])) question->first = bytes[i];
  }
  if (got <= 0) repl_refuse_question(repl);
}

static void withdraw(struct wait *wait)
{
  struct question *question = (struct question *)wait;
  struct repl *repl = question->repl;
  if (repl->first_question == question) {
    fputc('\n', repl->tty);
    close_question(repl);
    return;
  }
  struct question **at = &repl->first_question;
  while (*at != question) at = &(*at)->next;
  *at = question->next;
}

static int finish(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  const struct question *question = (const struct question *)context;
  if (question->wait.cancelled) return wait_raise(L, false);
  lua_pushboolean(L, question->yes);
  return 1;
}

int repl_ask(lua_State *L)
{
  const char *text = luaL_checkstring(L, 1);
  struct repl *repl = runtime_of(L)->repl;
  if (!repl) return error_usage(L, "there is nobody to ask: the program was not started at a prompt");
  struct question *question = lua_newuserdatauv(L, sizeof *question, 0);
  *question = (struct question){.wait = {.cancel = withdraw}, .repl = repl, .text = text};
  struct question **at = &repl->first_question;
  while (*at) at = &(*at)->next;
  *at = question;
  if (repl->first_question == question) show(repl);
  return wait_for(L, &question->wait, finish, (lua_KContext)question);
}
