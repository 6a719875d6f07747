#include "net/loop.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/clear.h"

/* epoll counts CLOCK_MONOTONIC, timers CLOCK_BOOTTIME: waking this often bounds how late a suspend
 * can make a timer. */
#define MAX_SLEEP (60 * INT64_C(1000000))
#define EVENTS_A_TURN 256

/* The events that libcurl wants of a descriptor, and those registered with epoll. Changes are
 * collected here and registered before the wait, since libcurl removes and adds the same descriptor
 * between two requests. */
struct watch {
  uint32_t wanted, told;
  bool changed;
  bool ours; /* opened and closed by the loop, so its number always belongs to the same socket */
  struct loop_socket *socket;
  uint32_t serial; /* of the socket: an event of an earlier one of this number is dropped */
};

struct loop {
  int epoll, wake;
  int64_t now;
  int held;
  volatile sig_atomic_t turning; /* a callback may be running: it must not enter the loop */
  bool progress;                 /* something ran since the last wait: return before sleeping */

  struct loop_timer **heap; /* [1..timers], earliest first */
  size_t timers, heap_capacity;

  _Atomic(struct loop_message *) messages; /* newest first */

  CURLM *multi;
  int64_t curl_due;      /* when libcurl wants to be called, -1: never */
  struct watch *watches; /* by descriptor */
  int watch_count;
  int *changed; /* descriptors whose watch changed */
  int changed_count;
  uint32_t sockets; /* added so far */
  int ready;        /* descriptors that were ready in the last wait */
  struct loop_starter *starters;
  struct loop_reader *readers;
  bool (*collect)(void *);
  void *collect_arg;
};

int64_t loop_clock(void)
{
  struct timespec time;
  clock_gettime(CLOCK_BOOTTIME, &time);
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int64_t loop_now(const struct loop *loop)
{
  return loop->now;
}

struct loop *loop_open(void)
{
  struct loop *loop = calloc(1, sizeof *loop);
  if (!loop) return NULL;
  loop->curl_due = -1;
  loop->now = loop_clock();
  loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  loop->epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint32_t)loop->wake};
  if (loop->wake >= 0 && loop->epoll >= 0 &&
      epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) == 0)
    return loop;
  int why = errno;
  loop_close(loop);
  errno = why;
  return NULL;
}

void loop_close(struct loop *loop)
{
  if (!loop) return;
  if (loop->multi) {
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, NULL);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, NULL);
    curl_multi_cleanup(loop->multi);
  }
  if (loop->epoll >= 0) close(loop->epoll);
  if (loop->wake >= 0) close(loop->wake);
  free(loop->heap);
  free(loop->watches);
  free(loop->changed);
  free(loop);
}

static void place(struct loop *loop, size_t at, struct loop_timer *timer)
{
  loop->heap[at] = timer;
  timer->position = at;
}

static void sift(struct loop *loop, size_t at, struct loop_timer *timer)
{
  while (at > 1 && timer->due < loop->heap[at / 2]->due) {
    place(loop, at, loop->heap[at / 2]);
    at /= 2;
  }
  for (size_t child; (child = at * 2) <= loop->timers; at = child) {
    if (child < loop->timers && loop->heap[child + 1]->due < loop->heap[child]->due) child++;
    if (timer->due <= loop->heap[child]->due) break;
    place(loop, at, loop->heap[child]);
  }
  place(loop, at, timer);
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
  if (timer->position == 0) return;
  size_t at = timer->position;
  struct loop_timer *last = loop->heap[loop->timers--];
  timer->position = 0;
  if (last != timer) sift(loop, at, last);
}

static bool heap_reserve(struct loop *loop)
{
  if (loop->timers + 1 < loop->heap_capacity) return true;
  size_t capacity = loop->heap_capacity ? loop->heap_capacity * 2 : 64;
  struct loop_timer **heap = realloc(loop->heap, capacity * sizeof *heap);
  if (!heap) return false;
  loop->heap = heap;
  loop->heap_capacity = capacity;
  return true;
}

