#include "charge/thread.h"

#include <signal.h>

#define STACK_BYTES (1 << 20) /* only the pages that are used take memory */

static void await_turn(struct thread *thread, bool its_turn)
{
  while (thread->its_turn != its_turn) pthread_cond_wait(&thread->turns, &thread->mutex);
}

static void give_turn(struct thread *thread, bool its_turn)
{
  thread->its_turn = its_turn;
  pthread_cond_broadcast(&thread->turns);
}

static void *begin(void *arg)
{
  struct thread *thread = arg;
  pthread_mutex_lock(&thread->mutex);
  await_turn(thread, true);
  pthread_mutex_unlock(&thread->mutex);
  thread->run(thread->arg);
  pthread_mutex_lock(&thread->mutex);
  thread->ended = true;
  give_turn(thread, false);
  pthread_mutex_unlock(&thread->mutex);
  return NULL;
}

/* Signals are for the loop's thread. */
int thread_start(struct thread *thread, void (*run)(void *arg), void *arg)
{
  pthread_attr_t attributes;
  sigset_t all, before;
  *thread = (struct thread){.run = run, .arg = arg};
  int why = pthread_attr_init(&attributes);
  if (why) return why;
  why = pthread_attr_setstacksize(&attributes, STACK_BYTES);
  if (!why) why = pthread_mutex_init(&thread->mutex, NULL);
  if (!why) why = pthread_cond_init(&thread->turns, NULL);
  sigfillset(&all);
  if (!why) why = pthread_sigmask(SIG_SETMASK, &all, &before);
  if (!why) {
    why = pthread_create(&thread->id, &attributes, begin, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  pthread_attr_destroy(&attributes);
  return why;
}

bool thread_resume(struct thread *thread)
{
  pthread_mutex_lock(&thread->mutex);
  give_turn(thread, true);
  await_turn(thread, false);
  bool ended = thread->ended;
  pthread_mutex_unlock(&thread->mutex);
  if (!ended) return true;
  pthread_join(thread->id, NULL);
  pthread_cond_destroy(&thread->turns);
  pthread_mutex_destroy(&thread->mutex);
  return false;
}

void thread_pause(struct thread *thread)
{
  pthread_mutex_lock(&thread->mutex);
  give_turn(thread, false);
  await_turn(thread, true);
  pthread_mutex_unlock(&thread->mutex);
}
