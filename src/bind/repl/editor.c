/* libedit, with keys of our own: Enter ends the input only when it is whole, Tab completes, a
 * pasted text comes in as one piece, and the arrow keys move within an input of several lines
 * before they turn to the history. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/repl/repl_private.h"

/* What the editor's own functions are bound to for ours to call them: keys that no keyboard has. */
#define ACCEPT "\033\037a"
#define PREVIOUS_INPUT "\033\037p"
#define NEXT_INPUT "\033\037n"
#define PREVIOUS_LINE "\033\037u"
#define NEXT_LINE "\033\037d"

#define PASTE_END "\033[201~"

static struct repl *repl_of(EditLine *editor)
{
  void *repl;
  el_get(editor, EL_CLIENTDATA, &repl);
  return repl;
}

static char *show_prompt(EditLine *editor)
{
  return (char *)repl_of(editor)->prompt;
}

static int continuation_bytes(int first)
{
  return first < 0xC2 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : first < 0xF5 ? 3 : 0;
}

/* The next byte but for NUL (Ctrl-Space), which neither the line nor Lua's messages can hold. */
static int next_byte(struct repl *repl)
{
  int byte = repl->pending;
  repl->pending = 0;
  while (byte == 0) byte = repl_next_byte(repl);
  return byte;
}

/* An el_rfunc_t. What is not UTF-8 becomes U+FFFD, so that it is seen. */
static int read_character(EditLine *editor, wchar_t *character)
{
  struct repl *repl = repl_of(editor);
  mbstate_t state = {0};
  char bytes[4];
  int size = 0;
  do {
    int byte = next_byte(repl);
    if (byte < 0) return -1;
    if (size > 0 && (byte & 0xC0) != 0x80) {
      repl->pending = byte;
      break;
    }
    bytes[size++] = (char)byte;
  } while (size <= continuation_bytes((unsigned char)bytes[0]));
  if (mbrtowc(character, bytes, (size_t)size, &state) > (size_t)size) *character = 0xFFFD;
  return 1;
}

static unsigned char end_line(EditLine *editor, int key)
{
  (void)key;
  struct repl *repl = repl_of(editor);
  const LineInfo *line = el_line(editor);
  bool whole = true;
  lua_pushlstring(repl->L, line->buffer, (size_t)(line->lastchar - line->buffer));
  if (repl_call(repl, "whole", 1, 1)) {
    whole = lua_toboolean(repl->L, -1);
    lua_pop(repl->L, 1);
  }
  if (whole)
    el_push(editor, ACCEPT);
  else
    el_insertstr(editor, "\n");
  return CC_REFRESH;
}

static unsigned char complete(EditLine *editor, int key)
{
  (void)key;
  struct repl *repl = repl_of(editor);
  const LineInfo *line = el_line(editor);
  size_t size;
  lua_pushlstring(repl->L, line->buffer, (size_t)(line->cursor - line->buffer));
  if (!repl_call(repl, "complete", 1, 2)) return CC_ERROR;
  const char *insertion = lua_tostring(repl->L, -2), *list = lua_tolstring(repl->L, -1, &size);
  bool inserted = insertion && *insertion && el_insertstr(editor, insertion) == 0;
  if (list) repl_show_above(repl, list, size);
  lua_pop(repl->L, 2);
  return inserted ? CC_REFRESH : list ? CC_NORM : CC_ERROR;
}

static bool has_line_end(const wchar_t *from, const wchar_t *to)
{
  return wmemchr(from, L'\n', (size_t)(to - from)) != NULL;
}

static unsigned char go_up(EditLine *editor, int key)
{
  (void)key;
  const LineInfoW *line = el_wline(editor);
  el_push(editor, has_line_end(line->buffer, line->cursor) ? PREVIOUS_LINE : PREVIOUS_INPUT);
  return CC_NORM;
}

static unsigned char go_down(EditLine *editor, int key)
{
  (void)key;
  const LineInfoW *line = el_wline(editor);
  el_push(editor, has_line_end(line->cursor, line->lastchar) ? NEXT_LINE : NEXT_INPUT);
  return CC_NORM;
}

/* Reads up to the end mark; false when the input ends before it. */
static bool read_paste(struct repl *repl, struct buffer *text)
{
  static const size_t mark = sizeof PASTE_END - 1;
  for (int byte; (byte = repl_next_byte(repl)) >= 0;) {
    char one = (char)byte;
    if (!buffer_add(text, &one, 1)) return false;
    if (one == '~' && text->size >= mark &&
        memcmp(text->data + text->size - mark, PASTE_END, mark) == 0) {
      text->size -= mark;
      text->data[text->size] = '\0';
      return true;
    }
  }
  return false;
}

/* Lines end with \n, and nothing is left that a terminal would obey. The terminal's driver swaps \r
 * and \n. */
static void clean(char *text)
{
  bool valid = mbstowcs(NULL, text, 0) != (size_t)-1;
  char *to = text, before = 0;
  for (const char *from = text; *from; before = *from++) {
    unsigned char byte = (unsigned char)*from;
    if ((byte == '\r' && before == '\n') || (byte == '\n' && before == '\r')) continue;
    if (byte == '\r') byte = '\n';
    if (byte >= 0x80 && !valid) byte = '?';
    if (byte == '\t' || byte == '\n' || (byte >= ' ' && byte != 0x7F)) *to++ = (char)byte;
  }
  *to = '\0';
}

static unsigned char paste(EditLine *editor, int key)
{
  (void)key;
  struct buffer text = {0};
  bool whole = read_paste(repl_of(editor), &text);
  if (text.data) {
    clean(text.data);
    whole = el_insertstr(editor, text.data) == 0 && whole;
  }
  buffer_free(&text);
  return whole ? CC_REFRESH : CC_REFRESH_BEEP;
}

