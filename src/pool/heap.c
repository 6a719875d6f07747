#include "pool/heap.h"

#include <stdlib.h>

#define FIRST_CAPACITY 16

bool heap_reserve(struct heap *heap, size_t capacity)
{
  if (capacity <= heap->capacity) return true;
  size_t larger = heap->capacity ? heap->capacity * 2 : FIRST_CAPACITY;
  if (larger < capacity) larger = capacity;
  if (larger > SIZE_MAX / sizeof(struct member *)) return false;
  struct member **members = realloc(heap->members, larger * sizeof *members);
  if (!members) return false;
  heap->members = members;
  heap->capacity = larger;
  return true;
}

void heap_free(struct heap *heap)
{
  free(heap->members);
  heap->members = NULL;
  heap->count = heap->capacity = 0;
}

static void place(struct heap *heap, struct member *member, size_t at)
{
  heap->members[at] = member;
  member->at = at;
}

static void sift_up(struct heap *heap, struct member *member)
{
  size_t at = member->at;
  while (at > 0) {
    struct member *parent = heap->members[(at - 1) / 2];
    if (!heap->before(member, parent)) break;
    size_t above = parent->at;
    place(heap, parent, at);
    at = above;
  }
  place(heap, member, at);
}

static void sift_down(struct heap *heap, struct member *member)
{
  size_t at = member->at, child;
  while ((child = 2 * at + 1) < heap->count) {
    if (child + 1 < heap->count && heap->before(heap->members[child + 1], heap->members[child]))
      child++;
    if (!heap->before(heap->members[child], member)) break;
    place(heap, heap->members[child], at);
    at = child;
  }
  place(heap, member, at);
}

void heap_insert(struct heap *heap, struct member *member)
{
  member->heap = heap;
  place(heap, member, heap->count++);
  sift_up(heap, member);
}

void heap_remove(struct member *member)
{
  struct heap *heap = member->heap;
  struct member *last = heap->members[--heap->count];
  member->heap = NULL;
  if (last == member) return;
  place(heap, last, member->at);
  heap_update(last);
}

void heap_update(struct member *member)
{
  sift_up(member->heap, member);
  sift_down(member->heap, member);
}

struct member *heap_first(const struct heap *heap)
{
  return heap->count > 0 ? heap->members[0] : NULL;
}
