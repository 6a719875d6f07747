/* Runs a chunk as data: in a state of its own without libraries, string methods or globals, bounded
 * in memory and instructions; what it returns is copied by value. */
#include "bind/box.h"
#include "bind/modules.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bind/error.h"
#include "bind/runtime.h"

#define MEMORY (16 << 20)     /* bytes */
#define INSTRUCTIONS 10000000 /* well under a second */
#define VALUES 100000
#define DEPTH 32
#define PROCESSOR_US 2000000 /* one instruction can compare texts of megabytes */
#define HOOK_STEP 100        /* instructions between two checks of the budget */
#define BOX "proxylua.data"

struct limits {
  lua_Integer memory, instructions, values, depth;
};

/* The bare state, owned by a userdata: an error raised by the copying frees it. */
struct box {
  lua_State *state;
  lua_Integer memory, instructions; /* left */
  int64_t until;                    /* processor time of this thread, in microseconds */
  const struct runtime *runtime;
};

/* A level of the table being copied, for the field's path in a message and to find cycles. */
struct level {
  const struct level *up;
  const void *table;
  const char *key; /* borrowed from the bare state; NULL: `index` */
  lua_Integer index;
  int depth;
};

struct copy {
  lua_State *from, *to;
  const char *name; /* of the chunk, for messages */
  lua_Integer values, bytes, depth;
};

static void *resize(void *arg, void *block, size_t old_size, size_t new_size)
{
  struct box *box = arg;
  lua_Integer old = block ? (lua_Integer)old_size : 0, more = (lua_Integer)new_size - old;
  if (more > box->memory) return NULL;
  void *moved = NULL;
  if (new_size == 0)
    free(block);
  else if (!(moved = realloc(block, new_size)))
    return NULL;
  box->memory -= more;
  return moved;
}

static int on_gc(lua_State *L)
{
  struct box *box = luaL_checkudata(L, 1, BOX);
  if (box->state) lua_close(box->state);
  box->state = NULL;
  return 0;
}

