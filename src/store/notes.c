#include "store/notes.h"

#include <stdlib.h>

#include "store/driver.h"

static void work_get(struct store_job *job, struct store_driver *driver)
{
  driver->ops->notes_get(driver, (struct notes_get *)job);
}

static void work_put(struct store_job *job, struct store_driver *driver)
{
  driver->ops->notes_put(driver, (struct notes_put *)job);
}

static void work_list(struct store_job *job, struct store_driver *driver)
{
  driver->ops->notes_list(driver, (struct notes_list *)job);
}

static void work_forget(struct store_job *job, struct store_driver *driver)
{
  driver->ops->notes_forget(driver, (struct notes_forget *)job);
}

void notes_get(struct store *store, struct notes_get *get)
{
  get->job.work = work_get;
  store_submit(store, &get->job);
}

void notes_put(struct store *store, struct notes_put *put)
{
  put->job.work = work_put;
  store_submit(store, &put->job);
}

void notes_list(struct store *store, struct notes_list *list)
{
  list->job.work = work_list;
  store_submit(store, &list->job);
}

void notes_forget(struct store *store, struct notes_forget *forget)
{
  forget->job.work = work_forget;
  store_submit(store, &forget->job);
}

void notes_get_free(struct notes_get *get)
{
  for (size_t i = 0; i < get->count; i++) {
    free(get->notes[i].text);
    get->notes[i].text = NULL;
  }
}

void notes_list_free(struct notes_list *list)
{
  for (size_t i = 0; i < list->count; i++) {
    free(list->notes[i].name);
    free(list->notes[i].text);
  }
  free(list->notes);
  list->notes = NULL;
  list->count = 0;
}
