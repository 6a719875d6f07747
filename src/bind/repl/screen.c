/* The line on the screen, and other output. While a line is edited, standard output and error are a
 * file in memory: output of tasks, child processes and the engine is shown above the line, which is
 * then drawn again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wctype.h>

#include "bind/repl/repl_private.h"

struct place {
  int row, column;
};

static void go_down(struct place *at, const struct winsize *size)
{
  at->column = 0;
  if (at->row + 1 < size->ws_row) at->row++; /* beyond that the editor scrolls */
}

static void go_right(struct place *at, int width, const struct winsize *size)
{
  if (at->column + width > size->ws_col) go_down(at, size);
  at->column += width;
  if (at->column >= size->ws_col) go_down(at, size);
}

/* As the editor shows it: ^A, \U+1234, tabs up to the next eighth column. */
static void add(struct place *at, wchar_t character, const struct winsize *size)
{
  if (character == '\n')
    go_down(at, size);
  else if (character == '\t')
    do go_right(at, 1, size);
    while (at->column % 8 != 0);
  else if (iswprint((wint_t)character))
    go_right(at, wcwidth(character), size);
  else
    for (int i = character < 0x100 ? 2 : character <= 0xffff ? 7 : 8; i > 0; i--)
      go_right(at, 1, size);
}

static struct place place_of(const struct repl *repl, const wchar_t *end)
{
  struct winsize size = {0};
  struct place at = {0, 0};
  const LineInfoW *line = el_wline(repl->editor);
  if (ioctl(fileno(repl->tty), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) size.ws_col = 80;
  if (size.ws_row == 0) size.ws_row = 24;
  for (const char *c = repl->prompt; *c; c++) add(&at, *c, &size);
  for (const wchar_t *c = line->buffer; c < end; c++) add(&at, *c, &size);
  return at;
}

void repl_hide(struct repl *repl)
{
  if (!repl->editor) {
    fputc('\n', repl->tty);
    return;
  }
  struct place at = place_of(repl, el_wline(repl->editor)->cursor);
  fputc('\r', repl->tty);
  if (at.row > 0) fprintf(repl->tty, "\033[%dA", at.row);
  fputs("\033[J", repl->tty);
}

void repl_show(struct repl *repl)
{
  if (repl->editor)
    el_set(repl->editor, EL_REFRESH);
  else
    fputs(repl->prompt, repl->tty);
  fflush(repl->tty);
}

void repl_show_above(struct repl *repl, const char *text, size_t size)
{
  if (size == 0) return;
  repl_hide(repl);
  fwrite(text, 1, size, repl->tty);
  if (text[size - 1] != '\n') fputc('\n', repl->tty);
  repl_show(repl);
}

/* Goes below the line, which stays as it is, with a mark at its end. */
void repl_leave_line(struct repl *repl, const char *mark)
{
  if (repl->editor) {
    const LineInfoW *line = el_wline(repl->editor);
    struct place at = place_of(repl, line->cursor), end = place_of(repl, line->lastchar);
    if (end.row > at.row) fprintf(repl->tty, "\033[%dB", end.row - at.row);
    fputc('\r', repl->tty);
    if (end.column > 0) fprintf(repl->tty, "\033[%dC", end.column);
  }
  fprintf(repl->tty, "%s\n", mark);
  fflush(repl->tty);
}

static void take(struct capture *capture, int fd)
{
  capture->saved[fd] = isatty(fd) ? dup(fd) : -1;
  if (capture->saved[fd] < 0 || dup2(capture->memory, fd) >= 0) return;
  close(capture->saved[fd]);
  capture->saved[fd] = -1;
}

/* Without memory for it output goes to the terminal straight away. */
void repl_capture_begin(struct repl *repl)
{
  struct capture *capture = &repl->capture;
  fflush(stdout);
  capture->memory = memfd_create("output", MFD_CLOEXEC);
  capture->saved[1] = capture->saved[2] = -1;
  if (capture->memory < 0) return;
  for (int fd = 1; fd <= 2; fd++) take(capture, fd);
}

static void give_back(struct capture *capture, int fd)
{
  if (capture->saved[fd] < 0) return;
  dup2(capture->saved[fd], fd);
  close(capture->saved[fd]);
}

void repl_capture_end(struct repl *repl)
{
  if (repl->capture.memory < 0) return;
  repl_show_captured(repl);
  for (int fd = 1; fd <= 2; fd++) give_back(&repl->capture, fd);
  close(repl->capture.memory);
}

/* The bytes are taken out of the file, whose writers go on at its beginning: they share one
 * position. */
void repl_show_captured(struct repl *repl)
{
  int memory = repl->capture.memory;
  fflush(stdout);
  off_t size = memory < 0 ? 0 : lseek(memory, 0, SEEK_CUR);
  if (size <= 0) return;
  char *text = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, memory, 0);
  if (text == MAP_FAILED) return;
  repl_show_above(repl, text, (size_t)size);
  munmap(text, (size_t)size);
  if (lseek(memory, 0, SEEK_SET) == 0) (void)!ftruncate(memory, 0);
}
