#include "bundle/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fs.h"
#include "base/sha256.h"

#define MODE 0755

/* The layout of a zip: where the little-endian numbers of its records are. */
enum {
  LOCAL = 30, /* bytes of a local header before its name */
  LOCAL_NAME = 26,
  CENTRAL = 46, /* of an entry of the central directory before its name */
  CENTRAL_PACKED = 20,
  CENTRAL_SIZE = 24,
  CENTRAL_NAME = 28,
  CENTRAL_OFFSET = 42,
  END = 22, /* of the record at the end, without a comment */
  END_COUNT = 10,
  END_DIRECTORY = 16
};

/* The description of the app at the end of a program's file. It is in the program's data, which
 * strip keeps: a program whose app was removed can report that. Offsets are those in the program's
 * file. All but the magic is 0 in a program without an app. */
struct bundle_marker {
  char magic[24];
  uint64_t begin, end;               /* of the zip, which ends with the file */
  unsigned char digest[DIGEST_SIZE]; /* SHA-256 of the zip */
};

/* Volatile: the compiler must not assume its bytes, which differ in a bundle. */
static const volatile struct bundle_marker bundle_marker
    __attribute__((used)) = {.magic = "proxylua bundle marker"};

/* The file that this process runs, open for reading; -1 with errno set. Where /proc is not mounted,
 * the path that the program was started by must do. */
static int open_program(void)
{
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const char *path = (const char *)getauxval(AT_EXECFN);
  return fd >= 0 || !path ? fd : open(path, O_RDONLY | O_CLOEXEC);
}

struct bundle {
  struct bundle_marker marker;
  char *mapping; /* from the page on that the zip begins in; NULL until it is there */
  size_t mapped;
  const char *zip;
  const char **entries; /* those of its central directory */
  size_t count;
};

static uint16_t read_u16(const char *at)
{
  const unsigned char *byte = (const unsigned char *)at;
  return (uint16_t)(byte[0] | byte[1] << 8);
}

static uint32_t read_u32(const char *at)
{
  return read_u16(at) | (uint32_t)read_u16(at + 2) << 16;
}

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
              "rewrites programs, has cut it off; bundle it again, and do not change the bundle");
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
  if (bundle->marker.begin + END > bundle->marker.end) return refuse_change(err);
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
  const char *end = bundle->zip + (bundle->marker.end - bundle->marker.begin) - END;
  const char *at = bundle->zip + (read_u32(end + END_DIRECTORY) - bundle->marker.begin);
  bundle->count = read_u16(end + END_COUNT);
  bundle->entries = calloc(bundle->count + 1, sizeof *bundle->entries);
  if (!bundle->entries) return fail_memory(err);
  for (size_t i = 0; i < bundle->count; i++) {
    const char *sizes = at + CENTRAL_NAME;
    bundle->entries[i] = at;
    at += CENTRAL + read_u16(sizes) + read_u16(sizes + 2) + read_u16(sizes + 4);
  }
  return true;
}

static bool open_zip(struct bundle *bundle, struct error *err)
{
  int fd = open_program();
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
  *file = (struct bundle_file){.name = entry + CENTRAL,
                               .name_size = read_u16(entry + CENTRAL_NAME),
                               .size = read_u32(entry + CENTRAL_SIZE)};
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
  size_t size = read_u32(entry + CENTRAL_SIZE);
  const char *local = bundle->zip + (read_u32(entry + CENTRAL_OFFSET) - bundle->marker.begin);
  if (!buffer_reserve(out, size)) return fail_memory(err);
  const char *packed =
      local + LOCAL + read_u16(local + LOCAL_NAME) + read_u16(local + LOCAL_NAME + 2);
  if (!inflate_all(packed, read_u32(entry + CENTRAL_PACKED), out->data, size))
    return fail_memory(err);
  out->size = size;
  out->data[size] = '\0';
  return true;
}

/* Writing: this program's own file, its marker filled in, and the zip. */

struct program {
  char *bytes; /* a mapping */
  size_t size;
  size_t marker; /* offset of bundle_marker */
};

static bool map_program(struct program *program, struct error *err)
{
  struct stat status;
  int fd = open_program();
  program->bytes = MAP_FAILED;
  if (fd >= 0 && fstat(fd, &status) == 0) {
    program->size = (size_t)status.st_size;
    program->bytes = mmap(NULL, program->size, PROT_READ, MAP_PRIVATE, fd, 0);
  }
  if (program->bytes == MAP_FAILED)
    error_set(err, ERROR_STORE, "cannot read this program's file: %s", strerror(errno));
  if (fd >= 0) close(fd);
  return program->bytes != MAP_FAILED;
}

/* Called for the program itself first. Finds the place in the file that the marker was loaded from.
 */
static int find_marker(struct dl_phdr_info *info, size_t size, void *arg)
{
  struct program *program = arg;
  uintptr_t address = (uintptr_t)&bundle_marker - info->dlpi_addr;
  (void)size;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    if (part->p_type == PT_LOAD && address >= part->p_vaddr &&
        address - part->p_vaddr < part->p_filesz)
      program->marker = part->p_offset + (address - part->p_vaddr);
  }
  return 1;
}

static bool locate_marker(struct program *program, struct error *err)
{
  dl_iterate_phdr(find_marker, program);
  struct bundle_marker marker = bundle_marker;
  if (program->marker > 0 && program->marker + sizeof marker <= program->size &&
      memcmp(program->bytes + program->marker, &marker, sizeof marker) == 0)
    return true;
  error_set(err, ERROR_INTERNAL, "this program's file is not the one that runs; start it again");
  return false;
}

static void fill_marker(struct bundle_marker *marker, const struct buffer *zip, size_t begin)
{
  *marker = bundle_marker;
  marker->begin = begin;
  marker->end = begin + zip->size;
  digest_sha256(&(struct digest_part){zip->data, zip->size}, 1, marker->digest);
}

static bool write_all(const struct program *program, const struct bundle_marker *marker,
                      const struct buffer *zip, const char *path, struct error *err)
{
  struct file file;
  size_t behind = program->marker + sizeof *marker;
  if (!file_begin(&file, path, MODE, err)) return false;
  bool ok = file_write(&file, program->bytes, program->marker, err) &&
            file_write(&file, marker, sizeof *marker, err) &&
            file_write(&file, program->bytes + behind, program->size - behind, err) &&
            file_write(&file, zip->data, zip->size, err);
  if (ok) return file_commit(&file, err);
  file_abandon(&file);
  return false;
}

static bool attach(const struct program *program, struct archive *archive, struct buffer *zip,
                   const char *path, struct error *err)
{
  struct bundle_marker marker;
  if (!archive_write(archive, program->size, zip, err)) return false;
  if (archive->count >= UINT16_MAX || program->size + zip->size >= UINT32_MAX) {
    error_set(err, ERROR_USAGE,
              "that is too much for one bundle: it may have 65534 files and 4 GiB");
    return false;
  }
  fill_marker(&marker, zip, program->size);
  return write_all(program, &marker, zip, path, err);
}

bool bundle_write(struct archive *archive, const char *path, struct error *err)
{
  struct program program = {0};
  struct buffer zip = {0};
  if (bundle_marker.end != 0) {
    error_set(err, ERROR_USAGE, "this program is a bundle itself; make bundles with proxylua");
    return false;
  }
  if (!map_program(&program, err)) return false;
  bool ok = locate_marker(&program, err) && attach(&program, archive, &zip, path, err);
  munmap(program.bytes, program.size);
  buffer_free(&zip);
  return ok;
}
