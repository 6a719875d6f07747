#include "api/secret.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/secret_page.h"

/* Unlocked memory is a smaller evil than no key: RLIMIT_MEMLOCK may be zero. */
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

size_t secret_scrub_bytes(const struct secret *secret, char *bytes, size_t size)
{
  static const char mark[] = "[key]";
  if (!secret) return size;
  char *from = bytes, *end = bytes + size;
  for (char *found; (found = memmem(from, (size_t)(end - from), secret->text, secret->size));
       from = found) {
    memcpy(found, mark, sizeof mark - 1);
    found += sizeof mark - 1;
    size_t gone = secret->size - (sizeof mark - 1);
    memmove(found, found + gone, (size_t)(end - found) - gone);
    end -= gone;
  }
  return (size_t)(end - bytes);
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