bool loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t delay,
                    void (*fire)(void *), void *arg)
{
  loop_timer_clear(loop, timer);
  if (!heap_reserve(loop)) return false;
  int64_t now = loop_clock();
  if (delay < 0) delay = 0;
  timer->due = delay > INT64_MAX - now ? INT64_MAX : now + delay;
  timer->fire = fire;
  timer->arg = arg;
  sift(loop, ++loop->timers, timer);
  return true;
}

static void fire_due(struct loop *loop)
{
  while (loop->timers > 0 && loop->heap[1]->due <= loop->now) {
    struct loop_timer *timer = loop->heap[1];
    loop_timer_clear(loop, timer);
    loop->progress = true;
    timer->fire(timer->arg);
  }
}

void loop_wake(struct loop *loop)
{
  uint64_t one = 1;
  int why = errno;
  ssize_t written = write(loop->wake, &one, sizeof one);
  (void)written; /* it can only fail when the counter is full, and then the loop wakes anyhow */
  errno = why;
}

void loop_post(struct loop *loop, struct loop_message *message)
{
  /* Once handed over the message may have run and be gone: only the copy may be looked at. */
  struct loop_message *next = atomic_load(&loop->messages);
  do message->next = next;
  while (!atomic_compare_exchange_weak(&loop->messages, &next, message));
  if (!next) loop_wake(loop);
}

static void run_messages(struct loop *loop)
{
  struct loop_message *newest = atomic_exchange(&loop->messages, NULL), *first = NULL;
  while (newest) {
    struct loop_message *next = newest->next;
    newest->next = first;
    first = newest;
    newest = next;
  }
  while (first) {
    struct loop_message *message = first;
    first = message->next;
    loop->progress = true;
    message->run(message->arg);
  }
}

void loop_hold(struct loop *loop)
{
  loop->held++;
}

void loop_release(struct loop *loop)
{
  loop->held--;
}

static bool watches_reserve(struct loop *loop, int fd)
{
  if (fd < loop->watch_count) return true;
  int count = loop->watch_count ? loop->watch_count : 64;
  while (count <= fd) count *= 2;
  struct watch *watches = realloc(loop->watches, (size_t)count * sizeof *watches);
  if (!watches) return false;
  memset(watches + loop->watch_count, 0, (size_t)(count - loop->watch_count) * sizeof *watches);
  loop->watches = watches;
  int *changed = realloc(loop->changed, (size_t)count * sizeof *changed);
  if (!changed) return false;
  loop->changed = changed;
  loop->watch_count = count;
  return true;
}

static void tell(struct loop *loop, int fd)
{
  struct watch *watch = &loop->watches[fd];
  if (watch->wanted == watch->told) return;
  struct epoll_event event = {.events = watch->wanted, .data.u64 = (uint32_t)fd};
  int op = !watch->told ? EPOLL_CTL_ADD : watch->wanted ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
  epoll_ctl(loop->epoll, op, fd, &event);
  watch->told = watch->wanted;
}

