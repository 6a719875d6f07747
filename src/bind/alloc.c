#include "bind/alloc.h"

#include <stdlib.h>
#include <string.h>

#define STEP 16
#define LARGEST 512 /* larger blocks are malloc's */
#define CHUNK (64 << 10)
#define CLASSES (LARGEST / STEP)

struct block {
  struct block *next;
};

struct chunk {
  struct chunk *next;
  _Alignas(STEP) char bytes[];
};

struct alloc {
  struct block *unused[CLASSES];
  struct chunk *chunks;
  char *fresh, *end; /* what the newest chunk still has */
};

struct alloc *alloc_open(void)
{
  return calloc(1, sizeof(struct alloc));
}

void alloc_close(struct alloc *alloc)
{
  if (!alloc) return;
  while (alloc->chunks) {
    struct chunk *chunk = alloc->chunks;
    alloc->chunks = chunk->next;
    free(chunk);
  }
  free(alloc);
}

#if defined(__SANITIZE_ADDRESS__)
#define POOLED 0 /* the sanitizer must see every block */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOLED 0
#endif
#endif
#ifndef POOLED
#define POOLED 1
#endif

static int class_of(size_t size)
{
  return POOLED && size <= LARGEST ? (int)((size - 1) / STEP) : -1;
}

static void *carve(struct alloc *alloc, int class)
{
  size_t size = (size_t)(class + 1) * STEP;
  if ((size_t)(alloc->end - alloc->fresh) < size) {
    struct chunk *chunk = malloc(sizeof *chunk + CHUNK);
    if (!chunk) return NULL;
    chunk->next = alloc->chunks;
    alloc->chunks = chunk;
    alloc->fresh = chunk->bytes;
    alloc->end = chunk->bytes + CHUNK;
  }
  void *block = alloc->fresh;
  alloc->fresh += size;
  return block;
}

static void *take(struct alloc *alloc, size_t size)
{
  int class = class_of(size);
  if (class < 0) return malloc(size);
  struct block *block = alloc->unused[class];
  if (!block) return carve(alloc, class);
  alloc->unused[class] = block->next;
  return block;
}

static void give(struct alloc *alloc, void *block, size_t size)
{
  int class = class_of(size);
  if (class < 0) {
    free(block);
    return;
  }
  ((struct block *)block)->next = alloc->unused[class];
  alloc->unused[class] = block;
}

void *alloc_resize(void *arg, void *block, size_t old_size, size_t new_size)
{
  struct alloc *alloc = arg;
  if (new_size == 0) {
    if (block) give(alloc, block, old_size);
    return NULL;
  }
  if (!block) return take(alloc, new_size);
  int from = class_of(old_size), to = class_of(new_size);
  if (from < 0 && to < 0) return realloc(block, new_size);
  if (from == to) return block;
  void *moved = take(alloc, new_size);
  if (!moved) return NULL;
  memcpy(moved, block, old_size < new_size ? old_size : new_size);
  give(alloc, block, old_size);
  return moved;
}
