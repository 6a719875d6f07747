#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store/driver.h"

struct queue {
  struct store_job *first, **end; /* `end` points at the last one's next, or at `first` */
};

struct store {
  struct loop *loop;
  char *location, *name;
  bool is_default; /* the default location: its folders are created */
  const struct store_ops *ops;
  struct store_driver *driver; /* used by the store's thread; NULL: not open */
  struct store_run run;        /* the same */
  atomic_bool hurry;
  size_t under_way; /* used by the loop's thread: submitted, and done has not run */

  bool running;
  pthread_t thread;
  pthread_mutex_t mutex; /* guards the fields below */
  pthread_cond_t more, less;
  struct queue waiting, finished;
  bool stop;
  bool posted; /* one message to the loop announces all finished jobs */
  struct loop_message message;
};

static void put(struct queue *queue, struct store_job *job)
{
  if (!queue->first) queue->end = &queue->first;
  job->next = NULL;
  *queue->end = job;
  queue->end = &job->next;
}

static struct store_job *pop(struct queue *queue)
{
  struct store_job *job = queue->first;
  if (job) queue->first = job->next;
  return job;
}

static void run_finished(struct store *store)
{
  pthread_mutex_lock(&store->mutex);
  struct store_job *job = store->finished.first;
  store->finished.first = NULL;
  pthread_mutex_unlock(&store->mutex);
  while (job) {
    struct store_job *next = job->next;
    store->under_way--;
    loop_release(store->loop);
    job->done(job);
    job = next;
  }
}

static void on_message(void *arg)
{
  struct store *store = arg;
  pthread_mutex_lock(&store->mutex);
  store->posted = false;
  pthread_mutex_unlock(&store->mutex);
  run_finished(store);
}

static void finish(struct store *store, struct store_job *job)
{
  pthread_mutex_lock(&store->mutex);
  put(&store->finished, job);
  bool post = !store->posted;
  store->posted = true;
  pthread_cond_signal(&store->less);
  pthread_mutex_unlock(&store->mutex);
  if (post) loop_post(store->loop, &store->message);
}

static bool make_folders(char *path, struct error *err)
{
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
    if (!made)
      error_set(err, ERROR_STORE,
                "the store: its folder %s cannot be created: %s; create it, or use --store PATH",
                path, strerror(errno));
    *slash = '/';
    if (!made) return false;
  }
  return true;
}

static void close_driver(struct store *store, bool usable)
{
  if (store->run.leave) store->run.leave(store->driver, usable);
  store->ops->close(store->driver);
  store->driver = NULL;
}

static bool be_open(struct store *store, struct error *err)
{
  if (store->driver && store->ops->stale(store->driver)) {
    close_driver(store, false);
    store->run.reopened = true;
  }
  if (store->driver) return true;
  if (store->is_default && !make_folders(store->location, err)) return false;
  store->driver = store->ops->open(store->location, &store->hurry, &store->run, err);
  return store->driver;
}

/* With the mutex held: waits until there is a job or the driver's periodic work is due. */
static void await_job(struct store *store)
{
  int64_t due = -1;
  if (store->driver && store->run.tend) {
    pthread_mutex_unlock(&store->mutex);
    due = store->run.tend(store->driver);
    pthread_mutex_lock(&store->mutex);
  }
  if (store->waiting.first || store->stop) return;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += due % 1000000 * 1000;
  until.tv_sec += due / 1000000 + until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  if (due < 0)
    pthread_cond_wait(&store->more, &store->mutex);
  else
    pthread_cond_clockwait(&store->more, &store->mutex, CLOCK_MONOTONIC, &until);
}

static void *work(void *arg)
{
  struct store *store = arg;
  pthread_mutex_lock(&store->mutex);
  for (;;) {
    struct store_job *job = pop(&store->waiting);
    if (!job && store->stop) break;
    if (!job) {
      await_job(store);
      continue;
    }
    pthread_mutex_unlock(&store->mutex);
    if (be_open(store, &job->err)) job->work(job, store->driver);
    finish(store, job);
    pthread_mutex_lock(&store->mutex);
  }
  pthread_mutex_unlock(&store->mutex);
  if (store->driver) close_driver(store, true);
  return NULL;
}

/* Signals are handled by the main thread. */
static bool start(struct store *store, struct error *err)
{
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int why = pthread_create(&store->thread, NULL, work, store);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (why) error_set(err, ERROR_STORE, "cannot start the store's thread: %s", strerror(why));
  return why == 0;
}

void store_submit(struct store *store, struct store_job *job)
{
  job->err = ERROR_INIT;
  store->under_way++;
  loop_hold(store->loop);
  if (!store->running) store->running = start(store, &job->err);
  if (!store->running) {
    finish(store, job);
    return;
  }
  pthread_mutex_lock(&store->mutex);
  put(&store->waiting, job);
  pthread_cond_signal(&store->more);
  pthread_mutex_unlock(&store->mutex);
}

bool store_is_same(const struct store_run *run, struct error *err)
{
  if (!run->replaced) return true;
  error_set(err, ERROR_STORE,
            "the store was removed or replaced during this run, and the journal with it; nothing "
            "was bought. Restore it, or run again to continue with the present one");
  return false;
}

