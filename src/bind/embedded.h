/* The files that the program carries inside: the Lua parts as bytecode, texts as they are. The
 * table is written at build time by tools/embed.lua. */
#ifndef PROXYLUA_BIND_EMBEDDED_H
#define PROXYLUA_BIND_EMBEDDED_H

#include <stddef.h>

struct lua_State;

struct embedded_file {
  const char *name; /* of a module ("proxylua.cli.orders", "argparse"), or the path of a text
                       ("README.md") */
  const unsigned char *data;
  size_t size; /* bytes of data, without the NUL that follows them */
};

/* Sorted by name (strcmp). */
extern const struct embedded_file embedded_files[];
extern const size_t embedded_count;

/* The file of a name, or NULL. */
const struct embedded_file *embedded_find(const char *name);

/* What a searcher returns for a module of proxylua, from inside alone; nothing for other names. */
int embedded_own(struct lua_State *L, const char *name);

/* A searcher for package.searchers. With PROXYLUA_LUA_DIR in the environment the modules of
 * proxylua come from that folder (DIR/proxylua/cli/orders.lua) and not from inside. */
int embedded_searcher(struct lua_State *L);

#endif
