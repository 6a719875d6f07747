#include "base/pattern.h"

#include <ctype.h>
#include <string.h>

struct set {
  bool has[256];
};

static const char TOO_SHORT[] = "the pattern ends within a class";

/* Adds what %x stands for; an upper-case letter is the complement. */
static const char *add_class(struct set *set, unsigned char letter)
{
  int (*is)(int) = NULL;
  switch (tolower(letter)) {
    case 'a':
      is = isalpha;
      break;
    case 'c':
      is = iscntrl;
      break;
    case 'd':
      is = isdigit;
      break;
    case 'g':
      is = isgraph;
      break;
    case 'l':
      is = islower;
      break;
    case 'p':
      is = ispunct;
      break;
    case 's':
      is = isspace;
      break;
    case 'u':
      is = isupper;
      break;
    case 'w':
      is = isalnum;
      break;
    case 'x':
      is = isxdigit;
      break;
    default:
      break;
  }
  if (!is) {
    if (isdigit(letter) || letter == 'b' || letter == 'f')
      return "%b, %f and back references are not supported";
    set->has[letter] = true;
    return NULL;
  }
  for (int c = 0; c < 256; c++)
    if ((is(c) != 0) == (islower(letter) != 0)) set->has[c] = true;
  return NULL;
}

/* "[…]", of which `*at` is behind the opening bracket; it ends behind the closing one. */
static const char *read_set(struct set *set, const char *text, size_t size, size_t *at)
{
  size_t i = *at;
  bool inverted = i < size && text[i] == '^', first = true;
  if (inverted) i++;
  for (; i < size && (first || text[i] != ']'); first = false) {
    unsigned char c = (unsigned char)text[i++];
    if (c == '%') {
      if (i == size) return TOO_SHORT;
      const char *why = add_class(set, (unsigned char)text[i++]);
      if (why) return why;
    } else if (i + 1 < size && text[i] == '-' && text[i + 1] != ']') {
      for (int to = (unsigned char)text[i + 1]; c <= to; to--) set->has[to] = true;
      i += 2;
    } else {
      set->has[c] = true;
    }
  }
  if (i == size) return TOO_SHORT;
  for (int c = 0; inverted && c < 256; c++) set->has[c] = !set->has[c];
  *at = i + 1;
  return NULL;
}

static const char *read_item(struct set *set, const char *text, size_t size, size_t *at)
{
  unsigned char c = (unsigned char)text[(*at)++];
  memset(set, 0, sizeof *set);
  switch (c) {
    case '[':
      return read_set(set, text, size, at);
    case '%':
      return *at == size ? TOO_SHORT : add_class(set, (unsigned char)text[(*at)++]);
    case '.':
      memset(set->has, true, sizeof set->has);
      return NULL;
    case '(':
    case ')':
      return "captures are not supported; write %( for a parenthesis";
    default:
      set->has[c] = true;
      return NULL;
  }
}

static bool add_item(struct pattern *p, const struct set *set, bool repeats, bool optional)
{
  if (p->items == PATTERN_MAX_ITEMS) return false;
  uint64_t bit = UINT64_C(1) << p->items++;
  for (int c = 0; c < 256; c++)
    if (set->has[c]) p->accepts[c] |= bit;
  if (repeats) p->repeats |= bit;
  if (optional) p->optional |= bit;
  return true;
}

const char *pattern_compile(struct pattern *p, const char *text, size_t size)
{
  struct set set;
  size_t at = 0;
  memset(p, 0, sizeof *p);
  p->anchored = size > 0 && text[0] == '^';
  if (p->anchored) at++;
  while (at < size) {
    if (text[at] == '$' && at + 1 == size) {
      p->to_end = true;
      break;
    }
    const char *why = read_item(&set, text, size, &at);
    if (why) return why;
    char mark = at < size ? text[at] : '\0';
    bool marked = mark != '\0' && strchr("*+-?", mark);
    if (marked) at++;
    bool fits = true;
    if (marked && mark == '+') fits = add_item(p, &set, false, false);
    if (fits) fits = add_item(p, &set, marked && mark != '?', marked);
    if (!fits) return "the pattern is too long";
  }
  return p->items > 0 ? NULL : "the pattern is empty";
}

/* Adds the states that are reached without a byte. */
static uint64_t skip_optional(const struct pattern *p, uint64_t states)
{
  uint64_t more;
  while ((more = ((states & p->optional) << 1) & ~states)) states |= more;
  return states;
}

bool pattern_matches(const struct pattern *p, const char *bytes, size_t size)
{
  const uint64_t start = skip_optional(p, 1), done = UINT64_C(1) << p->items;
  uint64_t states = start;
  for (size_t i = 0; i < size; i++) {
    if (states & done && !p->to_end) return true;
    uint64_t taken = states & p->accepts[(unsigned char)bytes[i]];
    states = skip_optional(p, (taken << 1) | (taken & p->repeats));
    if (!p->anchored) states |= start;
    if (!states) return false;
  }
  return states & done;
}
