#include "bind/box.h"
#include "bind/modules.h"

#include "store/notes.h"

#include <lauxlib.h>

#include "bind/args.h"
#include "bind/engine.h"
#include "bind/error.h"
#include "bind/wait_job.h"

#define TYPE "proxylua.notes"
#define PAGE 500
#define MAX_NOTES (1 << 24) /* of one job */
#define MAX_AGE 1e11        /* seconds */

/* What is under way; lies on the waiting thread's stack, above the texts that its jobs borrow. */
struct look {
  struct wait_job wait;
  struct engine *engine;
  struct notes_get get;
  struct notes_put put;
  struct notes_list list;
  struct notes_forget forget;
};

static int collect(lua_State *L)
{
  struct look *look = luaL_checkudata(L, 1, TYPE);
  notes_get_free(&look->get);
  notes_list_free(&look->list);
  return 0;
}

static struct look *push_look(lua_State *L)
{
  struct engine *engine = engine_use_store(L);
  struct look *look = lua_newuserdatauv(L, sizeof *look, 2);
  *look = (struct look){.engine = engine};
  box_set_type(L, TYPE, collect, NULL);
  return look;
}

/* Raises the error of the job, if there is one. */
static const struct look *check(lua_State *L, lua_KContext context)
{
  const struct look *look = (const struct look *)context;
  wait_job_check(L, &look->wait);
  return look;
}

static const char *owner_at(lua_State *L, int index, const struct look *look)
{
  return lua_toboolean(L, index) ? look->engine->base_url : "";
}

/* Pops a string and keeps it in the table at an index, which no script reaches. */
static char *keep_text(lua_State *L, int kept, const char *what)
{
  if (lua_type(L, -1) != LUA_TSTRING)
    error_usage(L, "the %s of a note is a text, not a %s", what, luaL_typename(L, -1));
  char *text = (char *)lua_tostring(L, -1); /* only read */
  lua_rawseti(L, kept, (lua_Integer)lua_rawlen(L, kept) + 1);
  return text;
}

/* Notes with the names of the list at an index and, unless `texts` is 0, the texts of the list
 * there (false: none). Anchored by the look at -1 together with their strings, since another task
 * may change the lists meanwhile. */
static struct note *take_notes(lua_State *L, int names, int texts, size_t *count)
{
  int look = lua_gettop(L), kept = look + 1;
  *count = list_length(L, names, MAX_NOTES);
  lua_newtable(L);
  struct note *notes = lua_newuserdatauv(L, (*count + 1) * sizeof *notes, 0);
  lua_setiuservalue(L, look, 1);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, names, (lua_Integer)i + 1);
    notes[i] = (struct note){.name = keep_text(L, kept, "name")};
    if (texts == 0) continue;
    if (lua_rawgeti(L, texts, (lua_Integer)i + 1) == LUA_TBOOLEAN)
      lua_pop(L, 1);
    else
      notes[i].text = keep_text(L, kept, "text");
  }
  lua_setiuservalue(L, look, 2);
  return notes;
}

static int push_got(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  const struct look *look = check(L, context);
  lua_createtable(L, (int)look->get.count, 0);
  for (size_t i = 0; i < look->get.count; i++) {
    if (look->get.notes[i].text)
      lua_pushstring(L, look->get.notes[i].text);
    else
      lua_pushboolean(L, false);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int get(lua_State *L)
{
  const char *kind = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  struct look *look = push_look(L);
  size_t count;
  struct note *notes = take_notes(L, 3, 0, &count);
  look->get = (struct notes_get){.owner = owner_at(L, 1, look),
                                 .kind = kind,
                                 .notes = notes,
                                 .count = count};
  wait_job_begin(&look->wait, &look->get.job);
  notes_get(look->engine->parts.store, &look->get);
  return wait_job_for(L, &look->wait, push_got, look);
}

static int push_put(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  lua_pushinteger(L, (lua_Integer)check(L, context)->put.changed);
  return 1;
}

static int put(lua_State *L)
{
  const char *kind = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_checktype(L, 4, LUA_TTABLE);
  struct look *look = push_look(L);
  size_t count;
  const struct note *notes = take_notes(L, 3, 4, &count);
  look->put = (struct notes_put){.owner = owner_at(L, 1, look),
                                 .kind = kind,
                                 .notes = notes,
                                 .count = count,
                                 .only_new = lua_toboolean(L, 5)};
  wait_job_begin(&look->wait, &look->put.job);
  notes_put(look->engine->parts.store, &look->put);
  return wait_job_for(L, &look->wait, push_put, look);
}

static int push_listed(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  const struct look *look = check(L, context);
  int count = (int)look->list.count, names = lua_gettop(L) + 1;
  for (int i = 0; i < 3; i++) lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    const struct note *note = &look->list.notes[i];
    lua_pushstring(L, note->name);
    lua_rawseti(L, names, i + 1);
    lua_pushstring(L, note->text);
    lua_rawseti(L, names + 1, i + 1);
    lua_pushnumber(L, (lua_Number)note->put_at / 1e6);
    lua_rawseti(L, names + 2, i + 1);
  }
  return 3;
}

static int list(lua_State *L)
{
  const char *kind = luaL_checkstring(L, 2), *after = luaL_checkstring(L, 3);
  struct look *look = push_look(L);
  look->list = (struct notes_list){.owner = owner_at(L, 1, look),
                                   .kind = kind,
                                   .after = after,
                                   .limit = PAGE};
  wait_job_begin(&look->wait, &look->list.job);
  notes_list(look->engine->parts.store, &look->list);
  return wait_job_for(L, &look->wait, push_listed, look);
}

static int push_forgotten(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  lua_pushinteger(L, (lua_Integer)check(L, context)->forget.forgotten);
  return 1;
}

static int forget(lua_State *L)
{
  const char *kind = luaL_checkstring(L, 2);
  lua_Number age = luaL_checknumber(L, 3);
  luaL_argcheck(L, age >= 0 && age <= MAX_AGE, 3, "no age in seconds");
  struct look *look = push_look(L);
  look->forget = (struct notes_forget){.owner = owner_at(L, 1, look),
                                       .kind = kind,
                                       .age = (int64_t)(age * 1e6)};
  wait_job_begin(&look->wait, &look->forget.job);
  notes_forget(look->engine->parts.store, &look->forget);
  return wait_job_for(L, &look->wait, push_forgotten, look);
}

void notes_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"get", get},
                                       {"put", put},
                                       {"list", list},
                                       {"forget", forget},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}
