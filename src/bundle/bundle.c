#include "bundle/bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "bundle/marker.h"
#include "bundle/zip.h"

struct bundle {
  struct bundle_marker marker;
  char *mapping; /* from the page on that the zip begins in; NULL until it is there */
  size_t mapped;
  const char *zip;
  const char **entries; /* those of its central directory */
  size_t count;
};

static bool fail_memory(struct error *err)
{
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

static bool refuse_size(const struct bundle_marker *marker, uint64_t size, struct error *err)
{
  if (size <= marker->begin)
    error_set(err, ERROR_CONFIG,
              "the app that was bundled with this program is gone: strip, or another tool that "
              "rewrites programs, has cut "
              "it off; bundle it again, and do not change the bundle");
  else if (size < marker->end)
    error_set(err, ERROR_CONFIG,
              "this program is cut short: its app had %llu bytes, and %llu are left; copy it again",
              (unsigned long long)(marker->end - marker->begin),
              (unsigned long long)(size - marker->begin));
  else
    error_set(err, ERROR_CONFIG,
              "this program was changed after it was bundled: %llu bytes were added behind its "
              "app; get it again",
              (unsigned long long)(size - marker->end));
  return false;
}

static bool refuse_change(struct error *err)
{
  error_set(err, ERROR_CONFIG,
            "the app in this program was changed after it was bundled; get the program again, or "
            "bundle it again");
  return false;
}

/* Linux refuses writes to the file of a running program, so the mapping cannot change after the
 * check. */
static bool map_zip(struct bundle *bundle, int fd, struct error *err)
{
  struct stat status;
  uint64_t before = bundle->marker.begin % (uint64_t)sysconf(_SC_PAGESIZE);
  bool known = fd >= 0 && fstat(fd, &status) == 0;
  if (bundle->marker.begin + ZIP_END > bundle->marker.end) return refuse_change(err);
  if (known && (uint64_t)status.st_size != bundle->marker.end)
    return refuse_size(&bundle->marker, (uint64_t)status.st_size, err);
  size_t size = (size_t)(bundle->marker.end - bundle->marker.begin + before);
  void *mapping =
      known ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, (off_t)(bundle->marker.begin - before))
            : MAP_FAILED;
  if (mapping == MAP_FAILED) {
    error_set(err, ERROR_CONFIG, "cannot read the app at the end of this program's file: %s",
              strerror(errno));
    return false;
  }
  bundle->mapping = mapping;
  bundle->mapped = size;
  bundle->zip = bundle->mapping + before;
  return true;
}

static bool is_as_it_was(const struct bundle *bundle, struct error *err)
{
  unsigned char digest[DIGEST_SIZE];
  size_t size = (size_t)(bundle->marker.end - bundle->marker.begin);
  digest_sha256(&(struct digest_part){bundle->zip, size}, 1, digest);
  return memcmp(digest, bundle->marker.digest, sizeof digest) == 0 || refuse_change(err);
}

/* The hash was checked, so the layout needs no checks. Offsets in the zip count from the beginning
 * of the program's file. */
static bool find_entries(struct bundle *bundle, struct error *err)
{
  const char *end = bundle->zip + (bundle->marker.end - bundle->marker.begin) - ZIP_END;
  const char *at = bundle->zip + (zip_u32(end + ZIP_END_DIRECTORY) - bundle->marker.begin);
  bundle->count = zip_u16(end + ZIP_END_COUNT);
  bundle->entries = calloc(bundle->count + 1, sizeof *bundle->entries);
  if (!bundle->entries) return fail_memory(err);
  for (size_t i = 0; i < bundle->count; i++, at += zip_central_size(at)) bundle->entries[i] = at;
  return true;
}

static bool open_zip(struct bundle *bundle, struct error *err)
{
  int fd = bundle_open_program();
  bool ok = map_zip(bundle, fd, err);
  if (fd >= 0) close(fd);
  return ok && is_as_it_was(bundle, err) && find_entries(bundle, err);
}

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
  if (open_zip(bundle, err)) return bundle;
  bundle_close(bundle);
  return NULL;
}

void bundle_close(struct bundle *bundle)
{
  if (!bundle) return;
  if (bundle->mapping) munmap(bundle->mapping, bundle->mapped);
  free(bundle->entries);
  free(bundle);
}

bool bundle_list(const struct bundle *bundle, size_t at, struct bundle_file *file)
{
  if (at >= bundle->count) return false;
  const char *entry = bundle->entries[at];
  *file = (struct bundle_file){.name = entry + ZIP_CENTRAL,
                               .name_size = zip_u16(entry + ZIP_CENTRAL_NAME),
                               .size = zip_u32(entry + ZIP_CENTRAL_SIZE)};
  return true;
}

static const char *find(const struct bundle *bundle, const char *name)
{
  struct bundle_file file;
  for (size_t i = 0; bundle_list(bundle, i, &file); i++)
    if (strlen(name) == file.name_size && memcmp(name, file.name, file.name_size) == 0)
      return bundle->entries[i];
  return NULL;
}

bool bundle_has(const struct bundle *bundle, const char *name)
{
  return find(bundle, name);
}

static bool inflate_all(const char *packed, size_t packed_size, char *to, size_t size)
{
  z_stream stream = {.next_in = (Bytef *)packed,
                     .avail_in = (uInt)packed_size,
                     .next_out = (Bytef *)to,
                     .avail_out = (uInt)size + 1}; /* one byte more, which becomes the NUL */
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return false;
  bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == size;
  inflateEnd(&stream);
  return whole;
}

bool bundle_read(const struct bundle *bundle, const char *name, struct buffer *out,
                 struct error *err)
{
  const char *entry = find(bundle, name);
  if (!entry) {
    error_set(err, ERROR_USAGE, "the bundle has no file %s", name);
    return false;
  }
  size_t size = zip_u32(entry + ZIP_CENTRAL_SIZE);
  const char *local = bundle->zip + (zip_u32(entry + ZIP_CENTRAL_OFFSET) - bundle->marker.begin);
  if (!buffer_reserve(out, size)) return fail_memory(err);
  if (!inflate_all(local + zip_local_size(local), zip_u32(entry + ZIP_CENTRAL_PACKED), out->data,
                   size))
    return fail_memory(err);
  out->size = size;
  out->data[size] = '\0';
  return true;
}