static int64_t processor_time(void)
{
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void on_count(lua_State *S, lua_Debug *where)
{
  struct box *box;
  lua_getallocf(S, (void **)&box);
  box->instructions -= HOOK_STEP;
  if (box->instructions > 0 && processor_time() < box->until && !box->runtime->sched.interrupted)
    return;
  lua_getinfo(S, "Sl", where);
  lua_pushfstring(S, "%s:%d: computes for too long", where->short_src, where->currentline);
  lua_error(S);
}

/* ".spend.per_run", "[3]" */
static void push_path(lua_State *L, const struct level *level)
{
  if (!level) {
    lua_pushliteral(L, "");
    return;
  }
  luaL_checkstack(L, 4, NULL);
  push_path(L, level->up);
  if (level->key)
    lua_pushfstring(L, *lua_tostring(L, -1) ? ".%s" : "%s", level->key);
  else
    lua_pushfstring(L, "[%I]", level->index);
  lua_concat(L, 2);
}

static void refuse_field(const struct copy *copy, const struct level *level, const char *what)
{
  struct error err = ERROR_INIT;
  push_path(copy->to, level);
  const char *path = lua_tostring(copy->to, -1);
  error_set(&err, ERROR_CONFIG, "%s: %s%s%s", copy->name, *path ? "the field " : "the value", path,
            what);
  error_raise(copy->to, &err);
}

/* Raises what the bare state has on its stack. */
static void fail(lua_State *L, lua_State *S, const char *name, int status)
{
  struct error err = ERROR_INIT;
  if (sched_of(L)->interrupted) {
    error_set(&err, ERROR_CANCELLED, "interrupted");
    error_raise(L, &err);
  }
  const char *text = lua_type(S, -1) == LUA_TSTRING ? lua_tostring(S, -1) : "failed";
  if (status == LUA_ERRMEM)
    error_set(&err, ERROR_CONFIG, "%s: takes too much memory for a file of data", name);
  else
    error_set(&err, ERROR_CONFIG, "%s%s", text,
              strstr(text, "(global '") ? "; a file of data has no functions and no globals to use"
                                        : "");
  error_raise(L, &err);
}

static void copy_value(struct copy *copy, const struct level *level);

static void copy_string(struct copy *copy, int index, const struct level *level)
{
  size_t size;
  const char *text = lua_tolstring(copy->from, index, &size);
  if ((copy->bytes -= (lua_Integer)size) < 0)
    refuse_field(copy, level, ": too many bytes of text in all");
  lua_pushlstring(copy->to, text, size);
}

/* A key: a string or a whole number. It stays where it is on the bare state's stack. */
static void copy_key(struct copy *copy, struct level *level)
{
  lua_State *S = copy->from;
  level->key = NULL;
  level->index = 0;
  if (lua_type(S, -2) == LUA_TSTRING) {
    level->key = lua_tostring(S, -2);
    copy_string(copy, -2, level);
  } else if (lua_isinteger(S, -2)) {
    level->index = lua_tointeger(S, -2);
    lua_pushinteger(copy->to, level->index);
  } else {
    refuse_field(copy, level->up, " has a key that is neither a name nor a whole number");
  }
}

static void check_nesting(const struct copy *copy, const struct level *up, const void *table)
{
  if (up && up->depth >= copy->depth) refuse_field(copy, up, " is nested too deeply");
  for (const struct level *l = up; l; l = l->up)
    if (l->table == table) refuse_field(copy, up, " contains itself");
}

/* Stack of the bare state: table. */
static void copy_table(struct copy *copy, const struct level *up)
{
  lua_State *S = copy->from, *L = copy->to;
  struct level level = {.up = up, .table = lua_topointer(S, -1), .depth = up ? up->depth + 1 : 1};
  check_nesting(copy, up, level.table);
  if (!lua_checkstack(S, 4)) refuse_field(copy, up, " is nested too deeply");
  luaL_checkstack(L, 8, NULL);
  lua_newtable(L);
  for (lua_pushnil(S); lua_next(S, -2); lua_pop(S, 1)) {
    copy_key(copy, &level);
    copy_value(copy, &level);
    lua_rawset(L, -3);
  }
}

/* Pushes onto `to` what is on top of `from`. */
static void copy_value(struct copy *copy, const struct level *level)
{
  lua_State *S = copy->from, *L = copy->to;
  if (--copy->values < 0) refuse_field(copy, level, ": too many values in all");
  switch (lua_type(S, -1)) {
    case LUA_TSTRING:
      copy_string(copy, -1, level);
      break;
    case LUA_TBOOLEAN:
      lua_pushboolean(L, lua_toboolean(S, -1));
      break;
    case LUA_TTABLE:
      copy_table(copy, level);
      break;
    case LUA_TNUMBER:
      if (lua_isinteger(S, -1))
        lua_pushinteger(L, lua_tointeger(S, -1));
      else
        lua_pushnumber(L, lua_tonumber(S, -1));
      break;
    default:
      refuse_field(copy, level,
                   " is a function, and data holds tables, strings, numbers and booleans only");
  }
}

static lua_Integer limit(lua_State *L, const char *name, lua_Integer usual)
{
  lua_Integer value = usual;
  if (lua_istable(L, 3)) {
    lua_getfield(L, 3, name);
    value = luaL_optinteger(L, -1, usual);
    lua_pop(L, 1);
    luaL_argcheck(L, value > 0, 3, "limits are above 0");
  }
  return value;
}

/* Pushes the userdata that owns a new bare state. */
static struct box *push_box(lua_State *L, const struct limits *limits)
{
  struct box *box = box_push(L, sizeof *box, BOX, on_gc, NULL);
  *box = (struct box){.memory = limits->memory,
                      .instructions = limits->instructions,
                      .until = processor_time() + PROCESSOR_US,
                      .runtime = runtime_of(L)};
  box->state = lua_newstate(resize, box);
  return box;
}

static int run(lua_State *S, const char *text, size_t size, const char *chunkname)
{
  int status = luaL_loadbufferx(S, text, size, chunkname, "t");
  if (status != LUA_OK) return status;
  lua_sethook(S, on_count, LUA_MASKCOUNT, HOOK_STEP);
  return lua_pcall(S, 0, 1, 0);
}

static void refuse(lua_State *L, const char *name, const char *what)
{
  struct error err = ERROR_INIT;
  error_set(&err, ERROR_CONFIG, "%s: %s", name, what);
  error_raise(L, &err);
}

static int load(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size), *chunkname = luaL_checkstring(L, 2);
  const char *name = *chunkname == '@' || *chunkname == '=' ? chunkname + 1 : chunkname;
  const struct limits limits = {limit(L, "memory", MEMORY), limit(L, "instructions", INSTRUCTIONS),
                                limit(L, "values", VALUES), limit(L, "depth", DEPTH)};
  if (size > 0 && *text == LUA_SIGNATURE[0]) refuse(L, name, "is compiled Lua; data is text");
  struct box *box = push_box(L, &limits);
  if (!box->state) refuse(L, name, "takes too much memory for a file of data");
  int status = run(box->state, text, size, chunkname);
  if (status != LUA_OK) fail(L, box->state, name, status);
  if (!lua_istable(box->state, -1)) refuse(L, name, "must return a table: return { … }");

  struct copy copy = {box->state, L, name, limits.values, limits.memory, limits.depth};
  copy_value(&copy, NULL);
  lua_close(box->state);
  box->state = NULL;
  return 1;
}

void data_open(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, load);
  lua_setfield(L, -2, "load");
}
