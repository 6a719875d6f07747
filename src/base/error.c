#include "base/error.h"

#include <stdio.h>
#include <string.h>

static const struct {
  const char *name;
  int exit_code;
} kinds[ERROR_KIND_COUNT] = {
    [ERROR_NONE] = {"none", 0},
    [ERROR_USAGE] = {"usage", 1},
    [ERROR_CANCELLED] = {"cancelled", 130},
    [ERROR_CONFIG] = {"config", 2},
    [ERROR_AUTH] = {"auth", 3},
    [ERROR_FORBIDDEN] = {"forbidden", 3},
    [ERROR_NOT_FOUND] = {"not_found", 3},
    [ERROR_INVALID] = {"invalid", 3},
    [ERROR_FUNDS] = {"funds", 3},
    [ERROR_KEY_REUSED] = {"key_reused", 3},
    [ERROR_UPSTREAM] = {"upstream", 4},
    [ERROR_NETWORK] = {"network", 4},
    [ERROR_TIMEOUT] = {"timeout", 4},
    [ERROR_PROTOCOL] = {"protocol", 4},
    [ERROR_RATE_LIMITED] = {"rate_limited", 4},
    [ERROR_STORE] = {"store", 4},
    [ERROR_OUTCOME_UNKNOWN] = {"outcome_unknown", 5},
    [ERROR_SPEND_REFUSED] = {"spend_refused", 6},
    [ERROR_INTERNAL] = {"internal", 1},
};

void error_set(struct error *err, enum error_kind kind, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  int wanted = vsnprintf(err->message, sizeof err->message, format, args);
  va_end(args);
  err->kind = kind;
  if (wanted < 0) err->message[0] = '\0';
  if (wanted < (int)sizeof err->message) return;
  size_t end = strlen(err->message);
  while (end > 0 && ((unsigned char)err->message[end - 1] & 0xC0) == 0x80) end--;
  if (end > 0 && (unsigned char)err->message[end - 1] >= 0xC0) end--;
  err->message[end] = '\0';
}

const char *error_kind_name(enum error_kind kind)
{
  return kinds[kind].name;
}

enum error_kind error_kind_from_name(const char *name)
{
  for (int kind = ERROR_NONE + 1; kind < ERROR_KIND_COUNT; kind++)
    if (strcmp(kinds[kind].name, name) == 0) return (enum error_kind)kind;
  return ERROR_NONE;
}

const char *error_charge_name(enum error_charge charge)
{
  static const char *const names[] = {"none", "made", "unknown"};
  return names[charge];
}

int error_exit_code(enum error_kind kind)
{
  return kinds[kind].exit_code;
}
