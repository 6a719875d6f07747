/* Bundles for the command line: the app in this program's own file, and making programs with one. */
#ifndef PROXYLUA_BIND_BUNDLE_H
#define PROXYLUA_BIND_BUNDLE_H

#include <lua.h>

/* Pushes the table:
 *   here() -> the name by which the program was called, when it has an app; else nil
 *   read(name) -> the text of a file of the app, nil when it has none of that name
 *   files() -> list of {name, size}
 *   write(path, files): makes a program of this one and a list of {name, data}, whole or not at all. A file that holds the API
 *     key is a usage error
 * What is wrong with the app is an error of kind config. */
void bundle_module_open(lua_State *L);

#endif
