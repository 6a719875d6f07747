#ifndef PROXYLUA_BIND_ENDPOINT_H
#define PROXYLUA_BIND_ENDPOINT_H

#include <lua.h>

/* Pushes a table that, called, answers the table of endpoints as a list of rows: name, method, path, class (safe, once or
 * charge), summary, record, list, paged, text, options, and params: a list of {name, type, where, required, min, max, values,
 * summary}; a new copy each time. Beside it the judgement of paths: normalise(path) -> path, query; match(method, path) ->
 * name; path(name, {id=…}) -> path; nearest(name) -> name. */
void endpoint_open(lua_State *L);

#endif
