#include "bind/modules.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "bind/embedded.h"
#include "bind/runtime.h"

enum owner { OWNER_USER, OWNER_C, OWNER_PROGRAM };

static const char tail_call[] = "(...tail calls...)";

struct line {
  const char *text;
  size_t size;
};

static bool starts_with(const struct line *line, const char *start)
{
  size_t size = strlen(start);
  return line->size >= size && memcmp(line->text, start, size) == 0;
}

static bool ends_with(const char *text, size_t size, const char *end)
{
  size_t end_size = strlen(end);
  return size >= end_size && memcmp(text + size - end_size, end, end_size) == 0;
}

/* Whether "proxylua/cli/orders.lua:12: …" lies inside the program: a user's folder may be called
 * proxylua too. */
static bool is_own(const struct line *line)
{
  char name[128];
  const char *colon = memchr(line->text, ':', line->size);
  size_t size = colon ? (size_t)(colon - line->text) : 0;
  if (!starts_with(line, "proxylua/") || !ends_with(line->text, size, ".lua") ||
      size >= sizeof name)
    return false;
  size -= strlen(".lua");
  if (ends_with(line->text, size, "/init")) size -= strlen("/init");
  for (size_t i = 0; i < size; i++) name[i] = (char)(line->text[i] == '/' ? '.' : line->text[i]);
  name[size] = '\0';
  return embedded_find(name);
}

static enum owner owner_of(const struct line *line)
{
  if (starts_with(line, "[C]") || starts_with(line, tail_call)) return OWNER_C;
  return is_own(line) ? OWNER_PROGRAM : OWNER_USER;
}

/* The next line of the traceback, without its tabulator; false at the end. */
static bool next(const char **rest, struct line *line)
{
  if (!*rest) return false;
  const char *end = strchr(*rest, '\n');
  line->text = *rest + strspn(*rest, "\t");
  line->size = end ? (size_t)(end - line->text) : strlen(line->text);
  *rest = end ? end + 1 : NULL;
  return true;
}

/* C functions are the program's when one of its frames calls them or is called by them. */
static bool leads_to_own(const char *rest)
{
  struct line line;
  while (next(&rest, &line)) {
    enum owner owner = owner_of(&line);
    if (owner != OWNER_C) return owner == OWNER_PROGRAM;
  }
  return false;
}

static void add(luaL_Buffer *out, const struct line *line)
{
  luaL_addstring(out, "\n\t");
  luaL_addlstring(out, line->text, line->size);
}

/* Stack: traceback -> the user's part of it. */
static void keep_users(lua_State *L)
{
  const char *rest = lua_tostring(L, -1);
  struct line line;
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  next(&rest, &line); /* the heading */
  luaL_addlstring(&out, line.text, line.size);
  bool own_before = false;
  while (next(&rest, &line)) {
    enum owner owner = owner_of(&line);
    bool last = !rest && starts_with(&line, tail_call); /* of the script, by the program */
    if (!last && (owner == OWNER_USER || (owner == OWNER_C && !own_before && !leads_to_own(rest))))
      add(&out, &line);
    if (owner != OWNER_C) own_before = owner == OWNER_PROGRAM;
  }
  luaL_pushresult(&out);
  lua_remove(L, -2);
}

/* Each task has a C frame at the bottom, which is of no use to a reader. */
static void drop_last(lua_State *L)
{
  static const char frame[] = "\n\t[C]: in ?";
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  if (!ends_with(text, size, frame)) return;
  lua_pushlstring(L, text, size - strlen(frame));
  lua_remove(L, -2);
}

void traceback_push(lua_State *L)
{
  luaL_traceback(L, L, NULL, 1);
  drop_last(L);
  if (!runtime_of(L)->whole_tracebacks) keep_users(L);
}
