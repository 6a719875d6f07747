/* Whether other users could change a file or folder that this process believes. */
#ifndef PROXYLUA_BASE_TRUST_H
#define PROXYLUA_BASE_TRUST_H

#include <sys/stat.h>

/* Why others can change a file or folder, as a clause with "it" as its subject; NULL when only this
 * user and root can. A group may write only if it is the user's own private group: named like the
 * user, the user's primary group, without other members. Safe on any thread. */
const char *trust_problem(const struct stat *status);

/* The same for a folder in which a file must not be replaced: others may write to a sticky one,
 * since they cannot rename or remove there what is not theirs. */
const char *trust_folder_problem(const struct stat *status);

#endif
