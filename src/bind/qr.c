#include "bind/box.h"
#include "bind/modules.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/error.h"
#include "qr/qr.h"

#define CODE "proxylua.qr"

/* In a userdata, so that nothing is left behind when Lua raises. */
struct code {
  struct qr qr;
  struct buffer png;
};

static int on_code_gc(lua_State *L)
{
  struct code *code = luaL_checkudata(L, 1, CODE);
  qr_free(&code->qr);
  buffer_free(&code->png);
  return 0;
}

static struct code *push_code(lua_State *L)
{
  struct code *code = box_push(L, sizeof *code, CODE, on_code_gc, NULL);
  *code = (struct code){.qr = QR_INIT};
  return code;
}

static struct code *push_code_of(lua_State *L, int index)
{
  size_t size;
  const char *text = luaL_checklstring(L, index, &size);
  if (strlen(text) != size) error_usage(L, "a QR code cannot hold a NUL");
  struct code *code = push_code(L);
  struct error err = ERROR_INIT;
  if (!qr_make(&code->qr, text, &err)) error_raise(L, &err);
  return code;
}

static void push_row(lua_State *L, const struct qr *qr, size_t row)
{
  size_t width = qr->width + 2 * QR_MARGIN;
  luaL_Buffer text;
  char *cells = luaL_buffinitsize(L, &text, width);
  memset(cells, '0', width);
  for (size_t i = 0; row < qr->width && i < qr->width; i++)
    if (qr->dark[row * qr->width + i]) cells[QR_MARGIN + i] = '1';
  luaL_pushresultsize(&text, width);
}

static int rows(lua_State *L)
{
  const struct qr *qr = &push_code_of(L, 1)->qr;
  size_t height = qr->width + 2 * QR_MARGIN;
  lua_createtable(L, (int)height, 0);
  for (size_t i = 0; i < height; i++) {
    push_row(L, qr,
             i - QR_MARGIN); /* in the margin above it wraps around to what is beyond the code */
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int png(lua_State *L)
{
  lua_Integer scale = luaL_checkinteger(L, 2);
  if (scale < 1 || scale > QR_MOST_SCALE)
    error_usage(L, "the scale of a QR code is 1 to %d pixels a module", QR_MOST_SCALE);
  struct code *code = push_code_of(L, 1);
  struct error err = ERROR_INIT;
  if (!qr_png(&code->qr, (size_t)scale, &code->png, &err)) error_raise(L, &err);
  lua_pushlstring(L, code->png.data, code->png.size);
  return 1;
}

void qr_open(lua_State *L)
{
  static const luaL_Reg functions[] = {{"rows", rows}, {"png", png}, {NULL, NULL}};
  luaL_newlib(L, functions);
}
