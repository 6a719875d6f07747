/* Reading: the directory of a zip is checked before anything is unpacked, and then compared with
 * the unpacked files. */
#include <errno.h>
#include <fcntl.h>
#include <minizip/unzip.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle/archive_private.h"

#define ENCRYPTED (1 << 0 | 1 << 6 | 1 << 13) /* flags of an entry */
#define SLACK (64 << 10)                      /* bytes that a file may have at any ratio */
#define END 22   /* bytes of the record at the end, without a comment */
#define ENTRY 46 /* bytes of an entry of the directory, without its texts */
#define CHUNK (1 << 20)

struct reading {
  struct archive *archive;
  const struct archive_limits *limits;
  unzFile zip;
  size_t total; /* unpacked so far */
  struct error *err;
  unz_file_info64 info;
  char name[ARCHIVE_NAME + 2];
};

static bool fail(struct reading *reading, const char *what)
{
  error_set(reading->err, ERROR_CONFIG, "the archive is refused: %s", what);
  return false;
}

static bool fail_memory(struct reading *reading)
{
  error_set(reading->err, ERROR_INTERNAL, "out of memory");
  return false;
}

/* About the entry that is being read. */
static bool refuse(struct reading *reading, const char *why)
{
  for (char *c = reading->name; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7F) *c = '?';
  return archive_refuse(reading->err, *reading->name ? reading->name : "an entry", why);
}

static bool is_folder(const struct reading *reading)
{
  size_t size = strlen(reading->name);
  return size > 1 && reading->name[size - 1] == '/';
}

/* The permissions of unix are in the upper half, whichever system made the archive. */
static bool is_plain(const struct reading *reading)
{
  mode_t type = (mode_t)(reading->info.external_fa >> 16) & S_IFMT;
  return type == 0 || type == (is_folder(reading) ? S_IFDIR : S_IFREG);
}

static bool check_size(struct reading *reading, size_t size)
{
  const struct archive_limits *limits = reading->limits;
  if (size > limits->file) return refuse(reading, "is too large");
  if (size > limits->total - reading->total)
    return refuse(reading, "makes the archive too large in total");
  if (size > SLACK && (size - SLACK) / limits->ratio > reading->info.compressed_size)
    return refuse(reading, "is far larger than it looks");
  return true;
}

static bool check_entry(struct reading *reading)
{
  const unz_file_info64 *info = &reading->info;
  size_t size = strnlen(reading->name, sizeof reading->name - 1);
  if (size != info->size_filename)
    return refuse(reading, size > ARCHIVE_NAME ? "has too long a name" : "has a name with a NUL");
  const char *why = archive_check_name(reading->name, is_folder(reading) ? size - 1 : size);
  if (why) return refuse(reading, why);
  if (info->flag & ENCRYPTED) return refuse(reading, "is encrypted");
  if (!is_plain(reading)) return refuse(reading, "is a link or a special file");
  if (info->compression_method != 0 && info->compression_method != Z_DEFLATED)
    return refuse(reading, "is packed in an unusual way");
  if (is_folder(reading) && info->uncompressed_size > 0)
    return refuse(reading, "is a folder with data");
  return info->uncompressed_size <= SIZE_MAX - 1
             ? check_size(reading, (size_t)info->uncompressed_size)
             : refuse(reading, "is too large");
}

/* The data must have exactly the size that the directory gives. */
static bool unpack(struct reading *reading, char *to, size_t size)
{
  size_t at = 0;
  int got = 1;
  while (at < size && got > 0) {
    got = unzReadCurrentFile(reading->zip, to + at,
                             (unsigned)(size - at < CHUNK ? size - at : CHUNK));
    if (got > 0) at += (size_t)got;
  }
  char more;
  return at == size && unzReadCurrentFile(reading->zip, &more, 1) == 0;
}

static bool read_data(struct reading *reading)
{
  size_t size = (size_t)reading->info.uncompressed_size;
  if (unzOpenCurrentFile(reading->zip) != UNZ_OK) return refuse(reading, "is damaged");
  char *data = malloc(size + 1);
  bool whole = data && unpack(reading, data, size);
  bool sound = unzCloseCurrentFile(reading->zip) == UNZ_OK && whole; /* it compares the checksum */
  if (sound) data[size] = '\0';
  if (sound && archive_put(reading->archive, reading->name, strlen(reading->name), data, size)) {
    reading->total += size;
    return true;
  }
  bool memory = !data || sound;
  free(data);
  return memory ? fail_memory(reading) : refuse(reading, "is damaged");
}

static bool read_entry(struct reading *reading)
{
  memset(reading->name, 0, sizeof reading->name);
  int result = unzGetCurrentFileInfo64(reading->zip, &reading->info, reading->name,
                                       sizeof reading->name - 1, NULL, 0, NULL, 0);
  if (result != UNZ_OK) return fail(reading, "its directory is damaged");
  return check_entry(reading) && (is_folder(reading) || read_data(reading));
}

