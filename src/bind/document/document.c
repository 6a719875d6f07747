#include "bind/document/document.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/box.h"
#include "bind/error.h"
#include "bind/modules.h"
#include "bind/push.h"

#define NAME "proxylua.document"
#define CHUNK 1000                   /* entries that are handed over together */
#define MAX_VALUES ((size_t)1000000) /* held at a time, those of aliases counted each time */
#define MAX_BYTES ((size_t)64 << 20)
#define MAX_SIZE 32 /* entries of a mapping, of which another one is expected */
#define SLOTS 2     /* of the stack, for each level: table, key */
#define STACK 1     /* user values */
#define ANCHORS 2
#define SIZES 3

/* Positions on the stack: the levels lie above the document's userdata, which is at 1. */
static int table_at(int depth)
{
  return 2 + (depth - 1) * SLOTS;
}

enum document_step document_fail(struct document *document, size_t line, size_t column,
                                 const char *format, ...)
{
  va_list args;
  va_start(args, format);
  if (vsnprintf(document->why, sizeof document->why, format, args) < 0) document->why[0] = '\0';
  va_end(args);
  document->why_line = line ? line : document->line;
  document->why_column = column ? column : document->column + 1;
  return DOCUMENT_ERROR;
}

static bool is_too_large(struct document *document, size_t values, size_t bytes)
{
  document->values += values;
  document->bytes += bytes;
  if (document->values <= MAX_VALUES && document->bytes <= MAX_BYTES) return false;
  document_fail(document, 0, 0,
                "an entry is too large: at most %zu values and %zu MiB may belong together",
                MAX_VALUES, MAX_BYTES >> 20);
  return true;
}

bool document_open(struct document *document, lua_State *L, bool list, size_t line,
                   const char *anchor)
{
  if (document->depth == DOCUMENT_MAX_DEPTH) {
    document_fail(document, line, 0, "more than %d levels of nesting", DOCUMENT_MAX_DEPTH);
    return false;
  }
  if (is_too_large(document, 1, 0)) return false;
  struct document_level *level = &document->levels[document->depth++];
  *level = (struct document_level){.list = list,
                                   .values = document->values,
                                   .bytes = document->bytes,
                                   .line = line};
  if (anchor && *anchor) {
    snprintf(level->anchor, sizeof level->anchor, "%s", anchor);
    document->anchored++;
  }
  luaL_checkstack(L, SLOTS + 8, NULL);
  if (list) {
    lua_newtable(L);
  } else { /* records of a list have the same fields: their tables need not grow */
    int size = document->sizes[document->depth - 1];
    lua_createtable(L, size, size > 0 ? size + 1 : 0);
    lua_pushinteger(L, (lua_Integer)line);
    lua_rawseti(L, -2, 0);
  }
  lua_pushnil(L); /* where the key will be */
  document->has_key = false;
  return true;
}

bool document_key(struct document *document, lua_State *L, const char *text, size_t size)
{
  if (is_too_large(document, 1, size)) return false;
  lua_pushlstring(L, text, size);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, table_at(document->depth)) != LUA_TNIL) {
    document_fail(document, 0, 0, "the key \"%.40s\" is there twice", lua_tostring(L, -2));
    return false;
  }
  lua_pop(L, 1);
  lua_replace(L, table_at(document->depth) + 1);
  document->has_key = true;
  return true;
}

/* Hands the container's entries over and goes on with an empty one. Stack: … table, key. */
static enum document_step pass_on(struct document *document, lua_State *L,
                                  struct document_level *level)
{
  int table = table_at(document->depth);
  lua_pushvalue(L, table);
  lua_createtable(L, 0, 0);
  if (!level->list) {
    lua_pushinteger(L, (lua_Integer)level->line);
    lua_rawseti(L, -2, 0);
  }
  lua_replace(L, table);
  document->values = level->values;
  document->bytes = level->bytes;
  document->partial = true;
  return DOCUMENT_VALUE;
}

