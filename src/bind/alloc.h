/* The allocator of a lua_State: small blocks come from free lists by size, which is what JSON-heavy
 * work asks for. */
#ifndef PROXYLUA_BIND_ALLOC_H
#define PROXYLUA_BIND_ALLOC_H

#include <stddef.h>

struct alloc;

struct alloc *alloc_open(void);

/* Frees everything that was allocated through it. */
void alloc_close(struct alloc *alloc);

/* A lua_Alloc, with the struct alloc as its `ud`. */
void *alloc_resize(void *alloc, void *block, size_t old_size, size_t new_size);

#endif
