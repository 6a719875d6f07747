/* Hands forged messages to the code that reads them: too large, cut, nested, counted wrongly, and
 * thousands that chance has changed. Built with sanitizers. Says how many there were. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bind/error.h"
#include "bind/json.h"
#include "bind/money.h"
#include "bind/plugin/marshal.h"
#include "bind/plugin/protocol.h"
#include "plugin/frame.h"

#define ROUNDS 30000

static int tried;
static uint64_t seed = 42;

static unsigned chance(unsigned below)
{
  seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
  return (unsigned)(seed >> 33) % below;
}

static void die(const char *what)
{
  fprintf(stderr, "%s\n", what);
  exit(1);
}

/* --- values --- */

static int read_protected(lua_State *L)
{
  size_t size;
  const char *bytes = lua_tolstring(L, 1, &size);
  char *copy = malloc(size + 1); /* of its own, so that a sanitizer sees a step beyond */
  if (!copy) return luaL_error(L, "memory");
  memcpy(copy, bytes, size);
  char *exact = realloc(copy, size ? size : 1);
  int count = value_read(L, exact, size, NULL);
  free(exact);
  lua_settop(L, 0);
  lua_pushinteger(L, count);
  return 1;
}

/* How many values there were, or -1. */
static int read_values(lua_State *L, const char *bytes, size_t size)
{
  lua_pushcfunction(L, read_protected);
  lua_pushlstring(L, bytes, size);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) die(lua_tostring(L, -1));
  int count = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  tried++;
  return count;
}

static void refuse(lua_State *L, const char *what, const char *bytes, size_t size)
{
  if (read_values(L, bytes, size) != -1) die(what);
}

enum { NIL, NO, YES, INTEGER, FLOAT, STRING, TABLE, LIST, ERROR, MONEY, JSON_NULL, END };

static void try_forged(lua_State *L)
{
  static char deep[2 * VALUE_DEPTH + 2], wide[2 * VALUE_COUNT + 16], keys[8 * (VALUE_ODD_KEYS + 2)];
  const char nan[] = {TABLE, 0, FLOAT, 0, 0, 0, 0, 0, 0, (char)0xF8, 0x7F, YES, END};
  for (size_t i = 0; i < sizeof deep; i++) deep[i] = i % 2 == 0 ? TABLE : 1;
  memset(wide, NIL, sizeof wide);
  size_t at = 0;
  keys[at++] = TABLE;
  keys[at++] = 0;
  for (unsigned i = 0; i <= VALUE_ODD_KEYS; i++) {
    const char key[] = {INTEGER, (char)(i << 1 | 0x80), (char)(i >> 6 | 0x80), (char)(i >> 13),
                        YES};
    memcpy(keys + at, key, sizeof key);
    at += sizeof key;
  }
  keys[at++] = END;
  refuse(L, "nested too deeply", deep, sizeof deep);
  refuse(L, "too many values side by side", wide, sizeof wide);
  memcpy(wide, "\x07\xC1\x84\x3D", 4); /* a list of VALUE_COUNT + 1 */
  refuse(L, "too many values", wide, sizeof wide);
  refuse(L, "too many keys that are numbers", keys, at);
  refuse(L, "NaN for a key", nan, sizeof nan);
  refuse(L, "nil for a key", (const char[]){TABLE, 0, NIL, YES, END}, 5);
  refuse(L, "a table for a key", (const char[]){TABLE, 0, TABLE, 0, END, YES, END}, 7);
  refuse(L, "a list of more than there is", "\x06\xFF\xFF\xFF\xFF\x0F", 6);
  refuse(L, "a string of more than there is", "\x05\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11);
  refuse(L, "a number without end", "\x03\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 13);
  refuse(L, "an end without a beginning", (const char[]){END}, 1);
  refuse(L, "a table without an end", (const char[]){TABLE, 0}, 2);
  refuse(L, "a kind of value that does not exist", (const char[]){END + 1}, 1);
}

static const char sample[] =
    "return { 1, 2.5, 'text', { name = true, [7] = { {}, {} }, [true] = false }, ('x'):rep(300), "
    "-1, math.mininteger }";

/* An honest message, a few bytes of which are changed, cut off or repeated. */
static void try_changed(lua_State *L)
{
  struct buffer honest = {0};
  if (luaL_dostring(L, sample) != LUA_OK) die(lua_tostring(L, -1));
  money_push(L, 930000000);
  struct error err = ERROR_INIT;
  error_set(&err, ERROR_FUNDS, "broke");
  error_push(L, &err);
  if (value_write(L, 1, 3, &honest)) die("an honest message is refused");
  lua_settop(L, 0);
  if (read_values(L, honest.data, honest.size) != 3) die("an honest message cannot be read");
  char *changed = malloc(honest.size);
  if (!changed) die("memory");
  for (int round = 0; round < ROUNDS; round++) {
    memcpy(changed, honest.data, honest.size);
    for (unsigned edits = 1 + chance(4); edits > 0; edits--)
      changed[chance((unsigned)honest.size)] = (char)(chance(2) ? chance(12) : chance(256));
    read_values(L, changed, chance(4) ? honest.size : chance((unsigned)honest.size));
  }
  free(changed);
  buffer_free(&honest);
}

/* --- messages --- */

static void expect(bool ok, const char *what)
{
  tried++;
  if (!ok) die(what);
}

static void try_frames(void)
{
  int pair[2];
  size_t size;
  enum channel_state state;
  struct message message;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) die("socketpair");
  struct channel channel = {.socket = pair[0]};
  static const char pieces[] = "\7\0\0\0c\1\0\0\0\1\2\xFF\xFF\xFF\xFF";
  for (size_t i = 0; i < 11; i++) {
    expect(!channel_next(&channel, &size, &state) && state == CHANNEL_OPEN, "half a message");
    if (write(pair[1], pieces + i, 1) != 1 || channel_fill(&channel) != CHANNEL_OPEN) die("socket");
  }
  const char *bytes = channel_next(&channel, &size, &state);
  expect(bytes && size == 7 && message_read(bytes, size, &message) &&
             message.kind == MESSAGE_CALL && message.number == 1 && message.size == 2,
         "a whole message");
  expect(!message_read("z\0\0\0\0", 5, &message), "a kind of message that does not exist");
  expect(!message_read("\0\0\0\0\0", 5, &message), "no kind");
  expect(!message_read("c\0\0\0", 4, &message), "a head that is cut");
  if (write(pair[1], pieces + 11, 4) != 4 || channel_fill(&channel) != CHANNEL_OPEN) die("socket");
  expect(!channel_next(&channel, &size, &state) && state == CHANNEL_BROKEN,
         "a message that is too large");
  close(pair[1]);
  expect(channel_fill(&channel) == CHANNEL_CLOSED, "the end");
  channel_free(&channel);
  close(pair[0]);
}

int main(void)
{
  lua_State *L = luaL_newstate();
  if (!L) die("memory");
  luaL_openlibs(L);
  error_open(L);
  money_open(L);
  json_open(L);
  lua_settop(L, 0);
  try_forged(L);
  try_changed(L);
  try_frames();
  lua_close(L);
  printf("%d messages\n", tried);
  return 0;
}
