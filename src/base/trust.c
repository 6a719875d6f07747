#include "base/trust.h"

#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
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

/* What others may do with a file or folder of this user, or NULL. */
static const char *find_writers(const struct stat *status)
{
  if (status->st_mode & S_IWOTH) return "can be changed by others";
  bool by_group = status->st_mode & S_IWGRP && !is_private_group(status->st_gid);
  return by_group ? "can be changed by its group" : NULL;
}

static bool is_of_another(const struct stat *status)
{
  return status->st_uid != geteuid() && status->st_uid != 0;
}

static bool refuse(struct distrust *found, const char *path, const char *why)
{
  if (found->path != path) snprintf(found->path, sizeof found->path, "%s", path);
  found->why = why;
  return !why;
}

bool trust_status(const char *path, const struct stat *status, struct distrust *found)
{
  if (is_of_another(status)) return refuse(found, path, "belongs to another user");
  return refuse(found, path, find_writers(status));
}

/* Where user ids are mapped, root's own folders seem to belong to another user, as the topmost one
 * does. Root may work below the folder of a user. */
static bool is_foreign(const struct stat *status, bool is_nearest)
{
  struct stat top;
  if (is_nearest || !is_of_another(status)) return is_of_another(status);
  return geteuid() != 0 && !(stat("/", &top) == 0 && top.st_uid == status->st_uid);
}

/* The folders above an absolute path, upwards. */
static bool trust_above(const char *path, struct distrust *found)
{
  char *folder = found->path, *slash;
  if (snprintf(folder, sizeof found->path, "%s", path) >= (int)sizeof found->path)
    return refuse(found, folder, "has a path that is too long");
  for (bool nearest = true; (slash = strrchr(folder, '/')); nearest = false) {
    struct stat status;
    bool top = slash == folder;
    slash[top] = '\0';
    const char *why = stat(folder, &status) != 0     ? "cannot be examined"
                      : is_foreign(&status, nearest) ? "belongs to another user"
                      : status.st_mode & S_ISVTX     ? NULL
                                                     : find_writers(&status);
    if (why) return refuse(found, folder, why);
    if (top) break;
  }
  return true;
}

bool trust_folders(const char *path, struct distrust *found)
{
  char absolute[2 * PATH_MAX], folder[PATH_MAX] = "", real[PATH_MAX];
  if ((*path != '/' && !getcwd(folder, sizeof folder)) || !realpath(path, real))
    return refuse(found, path, "cannot be examined");
  snprintf(absolute, sizeof absolute, "%s%s%s", folder, *path == '/' ? "" : "/", path);
  return trust_above(absolute, found) && trust_above(real, found);
}

const char *trust_remedy(const struct distrust *found)
{
  if (strstr(found->why, "changed by")) return "run chmod go-w";
  return strstr(found->why, "belongs to") ? "make it yours with chown:" : "use a path other than";
}

bool trust_file(const char *path, const struct stat *status, enum error_kind kind, const char *what,
                struct error *err)
{
  struct distrust found;
  if (trust_status(path, status, &found) && trust_folders(path, &found)) return true;
  bool itself = strcmp(found.path, path) == 0;
  error_set(err, kind, "%s %s: %s%s %s; %s %s", what, path, itself ? "it" : "its folder ",
            itself ? "" : found.path, found.why, trust_remedy(&found), found.path);
  return false;
}
