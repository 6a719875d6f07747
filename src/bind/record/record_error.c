/* Error messages of the server in any form: an error of either dialect, other JSON, HTML, text, an
 * empty body. */
#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "bind/json.h"
#include "bind/record/record.h"

#define LONGEST_WORDS 300 /* bytes of the server's words that are repeated */

/* Pushes and returns table[name] if it is a string (or, for a code, a number); otherwise pushes nil
 * and returns NULL. */
static const char *push_text(lua_State *L, int table, const char *name)
{
  lua_pushstring(L, name);
  lua_rawget(L, table);
  if (lua_isstring(L, -1)) return lua_tostring(L, -1);
  lua_pop(L, 1);
  lua_pushnil(L);
  return NULL;
}

/* The first of the names that is there; leaves one value on the stack. */
static const char *push_first(lua_State *L, int table, const char *const *names)
{
  for (; names[1]; names++) {
    const char *text = push_text(L, table, *names);
    if (text) return text;
    lua_pop(L, 1);
  }
  return push_text(L, table, *names);
}

/* Copies the server's words as a terminal can only show them: control characters, those of two
 * bytes too, become blanks. */
static void copy_words(char *to, const char *words, size_t size)
{
  memcpy(to, words, size);
  to[size] = '\0';
  for (unsigned char *c = (unsigned char *)to; c < (unsigned char *)to + size; c++) {
    if (*c < 0x20 || *c == 0x7F)
      *c = ' ';
    else if (*c == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0)
      c[0] = c[1] = ' ';
  }
}

/* Adds up to `size` bytes of the server's words, cut on a whole UTF-8 character. */
static void add_words(struct error *err, const char *before, const char *words, size_t size,
                      const char *after)
{
  char said[LONGEST_WORDS + 1], message[sizeof err->message];
  bool cut = size > LONGEST_WORDS;
  if (cut) size = LONGEST_WORDS;
  while (cut && size > 0 && ((unsigned char)words[size] & 0xC0) == 0x80) size--;
  copy_words(said, words, size);
  memcpy(message, err->message, sizeof message);
  error_set(err, err->kind, "%s%s%s%s%s%s", message, *message ? ": " : "", before, said,
            cut ? " ..." : "", after);
}

/* CODES_LIKE_THIS, where a message stands elsewhere. */
static bool is_code(const char *text)
{
  return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == '\0';
}

/* Pushes the details: a value of any type. */
static void push_details(lua_State *L, int table)
{
  static const char *const names[] = {"details", "errors"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    lua_pushstring(L, names[i]);
    if (lua_rawget(L, table) != LUA_TNIL) return;
    lua_pop(L, 1);
  }
  lua_pushnil(L);
}

/* Adds the messages about single fields: {"type": "must be one of …"}. The details are on top. */
static void add_details(lua_State *L, struct error *err)
{
  char words[LONGEST_WORDS];
  if (!lua_istable(L, -1)) return;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) continue;
    int size = snprintf(words, sizeof words, "%s %s", lua_tostring(L, -2), lua_tostring(L, -1));
    if (size > 0) add_words(err, "", words, strlen(words), "");
  }
}

/* {"error": {message, code, details}}, {"error": "…"}, {"message", "code"} and the like; the
 * document is at the index. Pushes the details. */
static void read_object(lua_State *L, int document, struct error *err)
{
  static const char *const words[] = {"message", "error", "detail", "title", NULL};
  int source = document;
  lua_pushliteral(L, "error");
  if (lua_rawget(L, document) == LUA_TTABLE) source = lua_gettop(L);
  const char *message = push_first(L, source, words), *code = push_text(L, source, "code");
  const char *brief = lua_type(L, document + 1) == LUA_TSTRING ? lua_tostring(L, document + 1) : "";
  if (!code && is_code(brief)) code = brief;
  if (code) copy_words(err->code, code, strnlen(code, sizeof err->code - 1));
  if (message) add_words(err, "", message, strlen(message), "");
  push_details(L, source);
  add_details(L, err);
}