/* As wide texts: the editor keeps the pointers, where it would make copies of others that it never
 * frees. */
static const struct {
  const wchar_t *name, *help;
  unsigned char (*run)(EditLine *editor, int key);
} functions[] = {{L"px-end-line", L"run the input when it is whole, else begin a new line",
                  end_line},
                 {L"px-complete", L"complete the word", complete},
                 {L"px-up", L"previous line, or input of the history", go_up},
                 {L"px-down", L"next line, or input of the history", go_down},
                 {L"px-paste", L"insert what is pasted", paste}};

/* In the notation of editrc(5). */
static const char *const keys[][2] = {{"^M", "px-end-line"},
                                      {"^J", "px-end-line"},
                                      {"^I", "px-complete"},
                                      {"\\e[A", "px-up"},
                                      {"\\eOA", "px-up"},
                                      {"^P", "px-up"},
                                      {"\\e[B", "px-down"},
                                      {"\\eOB", "px-down"},
                                      {"^N", "px-down"},
                                      {"\\e[200~", "px-paste"},
                                      {"^R", "em-inc-search-prev"},
                                      {"^W", "ed-delete-prev-word"},
                                      {"\\e[3~", "ed-delete-next-char"},
                                      {"\\e[H", "ed-move-to-beg"},
                                      {"\\eOH", "ed-move-to-beg"},
                                      {"\\e[1~", "ed-move-to-beg"},
                                      {"\\e[F", "ed-move-to-end"},
                                      {"\\eOF", "ed-move-to-end"},
                                      {"\\e[4~", "ed-move-to-end"},
                                      {"\\e[1;5D", "ed-prev-word"},
                                      {"\\e[1;5C", "em-next-word"},
                                      {ACCEPT, "ed-newline"},
                                      {PREVIOUS_INPUT, "ed-prev-history"},
                                      {NEXT_INPUT, "ed-next-history"},
                                      {PREVIOUS_LINE, "ed-prev-line"},
                                      {NEXT_LINE, "ed-next-line"}};

/* The user's own ~/.editrc comes first: what follows is what the session cannot do without. */
static void bind_keys(EditLine *editor)
{
  el_set(editor, EL_EDITOR, "emacs");
  el_source(editor, NULL);
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
    el_wset(editor, EL_ADDFN, functions[i].name, functions[i].help, functions[i].run);
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    el_set(editor, EL_BIND, keys[i][0], keys[i][1], NULL);
}

static FILE *open_screen(int fd)
{
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  FILE *screen = copy >= 0 ? fdopen(copy, "w") : NULL;
  if (copy >= 0 && !screen) close(copy);
  return screen;
}

static bool can_edit(int fd)
{
  const char *terminal = getenv("TERM");
  return isatty(fd) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

static void open_editor(struct repl *repl)
{
  HistEvent event;
  repl->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
  locale_t before = uselocale(repl->locale);
  repl->history = history_init();
  repl->editor = repl->history ? el_init("proxylua", stdin, repl->tty, repl->tty) : NULL;
  if (repl->editor) {
    el_set(repl->editor, EL_CLIENTDATA, repl);
    el_set(repl->editor, EL_PROMPT, show_prompt);
    el_set(repl->editor, EL_GETCFN, read_character);
    el_set(repl->editor, EL_HIST, history, repl->history);
    history(repl->history, &event, H_SETSIZE, REPL_HISTORY);
    bind_keys(repl->editor);
  }
  uselocale(before);
}

bool repl_editor_open(struct repl *repl)
{
  int fd = isatty(STDOUT_FILENO) ? STDOUT_FILENO : STDERR_FILENO;
  repl->tty = open_screen(fd);
  if (repl->tty && can_edit(fd)) open_editor(repl);
  return repl->tty;
}

void repl_editor_close(struct repl *repl)
{
  if (repl->editor) el_end(repl->editor);
  if (repl->history) history_end(repl->history);
  if (repl->locale) freelocale(repl->locale);
  if (repl->tty) fclose(repl->tty);
  buffer_free(&repl->input);
}

void repl_editor_leave(struct repl *repl)
{
  if (!repl->editor) return;
  fputs(REPL_PASTE_OFF, repl->tty);
  fflush(repl->tty);
  el_set(repl->editor, EL_PREP_TERM, 0);
}

/* The terminal's own editing: a line at a time. */
static const char *read_plain(struct repl *repl, size_t *size)
{
  struct buffer *line = &repl->input;
  line->size = 0;
  repl_show(repl);
  for (int byte; (byte = repl_next_byte(repl)) >= 0 && byte != '\n';) {
    char one = (char)byte;
    if (!buffer_add(line, &one, 1)) return NULL;
  }
  *size = line->size;
  return repl->ended || repl->ending || repl->interrupted || !buffer_add(line, "", 0) ? NULL
                                                                                      : line->data;
}

static const char *read_edited(struct repl *repl, size_t *size)
{
  int count;
  locale_t before = uselocale(repl->locale);
  fputs(REPL_PASTE_ON, repl->tty);
  const char *text = el_gets(repl->editor, &count);
  if (!text && repl->interrupted && !repl->ending) repl_leave_line(repl, "^C");
  repl_editor_leave(repl);
  uselocale(before);
  *size = text ? strlen(text) : 0;
  return text;
}

const char *repl_editor_read(struct repl *repl, size_t *size)
{
  const char *text = repl->editor ? read_edited(repl, size) : read_plain(repl, size);
  if (text && *size > 0 && text[*size - 1] == '\n') --*size;
  return text;
}
