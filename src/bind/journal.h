/* The journal of charges for Lua: what it holds for this account, and what a person settles. The flow of charges itself
 * (core/purchase) does not come by here. */
#ifndef PROXYLUA_BIND_JOURNAL_H
#define PROXYLUA_BIND_JOURNAL_H

#include <lua.h>

/* Pushes the table. All of these wait for the store:
 *   list{states=, after=, limit=} -> entries in the order of their ids, and the id to go on after, nil at the end. states: list
 *     of names; limit: how many are looked at (100). While the account behind the key is not known, all entries of this base
 *     URL count as its own
 *   get(key or id) -> entry, or nil
 *   random_key() -> a key that nobody has used; it waits for nothing
 *   settle(id, state [, {order_id=, price=, answer=}]) -> whether that entry was open until now
 * An entry is a table: id, account, key, endpoint, params, quote, state, open, order_id, price, answer, snapshot, host, pid,
 * run_id, day, created_at, updated_at, and `running`: the process that wrote it is still at work on it. */
void journal_open(lua_State *L);

#endif
