#include "net/clear.h"

#include <curl/curl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void clear_free(void *block)
{
  if (block) explicit_bzero(block, malloc_usable_size(block));
  free(block);
}

/* A block that realloc moved would leave its bytes behind. */
static void *clear_realloc(void *block, size_t size)
{
  size_t old = block ? malloc_usable_size(block) : 0;
  if (block && size > 0 && size <= old) return block;
  void *moved = malloc(size > 0 ? size : 1);
  if (!moved) return NULL;
  if (old > 0) memcpy(moved, block, old < size ? old : size);
  clear_free(block);
  return moved;
}

bool clear_init_curl(void)
{
  return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, clear_free, clear_realloc, strdup,
                              calloc) == CURLE_OK;
}
