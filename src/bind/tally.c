/* Counts of the records of a list that is read in several passes, and the records of ids that are
 * read once. A record is known by a hash of 64 bits and takes 16 bytes, since lists hold a million
 * records. Two of a million differ and look the same once in 37 million lists. */
#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bind/modules.h"
#include "bind/push.h"

#define NAME "proxylua.tally"
#define FIRST_CAPACITY 256  /* entries; a power of two */
#define MAX_COLLECTED 65536 /* entries */

struct entry {
  uint64_t hash;
  uint32_t highest; /* count in any pass; 0: the entry is free */
  uint32_t count;   /* in this pass */
};

/* Few entries are a userdata of their own, so that the collector knows their size. More of them are
 * the tally's: the collector would wait for as much garbage as they take. */
struct tally {
  struct entry *entries, *own; /* `own` is NULL or to be freed */
  size_t capacity, used;
  uint64_t sum;  /* of the hashes of this pass, in any order */
  int64_t count; /* of the records of this pass */
};

/* FNV-1a; the multiplications at the end spread what the last bytes changed. */
static uint64_t hash_of(const char *text, size_t size)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < size; i++)
    hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
  hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
  hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
  return hash ^ hash >> 33;
}

static struct entry *find(const struct tally *tally, uint64_t hash)
{
  size_t at = hash & (tally->capacity - 1);
  while (tally->entries[at].highest > 0 && tally->entries[at].hash != hash)
    at = (at + 1) & (tally->capacity - 1);
  return &tally->entries[at];
}

static struct tally *check(lua_State *L)
{
  struct tally *tally = luaL_checkudata(L, 1, NAME);
  luaL_argcheck(L, tally->capacity > 0, 1, "the tally was collected");
  return tally;
}

/* Moves the entries of the tally at an absolute index to a table of that capacity. */
static void resize(lua_State *L, int index, size_t capacity)
{
  struct tally *tally = lua_touserdata(L, index);
  const struct entry *old = tally->entries;
  size_t count = tally->capacity;
  struct entry *own = NULL, *entries;
  if (capacity > MAX_COLLECTED) {
    entries = own = calloc(capacity, sizeof *entries);
    if (!own) luaL_error(L, "not enough memory");
    lua_pushnil(L);
  } else {
    entries = lua_newuserdatauv(L, capacity * sizeof *entries, 0);
    memset(entries, 0, capacity * sizeof *entries);
  }
  tally->entries = entries;
  tally->capacity = capacity;
  for (size_t i = 0; i < count; i++)
    if (old[i].highest > 0) *find(tally, old[i].hash) = old[i];
  free(tally->own);
  tally->own = own;
  lua_setiuservalue(L, index, 1);
}

/* tally:add(text, once): whether this pass has the text more often than each pass before it, and
 * how often this pass has it now. With `once` the second one counts as nothing new. */
static int add(lua_State *L)
{
  struct tally *tally = check(L);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  bool once = lua_toboolean(L, 3);
  if (tally->used >= tally->capacity / 4 * 3) resize(L, 1, tally->capacity * 2);
  uint64_t hash = hash_of(text, size);
  struct entry *entry = find(tally, hash);
  bool is_new = entry->count >= entry->highest && !(once && entry->count > 0);
  if (entry->highest == 0) {
    entry->hash = hash;
    tally->used++;
  }
  if (entry->count < UINT32_MAX) entry->count++;
  if (entry->highest < entry->count) entry->highest = entry->count;
  if (!once || entry->count == 1) {
    tally->sum += hash;
    tally->count++;
  }
  lua_pushboolean(L, is_new);
  lua_pushinteger(L, entry->count);
  return 2;
}

/* tally:compare(id, record): "new" for an id's first record, then "same" or "different". Its entry
 * has the hash of the record in place of counts, 63 bits of it. */
static int compare(lua_State *L)
{
  struct tally *tally = check(L);
  size_t id_size, size;
  const char *id = luaL_checklstring(L, 2, &id_size), *record = luaL_checklstring(L, 3, &size);
  if (tally->used >= tally->capacity / 4 * 3) resize(L, 1, tally->capacity * 2);
  uint64_t hash = hash_of(id, id_size), content = hash_of(record, size);
  uint32_t first = (uint32_t)(content >> 32) | 1, second = (uint32_t)content;
  struct entry *entry = find(tally, hash);
  if (entry->highest == 0) {
    *entry = (struct entry){.hash = hash, .highest = first, .count = second};
    tally->used++;
    lua_pushliteral(L, "new");
  } else {
    bool same = entry->highest == first && entry->count == second;
    lua_pushstring(L, same ? "same" : "different");
  }
  return 1;
}

/* tally:pass(): the number of records of this pass, and a sum that passes with the same records
 * share. */
static int pass(lua_State *L)
{
  const struct tally *tally = check(L);
  lua_pushinteger(L, tally->count);
  lua_pushinteger(L, (lua_Integer)tally->sum);
  return 2;
}

/* tally:next_pass() */
static int next_pass(lua_State *L)
{
  struct tally *tally = check(L);
  for (size_t i = 0; i < tally->capacity; i++) tally->entries[i].count = 0;
  tally->sum = 0;
  tally->count = 0;
  return 0;
}

static int collect(lua_State *L)
{
  struct tally *tally = luaL_checkudata(L, 1, NAME);
  free(tally->own);
  *tally = (struct tally){0};
  return 0;
}

static int make(lua_State *L)
{
  struct tally *tally = lua_newuserdatauv(L, sizeof *tally, 1);
  *tally = (struct tally){0};
  luaL_setmetatable(L, NAME);
  resize(L, lua_gettop(L), FIRST_CAPACITY);
  return 1;
}

void tally_open(lua_State *L)
{
  static const luaL_Reg methods[] = {{"add", add},
                                     {"compare", compare},
                                     {"pass", pass},
                                     {"next_pass", next_pass},
                                     {NULL, NULL}};
  if (luaL_newmetatable(L, NAME)) {
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    set_flag(L, "__metatable", 0);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
  }
  lua_pop(L, 1);
  lua_pushcfunction(L, make);
}
