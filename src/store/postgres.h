/* Shared by the parts of the PostgreSQL store: the library, the connection and errors. Private to
 * postgres*.c and libpq.c. */
#ifndef PROXYLUA_STORE_POSTGRES_H
#define PROXYLUA_STORE_POSTGRES_H

#include <libpq-fe.h>

#include "base/buffer.h"
#include "store/driver.h"

/* libpq is loaded when the first store in a database is opened. Its version must be at least 14. */
#define LIBPQ_FUNCTIONS(with) \
  with(PQbackendPID);         \
  with(PQclear);              \
  with(PQcmdTuples);          \
  with(PQconninfoFree);       \
  with(PQconninfoParse);      \
  with(PQconnectPoll);        \
  with(PQconnectStartParams); \
  with(PQconsumeInput);       \
  with(PQenterPipelineMode);  \
  with(PQerrorMessage);       \
  with(PQfinish);             \
  with(PQflush);              \
  with(PQfreemem);            \
  with(PQgetResult);          \
  with(PQgetisnull);          \
  with(PQgetlength);          \
  with(PQgetvalue);           \
  with(PQisBusy);             \
  with(PQntuples);            \
  with(PQpipelineSync);       \
  with(PQresultErrorField);   \
  with(PQresultErrorMessage); \
  with(PQresultStatus);       \
  with(PQsendQuery);          \
  with(PQsendQueryParams);    \
  with(PQserverVersion);      \
  with(PQsetNoticeProcessor); \
  with(PQsetnonblocking);     \
  with(PQsocket);             \
  with(PQstatus)

#define LIBPQ_MEMBER(name) __typeof__(&(name)) name
struct libpq {
  void *handle;
  LIBPQ_FUNCTIONS(LIBPQ_MEMBER);
};

struct postgres {
  struct store_driver driver;
  const atomic_bool *hurry;
  struct libpq lib;
  PGconn *connection;
  char *location;  /* with the password */
  char *name;      /* without: for messages */
  char *password;  /* must not appear in messages; NULL: none in the location */
  bool pipelined;  /* libpq's pipeline mode: on after connecting */
  bool lost;       /* the connection is gone */
  bool committing; /* COMMIT was sent: after a failure it may have taken effect */
  bool reads;      /* the transaction writes nothing */
  bool migrating;  /* a migration runs, which may take long */
  struct postgres_pending {
    db_reader *read;
    void *arg;
    int64_t *changed;
  } * pending; /* of the statements that were sent, and whose results were not received */
  size_t pending_count, pending_capacity;
  struct buffer text;
};

/* Opens the library. False with a config error when it is not installed. */
bool postgres_open_library(struct libpq *lib, struct error *err);

/* Runs one or more statements by their text; returns the result of the last one. Only while
 * connecting. */
PGresult *postgres_query(struct postgres *pg, const char *text, struct error *err);

/* Sets the error for damaged data in the database. Returns false. */
bool postgres_damaged(const struct postgres *pg, struct error *err, const char *what);

/* Migrates a new or older database to the present schema; refuses newer and foreign ones unchanged.
 */
bool postgres_migrate(struct postgres *pg, struct error *err);

#endif