/* Stack: … value. */
static enum document_step add_entry(struct document *document, lua_State *L, size_t line)
{
  if (document->depth == 0) {
    document->partial = false;
    if (lua_isboolean(L, -1)) { /* next() returns false for something else */
      lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false");
      lua_replace(L, -2);
    }
    return DOCUMENT_VALUE;
  }
  struct document_level *level = &document->levels[document->depth - 1];
  int table = table_at(document->depth);
  lua_Integer position = ++level->count - level->passed;
  if (level->list) {
    bool scalar = !lua_istable(L, -1);
    lua_rawseti(L, table, position);
    if (scalar) {
      lua_pushinteger(L, (lua_Integer)line);
      lua_rawseti(L, table, -position);
    }
  } else {
    lua_pushvalue(L, table + 1);
    lua_insert(L, -2);
    lua_rawset(L, table);
    lua_pushvalue(L, table + 1);
    lua_rawseti(L, table, position);
    document->has_key = false;
  }
  if (position < CHUNK || document->anchored > 0) return DOCUMENT_GOES_ON;
  return pass_on(document, L, level);
}

enum document_step document_add(struct document *document, lua_State *L, size_t line, size_t size)
{
  if (is_too_large(document, 1, size)) return DOCUMENT_ERROR;
  return add_entry(document, L, line);
}

enum document_step document_add_null(struct document *document, lua_State *L)
{
  if (document->depth > 0 && !document->levels[document->depth - 1].list) {
    document->has_key = false;
    return DOCUMENT_GOES_ON;
  }
  lua_pushboolean(L, false);
  return document_add(document, L, document->line, 0);
}

/* Stack: … value. */
void document_name(struct document *document, lua_State *L, const char *anchor, size_t values)
{
  (void)document;
  lua_getiuservalue(L, 1, ANCHORS);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, anchor);
  lua_pop(L, 1);
  lua_getiuservalue(L, 1, SIZES);
  set_integer(L, anchor, (lua_Integer)values);
  lua_pop(L, 1);
}

enum document_step document_alias(struct document *document, lua_State *L, const char *anchor,
                                  size_t line, size_t column)
{
  lua_getiuservalue(L, 1, SIZES);
  bool known = lua_getfield(L, -1, anchor) != LUA_TNIL;
  size_t values = (size_t)lua_tointeger(L, -1);
  lua_pop(L, 2);
  if (!known)
    return document_fail(document, line, column, "the alias *%.40s has no anchor", anchor);
  if (is_too_large(document, values, 0)) return DOCUMENT_ERROR;
  lua_getiuservalue(L, 1, ANCHORS);
  lua_getfield(L, -1, anchor);
  lua_remove(L, -2);
  return add_entry(document, L, line);
}

enum document_step document_close(struct document *document, lua_State *L)
{
  struct document_level *level = &document->levels[document->depth - 1];
  lua_settop(L, table_at(document->depth));
  document->depth--;
  if (!level->list)
    document->sizes[document->depth] = level->count < MAX_SIZE ? (int)level->count : 0;
  document->has_key = false;
  if (level->anchor[0]) {
    document->anchored--;
    document_name(document, L, level->anchor, document->values - level->values + 1);
  }
  document->has_key = document->depth > 0 && !document->levels[document->depth - 1].list;
  return add_entry(document, L, level->line);
}

static struct document *check_document(lua_State *L)
{
  struct document *document = luaL_checkudata(L, 1, NAME);
  if (document->broken || !document->parser) error_usage(L, "the document is closed");
  return document;
}

static void forget_taken(struct document *document)
{
  if (document->at == 0) return;
  memmove(document->text, document->text + document->at, document->size - document->at);
  document->size -= document->at;
  document->at = 0;
}

/* feed(text); without one, the document ends there. */
static int feed(lua_State *L)
{
  struct document *document = check_document(L);
  size_t size;
  const char *text = luaL_optlstring(L, 2, NULL, &size);
  if (!text) {
    document->ended = true;
    return 0;
  }
  forget_taken(document);
  if (document->capacity - document->size < size) {
    size_t wanted = (document->size + size) * 2;
    char *moved = realloc(document->text, wanted);
    if (!moved) return luaL_error(L, "not enough memory");
    document->text = moved;
    document->capacity = wanted;
  }
  if (size > 0) memcpy(document->text + document->size, text, size);
  document->size += size;
  return 0;
}

