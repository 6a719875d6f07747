/* The key from a person: typed without an echo, or piped; and its file. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "api/secret.h"
#include "api/secret_page.h"
#include "base/fs.h"
#include "base/streams.h"

/* Up to the end of the line; what follows stays for the caller. */
static bool read_line(struct secret *secret)
{
  while (secret->size < sizeof secret->text - 1) {
    char *at = secret->text + secret->size;
    ssize_t size = stream_read(STDIN_FILENO, at, 1);
    if (size <= 0) return size == 0;
    secret->size++;
    if (*at == '\n') return true;
  }
  return true;
}

struct secret *secret_from_input(const char *prompt, struct error *err)
{
  struct termios before, quiet;
  struct secret *secret = secret_page_open(err);
  if (!secret) return NULL;
  bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
  if (is_terminal) {
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    fputs(prompt, stderr); /* after the echo is off: all input is hidden */
  }
  bool is_read = read_line(secret);
  int why = errno;
  if (is_terminal) {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
  }
  if (is_read) return secret_page_finish(secret, "standard input", err);
  secret_close(secret);
  if (why == EINTR)
    error_set(err, ERROR_CANCELLED, "no key was read");
  else
    error_set(err, ERROR_STORE, "cannot read the API key from standard input: %s", strerror(why));
  return NULL;
}

bool secret_save(const struct secret *secret, const char *path, struct error *err)
{
  struct file file;
  if (!file_begin(&file, path, S_IRUSR | S_IWUSR, err)) return false;
  if (file_write(&file, secret->text, secret->size, err) && file_write(&file, "\n", 1, err))
    return file_commit(&file, err);
  file_abandon(&file);
  return false;
}
