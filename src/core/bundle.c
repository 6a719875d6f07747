#include "core/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/bundle_marker.h"
#include "core/zip.h"

struct entry {
  struct bundle_file file;
  size_t packed, offset; /* of its local header */
};

struct bundle {
  struct bundle_marker marker;
  int fd;
  char *directory; /* names point into it */
  struct buffer sums;
  struct entry *entries;
  size_t count;
};

static bool fail_memory(struct error *err)
{
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

static bool refuse(struct error *err, const char *name, size_t size)
{
  error_set(
      err, ERROR_CONFIG,
      "the app in this program was changed after it was bundled: %.*s is not what it was; get the program again, or "
      "bundle it again",
      (int)size, name);
  return false;
}

static bool refuse_text(struct error *err, const char *name)
{
  return refuse(err, name, strlen(name));
}

/* Reads exactly that much; the file's size was looked at before. */
static bool read_at(const struct bundle *bundle, void *to, size_t size, uint64_t offset, struct error *err)
{
  for (char *at = to; size > 0;) {
    ssize_t got = pread(bundle->fd, at, size, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      error_set(err, ERROR_CONFIG, "cannot read the app in this program: %s",
                got < 0 ? strerror(errno) : "it ends early");
      return false;
    }
    at += got;
    size -= (size_t)got;
    offset += (uint64_t)got;
  }
  return true;
}

static bool matches(const void *bytes, size_t size, const unsigned char expected[DIGEST_SIZE])
{
  unsigned char digest[DIGEST_SIZE];
  return digest_sha256(&(struct digest_part){bytes, size}, 1, digest) && memcmp(digest, expected, sizeof digest) == 0;
}

/* --- opening --- */

static bool refuse_size(const struct bundle_marker *marker, uint64_t size, struct error *err)
{
  if (size <= marker->begin)
    error_set(
        err, ERROR_CONFIG,
        "the app that was bundled with this program is gone: strip, or another tool that rewrites programs, has cut "
        "it off; bundle it again, and leave the bundle as it is");
  else if (size < marker->end)
    error_set(err, ERROR_CONFIG, "this program is cut short: its app had %llu bytes, and %llu are left; copy it again",
              (unsigned long long)(marker->end - marker->begin), (unsigned long long)(size - marker->begin));
  else
    error_set(err, ERROR_CONFIG,
              "this program was changed after it was bundled: %llu bytes were added behind its app; get it again",
              (unsigned long long)(size - marker->end));
  return false;
}

static bool open_file(struct bundle *bundle, struct error *err)
{
  struct stat status;
  bundle->fd = bundle_open_program();
  if (bundle->fd < 0 || fstat(bundle->fd, &status) != 0) {
    error_set(err, ERROR_CONFIG, "cannot read the app at the end of this program's file: %s", strerror(errno));
    return false;
  }
  uint64_t size = (uint64_t)status.st_size;
  return size == bundle->marker.end || refuse_size(&bundle->marker, size, err);
}

/* Its bytes are as they were written, so that their shape needs no looking at. */
static void read_entries(struct bundle *bundle)
{
  const char *at = bundle->directory;
  for (size_t i = 0; i < bundle->count; i++) {
    struct entry *entry = &bundle->entries[i];
    entry->packed = zip_u32(at + ZIP_CENTRAL_PACKED);
    entry->offset = zip_u32(at + ZIP_CENTRAL_OFFSET);
    entry->file.size = zip_u32(at + ZIP_CENTRAL_SIZE);
    entry->file.name = at + ZIP_CENTRAL;
    entry->file.name_size = zip_u16(at + ZIP_CENTRAL_NAME);
    at += zip_central_size(at);
  }
}

static bool read_directory(struct bundle *bundle, struct error *err)
{
  size_t size = (size_t)(bundle->marker.end - bundle->marker.directory);
  bundle->directory = malloc(size);
  if (!bundle->directory) return fail_memory(err);
  if (!read_at(bundle, bundle->directory, size, bundle->marker.directory, err)) return false;
  if (!matches(bundle->directory, size, bundle->marker.index)) return refuse_text(err, "the directory of its zip");
  bundle->count = zip_u16(bundle->directory + size - ZIP_END + ZIP_END_COUNT);
  bundle->entries = calloc(bundle->count + 1, sizeof *bundle->entries);
  if (!bundle->entries) return fail_memory(err);
  read_entries(bundle);
  return true;
}

static bool is_called(const struct entry *entry, const char *name)
{
  return strlen(name) == entry->file.name_size && memcmp(name, entry->file.name, entry->file.name_size) == 0;
}

static struct entry *find(const struct bundle *bundle, const char *name)
{
  for (size_t i = 0; i < bundle->count; i++)
    if (is_called(&bundle->entries[i], name)) return &bundle->entries[i];
  return NULL;
}

/* --- files --- */

static bool inflate_all(const char *packed, size_t packed_size, char *to, size_t size)
{
  z_stream stream = {.next_in = (Bytef *)packed,
                     .avail_in = (uInt)packed_size,
                     .next_out = (Bytef *)to,
                     .avail_out = (uInt)size + 1}; /* one byte more shows that it is not longer, and becomes the NUL */
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return false;
  bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == size;
  inflateEnd(&stream);
  return whole;
}

static bool inflate_into(const char *packed, const struct entry *entry, struct buffer *out, struct error *err)
{
  if (!inflate_all(packed, entry->packed, out->data, entry->file.size))
    return refuse(err, entry->file.name, entry->file.name_size);
  out->size = entry->file.size;
  out->data[out->size] = '\0';
  return true;
}

static bool unpack(const struct bundle *bundle, const struct entry *entry, struct buffer *out, struct error *err)
{
  char head[ZIP_LOCAL];
  if (!read_at(bundle, head, sizeof head, entry->offset, err)) return false;
  uint64_t from = entry->offset + zip_local_size(head);
  if (from + entry->packed > bundle->marker.directory) return refuse(err, entry->file.name, entry->file.name_size);
  char *packed = malloc(entry->packed);
  bool ok = (packed && buffer_reserve(out, entry->file.size)) || fail_memory(err);
  ok = ok && read_at(bundle, packed, entry->packed, from, err) && inflate_into(packed, entry, out, err);
  free(packed);
  return ok;
}

/* The lines are in the order of the zip's files. */
static bool assign_sums(struct bundle *bundle)
{
  const char *line = bundle->sums.data, *end = line + bundle->sums.size;
  for (size_t i = 0; i < bundle->count; i++) {
    struct bundle_file *file = &bundle->entries[i].file;
    if (is_called(&bundle->entries[i], BUNDLE_SUMS)) continue;
    size_t name = DIGEST_HEX + 1; /* behind two spaces */
    if ((size_t)(end - line) <= name + file->name_size || memcmp(line + name, file->name, file->name_size) != 0)
      return false;
    file->sha256 = line;
    line += name + file->name_size + 1;
  }
  return line == end;
}

static bool read_sums(struct bundle *bundle, struct error *err)
{
  const struct entry *entry = find(bundle, BUNDLE_SUMS);
  if (!entry) return refuse_text(err, BUNDLE_SUMS);
  if (!unpack(bundle, entry, &bundle->sums, err)) return false;
  if (!matches(bundle->sums.data, bundle->sums.size, bundle->marker.sums) || !assign_sums(bundle))
    return refuse_text(err, BUNDLE_SUMS);
  return true;
}

/* --- the face --- */

struct bundle *bundle_open(struct error *err)
{
  struct bundle_marker marker = bundle_marker;
  if (marker.end == 0) return NULL;
  struct bundle *bundle = calloc(1, sizeof *bundle);
  if (!bundle) {
    fail_memory(err);
    return NULL;
  }
  bundle->marker = marker;
  bundle->fd = -1;
  if (open_file(bundle, err) && read_directory(bundle, err) && read_sums(bundle, err)) return bundle;
  bundle_close(bundle);
  return NULL;
}

void bundle_close(struct bundle *bundle)
{
  if (!bundle) return;
  if (bundle->fd >= 0) close(bundle->fd);
  free(bundle->directory);
  free(bundle->entries);
  buffer_free(&bundle->sums);
  free(bundle);
}

bool bundle_list(const struct bundle *bundle, size_t at, struct bundle_file *file)
{
  const struct entry *sums = find(bundle, BUNDLE_SUMS);
  if (bundle->entries + at >= sums) at++;
  if (at < bundle->count) *file = bundle->entries[at].file;
  return at < bundle->count;
}

bool bundle_has(const struct bundle *bundle, const char *name)
{
  return find(bundle, name);
}

bool bundle_read(const struct bundle *bundle, const char *name, struct buffer *out, struct error *err)
{
  const struct entry *entry = find(bundle, name);
  if (!entry || !entry->file.sha256) {
    error_set(err, ERROR_USAGE, "the bundle has no file %s", name);
    return false;
  }
  char hex[DIGEST_HEX];
  if (!unpack(bundle, entry, out, err)) return false;
  if (!digest_hex(&(struct digest_part){out->data, out->size}, 1, hex)) return fail_memory(err);
  return memcmp(hex, entry->file.sha256, DIGEST_HEX - 1) == 0 || refuse_text(err, name);
}

bool bundle_verify(const struct bundle *bundle, struct error *err)
{
  size_t size = (size_t)(bundle->marker.end - bundle->marker.begin);
  char *zip = malloc(size);
  if (!zip) return fail_memory(err);
  bool ok = read_at(bundle, zip, size, bundle->marker.begin, err) &&
            (matches(zip, size, bundle->marker.whole) || refuse_text(err, "its zip"));
  free(zip);
  return ok;
}
