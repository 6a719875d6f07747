#include "bind/money.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "bind/error.h"
#include "bind/push.h"

static const char metatable_key; /* its address names the metatable in the registry */

void money_push_metatable(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key);
}

void money_push_with(lua_State *L, money amount, int metatable)
{
  *(money *)lua_newuserdatauv(L, sizeof amount, 0) = amount;
  lua_pushvalue(L, metatable);
  lua_setmetatable(L, -2);
}

void money_push(lua_State *L, money amount)
{
  *(money *)lua_newuserdatauv(L, sizeof amount, 0) = amount;
  money_push_metatable(L);
  lua_setmetatable(L, -2);
}

const money *money_test(lua_State *L, int index)
{
  const money *amount = lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;
  if (!amount || !lua_getmetatable(L, index)) return NULL;
  money_push_metatable(L);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same ? amount : NULL;
}

/* What was given, for a message: "abc", 0.333 or a table. */
static const char *describe(lua_State *L, int index)
{
  switch (lua_type(L, index)) {
    case LUA_TSTRING:
      return lua_pushfstring(L, "\"%s\"", lua_tostring(L, index));
    case LUA_TNUMBER:
      return luaL_tolstring(L, index, NULL);
    case LUA_TNONE:
    case LUA_TNIL:
      return "nil";
    default:
      return lua_pushfstring(L, "a %s", luaL_typename(L, index));
  }
}

static int fail(lua_State *L, int index, enum money_result result)
{
  return error_usage(L, "%s %s", describe(L, index), money_explain(result));
}

static enum money_result read_amount(lua_State *L, int index, money *amount)
{
  size_t size;
  const char *text;
  int exact;
  lua_Integer integer;
  switch (lua_type(L, index)) {
    case LUA_TNUMBER:
      integer = lua_tointegerx(L, index, &exact);
      if (!exact) return money_from_double(lua_tonumber(L, index), amount);
      return __builtin_mul_overflow(integer, MONEY_UNIT, amount) ? MONEY_OVERFLOW : MONEY_OK;
    case LUA_TSTRING:
      text = lua_tolstring(L, index, &size);
      return money_parse(text, size, amount);
    default:
      return MONEY_SYNTAX;
  }
}

/* Whether it is an amount, and which; otherwise why not. */
static enum money_result amount_at(lua_State *L, int index, money *amount)
{
  const money *given = money_test(L, index);
  if (!given) return read_amount(L, index, amount);
  *amount = *given;
  return MONEY_OK;
}

money money_to(lua_State *L, int index)
{
  money amount;
  enum money_result result = amount_at(L, index, &amount);
  if (result != MONEY_OK) fail(L, index, result);
  return amount;
}

money money_option(lua_State *L, int index, const char *caller, const char *name)
{
  money amount;
  enum money_result result = amount_at(L, index, &amount);
  if (result != MONEY_OK)
    error_usage(L, "%s: %s: %s %s", caller, name, describe(L, index), money_explain(result));
  return amount;
}

/* A number or string as a decimal: a factor, a divisor, or what an amount is compared with. */
static void to_decimal(lua_State *L, int index, struct decimal *decimal)
{
  enum money_result result = MONEY_SYNTAX;
  size_t size;
  const char *text;
  if (lua_isinteger(L, index)) {
    decimal_from_integer(lua_tointeger(L, index), decimal);
    result = MONEY_OK;
  } else if (lua_type(L, index) == LUA_TNUMBER) {
    result = decimal_from_double(lua_tonumber(L, index), decimal);
  } else if (lua_type(L, index) == LUA_TSTRING) {
    text = lua_tolstring(L, index, &size);
    result = decimal_parse(text, size, decimal);
  }
  if (result != MONEY_OK) fail(L, index, result);
}

static int beyond(lua_State *L, const char *operator)
{
  const char *left = luaL_tolstring(L, 1, NULL), *right = luaL_tolstring(L, 2, NULL);
  return error_usage(L, "%s %s %s %s", left, operator, right, money_explain(MONEY_OVERFLOW));
}

/* Pushes the result of an operation on the operands at 1 and 2. */
static int push_result(lua_State *L, const char *operator, enum money_result result, money amount)
{
  if (result == MONEY_OVERFLOW) return beyond(L, operator);
  if (result != MONEY_OK) return fail(L, 2, result);
  money_push(L, amount);
  return 1;
}

static int add(lua_State *L)
{
  money sum, a = money_to(L, 1), b = money_to(L, 2);
  if (!money_add(a, b, &sum)) return beyond(L, "+");
  money_push(L, sum);
  return 1;
}

static int subtract(lua_State *L)
{
  money difference, a = money_to(L, 1), b = money_to(L, 2);
  if (!money_subtract(a, b, &difference)) return beyond(L, "-");
  money_push(L, difference);
  return 1;
}

static int multiply(lua_State *L)
{
  int factor = money_test(L, 1) ? 2 : 1;
  money amount = money_to(L, 3 - factor);
  if (money_test(L, factor))
    return error_usage(L, "an amount times an amount is no amount; multiply by a number");
  struct decimal decimal;
  to_decimal(L, factor, &decimal);
  money product = 0;
  enum money_result result = money_multiply(amount, &decimal, &product);
  return push_result(L, "*", result, product);
}

