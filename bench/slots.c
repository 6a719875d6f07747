/* slots STORE KEYS ROUNDS PREFIX: takes slots as a busy process does, and prints the median time of
 * a taking in microseconds: from limiter_take to its result, which the request waits for. (Its end
 * is recorded in a separate transaction, for which no request waits; it is not counted.) Each of
 * KEYS limiters, with the API's own limit of 60, gets one slot in a round, so that none waits; the
 * first round, which makes the rows, is not counted. Processes with the same PREFIX share keys. It
 * links the engine's objects, and so measures what scripts use. */
#include <stdio.h>
#include <stdlib.h>

#include "limits/limiter.h"

enum { MOST_ROUNDS = 60 };

static bool answered;

static void on_granted(void *arg, const struct error *err)
{
  (void)arg;
  answered = true;
  if (!err) return;
  fprintf(stderr, "slots: %s\n", err->message);
  exit(1);
}

static void fail(const struct error *err)
{
  fprintf(stderr, "slots: %s\n", err->message);
  exit(1);
}

static struct limiter *open_limiter(struct loop *loop, struct store *store, const char *prefix,
                                    int number)
{
  struct error err = ERROR_INIT;
  char text[64];
  struct limiter_rules rules = LIMITER_DEFAULT_RULES;
  snprintf(text, sizeof text, "sk_live_%s_%d", prefix, number);
  struct limiter *limiter = limiter_open(loop, store, "http://127.0.0.1", text, &rules, &err);
  if (!limiter) fail(&err);
  return limiter;
}

static double take(struct loop *loop, struct limiter *limiter, struct limiter_ticket *ticket)
{
  int64_t began = loop_clock();
  answered = false;
  limiter_take(limiter, ticket, LIMITER_GENERAL, 30 * SLOTS_SECOND, -1, on_granted, NULL);
  while (!answered) loop_turn(loop, -1);
  return (double)(loop_clock() - began);
}

static int ascending(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
  int keys = argc == 5 ? atoi(argv[2]) : 0, rounds = argc == 5 ? atoi(argv[3]) : 0;
  if (keys < 1 || rounds < 1 || rounds > MOST_ROUNDS)
    return fputs("usage: slots STORE KEYS ROUNDS PREFIX\n", stderr), 2;
  struct error err = ERROR_INIT;
  struct loop *loop = loop_open();
  struct store *store = loop ? store_open(loop, argv[1], &err) : NULL;
  if (!store) fail(&err);
  struct limiter **limiters = calloc((size_t)keys, sizeof *limiters);
  struct limiter_ticket *tickets = calloc((size_t)keys, sizeof *tickets);
  double *times = calloc((size_t)keys * (size_t)rounds, sizeof *times);
  if (!limiters || !tickets || !times) return perror("slots"), 1;
  for (int k = 0; k < keys; k++) limiters[k] = open_limiter(loop, store, argv[4], k);
  size_t count = 0;
  for (int round = 0; round <= rounds; round++) {
    for (int k = 0; k < keys; k++) {
      double time = take(loop, limiters[k], &tickets[k]);
      if (round > 0) times[count++] = time;
      limiter_responded(&tickets[k]);
      while (loop_busy(loop)) loop_turn(loop, -1);
    }
  }
  qsort(times, count, sizeof *times, ascending);
  printf("%.1f\n", times[count / 2]);
  for (int k = 0; k < keys; k++) limiter_close(limiters[k]);
  store_close(store);
  loop_close(loop);
  free(limiters);
  free(tickets);
  free(times);
  return 0;
}
