#include "bind/sched/deliver.h"

#include "bind/runtime.h"
#include "net/loop.h"

void deliver_soon(struct runtime *runtime, struct delivery *delivery)
{
  if (delivery->queued) return;
  struct delivery **at = &runtime->deliveries;
  while (*at) at = &(*at)->next;
  *at = delivery;
  delivery->next = NULL;
  delivery->queued = true;
}

void deliver_forget(struct runtime *runtime, struct delivery *delivery)
{
  if (!delivery->queued) return;
  struct delivery **at = &runtime->deliveries;
  while (*at != delivery) at = &(*at)->next;
  *at = delivery->next;
  delivery->queued = false;
}

void deliver_turn(struct runtime *runtime, int64_t max_wait)
{
  runtime->stirred = 1;
  loop_turn(runtime->loop, runtime->deliveries ? 0 : max_wait);
  for (struct delivery *delivery; (delivery = runtime->deliveries);) {
    deliver_forget(runtime, delivery);
    delivery->run(delivery->arg);
  }
}
