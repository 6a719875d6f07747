/* The process of a plugin, from the inside: a lua_State of its own without files, system calls and
 * bytecode, in the jail. */
#ifndef PROXYLUA_BIND_PLUGIN_GUEST_PROCESS_H
#define PROXYLUA_BIND_PLUGIN_GUEST_PROCESS_H

#include <stdbool.h>

/* Whether the command line starts a plugin's process. Only a parent process of the same program
 * can do so. */
bool plugin_process_asked(int argc, char **argv);

/* Serves the parent until that closes the socket. Ends the process. */
void plugin_process_run(int argc, char **argv) __attribute__((noreturn));

#endif
