/* The text of PROXYLUA_LIMITS: "general=60/60,orders=10/60", requests/seconds, or "off". */
#include <string.h>

#include "limits/limiter.h"

#define MAX_WINDOW (INT64_C(86400) * SLOTS_SECOND)
#define SHORTEST_WINDOW (SLOTS_SECOND / 1000)

static const char *const names[SLOTS_SCOPES] = {"general", "orders"};

const char *limiter_scope_name(enum slots_scope scope)
{
  return names[scope];
}

static bool refuse(struct error *err, const char *text, const char *why)
{
  error_set(err, ERROR_CONFIG,
            "the limits '%.200s' %s; write them like general=60/60,orders=10/60 "
            "(requests/seconds), or off",
            text, why);
  return false;
}

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static const char *skip_blanks(const char *at)
{
  while (*at == ' ' || *at == '\t') at++;
  return at;
}

/* Digits as a number of at most 10^9; NULL when there are none. */
static const char *read_digits(const char *at, int64_t *number)
{
  if (!is_digit(*at)) return NULL;
  for (*number = 0; is_digit(*at); at++)
    if (*number < 1000000000) *number = *number * 10 + (*at - '0');
  return at;
}

static const char *read_seconds(const char *at, int64_t *microseconds)
{
  int64_t seconds, unit = SLOTS_SECOND;
  at = read_digits(at, &seconds);
  if (!at) return NULL;
  *microseconds = seconds * SLOTS_SECOND;
  if (*at != '.') return at;
  if (!is_digit(at[1])) return NULL;
  for (at++; is_digit(*at); at++) *microseconds += (unit /= 10) * (*at - '0');
  return at;
}

static const char *read_name(const char *at, int *scope)
{
  for (*scope = 0; *scope < SLOTS_SCOPES; ++*scope) {
    size_t size = strlen(names[*scope]);
    if (strncmp(at, names[*scope], size) == 0 && strchr("= \t", at[size]))
      return at + size; /* or its end */
  }
  return NULL;
}

/* One "scope=requests/seconds". NULL with the error set. */
static const char *read_rule(const char *text, const char *at, struct limiter_rules *rules,
                             unsigned *seen, struct error *err)
{
  int scope;
  int64_t count, window;
  at = read_name(skip_blanks(at), &scope);
  if (!at) return refuse(err, text, "have an unknown scope (expected general or orders)"), NULL;
  at = skip_blanks(at);
  if (*at != '=' || !(at = read_digits(skip_blanks(at + 1), &count)))
    return refuse(err, text, "lack a number of requests"), NULL;
  at = skip_blanks(at);
  if (*at != '/' || !(at = read_seconds(skip_blanks(at + 1), &window)))
    return refuse(err, text, "lack a number of seconds"), NULL;
  if (count < 1 || count > SLOTS_MAX)
    return refuse(err, text, "have a number of requests outside 1 to 10000"), NULL;
  if (window < SHORTEST_WINDOW || window > MAX_WINDOW)
    return refuse(err, text, "have a number of seconds outside 0.001 to 86400"), NULL;
  if (*seen & 1u << scope) return refuse(err, text, "name a scope twice"), NULL;
  *seen |= 1u << scope;
  rules->scopes[scope] = (struct slots_rule){(int)count, window};
  return skip_blanks(at);
}

bool limiter_rules_parse(const char *text, struct limiter_rules *rules, struct error *err)
{
  unsigned seen = 0;
  *rules = LIMITER_DEFAULT_RULES;
  if (strcmp(text, "off") == 0) {
    *rules = (struct limiter_rules){0};
    return true;
  }
  const char *at = text;
  while ((at = read_rule(text, at, rules, &seen, err)) && *at == ',') at++;
  if (at && *at) return refuse(err, text, "need a comma between two rules");
  return at;
}
