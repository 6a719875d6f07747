/* What px.http answers: a table of status, body, head (raw header lines), time and connect_time (seconds). Its headers (a
 * table, names in lower case), ok (a 2xx status) and json() are made when they are asked for. */
#ifndef PROXYLUA_BIND_RESPONSE_H
#define PROXYLUA_BIND_RESPONSE_H

#include <lua.h>

#include "core/http.h"

void response_push(lua_State *L, const struct http_exchange *exchange);

#endif
