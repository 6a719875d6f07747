/* Other processes of this machine. */
#ifndef PROXYLUA_PROCESS_H
#define PROXYLUA_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the process that had this id at a moment (microseconds since 1970) is still there: one that began later is another
 * that was given the same id. */
bool process_lives(int64_t pid, int64_t moment);

#endif