static void work_check(struct store_job *job, struct store_driver *driver)
{
  struct store_check *check = (struct store_check *)job;
  if (driver->ops->pooled) driver->ops->pooled(driver, check);
}

void store_check(struct store *store, struct store_check *check)
{
  check->job.work = work_check;
  store_submit(store, &check->job);
}

void store_identify(struct store_run *run, const char *id)
{
  if (!*run->id)
    snprintf(run->id, sizeof run->id, "%s", id);
  else if (strcmp(run->id, id) != 0)
    run->replaced = true;
}

static bool begins(const char *text, const char *with)
{
  return strncmp(text, with, strlen(with)) == 0;
}

static char *default_location(struct error *err)
{
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  char *path = NULL;
  int size = state && *state == '/' ? asprintf(&path, "%s/proxylua/state.db", state)
             : home && *home == '/' ? asprintf(&path, "%s/.local/state/proxylua/state.db", home)
                                    : -2;
  if (size >= 0) return path;
  if (size == -2)
    error_set(err, ERROR_CONFIG,
              "no place for the store: neither XDG_STATE_HOME nor HOME is set; use --store PATH");
  else
    error_set(err, ERROR_INTERNAL, "out of memory");
  return NULL;
}

static bool is_database(const char *location)
{
  return begins(location, "postgres://") || begins(location, "postgresql://");
}

/* A password with such characters would be read as a host, a port or a database, and appear in
 * messages. */
static bool has_odd_password(const char *location)
{
  const char *at = strstr(location, "://") + 3;
  size_t authority = strcspn(at, "/?"), all = strcspn(at, "?");
  const char *first = memchr(at, '@', all);
  if (!first) return false;
  const char *colon = memchr(at, ':', (size_t)(first - at));
  return first >= at + authority || memchr(first + 1, '@', all - (size_t)(first + 1 - at)) ||
         (colon && memchr(colon + 1, ':', (size_t)(first - colon - 1)));
}

char *store_name(const char *location)
{
  if (!is_database(location)) return strdup(location);
  const char *at = strstr(location, "://") + 3, *end = at + strcspn(at, "?");
  const char *host = memchr(at, '@', (size_t)(end - at));
  char *name = NULL;
  host = host ? host + 1 : at;
  return asprintf(&name, "postgres://%.*s", (int)(end - host), host) < 0 ? NULL : name;
}

static char *resolve(const char *location, struct error *err)
{
  if (!location) return default_location(err);
  if (is_database(location) && has_odd_password(location))
    error_set(err, ERROR_CONFIG,
              "the store's address is not valid: write @, / and : in a user or a password as "
              "%%xx");
  else if (!is_database(location) && strstr(location, "://"))
    error_set(err, ERROR_CONFIG, "the store %.*s… must be a path, :memory: or postgres://…",
              (int)strcspn(location, ":"), location);
  else if (!*location)
    error_set(err, ERROR_CONFIG,
              "the store is an empty text; use the path of a file, or leave it out");
  else {
    char *copy = strdup(location);
    if (!copy) error_set(err, ERROR_INTERNAL, "out of memory");
    return copy;
  }
  return NULL;
}

struct store *store_open(struct loop *loop, const char *location, struct error *err)
{
  char *path = resolve(location, err);
  if (!path) return NULL;
  struct store *store = calloc(1, sizeof *store);
  char *name = store_name(path);
  if (!store || !name) {
    free(path);
    free(name);
    free(store);
    error_set(err, ERROR_INTERNAL, "out of memory");
    return NULL;
  }
  store->loop = loop;
  store->location = path;
  store->name = name;
  store->is_default = !location;
  store->ops = is_database(path) ? &store_postgres : &store_sqlite;
  store->message = (struct loop_message){.run = on_message, .arg = store};
  pthread_mutex_init(&store->mutex, NULL);
  pthread_cond_init(&store->more, NULL);
  pthread_cond_init(&store->less, NULL);
  return store;
}

const char *store_location(const struct store *store)
{
  return store->name;
}

static void wait_finished(struct store *store)
{
  pthread_mutex_lock(&store->mutex);
  while (!store->finished.first) pthread_cond_wait(&store->less, &store->mutex);
  pthread_mutex_unlock(&store->mutex);
}

static void end_thread(struct store *store)
{
  pthread_mutex_lock(&store->mutex);
  store->stop = true;
  pthread_cond_signal(&store->more);
  pthread_mutex_unlock(&store->mutex);
  pthread_join(store->thread, NULL);
}

void store_close(struct store *store)
{
  if (!store) return;
  atomic_store(&store->hurry, true);
  while (store->under_way > 0) {
    wait_finished(store);
    run_finished(store);
  }
  if (store->running) end_thread(store);
  while (store->posted) loop_turn(store->loop, 0); /* the loop still has this message */
  pthread_cond_destroy(&store->less);
  pthread_cond_destroy(&store->more);
  pthread_mutex_destroy(&store->mutex);
  free(store->location);
  free(store->name);
  if (store->run.kept) store->run.free(store->run.kept);
  free(store);
}
