/* Other processes of this machine. */
#ifndef PROXYLUA_BASE_PROCESS_H
#define PROXYLUA_BASE_PROCESS_H

#include <stdint.h>

#define PROCESS_HOST 128

/* When a process began, in ticks since the machine did: with its id it names the process. 0 when
 * there is none. */
int64_t process_start(int64_t pid);

/* This machine's name, "unknown" when it has none. */
void process_host(char name[PROCESS_HOST]);

#endif