static bool read_entries(struct reading *reading)
{
  unz_global_info64 all;
  if (unzGetGlobalInfo64(reading->zip, &all) != UNZ_OK)
    return fail(reading, "its directory is damaged");
  if (all.number_entry > reading->limits->count) return fail(reading, "it has too many files");
  for (ZPOS64_T i = 0; i < all.number_entry; i++) {
    int result = i == 0 ? unzGoToFirstFile(reading->zip) : unzGoToNextFile(reading->zip);
    if (result != UNZ_OK) return fail(reading, "its directory is damaged");
    if (!read_entry(reading)) return false;
  }
  return reading->archive->count > 0 || fail(reading, "it has no files");
}

/* A little-endian number of two or four bytes. */
static uint64_t number(const unsigned char *bytes, int size)
{
  uint64_t value = 0;
  while (size-- > 0) value = value << 8 | bytes[size];
  return value;
}

/* The end record must be at the end, and the directory must end directly before it. The archive is
 * then complete, and other programs cannot find another archive before or after it. */
static bool is_whole(const unsigned char *bytes, size_t size)
{
  if (size < END) return false;
  const unsigned char *end = bytes + size - END;
  return memcmp(end, "PK\5\6", 4) == 0 && number(end + 20, 2) == 0 &&
         number(end + 12, 4) + number(end + 16, 4) == size - END;
}

/* Whether the directory of a whole archive has as many entries as the end record says, and nothing
 * else: other programs cannot find other files in it. */
static bool is_directory_whole(const unsigned char *bytes, size_t size)
{
  const unsigned char *end = bytes + size - END, *at = bytes + number(end + 16, 4);
  uint64_t count = number(end + 10, 2);
  if (count != number(end + 8, 2)) return false;
  for (; count > 0 && end - at >= ENTRY && memcmp(at, "PK\1\2", 4) == 0; count--) {
    uint64_t length = ENTRY + number(at + 28, 2) + number(at + 30, 2) + number(at + 32, 2);
    if (length > (uint64_t)(end - at)) return false;
    at += length;
  }
  return count == 0 && at == end;
}

bool archive_read(struct archive *archive, const void *bytes, size_t size,
                  const struct archive_limits *limits, struct error *err)
{
  struct archive_memory memory = {.bytes = bytes, .size = size};
  zlib_filefunc64_def functions;
  archive_memory_functions(&memory, &functions);
  struct reading reading = {.archive = archive, .limits = limits, .err = err};
  if (!is_whole(bytes, size)) return fail(&reading, "it is not a zip, or is incomplete");
  if (!is_directory_whole(bytes, size)) return fail(&reading, "its directory is damaged");
  reading.zip = unzOpen2_64(NULL, &functions);
  if (!reading.zip) return fail(&reading, "its directory is damaged");
  bool ok = read_entries(&reading);
  unzClose(reading.zip);
  return ok && archive_sort(archive, err);
}

static bool fail_file(struct error *err, const char *path, const char *why)
{
  error_set(err, ERROR_STORE, "cannot read the archive %s: %s", path, why);
  return false;
}

static bool read_range(int fd, char *to, size_t size, uint64_t offset)
{
  for (size_t at = 0; at < size;) {
    ssize_t got = pread(fd, to + at, size - at, (off_t)(offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = EIO; /* it became shorter meanwhile */
    if (got <= 0) return false;
    at += (size_t)got;
  }
  return true;
}

/* Limits the range to the file's size. */
static bool check_range(int fd, uint64_t offset, uint64_t *size,
                        const struct archive_limits *limits, const char **why)
{
  struct stat there;
  if (fstat(fd, &there) != 0)
    *why = strerror(errno);
  else if (!S_ISREG(there.st_mode))
    *why = "it is not a regular file";
  else if (offset > (uint64_t)there.st_size)
    *why = "it ends before that";
  if (*why) return false;
  uint64_t most = (uint64_t)there.st_size - offset;
  if (*size > most) *why = "it ends before that";
  if (*size == 0) *size = most;
  if (*size > limits->total) *why = "it is too large";
  return !*why;
}

static bool load(struct archive *archive, int fd, const char *path, uint64_t offset, uint64_t size,
                 const struct archive_limits *limits, struct error *err)
{
  const char *why = NULL;
  if (!check_range(fd, offset, &size, limits, &why)) return fail_file(err, path, why);
  char *bytes = malloc((size_t)size + 1);
  if (!bytes) return fail_file(err, path, "out of memory");
  bool ok = read_range(fd, bytes, (size_t)size, offset)
                ? archive_read(archive, bytes, (size_t)size, limits, err)
                : fail_file(err, path, strerror(errno));
  free(bytes);
  return ok;
}

bool archive_load(struct archive *archive, const char *path, uint64_t offset, uint64_t size,
                  const struct archive_limits *limits, struct error *err)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return fail_file(err, path, strerror(errno));
  bool ok = load(archive, fd, path, offset, size, limits, err);
  close(fd);
  return ok;
}
