#include "pool/pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>

#include "pool/heap.h"

#define NEWEST 0.3 /* weight of the latest latency in the average */

/* A session is in the list of its member and, by its hash handle, in the pool's table, whose order
 * is that of the latest use. */
struct session {
  struct member *member;
  struct session *prev, *next; /* of the same member */
  UT_hash_handle hh;
  char key[];
};

struct pool {
  enum pool_strategy strategy;
  double quarantine;
  struct member *members; /* by URL, in the order of the list */
  struct session *sessions;
  struct heap usable, aside;
  uint64_t turn, order; /* the latest ones */
  uint64_t seed;        /* an attacker who chooses keys must not know their hashes */
};

static bool is_earlier(const struct member *a, const struct member *b)
{
  return a->turn != b->turn ? a->turn < b->turn : a->order < b->order;
}

static bool is_faster(const struct member *a, const struct member *b)
{
  double first = a->latency < 0 ? 0 : a->latency, second = b->latency < 0 ? 0 : b->latency;
  return first < second || (first == second && is_earlier(a, b));
}

static bool is_free_sooner(const struct member *a, const struct member *b)
{
  return a->until < b->until || (a->until == b->until && a->order < b->order);
}

static void move(struct member *member, struct heap *heap)
{
  if (member->heap == heap) {
    heap_update(member);
    return;
  }
  heap_remove(member);
  heap_insert(heap, member);
}

static unsigned mix(uint64_t *hash, uint64_t word)
{
  *hash = (*hash ^ word) * UINT64_C(0xD6E8FEB86659FD93);
  *hash ^= *hash >> 32;
  return (unsigned)*hash;
}

static unsigned hash_of(const struct pool *pool, const char *text, size_t size)
{
  uint64_t hash = pool->seed, word;
  mix(&hash, size);
  for (; size >= sizeof word; size -= sizeof word, text += sizeof word) {
    memcpy(&word, text, sizeof word);
    mix(&hash, word);
  }
  word = 0;
  if (size > 0) memcpy(&word, text, size);
  mix(&hash, word);
  return mix(&hash, pool->seed);
}

static struct member *find_member(const struct pool *pool, const char *url)
{
  size_t size = strlen(url);
  struct member *member = NULL;
  if (pool->members)
    HASH_FIND_BYHASHVALUE(hh, pool->members, url, size, hash_of(pool, url, size), member);
  return member;
}

static struct session *find_session(const struct pool *pool, const struct pool_query *query)
{
  struct session *session = NULL;
  if (pool->sessions)
    HASH_FIND_BYHASHVALUE(hh, pool->sessions, query->key, query->key_size,
                          hash_of(pool, query->key, query->key_size), session);
  return session;
}

static void unlink_session(struct pool *pool, struct session *session)
{
  HASH_DEL(pool->sessions, session);
  DL_DELETE(session->member->sessions, session);
}

static void drop_session(struct pool *pool, struct session *session)
{
  unlink_session(pool, session);
  free(session);
}

/* Adds a session at the end, as the one that was used latest. It frees it when memory is out. */
static bool add_session(struct pool *pool, struct session *session, size_t size)
{
  unsigned hash = hash_of(pool, session->key, size);
  HASH_ADD_KEYPTR_BYHASHVALUE(hh, pool->sessions, session->key, size, hash, session);
  if (!session->hh.tbl) {
    free(session);
    return false;
  }
  DL_APPEND(session->member->sessions, session);
  return true;
}

static bool keep_session(struct pool *pool, const struct pool_query *query, struct session *session,
                         struct member *member)
{
  if (session) {
    unlink_session(pool, session);
  } else {
    if (HASH_COUNT(pool->sessions) >= POOL_MAX_SESSIONS) drop_session(pool, pool->sessions);
    session = calloc(1, sizeof *session + query->key_size);
    if (!session) return false;
    if (query->key_size > 0) memcpy(session->key, query->key, query->key_size);
  }
  session->member = member;
  return add_session(pool, session, query->key_size);
}

struct pool *pool_new(enum pool_strategy strategy, double quarantine)
{
  struct pool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pool->strategy = strategy;
  pool->quarantine = quarantine;
  pool->usable.before = strategy == POOL_LEAST_LATENCY ? is_faster : is_earlier;
  pool->aside.before = is_free_sooner;
  if (getrandom(&pool->seed, sizeof pool->seed, 0) != (ssize_t)sizeof pool->seed)
    pool->seed = (uint64_t)(uintptr_t)pool;
  return pool;
}