static void tell_all(struct loop *loop)
{
  for (int i = 0; i < loop->changed_count; i++) {
    loop->watches[loop->changed[i]].changed = false;
    tell(loop, loop->changed[i]);
  }
  loop->changed_count = 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
  (void)easy, (void)unused;
  struct loop *loop = arg;
  if (!watches_reserve(loop, fd)) return -1;
  static const uint32_t events[] = {[CURL_POLL_NONE] = 0,
                                    [CURL_POLL_IN] = EPOLLIN,
                                    [CURL_POLL_OUT] = EPOLLOUT,
                                    [CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT};
  struct watch *watch = &loop->watches[fd];
  watch->wanted = what == CURL_POLL_REMOVE ? 0 : events[what];
  if (!watch->ours) {
    tell(loop, fd);
    return 0;
  }
  if (!watch->changed) loop->changed[loop->changed_count++] = fd;
  watch->changed = true;
  return 0;
}

int loop_open_socket(void *arg, int purpose, void *address)
{
  (void)purpose;
  struct loop *loop = arg;
  const struct curl_sockaddr *to = address;
  int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
  if (fd < 0) return -1;
  if (!watches_reserve(loop, fd)) {
    close(fd);
    return -1;
  }
  loop->watches[fd].ours = true;
  return fd;
}

/* The kernel takes a closed descriptor out of epoll; its number may be another socket before the
 * next wait. */
int loop_close_socket(void *arg, int fd)
{
  struct loop *loop = arg;
  if (fd < loop->watch_count) loop->watches[fd].told = loop->watches[fd].ours = 0;
  return close(fd);
}

static int on_timer(CURLM *multi, long milliseconds, void *arg)
{
  (void)multi;
  struct loop *loop = arg;
  loop->curl_due = milliseconds < 0    ? -1
                   : milliseconds == 0 ? 0
                                       : loop_clock() + milliseconds * INT64_C(1000);
  return 0;
}

void *loop_curl(struct loop *loop)
{
  if (loop->multi || !clear_init_curl()) return loop->multi;
  loop->multi = curl_multi_init();
  if (!loop->multi) return NULL;
  curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
  curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
  return loop->multi;
}

void loop_on_transfers(struct loop *loop, bool (*collect)(void *arg), void *arg)
{
  loop->collect = collect;
  loop->collect_arg = arg;
}

static void act(struct loop *loop, int fd, int flags)
{
  int running;
  curl_multi_socket_action(loop->multi, fd, flags, &running);
}

static void collect(struct loop *loop)
{
  if (loop->collect && loop->collect(loop->collect_arg)) loop->progress = true;
}

static void expire_curl(struct loop *loop)
{
  if (loop->curl_due < 0 || loop->curl_due > loop->now) return;
  loop->curl_due = -1;
  act(loop, CURL_SOCKET_TIMEOUT, 0);
  collect(loop);
}

static int64_t sleep_time(const struct loop *loop, int64_t max_wait)
{
  int64_t wait = max_wait < 0 || max_wait > MAX_SLEEP ? MAX_SLEEP : max_wait;
  if (loop->progress || atomic_load(&loop->messages)) return 0;
  if (loop->timers > 0 && loop->heap[1]->due - loop->now < wait)
    wait = loop->heap[1]->due - loop->now;
  if (loop->curl_due >= 0 && loop->curl_due - loop->now < wait) wait = loop->curl_due - loop->now;
  return wait < 0 ? 0 : wait;
}

static int wait_events(struct loop *loop, struct epoll_event *events, int64_t wait)
{
  if (wait == 0) return epoll_wait(loop->epoll, events, EVENTS_A_TURN, 0);
  struct timespec time = {.tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000};
  int count = epoll_pwait2(loop->epoll, events, EVENTS_A_TURN, &time, NULL);
  if (count >= 0 || errno == EINTR) return count;
  /* Linux before 5.11, or a container that forbids it. */
  return epoll_wait(loop->epoll, events, EVENTS_A_TURN, (int)((wait + 999) / 1000));
}

bool loop_read(struct loop *loop, struct loop_reader *reader)
{
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint32_t)reader->fd};
  if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, reader->fd, &event) != 0) return false;
  reader->next = loop->readers;
  loop->readers = reader;
  return true;
}

void loop_stop_reading(struct loop *loop, struct loop_reader *reader)
{
  struct loop_reader **at = &loop->readers;
  while (*at && *at != reader) at = &(*at)->next;
  if (!*at) return;
  *at = reader->next;
  epoll_ctl(loop->epoll, EPOLL_CTL_DEL, reader->fd, NULL);
}

void loop_await(struct loop *loop, const struct loop_reader *reader, bool input,
                bool room_for_output)
{
  struct epoll_event event = {.events = (input ? EPOLLIN : 0) | (room_for_output ? EPOLLOUT : 0),
                              .data.u64 = (uint32_t)reader->fd};
  epoll_ctl(loop->epoll, EPOLL_CTL_MOD, reader->fd, &event);
}

