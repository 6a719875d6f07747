#include "store/notes.h"

#include <stdlib.h>

#include "store/driver.h"

/* Columns of the statements below. */
enum { NAME, TEXT, PUT_AT };

#define OF_KIND " WHERE owner = $1 AND kind = $2"

static const char get_one[] = "SELECT name, text, put_at FROM notes" OF_KIND " AND name = $3";
static const char put_one[] =
    "INSERT INTO notes (owner, kind, name, text, put_at) VALUES ($1, $2, $3, $4, " DB_NOW
    ") ON CONFLICT (owner, kind, name) DO UPDATE SET text = excluded.text, put_at = "
    "excluded.put_at";
static const char add_one[] =
    "INSERT INTO notes (owner, kind, name, text, put_at) VALUES ($1, $2, $3, $4, " DB_NOW
    ") ON CONFLICT (owner, kind, name) DO NOTHING";
static const char remove_one[] = "DELETE FROM notes" OF_KIND " AND name = $3";
static const char list_some[] =
    "SELECT name, text, put_at FROM notes" OF_KIND " AND name > $3 ORDER BY name LIMIT $4";
static const char forget_old[] = "DELETE FROM notes" OF_KIND " AND put_at < " DB_NOW " - $3";

static bool read_text(void *arg, const struct db_row *row, struct error *err)
{
  struct note *note = arg;
  note->put_at = db_number(row, PUT_AT);
  return db_copy(row, TEXT, &note->text, err);
}

static bool get(struct store_driver *driver, void *arg, struct error *err)
{
  struct notes_get *job = arg;
  notes_get_free(job);
  for (size_t i = 0; i < job->count; i++)
    if (!db_read(driver, get_one,
                 DB_WITH(DB_TEXT(job->owner), DB_TEXT(job->kind), DB_TEXT(job->notes[i].name)),
                 read_text, &job->notes[i], err))
      return false;
  return true;
}

static void work_get(struct store_job *job, struct store_driver *driver)
{
  if (!db_transact(driver, DB_READ, get, job, &job->err)) notes_get_free((struct notes_get *)job);
}

static bool put(struct store_driver *driver, void *arg, struct error *err)
{
  struct notes_put *job = arg;
  job->changed = 0;
  for (size_t i = 0; i < job->count; i++) {
    const struct note *note = &job->notes[i];
    const struct db_value values[] = {DB_TEXT(job->owner), DB_TEXT(job->kind), DB_TEXT(note->name),
                                      DB_TEXT(note->text)};
    const char *how = !note->text ? remove_one : job->only_new ? add_one : put_one;
    if (!db_run(driver, how, values, note->text ? 4 : 3, &job->changed, err)) return false;
  }
  return true;
}

static void work_put(struct store_job *job, struct store_driver *driver)
{
  db_transact(driver, DB_DURABLE, put, job, &job->err);
}

static bool read_row(void *arg, const struct db_row *row, struct error *err)
{
  struct notes_list *list = arg;
  if (list->count == (size_t)list->limit) return true;
  struct note *note = &list->notes[list->count++];
  return db_copy(row, NAME, &note->name, err) && read_text(note, row, err);
}

static bool list_all(struct store_driver *driver, void *arg, struct error *err)
{
  struct notes_list *job = arg;
  notes_list_free(job);
  job->notes = calloc((size_t)job->limit, sizeof *job->notes);
  if (job->notes)
    return db_read(driver, list_some,
                   DB_WITH(DB_TEXT(job->owner), DB_TEXT(job->kind), DB_TEXT(job->after),
                           DB_NUMBER(job->limit)),
                   read_row, job, err);
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

static void work_list(struct store_job *job, struct store_driver *driver)
{
  struct notes_list *list = (struct notes_list *)job;
  list->notes = NULL;
  list->count = 0;
  if (!db_transact(driver, DB_READ, list_all, list, &job->err)) notes_list_free(list);
}

static bool forget(struct store_driver *driver, void *arg, struct error *err)
{
  struct notes_forget *job = arg;
  job->forgotten = 0;
  return db_run(driver, forget_old,
                DB_WITH(DB_TEXT(job->owner), DB_TEXT(job->kind), DB_NUMBER(job->age)),
                &job->forgotten, err);
}

static void work_forget(struct store_job *job, struct store_driver *driver)
{
  db_transact(driver, DB_DURABLE, forget, job, &job->err);
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
