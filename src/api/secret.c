#include "api/secret.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/secret_page.h"

/* RLIMIT_MEMLOCK may be zero; the key is then in unlocked memory. */
struct secret *secret_page_open(struct error *err)
{
  struct secret *secret = mmap(NULL, sizeof *secret, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (secret == MAP_FAILED) {
    error_set(err, ERROR_INTERNAL, "out of memory for the API key");
    return NULL;
  }
  (void)!mlock(secret, sizeof *secret);
  (void)!madvise(secret, sizeof *secret, MADV_DONTDUMP);
  (void)!madvise(secret, sizeof *secret, MADV_WIPEONFORK);
  return secret;
}

void secret_close(struct secret *secret)
{
  if (!secret) return;
  explicit_bzero(secret, sizeof *secret);
  munmap(secret, sizeof *secret);
}

static struct secret *refuse(struct secret *secret, struct error *err, const char *origin,
                             const char *why)
{
  secret_close(secret);
  error_set(err, ERROR_CONFIG, "the API key from %s %s; a key looks like sk_live_abc123def456",
            origin, why);
  return NULL;
}

struct secret *secret_page_finish(struct secret *secret, const char *origin, struct error *err)
{
  size_t size = secret->size;
  if (size > 0 && secret->text[size - 1] == '\n') size--;
  if (size > 0 && size < secret->size && secret->text[size - 1] == '\r') size--;
  if (size == 0) return refuse(secret, err, origin, "is empty");
  for (size_t i = 0; i < size; i++)
    if (secret->text[i] <= ' ' || secret->text[i] >= 0x7f)
      return refuse(secret, err, origin,
                    "holds a space, a line break or a character that is not printable ASCII");
  if (size < SECRET_MIN) return refuse(secret, err, origin, "has fewer than 8 characters");
  if (size > SECRET_MAX) return refuse(secret, err, origin, "has more than 512 characters");
  secret->text[size] = '\0';
  secret->size = size;
  return secret;
}

struct secret *secret_from_text(const char *text, struct error *err)
{
  struct secret *secret = secret_page_open(err);
  if (!secret) return NULL;
  secret->size = strnlen(text, sizeof secret->text - 1);
  memcpy(secret->text, text, secret->size);
  return secret_page_finish(secret, "this program", err);
}

const char *secret_text(const struct secret *secret)
{
  return secret->text;
}

bool secret_is_in(const struct secret *secret, const void *bytes, size_t size)
{
  return secret && memmem(bytes, size, secret->text, secret->size);
}

/* Behind one character of the key, which JSON may spell as an escape; NULL when it is another. */
static const char *skip_character(const char *at, const char *end, char c)
{
  static const char digits[] = "0123456789abcdef";
  if (at < end && *at == c && c != '\\') return at + 1;
  if (end - at < 2 || *at != '\\') return NULL;
  if (at[1] == c && strchr("\"\\/", c)) return at + 2;
  if (end - at < 6 || memcmp(at + 1, "u00", 3) != 0 || at[4] != digits[c >> 4 & 15] ||
      (at[5] | 0x20) != (digits[c & 15] | 0x20))
    return NULL;
  return at + 6;
}

/* The key at this place, as JSON may spell it: its end, or NULL. */
static char *skip_spelling(const struct secret *secret, const char *at, const char *end)
{
  for (size_t i = 0; at && i < secret->size; i++) at = skip_character(at, end, secret->text[i]);
  return (char *)at;
}

/* The first spelling of the key. A text without a backslash has the usual one alone. */
static char *find_spelling(const struct secret *secret, char *from, const char *end, bool escapes,
                           char **behind)
{
  size_t size = (size_t)(end - from);
  if (!escapes) {
    char *found = memmem(from, size, secret->text, secret->size);
    if (found) *behind = found + secret->size;
    return found;
  }
  for (char *at = from; at < end; at++)
    if ((*at == secret->text[0] || *at == '\\') && (*behind = skip_spelling(secret, at, end)))
      return at;
  return NULL;
}

size_t secret_scrub_bytes(const struct secret *secret, char *bytes, size_t size)
{
  static const char mark[] = "[key]";
  if (!secret || size == 0) return size;
  char *to = bytes, *from = bytes, *end = bytes + size, *found, *behind = NULL;
  bool escapes = memchr(bytes, '\\', size);
  while ((found = find_spelling(secret, from, end, escapes, &behind))) {
    size_t before = (size_t)(found - from);
    memmove(to, from, before);
    memcpy(to + before, mark, sizeof mark - 1); /* a key is longer */
    to += before + sizeof mark - 1;
    from = behind;
  }
  memmove(to, from, (size_t)(end - from));
  return size - (size_t)(from - to);
}

size_t secret_spelling_size(const struct secret *secret)
{
  return 6 * secret->size;
}

void secret_scrub(const struct secret *secret, char *text)
{
  text[secret_scrub_bytes(secret, text, strlen(text))] = '\0';
}

void secret_disable_dumps(void)
{
  struct rlimit none = {0, 0};
  (void)!prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  (void)!setrlimit(RLIMIT_CORE, &none);
}