/* The text between <title> and what follows it, or NULL. */
static const char *find_title(const char *body, size_t size, size_t *length)
{
  static const char tag[] = "<title>";
  for (size_t i = 0; i + sizeof tag - 1 < size; i++) {
    if (strncasecmp(body + i, tag, sizeof tag - 1) != 0) continue;
    const char *title = body + i + sizeof tag - 1;
    const char *end = memchr(title, '<', size - (size_t)(title - body));
    *length = end ? (size_t)(end - title) : 0;
    return title;
  }
  return NULL;
}

static bool is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Reads a body that is not JSON: the title of HTML, the beginning of text. */
static void read_other(const char *body, size_t size, struct error *err)
{
  for (; size > 0 && is_blank(*body); size--) body++;
  if (size == 0) return;
  if (*body != '<') {
    add_words(err, "\"", body, size, "\"");
    return;
  }
  size_t length;
  const char *title = find_title(body, size, &length);
  if (title && length > 0)
    add_words(err, "a page of HTML, \"", title, length, "\"");
  else
    add_words(err, "a page of HTML", "", 0, "");
}

void record_error(lua_State *L, const char *body, size_t size, struct error *err)
{
  int base = lua_gettop(L);
  luaL_checkstack(L, 10, NULL);
  struct json_body read = {0};
  if (!json_try_body(L, body, size, &read)) {
    read_other(body, size, err);
    lua_settop(L, base);
    lua_pushnil(L);
    return;
  }
  if (lua_type(L, base + 1) == LUA_TTABLE)
    read_object(L, base + 1, err);
  else if (lua_type(L, base + 1) == LUA_TSTRING)
    read_other(lua_tostring(L, base + 1), lua_rawlen(L, base + 1), err);
  if (lua_gettop(L) == base + 1) lua_pushnil(L);
  lua_replace(L, base + 1);
  lua_settop(L, base + 1);
}

static const struct {
  const char *code;
  int status;
} codes[] = {{"BAD_REQUEST", 400},     {"VALIDATION_ERROR", 400},     {"UNAUTHORIZED", 401},
             {"INVALID_API_KEY", 401}, {"INSUFFICIENT_BALANCE", 402}, {"FORBIDDEN", 403},
             {"BANNED", 403},          {"UNVERIFIED", 403},           {"NOT_FOUND", 404},
             {"RATE_LIMITED", 429}};

static enum error_kind kind_of_status(int64_t status)
{
  static const enum error_kind kinds[] =
      {[0] = ERROR_INVALID,   [1] = ERROR_AUTH,      [2] = ERROR_FUNDS,
       [3] = ERROR_FORBIDDEN, [4] = ERROR_NOT_FOUND, [8] = ERROR_TIMEOUT};
  if (status == 429) return ERROR_RATE_LIMITED;
  if (status < 400 || status > 499) return ERROR_UPSTREAM;
  return status <= 404 || status == 408 ? kinds[status - 400] : ERROR_INVALID;
}

/* A status of HTTP in a table, 0 when it holds none. */
static int64_t status_in(lua_State *L, int table)
{
  static const char *const names[] = {"status", "statusCode", "status_code", "code"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    lua_pushstring(L, names[i]);
    lua_rawget(L, table);
    int64_t status = lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (status >= 400 && status <= 599) return status;
  }
  return 0;
}

void record_error_document(lua_State *L, int document, struct error *err)
{
  int base = lua_gettop(L);
  int64_t status = 0;
  luaL_checkstack(L, 12, NULL);
  lua_pushvalue(L, document);
  document = base + 1;
  read_object(L, document, err);
  for (size_t i = 0; i < sizeof codes / sizeof codes[0] && status == 0; i++)
    if (strcmp(codes[i].code, err->code) == 0) status = codes[i].status;
  lua_pushliteral(L, "error");
  if (lua_rawget(L, document) == LUA_TTABLE && status == 0) status = status_in(L, lua_gettop(L));
  if (status == 0) status = status_in(L, document);
  err->kind = kind_of_status(status);
  lua_pop(L, 1);
  lua_replace(L, base + 1);
  lua_settop(L, base + 1);
}
