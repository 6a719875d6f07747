#include "bundle/archive.h"

#include <minizip/zip.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "bundle/archive_private.h"

#define EPOCH (1 << 21 | 1 << 16)   /* 1980-01-01 00:00, the first date of a zip */
#define MADE_BY (3 << 8 | 20)       /* unix, version 2.0 of the format */
#define MODE ((uLong)0100644 << 16) /* a regular file */
#define UTF8_NAMES (1 << 11)
#define CHUNK (1 << 30) /* minizip counts in unsigned int */

static bool fail_memory(struct error *err)
{
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

static bool is_control(const char *name, size_t size)
{
  for (size_t i = 0; i < size; i++)
    if ((unsigned char)name[i] < ' ' || name[i] == 0x7F) return true;
  return false;
}

static const char *check_segment(const char *segment, size_t size)
{
  if (size == 0) return "has an empty part in its name";
  if (size == 1 && segment[0] == '.') return "has the part . in its name";
  if (size == 2 && memcmp(segment, "..", 2) == 0) return "has the part .. in its name";
  return NULL;
}

const char *archive_check_name(const char *name, size_t size)
{
  if (size == 0) return "has no name";
  if (size > ARCHIVE_NAME) return "has too long a name";
  if (is_control(name, size) || !buffer_is_utf8(name, size))
    return "has a name that is not plain text";
  if (name[0] == '/') return "has an absolute path for a name";
  if (memchr(name, '\\', size)) return "has a backslash in its name";
  if (size > 1 && name[1] == ':') return "has a drive in its name";
  const char *why = NULL, *end = name + size;
  for (const char *slash; !why && name <= end; name = slash + 1) {
    slash = memchr(name, '/', (size_t)(end - name));
    if (!slash) slash = end;
    why = check_segment(name, (size_t)(slash - name));
  }
  return why;
}

/* "/" sorts before all other bytes: the files of a folder follow directly after a file of the same
 * name, so that the conflict is found. */
static int compare(const void *a, const void *b)
{
  const unsigned char *x = (const unsigned char *)((const struct archive_file *)a)->name;
  const unsigned char *y = (const unsigned char *)((const struct archive_file *)b)->name;
  while (*x && *x == *y) x++, y++;
  return (*x == '/' ? 1 : *x) - (*y == '/' ? 1 : *y);
}

bool archive_refuse(struct error *err, const char *name, const char *why)
{
  error_set(err, ERROR_CONFIG, "the archive is refused: %.*s %s", ARCHIVE_NAME, name, why);
  return false;
}

bool archive_sort(struct archive *archive, struct error *err)
{
  if (archive->count > 1) qsort(archive->files, archive->count, sizeof *archive->files, compare);
  for (size_t i = 1; i < archive->count; i++) {
    const char *before = archive->files[i - 1].name, *name = archive->files[i].name;
    size_t size = strlen(before);
    if (strcmp(before, name) == 0) return archive_refuse(err, name, "appears twice");
    if (strncmp(before, name, size) == 0 && name[size] == '/')
      return archive_refuse(err, before, "is both a file and a folder");
  }
  return true;
}

static bool grow(struct archive *archive)
{
  if (archive->count < archive->capacity) return true;
  size_t capacity = archive->capacity ? archive->capacity * 2 : 16;
  struct archive_file *files = realloc(archive->files, capacity * sizeof *files);
  if (!files) return false;
  archive->files = files;
  archive->capacity = capacity;
  return true;
}

bool archive_put(struct archive *archive, const char *name, size_t name_size, char *data,
                 size_t size)
{
  char *copy = grow(archive) ? strndup(name, name_size) : NULL;
  if (!copy) return false;
  archive->files[archive->count++] = (struct archive_file){copy, data, size};
  return true;
}

bool archive_add(struct archive *archive, const char *name, size_t name_size, const void *data,
                 size_t size, struct error *err)
{
  const char *why = archive_check_name(name, name_size);
  if (why) {
    error_set(err, ERROR_USAGE, "a file for an archive %s", why);
    return false;
  }
  char *copy = malloc(size + 1);
  if (!copy) return fail_memory(err);
  memcpy(copy, data, size);
  copy[size] = '\0';
  if (archive_put(archive, name, name_size, copy, size)) return true;
  free(copy);
  return fail_memory(err);
}

void archive_free(struct archive *archive)
{
  for (size_t i = 0; i < archive->count; i++) {
    free(archive->files[i].name);
    free(archive->files[i].data);
  }
  free(archive->files);
  *archive = ARCHIVE_INIT;
}

static bool write_file(zipFile zip, const struct archive_file *file)
{
  const zip_fileinfo info = {.dosDate = EPOCH, .external_fa = MODE};
  int result =
      zipOpenNewFileInZip4_64(zip, file->name, &info, NULL, 0, NULL, 0, NULL, Z_DEFLATED,
                              Z_BEST_COMPRESSION, 0, -MAX_WBITS, DEF_MEM_LEVEL, Z_DEFAULT_STRATEGY,
                              NULL, 0, MADE_BY, UTF8_NAMES, file->size >= UINT32_MAX);
  for (size_t at = 0; result == ZIP_OK && at < file->size; at += CHUNK) {
    size_t chunk = file->size - at < CHUNK ? file->size - at : CHUNK;
    result = zipWriteInFileInZip(zip, file->data + at, (unsigned)chunk);
  }
  return result == ZIP_OK && zipCloseFileInZip(zip) == ZIP_OK;
}

static voidpf memory_open(voidpf memory, const void *name, int mode)
{
  (void)name, (void)mode;
  return memory;
}

static uLong memory_read(voidpf opaque, voidpf stream, void *to, uLong size)
{
  struct archive_memory *memory = opaque;
  (void)stream;
  size_t left = memory->position < memory->size ? memory->size - memory->position : 0;
  if (size > left) size = left;
  if (!memory->bytes) return 0;
  memcpy(to, memory->bytes + memory->position, size);
  memory->position += size;
  return size;
}

/* minizip goes back to fill in a file's size. */
static uLong memory_write(voidpf opaque, voidpf stream, const void *from, uLong size)
{
  struct archive_memory *memory = opaque;
  (void)stream;
  size_t end = memory->position + size;
  if (!memory->out || (end > memory->size && !buffer_reserve(memory->out, end - memory->size)))
    return 0;
  if (size == 0) return 0; /* the buffer may not have any memory yet */
  memcpy(memory->out->data + memory->out->size - memory->size + memory->position, from, size);
  if (end > memory->size) {
    memory->out->size += end - memory->size;
    memory->out->data[memory->out->size] = '\0';
    memory->size = end;
  }
  memory->position = end;
  return size;
}

static ZPOS64_T memory_position(voidpf opaque, voidpf stream)
{
  const struct archive_memory *memory = opaque;
  (void)stream;
  return memory->base + memory->position;
}

static long memory_seek(voidpf opaque, voidpf stream, ZPOS64_T offset, int origin)
{
  struct archive_memory *memory = opaque;
  (void)stream;
  size_t from = origin == ZLIB_FILEFUNC_SEEK_CUR ? memory->position : memory->size;
  if (origin == ZLIB_FILEFUNC_SEEK_SET) {
    if (offset < memory->base) return -1;
    from = 0;
    offset -= memory->base;
  }
  if (offset > memory->size - from) return -1;
  memory->position = from + offset;
  return 0;
}

static int memory_close(voidpf opaque, voidpf stream)
{
  (void)opaque, (void)stream;
  return 0;
}

void archive_memory_functions(struct archive_memory *memory, zlib_filefunc64_def *functions)
{
  *functions = (zlib_filefunc64_def){.zopen64_file = memory_open,
                                     .zread_file = memory_read,
                                     .zwrite_file = memory_write,
                                     .ztell64_file = memory_position,
                                     .zseek64_file = memory_seek,
                                     .zclose_file = memory_close,
                                     .zerror_file = memory_close,
                                     .opaque = memory};
}

bool archive_write(struct archive *archive, size_t base, struct buffer *out, struct error *err)
{
  if (!archive_sort(archive, err)) return false;
  struct archive_memory memory = {.out = out, .base = base};
  zlib_filefunc64_def functions;
  archive_memory_functions(&memory, &functions);
  zipFile zip = zipOpen2_64(NULL, base > 0 ? APPEND_STATUS_CREATEAFTER : APPEND_STATUS_CREATE, NULL,
                            &functions);
  if (!zip) return fail_memory(err);
  bool ok = true;
  for (size_t i = 0; ok && i < archive->count; i++) ok = write_file(zip, &archive->files[i]);
  return (zipClose(zip, NULL) == ZIP_OK && ok) || fail_memory(err);
}
