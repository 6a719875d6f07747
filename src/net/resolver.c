#include "net/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#define MAX_THREADS 8
#define MAX_NAMES 4096 /* that are remembered */
#define FOUND_MICROSECONDS INT64_C(30000000)
#define FAILED_MICROSECONDS INT64_C(5000000)
#define STACK_BYTES (256 << 10)

struct resolver_query {
  struct name *name;
  void (*done)(void *arg, const struct resolver_result *result);
  void *arg;
  struct resolver_query *prev, *next;
};

struct name {
  UT_hash_handle hh;
  bool pending;
  int64_t expires;
  struct resolver_result result;
  struct resolver_query *queries;
  char host[];
};

struct job {
  struct loop_message message;
  struct shared *shared;
  struct resolver_result result;
  struct job *prev, *next;
  char host[];
};

/* Belongs to the resolver, its threads and the jobs on their way to the loop: the last one frees
 * it. */
struct shared {
  pthread_mutex_t lock;
  pthread_cond_t filled;
  struct loop *loop;
  struct resolver *resolver; /* used by the loop's thread alone; NULL once it is closed */
  struct job *jobs;          /* that wait for a thread */
  int references, threads, idle;
  bool closed;
};

struct resolver {
  struct shared *shared;
  struct loop *loop;
  struct name *names;
};

static void shared_release(struct shared *shared)
{
  pthread_mutex_lock(&shared->lock);
  bool last = --shared->references == 0;
  pthread_mutex_unlock(&shared->lock);
  if (!last) return;
  pthread_cond_destroy(&shared->filled);
  pthread_mutex_destroy(&shared->lock);
  free(shared);
}

struct resolver *resolver_open(struct loop *loop)
{
  struct resolver *resolver = calloc(1, sizeof *resolver);
  struct shared *shared = resolver ? calloc(1, sizeof *shared) : NULL;
  if (!shared) {
    free(resolver);
    return NULL;
  }
  pthread_mutex_init(&shared->lock, NULL);
  pthread_cond_init(&shared->filled, NULL);
  shared->loop = loop;
  shared->resolver = resolver;
  shared->references = 1;
  resolver->shared = shared;
  resolver->loop = loop;
  return resolver;
}

static void drop_name(struct resolver *resolver, struct name *name)
{
  struct resolver_query *query, *following;
  DL_FOREACH_SAFE(name->queries, query, following) free(query);
  HASH_DEL(resolver->names, name);
  free(name);
}

void resolver_close(struct resolver *resolver)
{
  if (!resolver) return;
  struct shared *shared = resolver->shared;
  pthread_mutex_lock(&shared->lock);
  shared->closed = true;
  shared->resolver = NULL;
  while (shared->jobs) {
    struct job *job = shared->jobs;
    DL_DELETE(shared->jobs, job);
    free(job);
  }
  pthread_cond_broadcast(&shared->filled);
  pthread_mutex_unlock(&shared->lock);
  shared_release(shared);
  while (resolver->names) drop_name(resolver, resolver->names);
  free(resolver);
}

static bool read_literal(const char *host, struct resolver_result *result)
{
  struct sockaddr_in *v4 = (struct sockaddr_in *)&result->address[0];
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&result->address[0];
  memset(result, 0, sizeof *result);
  result->count = 1;
  v4->sin_family = AF_INET;
  if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) return true;
  memset(v6, 0, sizeof *v6);
  v6->sin6_family = AF_INET6;
  return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
}

bool resolver_know(struct resolver *resolver, const char *host, struct resolver_result *result)
{
  struct name *name;
  if (read_literal(host, result)) return true;
  HASH_FIND_STR(resolver->names, host, name);
  if (!name || name->pending || name->expires <= loop_clock()) return false;
  *result = name->result;
  return true;
}

static void look_up(struct job *job)
{
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
  if (getaddrinfo(job->host, NULL, &hints, &list) != 0) return;
  for (struct addrinfo *one = list; one && job->result.count < RESOLVER_MAX_ADDRESSES;
       one = one->ai_next)
    if (one->ai_addrlen <= sizeof job->result.address[0])
      memcpy(&job->result.address[job->result.count++], one->ai_addr, one->ai_addrlen);
  freeaddrinfo(list);
}

