/* The engine's one thread: epoll, timers, libcurl's sockets, and completions posted by other
 * threads. Nothing here blocks but loop_turn, and a completion never runs anywhere but inside it.
 */
#ifndef PROXYLUA_NET_LOOP_H
#define PROXYLUA_NET_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

/* A timer is a field of its owner's struct; zero it before its first use. Its function runs once,
 * in loop_turn. */
struct loop_timer {
  int64_t due;     /* loop_now() at which it fires */
  size_t position; /* in the heap, from 1; 0 when not set */
  void (*fire)(void *arg);
  void *arg;
};

/* A completion handed over from another thread; a field of the job it completes. */
struct loop_message {
  struct loop_message *next;
  void (*run)(void *arg); /* on the loop's thread, inside loop_turn */
  void *arg;
};

/* NULL when a descriptor or memory is out (errno says which). */
struct loop *loop_open(void);
void loop_close(struct loop *loop);

/* Microseconds of CLOCK_BOOTTIME as of the turn's wake-up; loop_clock() reads the clock itself. */
int64_t loop_now(const struct loop *loop);
int64_t loop_clock(void);

/* Sets the timer to fire `delay` microseconds after loop_clock(), again if it was set already.
 * False when memory is out. */
bool loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t delay,
                    void (*fire)(void *), void *arg);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

/* From any thread: runs message->run on the loop's thread. The message must live until then. */
void loop_post(struct loop *loop, struct loop_message *message);

/* From a signal handler or any thread: makes the current or next loop_turn return early. */
void loop_wake(struct loop *loop);

/* Waits for one round of events (at most `max_wait` microseconds; negative: as long as it takes),
 * runs their functions and returns. 0 polls. Not from within one of those functions. */
void loop_turn(struct loop *loop, int64_t max_wait);

/* For the event loop of a host: a descriptor that becomes readable when loop_turn has something to
 * do, and the microseconds after which it has without that; negative: never. The second is 0 after
 * functions that begin work. */
int loop_descriptor(const struct loop *loop);
int64_t loop_next(const struct loop *loop);

/* Whether it waits or hands out events. Async-signal-safe. */
bool loop_is_turning(const struct loop *loop);

/* Whether a later turn has work: a timer is set, or the loop is held. */
bool loop_busy(const struct loop *loop);

/* Transfers and jobs on other threads hold the loop while they run, so that loop_busy is true. */
void loop_hold(struct loop *loop);
void loop_release(struct loop *loop);

/* The libcurl multi handle that this loop drives; opened on first use. NULL when libcurl cannot
 * start. */
void *loop_curl(struct loop *loop);

/* CURLOPT_OPENSOCKETFUNCTION (its address is a struct curl_sockaddr) and
 * CURLOPT_CLOSESOCKETFUNCTION of every easy handle, with the loop as their data. */
int loop_open_socket(void *loop, int purpose, void *address);
int loop_close_socket(void *loop, int fd);

/* A descriptor to read from, such as a terminal: its function is called in every loop_turn in which
 * it has input, or its other end was closed. A field of its owner's struct. There are few, and none
 * is used by libcurl. */
struct loop_reader {
  int fd;
  void (*ready)(void *arg);
  void *arg;
  struct loop_reader *next;
};

/* False when the descriptor cannot be waited for (errno says why). */
bool loop_read(struct loop *loop, struct loop_reader *reader);

/* Harmless for one that is not read. */
void loop_stop_reading(struct loop *loop, struct loop_reader *reader);

/* What of a descriptor that is read is waited for beside the end of its other side: input at first.
 */
void loop_await(struct loop *loop, const struct loop_reader *reader, bool input,
                bool room_for_output);

/* A socket of the gateway's: its function is called whenever it becomes readable or writable
 * (edge-triggered), once after it was added, and when it fails. A field of what it belongs to;
 * there may be thousands. The function may remove and close any of them. */
struct loop_events {
  bool input, output;
  bool ended;  /* the other side has said that there is no more input */
  bool failed; /* or it is closed both ways */
};

struct loop_socket {
  int fd;
  void (*ready)(void *arg, struct loop_events events);
  void *arg;
};

/* False when memory or descriptors are out, or the descriptor cannot be waited for. */
bool loop_add_socket(struct loop *loop, struct loop_socket *socket);

/* Before the descriptor is closed. Its function is not called any more. */
void loop_remove_socket(struct loop *loop, const struct loop_socket *socket);

/* Called after libcurl has worked: the http module collects its finished transfers here and says
 * whether there were any. */
void loop_on_transfers(struct loop *loop, bool (*collect)(void *arg), void *arg);

/* Work that is started in portions. The function is called before each wait with the number of
 * descriptors that were ready in the last one. It returns whether more work is left; the wait is
 * then short. A field of its owner's struct. */
struct loop_starter {
  bool (*start)(void *arg, int ready);
  void *arg;
  struct loop_starter *next;
};

void loop_add_starter(struct loop *loop, struct loop_starter *starter);
void loop_remove_starter(struct loop *loop, struct loop_starter *starter);

#endif
