#include "base/trust.h"

#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define ENTRY                                                                         \
  ((size_t)16 << 10) /* bytes of an entry of passwd or group; longer ones are refused \
                      */

static bool is_private_group(gid_t group)
{
  char user_bytes[ENTRY], group_bytes[ENTRY];
  struct passwd user, *user_found;
  struct group entry, *group_found;
  if (getpwuid_r(geteuid(), &user, user_bytes, sizeof user_bytes, &user_found) != 0 ||
      !user_found || user.pw_gid != group ||
      getgrgid_r(group, &entry, group_bytes, sizeof group_bytes, &group_found) != 0 ||
      !group_found || strcmp(entry.gr_name, user.pw_name) != 0)
    return false;
  for (char **member = entry.gr_mem; *member; member++)
    if (strcmp(*member, user.pw_name) != 0) return false;
  return true;
}

const char *trust_problem(const struct stat *status)
{
  if (status->st_uid != geteuid() && status->st_uid != 0) return "it belongs to another user";
  if (status->st_mode & S_IWOTH) return "it can be changed by others";
  if (status->st_mode & S_IWGRP && !is_private_group(status->st_gid))
    return "it can be changed by its group";
  return NULL;
}

const char *trust_folder_problem(const struct stat *status)
{
  struct stat as_if = *status;
  if (status->st_mode & S_ISVTX) as_if.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
  return trust_problem(&as_if);
}
