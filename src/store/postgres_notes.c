/* Notes in PostgreSQL. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgres.h"

static bool out_of_memory(struct error *err)
{
  error_set(err, ERROR_INTERNAL, "out of memory");
  return false;
}

/* The columns are name, text, put_at. */
static bool read_text(const struct postgres *pg, const PGresult *result, int row, struct note *note,
                      struct error *err)
{
  note->text = strdup(pg->lib.PQgetvalue(result, row, 1));
  note->put_at = strtoll(pg->lib.PQgetvalue(result, row, 2), NULL, 10);
  return note->text || out_of_memory(err);
}

static bool get_one(struct postgres *pg, const struct notes_get *get, struct note *note,
                    struct error *err)
{
  const struct postgres_param params[] = {{.value = get->owner},
                                          {.value = get->kind},
                                          {.value = note->name}};
  PGresult *result = postgres_run(pg, PG_NOTE_GET, params, false, err);
  if (!result) return false;
  bool ok = pg->lib.PQntuples(result) == 0 || read_text(pg, result, 0, note, err);
  pg->lib.PQclear(result);
  return ok;
}

/* Starts again when the connection had to be made again. */
static bool get_all(struct postgres *pg, void *arg, struct error *err)
{
  struct notes_get *get = arg;
  notes_get_free(get);
  for (size_t i = 0; i < get->count; i++)
    if (!get_one(pg, get, &get->notes[i], err)) return false;
  return true;
}

bool postgres_notes_get(struct store_driver *driver, struct notes_get *get)
{
  bool ok = postgres_read((struct postgres *)driver, get_all, get, &get->job.err);
  if (!ok) notes_get_free(get);
  return ok;
}

static bool put_one(struct postgres *pg, struct notes_put *put, const struct note *note,
                    struct error *err)
{
  const struct postgres_param params[] = {{.value = put->owner},
                                          {.value = put->kind},
                                          {.value = note->name},
                                          {.value = note->text}};
  int rows = 0;
  if (!postgres_do(pg,
                   !note->text     ? PG_NOTE_REMOVE
                   : put->only_new ? PG_NOTE_ADD
                                   : PG_NOTE_PUT,
                   params, &rows, err))
    return false;
  put->changed += (size_t)rows;
  return true;
}

static bool put_all(struct postgres *pg, void *arg, struct error *err)
{
  struct notes_put *put = arg;
  put->changed = 0;
  for (size_t i = 0; i < put->count; i++)
    if (!put_one(pg, put, &put->notes[i], err)) return false;
  return true;
}

bool postgres_notes_put(struct store_driver *driver, struct notes_put *put)
{
  return postgres_transact((struct postgres *)driver, put_all, put, &put->job.err);
}

static bool read_rows(const struct postgres *pg, const PGresult *result, struct notes_list *list,
                      struct error *err)
{
  int rows = pg->lib.PQntuples(result);
  list->notes = rows > 0 ? calloc((size_t)rows, sizeof *list->notes) : NULL;
  if (rows > 0 && !list->notes) return out_of_memory(err);
  for (int row = 0; row < rows; row++) {
    struct note *note = &list->notes[list->count++];
    note->name = strdup(pg->lib.PQgetvalue(result, row, 0));
    if (!note->name) return out_of_memory(err);
    if (!read_text(pg, result, row, note, err)) return false;
  }
  return true;
}

static bool list_all(struct postgres *pg, void *arg, struct error *err)
{
  struct notes_list *list = arg;
  char limit[12];
  snprintf(limit, sizeof limit, "%d", list->limit);
  const struct postgres_param params[] = {{.value = list->owner},
                                          {.value = list->kind},
                                          {.value = list->after},
                                          {.value = limit}};
  notes_list_free(list);
  PGresult *result = postgres_run(pg, PG_NOTE_LIST, params, false, err);
  if (!result) return false;
  bool ok = read_rows(pg, result, list, err);
  pg->lib.PQclear(result);
  return ok;
}

bool postgres_notes_list(struct store_driver *driver, struct notes_list *list)
{
  list->notes = NULL;
  list->count = 0;
  bool ok = postgres_read((struct postgres *)driver, list_all, list, &list->job.err);
  if (!ok) notes_list_free(list);
  return ok;
}

static bool forget(struct postgres *pg, void *arg, struct error *err)
{
  struct notes_forget *forget = arg;
  char age[24];
  int rows = 0;
  snprintf(age, sizeof age, "%" PRId64, forget->age);
  const struct postgres_param params[] = {{.value = forget->owner},
                                          {.value = forget->kind},
                                          {.value = age}};
  if (!postgres_do(pg, PG_NOTE_FORGET, params, &rows, err)) return false;
  forget->forgotten = (size_t)rows;
  return true;
}

bool postgres_notes_forget(struct store_driver *driver, struct notes_forget *job)
{
  return postgres_transact((struct postgres *)driver, forget, job, &job->job.err);
}