static void restore_stack(struct document *document, lua_State *L)
{
  int count = document->depth * SLOTS;
  lua_settop(L, 1);
  luaL_checkstack(L, count + 8, NULL);
  lua_getiuservalue(L, 1, STACK);
  for (int i = 1; i <= count; i++) lua_rawgeti(L, 2, i);
  lua_remove(L, 2);
}

/* What is above the levels stays on the stack. */
static void save_stack(const struct document *document, lua_State *L)
{
  int count = document->depth * SLOTS;
  lua_getiuservalue(L, 1, STACK);
  for (int i = 1; i <= count; i++) {
    lua_pushvalue(L, 1 + i);
    lua_rawseti(L, -2, i);
  }
  lua_pop(L, 1);
}

/* The keys and positions that lead to the innermost container. */
static void push_path(struct document *document, lua_State *L)
{
  lua_createtable(L, document->depth, 0);
  for (int depth = 1; depth < document->depth; depth++) {
    const struct document_level *level = &document->levels[depth - 1];
    if (level->list)
      lua_pushinteger(L, level->count + 1);
    else
      lua_pushvalue(L, table_at(depth) + 1);
    lua_rawseti(L, -2, depth);
  }
}

static int return_error(lua_State *L, const struct document *document)
{
  lua_pushnil(L);
  lua_pushstring(L, document->why);
  lua_pushinteger(L, (lua_Integer)document->why_line);
  lua_pushinteger(L, (lua_Integer)document->why_column);
  return 4;
}

/* Stack: … levels, value. */
static int return_value(lua_State *L, struct document *document)
{
  if (!document->partial) {
    document->values = document->bytes = 0;
    return 1;
  }
  struct document_level *level = &document->levels[document->depth - 1];
  push_path(document, L);
  lua_pushinteger(L, level->passed);
  level->passed = level->count;
  return 3;
}

/* next(): a value, or false when it needs more text, or nil at the end; or nil, why, line, column.
 * With a part of a container that goes on come the path of the container, a list, and how many of
 * its entries came before. */
static int next_value(lua_State *L)
{
  struct document *document = check_document(L);
  document->broken = true; /* until it is known that no error was raised on the way */
  restore_stack(document, L);
  enum document_step step;
  do step = document->parser->step(document, L);
  while (step == DOCUMENT_GOES_ON);
  if (step == DOCUMENT_ERROR) return return_error(L, document);
  save_stack(document, L);
  document->broken = false;
  if (step == DOCUMENT_VALUE) return return_value(L, document);
  lua_settop(L, 1);
  if (step == DOCUMENT_MORE)
    lua_pushboolean(L, false);
  else
    lua_pushnil(L);
  return 1;
}

static int close_document(lua_State *L)
{
  struct document *document = luaL_checkudata(L, 1, NAME);
  if (document->parser && document->parser->close) document->parser->close(document);
  document->parser = NULL;
  free(document->text);
  document->text = NULL;
  document->at = document->size = document->capacity = 0;
  return 0;
}

static struct document *push_document(lua_State *L)
{
  static const luaL_Reg methods[] = {{"feed", feed},
                                     {"next", next_value},
                                     {"close", close_document},
                                     {"__gc", close_document},
                                     {"__close", close_document},
                                     {NULL, NULL}};
  struct document *document = lua_newuserdatauv(L, sizeof *document, SIZES);
  *document = (struct document){.line = 1};
  box_set_type(L, NAME, NULL, methods);
  for (int value = STACK; value <= SIZES; value++) {
    lua_newtable(L);
    lua_setiuservalue(L, -2, value);
  }
  return document;
}

static int open_json(lua_State *L)
{
  push_document(L)->parser = &document_json;
  return 1;
}

static int open_yaml(lua_State *L)
{
  struct document *document = push_document(L);
  if (!document_yaml_begin(document)) return luaL_error(L, "not enough memory");
  document->parser = &document_yaml;
  return 1;
}

void document_module_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"json", open_json}, {"yaml", open_yaml}, {NULL, NULL}};
  luaL_newlib(L, functions);
}
