/* Zip archives: plugins and bundles. What is read is written and read again as the same files. */
#include <stdlib.h>
#include <string.h>

#include "bundle/archive.h"
#include "spec/support/fuzz.h"

static const struct archive_limits limits = {.count = 20,
                                             .file = 1 << 16,
                                             .total = 1 << 17,
                                             .ratio = 100};

static void compare(const struct archive *one, const struct archive *other)
{
  if (one->count != other->count) abort();
  for (size_t i = 0; i < one->count; i++) {
    const struct archive_file *file = &one->files[i], *same = &other->files[i];
    if (strcmp(file->name, same->name) != 0 || file->size != same->size) abort();
    if (memcmp(file->data, same->data, file->size) != 0) abort();
    if (archive_check_name(file->name, strlen(file->name))) abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct archive read = ARCHIVE_INIT, again = ARCHIVE_INIT;
  struct error err = ERROR_INIT;
  struct buffer out = {0};
  if (archive_read(&read, data, size, &limits, &err)) {
    if (!archive_write(&read, 0, &out, &err)) abort();
    if (!archive_read(&again, out.data, out.size, &limits, &err)) abort();
    compare(&read, &again);
  }
  buffer_free(&out);
  archive_free(&again);
  archive_free(&read);
  return 0;
}
