#include "bundle/archive_private.h"

#include <string.h>

static voidpf open_it(voidpf memory, const void *name, int mode)
{
  (void)name, (void)mode;
  return memory;
}

static uLong read_it(voidpf opaque, voidpf stream, void *to, uLong size)
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
static uLong write_it(voidpf opaque, voidpf stream, const void *from, uLong size)
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

static ZPOS64_T tell_it(voidpf opaque, voidpf stream)
{
  const struct archive_memory *memory = opaque;
  (void)stream;
  return memory->position;
}

static long seek_it(voidpf opaque, voidpf stream, ZPOS64_T offset, int origin)
{
  struct archive_memory *memory = opaque;
  (void)stream;
  size_t from = origin == ZLIB_FILEFUNC_SEEK_SET   ? 0
                : origin == ZLIB_FILEFUNC_SEEK_CUR ? memory->position
                                                   : memory->size;
  if (offset > memory->size - from) return -1;
  memory->position = from + offset;
  return 0;
}

static int close_it(voidpf opaque, voidpf stream)
{
  (void)opaque, (void)stream;
  return 0;
}

void archive_memory_functions(struct archive_memory *memory, zlib_filefunc64_def *functions)
{
  *functions = (zlib_filefunc64_def){.zopen64_file = open_it,
                                     .zread_file = read_it,
                                     .zwrite_file = write_it,
                                     .ztell64_file = tell_it,
                                     .zseek64_file = seek_it,
                                     .zclose_file = close_it,
                                     .zerror_file = close_it,
                                     .opaque = memory};
}
