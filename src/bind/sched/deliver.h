/* What callbacks of the loop have for Lua: they queue it, the scheduler delivers it after the turn
 * of the loop, where Lua code may run, and wait. */
#ifndef PROXYLUA_BIND_SCHED_DELIVER_H
#define PROXYLUA_BIND_SCHED_DELIVER_H

#include <stdbool.h>
#include <stdint.h>

struct runtime;

/* A field of the object that it is for. */
struct delivery {
  void (*run)(void *arg); /* raises nothing */
  void *arg;
  struct delivery *next;
  bool queued;
};

/* Runs the delivery once, after this turn of the loop or in the next. Touches no lua_State. */
void deliver_soon(struct runtime *runtime, struct delivery *delivery);

/* Harmless for one that is not queued. */
void deliver_forget(struct runtime *runtime, struct delivery *delivery);

/* A turn of the loop, as loop_turn, and the deliveries. */
void deliver_turn(struct runtime *runtime, int64_t max_wait);

#endif
