/* Writing a bundle: this program's own file, its marker filled in, and the zip with the offsets
 * that it has there. */
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "bundle/bundle.h"
#include "bundle/marker.h"
#include "bundle/zip.h"

#define MODE 0755

struct program {
  char *bytes; /* a mapping */
  size_t size;
  size_t marker; /* offset of bundle_marker */
};

static bool map_program(struct program *program, struct error *err)
{
  struct stat status;
  int fd = bundle_open_program();
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

/* A zip counts from the beginning of its file. */
static void shift_offsets(struct buffer *zip, size_t begin)
{
  char *end = zip->data + zip->size - ZIP_END, *at = zip->data + zip_u32(end + ZIP_END_DIRECTORY);
  zip_put_u32(end + ZIP_END_DIRECTORY, zip_u32(end + ZIP_END_DIRECTORY) + (uint32_t)begin);
  for (; at < end; at += zip_central_size(at))
    zip_put_u32(at + ZIP_CENTRAL_OFFSET, zip_u32(at + ZIP_CENTRAL_OFFSET) + (uint32_t)begin);
}

static void fill_marker(struct bundle_marker *marker, struct buffer *zip, size_t begin)
{
  *marker = bundle_marker;
  marker->begin = begin;
  marker->end = begin + zip->size;
  shift_offsets(zip, begin);
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
  if (!archive_write(archive, zip, err)) return false;
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