static void free_member(struct member *member)
{
  free(member->url);
  free(member);
}

static void drop_member(struct pool *pool, struct member *member)
{
  struct session *session, *following;
  DL_FOREACH_SAFE(member->sessions, session, following) drop_session(pool, session);
  HASH_DEL(pool->members, member);
  heap_remove(member);
  free_member(member);
}

void pool_free(struct pool *pool)
{
  if (!pool) return;
  while (pool->members) drop_member(pool, pool->members);
  heap_free(&pool->usable);
  heap_free(&pool->aside);
  free(pool);
}

enum pool_change pool_add(struct pool *pool, const char *url)
{
  if (find_member(pool, url)) return POOL_UNCHANGED;
  size_t count = pool_count(pool) + 1, size = strlen(url);
  if (!heap_reserve(&pool->usable, count) || !heap_reserve(&pool->aside, count))
    return POOL_NO_MEMORY;
  struct member *member = calloc(1, sizeof *member);
  if (!member) return POOL_NO_MEMORY;
  member->url = strdup(url);
  if (member->url) {
    unsigned hash = hash_of(pool, url, size);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, pool->members, member->url, size, hash, member);
  }
  if (!member->url || !member->hh.tbl) {
    free_member(member);
    return POOL_NO_MEMORY;
  }
  member->order = ++pool->order;
  member->latency = -1;
  heap_insert(&pool->usable, member);
  return POOL_CHANGED;
}

bool pool_remove(struct pool *pool, const char *url)
{
  struct member *member = find_member(pool, url);
  if (!member) return false;
  drop_member(pool, member);
  return true;
}

static void end_quarantines(struct pool *pool, double now)
{
  struct member *member;
  while ((member = heap_first(&pool->aside)) && member->until <= now) move(member, &pool->usable);
}

struct held {
  struct member *member;
  struct heap *heap;
};

/* Takes those that were tried out of their heaps. */
static size_t hold_back(const struct pool *pool, const struct pool_query *query, struct held *held)
{
  size_t count = 0;
  for (size_t i = 0; i < query->tried_count && i < POOL_MAX_TRIED; i++) {
    struct member *member = find_member(pool, query->tried[i]);
    if (!member || !member->heap) continue;
    held[count++] = (struct held){member, member->heap};
    heap_remove(member);
  }
  return count;
}

static struct member *choose(const struct pool *pool, const struct pool_query *query)
{
  const struct heap *usable = &pool->usable;
  if (usable->count == 0) return heap_first(&pool->aside);
  if (pool->strategy == POOL_RANDOM) return usable->members[query->random % usable->count];
  return heap_first(usable);
}

bool pool_pick(struct pool *pool, const struct pool_query *query, const char **url)
{
  struct held held[POOL_MAX_TRIED];
  end_quarantines(pool, query->now);
  size_t count = hold_back(pool, query, held);
  struct session *session = query->key ? find_session(pool, query) : NULL;
  bool stays = session && session->member->heap == &pool->usable;
  struct member *member = stays ? session->member : choose(pool, query);
  while (count-- > 0) heap_insert(held[count].heap, held[count].member);
  *url = member ? member->url : NULL;
  if (!member) return true;
  member->turn = ++pool->turn;
  heap_update(member);
  return !query->key || keep_session(pool, query, session, member);
}

bool pool_report(struct pool *pool, const char *url, enum pool_outcome outcome, double latency,
                 double now)
{
  struct member *member = find_member(pool, url);
  if (!member) return false;
  member->requests++;
  if (outcome == POOL_FAILED) {
    member->failures++;
    member->until = now + pool->quarantine;
    move(member, &pool->aside);
  } else if (outcome == POOL_WORKED) {
    if (latency >= 0)
      member->latency =
          member->latency < 0 ? latency : member->latency + NEWEST * (latency - member->latency);
    member->until = 0;
    move(member, &pool->usable);
  }
  return true;
}

size_t pool_count(const struct pool *pool)
{
  return HASH_COUNT(pool->members);
}

void pool_each(const struct pool *pool, void (*visit)(void *arg, const struct pool_row *row),
               void *arg)
{
  for (const struct member *member = pool->members; member; member = member->hh.next) {
    struct pool_row row = {.url = member->url,
                           .requests = member->requests,
                           .failures = member->failures,
                           .latency = member->latency,
                           .until = member->until};
    visit(arg, &row);
  }
}