static int ratio(lua_State *L)
{
  money above = money_to(L, 1), below = money_to(L, 2);
  if (below == 0) return fail(L, 2, MONEY_ZERO);
  lua_pushnumber(L, (lua_Number)((long double)above / (long double)below));
  return 1;
}

/* By a number an amount gives an amount, by an amount their ratio, a plain number. */
static int divide(lua_State *L)
{
  const money *amount = money_test(L, 1);
  if (!amount || money_test(L, 2)) return ratio(L);
  struct decimal decimal;
  to_decimal(L, 2, &decimal);
  money quotient = 0;
  enum money_result result = money_divide(*amount, &decimal, &quotient);
  return push_result(L, "/", result, quotient);
}

static int negate(lua_State *L)
{
  money negated;
  if (!money_negate(money_to(L, 1), &negated))
    return error_usage(L, "-(%s) %s", luaL_tolstring(L, 1, NULL), money_explain(MONEY_OVERFLOW));
  money_push(L, negated);
  return 1;
}

#define UNORDERED 2 /* the result of a comparison with NaN, in either direction */

static int compare_with(lua_State *L, money amount, int index)
{
  if (lua_type(L, index) == LUA_TNUMBER) {
    lua_Number number = lua_tonumber(L, index);
    if (isnan(number)) return UNORDERED;
    if (isinf(number)) return number > 0 ? -1 : 1;
  }
  struct decimal decimal;
  to_decimal(L, index, &decimal);
  return money_compare(amount, &decimal);
}

static int compare(lua_State *L)
{
  const money *a = money_test(L, 1), *b = money_test(L, 2);
  if (a && b) return *a < *b ? -1 : *a > *b;
  if (a) return compare_with(L, *a, 2);
  return -compare_with(L, money_to(L, 2), 1); /* debug can call this without any amount */
}

static int less(lua_State *L)
{
  lua_pushboolean(L, compare(L) == -1);
  return 1;
}

static int less_or_equal(lua_State *L)
{
  int order = compare(L);
  lua_pushboolean(L, order == -1 || order == 0);
  return 1;
}

static int equal(lua_State *L)
{
  const money *a = money_test(L, 1), *b = money_test(L, 2);
  lua_pushboolean(L, a && b && *a == *b);
  return 1;
}

static const money *check_self(lua_State *L)
{
  const money *amount = money_test(L, 1);
  if (!amount) fail(L, 1, MONEY_SYNTAX);
  return amount;
}

static int to_string(lua_State *L)
{
  char text[MONEY_TEXT];
  size_t size = money_format(*check_self(L), text);
  lua_pushlstring(L, text, size);
  return 1;
}

static int concatenate(lua_State *L)
{
  for (int i = 1; i <= 2; i++)
    if (!lua_isstring(L, i) && !money_test(L, i))
      return error_usage(L, "an amount can be joined with text and numbers, not with %s",
                         describe(L, i));
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

static int round_to(lua_State *L)
{
  money amount = *check_self(L), rounded;
  int exact = 1;
  lua_Integer decimals = lua_isnoneornil(L, 2) ? 2 : lua_tointegerx(L, 2, &exact);
  if (!exact)
    return error_usage(L, "round takes a whole number of decimals, got %s", describe(L, 2));
  if (decimals < -MONEY_TEXT) decimals = -MONEY_TEXT;
  if (decimals > MONEY_DECIMALS) decimals = MONEY_DECIMALS;
  if (money_round(amount, (int)decimals, &rounded) != MONEY_OK)
    return error_usage(L, "%s, rounded, %s", luaL_tolstring(L, 1, NULL),
                       money_explain(MONEY_OVERFLOW));
  money_push(L, rounded);
  return 1;
}

static int to_number(lua_State *L)
{
  lua_pushnumber(L, money_to_double(*check_self(L)));
  return 1;
}

static int new_money(lua_State *L)
{
  if (money_test(L, 1)) {
    lua_settop(L, 1);
    return 1;
  }
  money_push(L, money_to(L, 1));
  return 1;
}

static int is_money(lua_State *L)
{
  lua_pushboolean(L, money_test(L, 1) != NULL);
  return 1;
}

static int call(lua_State *L)
{
  lua_remove(L, 1);
  return new_money(L);
}

static void make_metatable(lua_State *L)
{
  static const luaL_Reg methods[] = {{"round", round_to}, {"tonumber", to_number}, {NULL, NULL}};
  static const luaL_Reg operators[] = {{"__add", add},
                                       {"__sub", subtract},
                                       {"__mul", multiply},
                                       {"__div", divide},
                                       {"__unm", negate},
                                       {"__lt", less},
                                       {"__le", less_or_equal},
                                       {"__eq", equal},
                                       {"__concat", concatenate},
                                       {"__tostring", to_string},
                                       {NULL, NULL}};
  luaL_newlib(L, operators);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  set_text(L, "__name", "money");
  lua_pushliteral(L, "money"); /* operators are every script's; none may replace them */
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
}

void money_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"new", new_money}, {"is", is_money}, {NULL, NULL}};
  make_metatable(L);
  luaL_newlib(L, functions);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, call);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, -2);
}
