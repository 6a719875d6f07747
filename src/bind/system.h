/* What the command line asks of the operating system: terminals, whole files, locks, the exit code.
 */
#ifndef PROXYLUA_BIND_SYSTEM_H
#define PROXYLUA_BIND_SYSTEM_H

#include <lua.h>
#include <stdbool.h>

/* Pushes the table:
 *   isatty(fd), terminal_width(fd) -> columns, terminal_height(fd) -> lines; nil when it is no
 * terminal write(text, ...), print(...) to standard output: raise an error of kind store when it
 * cannot take it; flush(); output_failed(errno) raises that error is_closed_pipe(error) -> whether
 * it is that one, because nobody reads standard output any more read_file(path, limit) -> text, or
 * nil and why; "-" is standard input; limit in bytes write_file(path, text [, mode]): whole or not
 * at all; raises make_folder(path): with its parents, 0700; raises kind(path) -> "file", "folder",
 * "other", or nil real_path(path) -> absolute, without links, or nil is_trusted(path) -> whether
 * nobody but this user and root can write to it lock(path [, wait]) -> a handle that holds the lock
 * until it is closed or collected, or nil when another process has it; wait: holds up everything
 * until it is free, so only for locks that are held for moments set_exit_code(code): of a run that
 * ends well exit_code(error) -> the one of its kind pid() */
void system_open(lua_State *L);

/* Whether the value at an index is the error of a standard output that nobody reads any more: it
 * needs no telling. */
bool system_is_closed_pipe(lua_State *L, int index);

#endif
