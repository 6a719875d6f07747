/* Notes (core/notes) for Lua, as lists: lua/proxylua/notes.lua makes tables of them and checks what scripts give. */
#ifndef PROXYLUA_BIND_NOTES_H
#define PROXYLUA_BIND_NOTES_H

#include <lua.h>

/* Pushes the table. All of these wait for the store; `of_api`: the notes of the API at the base URL, else those of the store.
 *   get(of_api, kind, names) -> list of texts, false where there is none
 *   put(of_api, kind, names, texts, only_new) -> how many were written or removed; a text that is false removes
 *   list(of_api, kind, after) -> lists of names, texts and times (seconds since 1970): the next ones, empty at the end */
void notes_open(lua_State *L);

#endif
