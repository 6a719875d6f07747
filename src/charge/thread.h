/* A thread that runs a procedure with waits in it, in turns with the loop's thread: while one runs,
 * the other waits. So both may use the same data without locks, nothing changes during a turn, and
 * what a procedure waits for can be anything that the loop completes. */
#ifndef PROXYLUA_CHARGE_THREAD_H
#define PROXYLUA_CHARGE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* A field of its owner's struct. */
struct thread {
  pthread_t id;
  pthread_mutex_t mutex; /* guards the fields below */
  pthread_cond_t turns;
  bool its_turn, ended;
  void (*run)(void *arg);
  void *arg;
};

/* Prepares a turn of `run`. Returns 0, or the error number if a thread cannot be started. */
int thread_start(struct thread *thread, void (*run)(void *arg), void *arg);

/* On the loop's thread: gives the turn to the thread until it pauses or ends. False: it has ended,
 * and its resources are freed. */
bool thread_resume(struct thread *thread);

/* On the thread itself: gives the turn back, and waits for the next one. */
void thread_pause(struct thread *thread);

#endif
