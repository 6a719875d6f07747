/* What is in folders, for the installation of plugins. */
#ifndef PROXYLUA_BIND_FOLDER_H
#define PROXYLUA_BIND_FOLDER_H

#include <lua.h>

/* Pushes the table:
 *   list(path) -> list of {name, kind}, sorted by name; kind is "file", "folder", "link" or "other"; nil and why when it cannot
 *     be read
 *   sync(path): puts the names in a folder on disk; raises */
void folder_open(lua_State *L);

#endif
