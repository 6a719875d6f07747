/* Notes in SQLite. */
#include <stdlib.h>
#include <string.h>

#include "store/sqlite.h"

/* A statement with the parameters that begin all of them. */
static sqlite3_stmt *prepare(struct sqlite *sqlite, enum statement name, const char *owner,
                             const char *kind, struct error *err)
{
  sqlite3_stmt *statement = sqlite_statement(sqlite, name, err);
  if (!statement) return NULL;
  sqlite_text(statement, 1, owner);
  sqlite_text(statement, 2, kind);
  return statement;
}

/* The columns are name, text, put_at. */
static bool read_text(sqlite3_stmt *row, struct note *note, struct error *err)
{
  const char *text = (const char *)sqlite3_column_text(row, 1);
  note->put_at = sqlite3_column_int64(row, 2);
  note->text = text ? strdup(text) : NULL;
  if (!note->text) error_set(err, ERROR_INTERNAL, "out of memory");
  return note->text;
}

static bool get_one(struct sqlite *sqlite, const struct notes_get *get, struct note *note,
                    struct error *err)
{
  sqlite3_stmt *statement = prepare(sqlite, NOTE_GET, get->owner, get->kind, err);
  if (!statement) return false;
  sqlite_text(statement, 3, note->name);
  int code = sqlite3_step(statement);
  bool ok = code == SQLITE_ROW ? read_text(statement, note, err)
                               : code == SQLITE_DONE || sqlite_fail(sqlite, err);
  sqlite3_reset(statement);
  return ok;
}

bool sqlite_notes_get(struct store_driver *driver, struct notes_get *get)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  bool ok = true;
  for (size_t i = 0; ok && i < get->count; i++)
    ok = get_one(sqlite, get, &get->notes[i], &get->job.err);
  if (!ok) notes_get_free(get);
  return ok;
}

static bool put_one(struct sqlite *sqlite, struct notes_put *put, const struct note *note,
                    struct error *err)
{
  enum statement name = !note->text ? NOTE_REMOVE : put->only_new ? NOTE_ADD : NOTE_PUT;
  sqlite3_stmt *statement = prepare(sqlite, name, put->owner, put->kind, err);
  if (!statement) return false;
  sqlite_text(statement, 3, note->name);
  if (note->text) {
    sqlite_text(statement, 4, note->text);
    sqlite3_bind_int64(statement, 5, sqlite_wall_clock());
  }
  if (!sqlite_run(sqlite, statement, err)) return false;
  put->changed += (size_t)sqlite3_changes(sqlite->db);
  return true;
}

bool sqlite_notes_put(struct store_driver *driver, struct notes_put *put)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &put->job.err;
  put->changed = 0;
  if (!sqlite_begin(sqlite, true, err)) return false;
  bool ok = true;
  for (size_t i = 0; ok && i < put->count; i++) ok = put_one(sqlite, put, &put->notes[i], err);
  return sqlite_end(sqlite, ok, err);
}

static bool read_row(sqlite3_stmt *row, struct note *note, struct error *err)
{
  const char *name = (const char *)sqlite3_column_text(row, 0);
  note->name = name ? strdup(name) : NULL;
  if (!note->name) error_set(err, ERROR_INTERNAL, "out of memory");
  return note->name && read_text(row, note, err);
}

static bool read_rows(struct sqlite *sqlite, sqlite3_stmt *statement, struct notes_list *list,
                      struct error *err)
{
  int code = SQLITE_DONE;
  while (list->count < (size_t)list->limit && (code = sqlite3_step(statement)) == SQLITE_ROW)
    if (!read_row(statement, &list->notes[list->count++], err)) return false;
  return code == SQLITE_DONE || code == SQLITE_ROW || sqlite_fail(sqlite, err);
}

bool sqlite_notes_list(struct store_driver *driver, struct notes_list *list)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &list->job.err;
  list->count = 0;
  list->notes = calloc((size_t)list->limit, sizeof *list->notes);
  if (!list->notes) {
    error_set(err, ERROR_INTERNAL, "out of memory");
    return false;
  }
  sqlite3_stmt *statement = prepare(sqlite, NOTE_LIST, list->owner, list->kind, err);
  if (statement) {
    sqlite_text(statement, 3, list->after);
    sqlite3_bind_int(statement, 4, list->limit);
  }
  bool ok = statement && read_rows(sqlite, statement, list, err);
  if (statement) sqlite3_reset(statement);
  if (!ok) notes_list_free(list);
  return ok;
}

static bool forget(struct sqlite *sqlite, struct notes_forget *forget, struct error *err)
{
  sqlite3_stmt *statement = prepare(sqlite, NOTE_FORGET, forget->owner, forget->kind, err);
  if (!statement) return false;
  sqlite3_bind_int64(statement, 3, sqlite_wall_clock() - forget->age);
  if (!sqlite_run(sqlite, statement, err)) return false;
  forget->forgotten = (size_t)sqlite3_changes(sqlite->db);
  return true;
}

bool sqlite_notes_forget(struct store_driver *driver, struct notes_forget *job)
{
  struct sqlite *sqlite = (struct sqlite *)driver;
  struct error *err = &job->job.err;
  return sqlite_begin(sqlite, true, err) && sqlite_end(sqlite, forget(sqlite, job, err), err);
}
