/* What the command line asks of the operating system: terminals, whole files, locks, the exit code.
 */
#ifndef PROXYLUA_BIND_SYSTEM_H
#define PROXYLUA_BIND_SYSTEM_H

#include <lua.h>
#include <stdbool.h>

/* Pushes the table of functions:
 *   isatty(fd)
 *   terminal_width(fd), terminal_height(fd) -> columns, lines; nil when it is not a terminal
 *   write(text, ...): to standard output; raises an error of kind store
 *   flush()
 *   is_closed_pipe(error) -> whether standard output was closed by its reader
 *   read_file(path, limit) -> text, or nil and why; "-" is standard input; limit in bytes
 *   read_trusted(path, limit) -> text of a regular file that only this user and root can change, or
 *     nil and why
 *   write_file(path, text [, mode]): whole or not at all; raises
 *   make_folder(path): with its parents, 0700; raises
 *   kind(path) -> "file", "folder", "other", or nil
 *   status(path) -> table
 *   real_path(path) -> absolute, without links, or nil
 *   distrust(path) -> why others can change it; nil when only this user and root can
 *   lock(path [, wait]) -> a handle that holds the lock until it is closed or collected, nil when
 *     another process has it; wait: blocks the process, for locks that are held for moments only
 *   embedded(name) -> text of a file of the program, or nil
 *   set_exit_code(code): of a run that succeeds
 *   exit_code(error) -> the one of its kind
 *   pid()
 *   program() -> the name by which the program was called */
void system_open(lua_State *L);

/* Whether the value at an index is the error of a standard output whose reader is gone. It is not
 * reported. */
bool system_is_closed_pipe(lua_State *L, int index);

/* Writes to standard output; raises an error of kind store. */
void system_write(lua_State *L, const char *bytes, size_t size);

/* Raises what errno says of a write to standard output. */
_Noreturn int system_fail_output(lua_State *L);

#endif
