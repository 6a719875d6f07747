#include "bind/sched/join.h"

#define MAX_CHAIN 20000 /* of tasks that wait for each other, looked at for one that can go on */

struct join_link {
  struct join *join;
  struct task *task;
  struct join_link *next; /* in task->joiners */
};

struct join {
  struct wait wait;
  int count, pending;
  int failed; /* index of the first failure, from 1; 0 when none */
  struct join_link links[];
};

struct join *join_push(lua_State *L, int count)
{
  struct join *join = lua_newuserdatauv(L, sizeof *join + (size_t)count * sizeof join->links[0], 1);
  join->wait = (struct wait){.on_tasks = true};
  join->count = join->pending = join->failed = 0;
  return join;
}

void join_add(struct join *join, struct task *task)
{
  join->links[join->count++] = (struct join_link){.join = join, .task = task};
}

static void forget(struct wait *wait)
{
  struct join *join = (struct join *)wait;
  for (int i = 0; i < join->count; i++) {
    struct join_link *link = &join->links[i], **at = &link->task->joiners;
    while (*at && *at != link) at = &(*at)->next;
    if (*at) *at = link->next;
  }
}

/* Whether anything that is under way could still bring the end of this task. A chain longer than
 * `depth` is taken at its word, rather than to run out of stack. */
static bool can_progress(struct task *task, unsigned search, int depth)
{
  if (depth == 0) return true;
  if (task->visited == search) return false;
  task->visited = search;
  if (task->state == TASK_READY) return true;
  if (task->state == TASK_DONE || task->state == TASK_FAILED || !task->waiting) return false;
  if (!task->waiting->on_tasks) return task->state == TASK_WAITING;
  const struct join *join = (const struct join *)task->waiting;
  if (join->wait.done || join->wait.cancelled) return true;
  for (int i = 0; i < join->count; i++)
    if (can_progress(join->links[i].task, search, depth - 1)) return true;
  return false;
}

static bool is_stuck(struct join *join, struct sched *sched)
{
  unsigned search = ++sched->searches;
  if (join->wait.task) join->wait.task->visited = search;
  for (int i = 0; i < join->count; i++)
    if (can_progress(join->links[i].task, search, MAX_CHAIN)) return false;
  return true;
}

static void link_up(struct join *join)
{
  for (int i = 0; i < join->count; i++) {
    struct join_link *link = &join->links[i];
    struct task *task = link->task;
    if (task->state == TASK_FAILED && join->failed == 0) join->failed = i + 1;
    if (task->state == TASK_DONE || task->state == TASK_FAILED) continue;
    link->next = task->joiners;
    task->joiners = link;
    join->pending++;
  }
}

struct wait *join_begin(lua_State *L, struct join *join)
{
  struct sched *sched = sched_of(L);
  join->wait.cancel = forget;
  join->wait.task = sched->current;
  link_up(join);
  if (join->failed != 0) forget(&join->wait);
  if (join->failed != 0 || join->pending == 0)
    join->wait.done = true;
  else if (is_stuck(join, sched))
    wait_give_up(&join->wait);
  return &join->wait;
}

struct task *join_failed(lua_State *L, struct join *join, int *index)
{
  if (join->wait.cancelled) wait_raise(L, join->wait.stuck);
  *index = join->failed;
  if (join->failed == 0) return NULL;
  struct task *task = join->links[join->failed - 1].task;
  task->taken = true;
  return task;
}

static void end_link(struct join_link *link)
{
  struct join *join = link->join;
  join->pending--;
  if (link->task->state == TASK_FAILED) join->failed = (int)(link - join->links) + 1;
  if (join->failed != 0) forget(&join->wait);
  if (join->failed != 0 || join->pending == 0)
    wait_done(&join->wait);
  else if (is_stuck(join, link->task->sched))
    wait_give_up(&join->wait);
}

void join_end(struct task *task)
{
  while (task->joiners) {
    struct join_link *link = task->joiners;
    task->joiners = link->next;
    if (task->state == TASK_FAILED) task->taken = true;
    end_link(link);
  }
}
