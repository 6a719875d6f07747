/* The proxies of a pool in two heaps: those that may be picked, and those that are set aside. */
#ifndef PROXYLUA_POOL_HEAP_H
#define PROXYLUA_POOL_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct session;

struct member {
  char *url;
  uint64_t order; /* in the list: smaller is earlier */
  uint64_t turn;  /* number of the latest pick; 0: never */
  double latency; /* negative: not measured */
  double until;   /* end of the quarantine */
  uint64_t requests, failures;
  struct heap *heap;        /* NULL while it is held back */
  size_t at;                /* in the heap */
  struct session *sessions; /* that use it */
  UT_hash_handle hh;
};

struct heap {
  bool (*before)(const struct member *a, const struct member *b);
  struct member **members; /* the first one comes before all others */
  size_t count, capacity;
};

/* Makes room for `capacity` members. False when memory is out. */
bool heap_reserve(struct heap *heap, size_t capacity);
void heap_free(struct heap *heap);

/* There must be room for it. */
void heap_insert(struct heap *heap, struct member *member);
void heap_remove(struct member *member);

/* Moves a member to where it belongs after its fields have changed. */
void heap_update(struct member *member);

/* NULL when it is empty. */
struct member *heap_first(const struct heap *heap);

#endif
