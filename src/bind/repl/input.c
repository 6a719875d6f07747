/* Reading the keyboard is part of the engine's loop: while there is no key, tasks run, and what
 * they have to say is shown above the line. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "bind/repl/repl_private.h"

static void resume(struct repl *repl)
{
  repl->resumed = 0;
  if (!repl->editor) return;
  el_set(repl->editor, EL_PREP_TERM, 0); /* in case the terminal's mode has changed */
  el_set(repl->editor, EL_PREP_TERM, 1);
  fputs(REPL_PASTE_ON, repl->tty);
  repl_show(repl);
}

static void suspend(struct repl *repl)
{
  repl_leave_line(repl, "");
  repl_editor_leave(repl);
  repl_suspend(repl);
}

static void resize(struct repl *repl)
{
  repl->resized = 0;
  if (!repl->editor || repl->first_question) return;
  repl_hide(repl);
  el_resize(repl->editor);
  repl_show(repl);
}

static void attend(struct repl *repl)
{
  if (repl->suspended) suspend(repl);
  if (repl->resumed) resume(repl);
  if (repl->resized) resize(repl);
  if (repl->first_question && (repl->interrupted || repl->ending)) repl_refuse_question(repl);
  repl_report_failures(repl);
  if (!repl->first_question) repl_show_captured(repl);
}

/* Ctrl-C drops the line once all that runs has come back. */
static bool is_over(const struct repl *repl)
{
  return repl->ended || repl->ending || repl->interrupted;
}

static bool has_input(const struct repl *repl)
{
  struct pollfd input = {.fd = repl->reader.fd, .events = POLLIN};
  return !repl->first_question && poll(&input, 1, 0) > 0;
}

/* After the end of a line, further input belongs to the next line, or is discarded. */
int repl_next_byte(struct repl *repl)
{
  unsigned char byte;
  while (is_over(repl) || !has_input(repl)) {
    attend(repl);
    if (is_over(repl)) return -1;
    repl_turn(repl);
  }
  ssize_t got = read(repl->reader.fd, &byte, 1);
  if (got < 0 && errno == EINTR) return repl_next_byte(repl);
  repl->ended = got <= 0;
  return got == 1 ? byte : -1;
}
