/* A file that is written whole or not at all: the bytes go to a temporary file in the same folder,
 * which gets its final name only when it is complete and on disk. */
#ifndef PROXYLUA_BASE_FS_H
#define PROXYLUA_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

struct file {
  int fd;          /* -1 when not open */
  char *path;      /* its final path */
  char *temporary; /* its name until then, NULL while it has none */
  off_t size;      /* bytes written so far */
};

#define FILE_INIT ((struct file){.fd = -1})

/* Opens a temporary file that becomes `path`, with the given mode. Refuses an existing path that is
 * not a regular file (usage). */
bool file_begin(struct file *file, const char *path, mode_t mode, struct error *err);

/* Errors are of kind store and name the path. */
bool file_write(struct file *file, const void *bytes, size_t size, struct error *err);

/* Puts the bytes and their name on disk; ends the file either way. */
bool file_commit(struct file *file, struct error *err);

/* Closes and removes the temporary file. Does nothing for a file that is not open. */
void file_abandon(struct file *file);

/* Puts the names in a folder, a path from the folder of a descriptor, on disk. File systems that
 * cannot are ignored, and so is a folder that only lets files be made. */
void file_sync_folder(int folder, const char *path);

#endif
