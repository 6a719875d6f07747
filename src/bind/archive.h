/* Archives and digests for the standard module. */
#ifndef PROXYLUA_BIND_ARCHIVE_H
#define PROXYLUA_BIND_ARCHIVE_H

#include <lua.h>

/* Pushes the table:
 *   read(bytes [, limits]) -> list of {name, data}, sorted by name
 *   load(path [, limits]) -> the same from a file; offset and size, in bytes, of a range of it
 *   write(list of {name, data}) -> bytes; the same ones for the same files
 *   check_name(name) -> nil, or why an archive cannot hold a file of that name
 * limits: count of files, file (bytes of one), total (bytes of all), ratio of unpacked to packed size. What is wrong with an
 * archive is an error of kind config. */
void archive_open(lua_State *L);

/* Pushes the table: sha256(text) -> 64 digits in lower case. */
void digest_open(lua_State *L);

#endif