bool loop_add_socket(struct loop *loop, struct loop_socket *socket)
{
  if (!watches_reserve(loop, socket->fd)) return false;
  struct watch *watch = &loop->watches[socket->fd];
  uint32_t serial = ++loop->sockets ? loop->sockets : ++loop->sockets;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                              .data.u64 = (uint64_t)serial << 32 | (uint32_t)socket->fd};
  if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, socket->fd, &event) != 0) return false;
  watch->socket = socket;
  watch->serial = serial;
  return true;
}

void loop_remove_socket(struct loop *loop, const struct loop_socket *socket)
{
  if (socket->fd >= loop->watch_count || loop->watches[socket->fd].socket != socket) return;
  loop->watches[socket->fd].socket = NULL;
  epoll_ctl(loop->epoll, EPOLL_CTL_DEL, socket->fd, NULL);
}

static void dispatch_socket(struct loop *loop, const struct epoll_event *event)
{
  const struct watch *watch = &loop->watches[(uint32_t)event->data.u64];
  if (!watch->socket || watch->serial != event->data.u64 >> 32) return;
  loop->progress = true;
  const struct loop_events events = {
      .input = event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP),
      .output = event->events & EPOLLOUT,
      .ended = event->events & EPOLLRDHUP,
      .failed = event->events & (EPOLLERR | EPOLLHUP),
  };
  watch->socket->ready(watch->socket->arg, events);
}

static struct loop_reader *find_reader(const struct loop *loop, int fd)
{
  struct loop_reader *reader = loop->readers;
  while (reader && reader->fd != fd) reader = reader->next;
  return reader;
}

static void dispatch(struct loop *loop, const struct epoll_event *event)
{
  if (event->data.u64 >> 32) {
    dispatch_socket(loop, event);
    return;
  }
  int fd = (int)event->data.u64;
  struct loop_reader *reader = find_reader(loop, fd);
  if (reader) {
    loop->progress = true;
    reader->ready(reader->arg);
    return;
  }
  if (fd == loop->wake) {
    uint64_t count;
    loop->progress = true;
    while (read(loop->wake, &count, sizeof count) > 0) continue;
    return;
  }
  int flags = (event->events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
              (event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
              (event->events & EPOLLERR ? CURL_CSELECT_ERR : 0);
  act(loop, fd, flags);
}

void loop_add_starter(struct loop *loop, struct loop_starter *starter)
{
  starter->next = loop->starters;
  loop->starters = starter;
}

void loop_remove_starter(struct loop *loop, struct loop_starter *starter)
{
  struct loop_starter **at = &loop->starters;
  while (*at && *at != starter) at = &(*at)->next;
  if (*at) *at = starter->next;
}

static void start(struct loop *loop)
{
  for (struct loop_starter *starter = loop->starters; starter; starter = starter->next)
    if (starter->start(starter->arg, loop->ready)) loop->progress = true;
}

void loop_turn(struct loop *loop, int64_t max_wait)
{
  struct epoll_event events[EVENTS_A_TURN];
  assert(!loop->turning);
  loop->turning = true;
  loop->progress = false;
  loop->now = loop_clock();
  start(loop);
  expire_curl(loop);
  tell_all(loop);
  int count = loop->ready = wait_events(loop, events, sleep_time(loop, max_wait));
  loop->now = loop_clock();
  for (int i = 0; i < count; i++) dispatch(loop, &events[i]);
  run_messages(loop);
  expire_curl(loop);
  if (count > 0) collect(loop);
  fire_due(loop);
  loop->turning = false;
}

int loop_descriptor(const struct loop *loop)
{
  return loop->epoll;
}

int64_t loop_next(const struct loop *loop)
{
  int64_t now = loop_clock(), due = -1;
  if (loop->progress || loop->changed_count > 0 || loop->starters || atomic_load(&loop->messages))
    return 0;
  if (loop->timers > 0) due = loop->heap[1]->due;
  if (loop->curl_due >= 0 && (due < 0 || loop->curl_due < due)) due = loop->curl_due;
  return due < 0 ? -1 : due > now ? due - now : 0;
}

bool loop_is_turning(const struct loop *loop)
{
  return loop->turning;
}

bool loop_busy(const struct loop *loop)
{
  return loop->timers > 0 || loop->held > 0;
}
