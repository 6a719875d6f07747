/* Lists of proxies, changed at random (`make fuzz`): the decoders and parsers in C with sanitizers,
 * and the readers in Lua, whose lines are counted as coverage. spec/fuzz/lists.lua has what must
 * hold. Run it from the top of the repository. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "bind/error.h"
#include "bind/modules.h"

#define COUNTERS 16384 /* a power of two */

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* libFuzzer takes these for coverage too. */
__attribute__((section("__libfuzzer_extra_counters"))) static unsigned char counters[COUNTERS];

static void count_line(lua_State *L, lua_Debug *ar)
{
  lua_getinfo(L, "S", ar);
  uint32_t hash = (uint32_t)ar->currentline * 2654435761u;
  for (const char *c = ar->short_src; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
  unsigned char *counter = &counters[(hash ^ hash >> 16) & (COUNTERS - 1)];
  if (*counter < UINT8_MAX) ++*counter;
}

static int open_core(lua_State *L)
{
  lua_createtable(L, 0, 4);
  error_open(L);
  lua_setfield(L, -2, "error");
  document_module_open(L);
  lua_setfield(L, -2, "document");
  decode_open(L);
  lua_setfield(L, -2, "decode");
  quote_open(L);
  lua_setfield(L, -2, "quote");
  return 1;
}

static void die(lua_State *L)
{
  fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  abort();
}

/* A state whose only value on the stack is the function of spec/fuzz/lists.lua. */
static lua_State *start(void)
{
  lua_State *L = luaL_newstate();
  if (!L) abort();
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_core);
  lua_setfield(L, -2, "proxylua.core");
  lua_pop(L, 1);
  if (luaL_dostring(L, "package.path = 'lua/?.lua;lua/?/init.lua'") != LUA_OK ||
      luaL_dofile(L, "spec/fuzz/lists.lua") != LUA_OK)
    die(L);
  lua_sethook(L, count_line, LUA_MASKLINE, 0);
  return L;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
  static lua_State *L;
  if (!L) L = start();
  lua_pushvalue(L, 1);
  lua_pushlstring(L, (const char *)data, size);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) die(L);
  lua_gc(L, LUA_GCCOLLECT, 0); /* else the search for leaks takes garbage for them */
  return 0;
}
