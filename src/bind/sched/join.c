#include "bind/sched/join.h"

#include <lauxlib.h>

#include "bind/runtime.h"
#include "bind/sched/task.h"

#define MAX_CHAIN 20000 /* of tasks that wait for each other, looked at for one that can go on */

struct join_link {
  struct join *gather;
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
  struct join *gather =
      lua_newuserdatauv(L, sizeof *gather + (size_t)count * sizeof gather->links[0], 1);
  gather->wait = (struct wait){.on_tasks = true};
  gather->count = gather->pending = gather->failed = 0;
  return gather;
}

void join_add(struct join *gather, struct task *task)
{
  gather->links[gather->count++] = (struct join_link){.gather = gather, .task = task};
}

static void forget(struct wait *wait)
{
  struct join *gather = (struct join *)wait;
  for (int i = 0; i < gather->count; i++) {
    struct join_link *link = &gather->links[i], **at = &link->task->joiners;
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
  const struct join *gather = (const struct join *)task->waiting;
  if (gather->wait.done || gather->wait.cancelled) return true;
  for (int i = 0; i < gather->count; i++)
    if (can_progress(gather->links[i].task, search, depth - 1)) return true;
  return false;
}

static bool is_hopeless(struct join *gather, struct runtime *runtime)
{
  unsigned search = ++runtime->tasks.searches;
  if (gather->wait.task) gather->wait.task->visited = search;
  for (int i = 0; i < gather->count; i++)
    if (can_progress(gather->links[i].task, search, MAX_CHAIN)) return false;
  return true;
}

static void link_up(struct join *gather)
{
  for (int i = 0; i < gather->count; i++) {
    struct join_link *link = &gather->links[i];
    struct task *task = link->task;
    if (task->state == TASK_FAILED && gather->failed == 0) gather->failed = i + 1;
    if (task->state == TASK_DONE || task->state == TASK_FAILED) continue;
    link->next = task->joiners;
    task->joiners = link;
    gather->pending++;
  }
}

int join_wait(lua_State *L, struct join *gather, lua_KFunction after)
{
  struct runtime *runtime = runtime_of(L);
  gather->wait.cancel = forget;
  gather->wait.task = runtime->tasks.current;
  link_up(gather);
  if (gather->failed != 0) forget(&gather->wait);
  if (gather->failed != 0 || gather->pending == 0)
    gather->wait.done = true;
  else if (is_hopeless(gather, runtime))
    wait_give_up(&gather->wait);
  return wait_for(L, &gather->wait, after, (lua_KContext)gather);
}

struct task *join_failed(lua_State *L, struct join *gather, int *index)
{
  if (gather->wait.cancelled) wait_raise(L, gather->wait.hopeless);
  *index = gather->failed;
  if (gather->failed == 0) return NULL;
  struct task *task = gather->links[gather->failed - 1].task;
  task->taken = true;
  return task;
}

static void tell(struct join_link *link)
{
  struct join *gather = link->gather;
  gather->pending--;
  if (link->task->state == TASK_FAILED) gather->failed = (int)(link - gather->links) + 1;
  if (gather->failed != 0) forget(&gather->wait);
  if (gather->failed != 0 || gather->pending == 0)
    wait_done(&gather->wait);
  else if (is_hopeless(gather, link->task->runtime))
    wait_give_up(&gather->wait);
}

void join_tell(struct task *task)
{
  while (task->joiners) {
    struct join_link *link = task->joiners;
    task->joiners = link->next;
    if (task->state == TASK_FAILED) task->taken = true;
    tell(link);
  }
}