/* On the loop's thread. */
static void finish_job(void *arg)
{
  struct job *job = arg;
  struct shared *shared = job->shared;
  struct resolver *resolver = shared->resolver;
  struct name *name = NULL;
  if (resolver) HASH_FIND_STR(resolver->names, job->host, name);
  if (name) {
    struct resolver_query *query, *list = name->queries;
    name->pending = false;
    name->result = job->result;
    name->expires =
        loop_clock() + (job->result.count > 0 ? FOUND_MICROSECONDS : FAILED_MICROSECONDS);
    name->queries = NULL;
    DL_FOREACH(list, query) query->name = NULL;
    while ((query = list)) { /* one of them may cancel those that follow */
      DL_DELETE(list, query);
      void (*done)(void *, const struct resolver_result *) = query->done;
      void *for_whom = query->arg;
      free(query);
      if (done) done(for_whom, &job->result);
    }
  }
  free(job);
  shared_release(shared);
}

static void *work(void *arg)
{
  struct shared *shared = arg;
  pthread_mutex_lock(&shared->lock);
  for (;;) {
    shared->idle++;
    while (!shared->jobs && !shared->closed) pthread_cond_wait(&shared->filled, &shared->lock);
    shared->idle--;
    if (shared->closed) break;
    struct job *job = shared->jobs;
    DL_DELETE(shared->jobs, job);
    pthread_mutex_unlock(&shared->lock);
    look_up(job);
    pthread_mutex_lock(&shared->lock);
    if (shared->closed) {
      free(job);
      break;
    }
    shared->references++;
    job->message = (struct loop_message){.run = finish_job, .arg = job};
    loop_post(shared->loop, &job->message);
  }
  shared->threads--;
  pthread_mutex_unlock(&shared->lock);
  shared_release(shared);
  return NULL;
}

/* With the lock held. Signals are for the loop's thread. */
static bool start_thread(struct shared *shared)
{
  pthread_t thread;
  pthread_attr_t attributes;
  sigset_t all, before;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = pthread_create(&thread, &attributes, work, shared) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (started) shared->threads++, shared->references++;
  return started;
}

static bool start_job(struct resolver *resolver, const char *host)
{
  struct shared *shared = resolver->shared;
  struct job *job = calloc(1, sizeof *job + strlen(host) + 1);
  if (!job) return false;
  memcpy(job->host, host, strlen(host) + 1);
  job->shared = shared;
  pthread_mutex_lock(&shared->lock);
  bool ready = shared->idle > 0 || (shared->threads < MAX_THREADS && start_thread(shared)) ||
               shared->threads > 0;
  if (ready) {
    DL_APPEND(shared->jobs, job);
    pthread_cond_signal(&shared->filled);
  }
  pthread_mutex_unlock(&shared->lock);
  if (!ready) free(job);
  return ready;
}

static void make_room(struct resolver *resolver)
{
  struct name *name, *following;
  HASH_ITER(hh, resolver->names, name, following)
  {
    if (HASH_COUNT(resolver->names) < MAX_NAMES) return;
    if (!name->pending) drop_name(resolver, name);
  }
}

static struct name *find_name(struct resolver *resolver, const char *host)
{
  struct name *name;
  size_t size = strlen(host);
  HASH_FIND_STR(resolver->names, host, name);
  if (name) return name;
  make_room(resolver);
  name = calloc(1, sizeof *name + size + 1);
  if (!name) return NULL;
  memcpy(name->host, host, size + 1);
  HASH_ADD_STR(resolver->names, host, name);
  if (name->hh.tbl) return name;
  free(name);
  return NULL;
}

struct resolver_query *resolver_ask(struct resolver *resolver, const char *host,
                                    void (*done)(void *arg, const struct resolver_result *result),
                                    void *arg)
{
  struct resolver_query *query = calloc(1, sizeof *query);
  struct name *name = query ? find_name(resolver, host) : NULL;
  if (!name || (!name->pending && !start_job(resolver, host))) {
    free(query);
    return NULL;
  }
  name->pending = true;
  *query = (struct resolver_query){.name = name, .done = done, .arg = arg};
  DL_APPEND(name->queries, query);
  return query;
}

void resolver_cancel(struct resolver_query *query)
{
  if (!query->name) {
    query->done = NULL; /* it is about to be called */
    return;
  }
  DL_DELETE(query->name->queries, query);
  free(query);
}
