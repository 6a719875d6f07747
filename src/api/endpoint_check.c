/* Validation: what is refused before a request is spent, and the words for it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/endpoint.h"

/* Words longer than this are not misspelt names. */
#define MAX_LENGTH 40

/* A list of names for a message, cut when it is full. */
struct phrase {
  char text[256];
  size_t size;
};

static void say(struct phrase *phrase, const char *word)
{
  size_t room = sizeof phrase->text - phrase->size;
  int size =
      snprintf(phrase->text + phrase->size, room, "%s%s", phrase->size > 0 ? ", " : "", word);
  if (size > 0) phrase->size += (size_t)size < room ? (size_t)size : room - 1;
}

static void expected(const struct endpoint_param *param, char *text, size_t size)
{
  if (param->type == PARAM_TEXT && param->max > 0 && param->min == param->max)
    snprintf(text, size, "a text of %" PRId64 " letters", param->max);
  else if (param->type == PARAM_TEXT)
    snprintf(text, size, "a text");
  else if (param->max > 0)
    snprintf(text, size, "an integer from %" PRId64 " to %" PRId64, param->min, param->max);
  else
    snprintf(text, size, "an integer of at least %" PRId64, param->min);
}

void endpoint_wrong_type(const struct endpoint *endpoint, const struct endpoint_param *param,
                         const char *given, struct error *err)
{
  char wanted[96];
  expected(param, wanted, sizeof wanted);
  err->endpoint = endpoint->name;
  error_set(err, ERROR_USAGE, "%s: %s is %s; expected %s (%s)", endpoint->name, param->name, given,
            wanted, param->summary);
}

bool endpoint_check_integer(const struct endpoint *endpoint, const struct endpoint_param *param,
                            int64_t value, struct error *err)
{
  if (param->type == PARAM_INTEGER && value >= param->min &&
      (param->max == 0 || value <= param->max))
    return true;
  char given[24];
  snprintf(given, sizeof given, "%" PRId64, value);
  endpoint_wrong_type(endpoint, param, given, err);
  return false;
}

bool endpoint_check_text(const struct endpoint *endpoint, const struct endpoint_param *param,
                         const char *value, size_t size, struct error *err)
{
  bool fits = param->max == 0 || ((int64_t)size >= param->min && (int64_t)size <= param->max);
  if (param->type == PARAM_TEXT && size > 0 && fits && !memchr(value, '\0', size)) return true;
  char given[64];
  snprintf(given, sizeof given, "\"%.*s\"%s", (int)(size < 40 ? size : 40), value,
           size > 40 ? " ..." : "");
  endpoint_wrong_type(endpoint, param, given, err);
  return false;
}

void endpoint_missing(const struct endpoint *endpoint, const struct endpoint_param *param,
                      struct error *err)
{
  char wanted[96];
  expected(param, wanted, sizeof wanted);
  err->endpoint = endpoint->name;
  error_set(err, ERROR_USAGE, "%s: %s is missing; expected %s (%s)", endpoint->name, param->name,
            wanted, param->summary);
}

void endpoint_unknown(const struct endpoint *endpoint, const char *name, struct error *err)
{
  const char *nearest = endpoint_param_nearest(endpoint, name);
  struct phrase known = {0};
  for (const struct endpoint_param *param = endpoint->params; param->name; param++)
    say(&known, param->name);
  for (const char *const *option = endpoint->options; *option; option++) say(&known, *option);
  err->endpoint = endpoint->name;
  error_set(err, ERROR_USAGE, "%s has no parameter \"%.60s\"%s%s%s takes %s", endpoint->name, name,
            nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"? It" : "; it",
            known.size > 0 ? known.text : "none");
}

static int least(int a, int b)
{
  return a < b ? a : b;
}

/* Edits between two words: a letter put in, left out, changed, or swapped with its neighbour. */
static int distance(const char *a, const char *b)
{
  size_t rows = strlen(a), columns = strlen(b);
  if (rows > MAX_LENGTH || columns > MAX_LENGTH) return MAX_LENGTH;
  int cost[MAX_LENGTH + 1][MAX_LENGTH + 1];
  for (size_t i = 0; i <= rows; i++) cost[i][0] = (int)i;
  for (size_t j = 0; j <= columns; j++) cost[0][j] = (int)j;
  for (size_t i = 1; i <= rows; i++)
    for (size_t j = 1; j <= columns; j++) {
      int best = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      best = least(best, least(cost[i - 1][j], cost[i][j - 1]) + 1);
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      cost[i][j] = swapped ? least(best, cost[i - 2][j - 2] + 1) : best;
    }
  return cost[rows][columns];
}

/* Keeps the nearer of two candidates. */
static void consider(const char *word, const char *candidate, const char **nearest, int *best)
{
  int edits = distance(word, candidate);
  if (edits >= *best || edits * 2 >= (int)strlen(word)) return;
  *best = edits;
  *nearest = candidate;
}

const char *endpoint_nearest(const char *word, const char *const *list)
{
  const char *nearest = NULL;
  int best = 3;
  for (; *list; list++) consider(word, *list, &nearest, &best);
  return nearest;
}

const char *endpoint_param_nearest(const struct endpoint *endpoint, const char *name)
{
  const char *nearest = NULL;
  int best = 3;
  for (const struct endpoint_param *param = endpoint->params; param->name; param++)
    consider(name, param->name, &nearest, &best);
  for (const char *const *option = endpoint->options; *option; option++)
    consider(name, *option, &nearest, &best);
  return nearest;
}

const char *endpoint_name_nearest(const char *name)
{
  const char *nearest = NULL;
  int best = 3;
  for (const struct endpoint *row = endpoint_table(); row->name; row++)
    consider(name, row->name, &nearest, &best);
  return nearest;
}
