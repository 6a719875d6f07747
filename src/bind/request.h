/* px.request: any request by its path, through the same door and under the same rules as the endpoints. */
#ifndef PROXYLUA_BIND_REQUEST_H
#define PROXYLUA_BIND_REQUEST_H

#include <lua.h>

/* request{method=, path=, query=, json=, key=, max_price=, timeout=, max_wait=} -> the decoded data. */
int request_send(lua_State *L);

#endif
