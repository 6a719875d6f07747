/* Shared by the parts of the PostgreSQL store: the library, the connection, statements,
 * transactions, and errors. Private to store_postgres*.c. */
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
  with(PQexecParams);         \
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

/* Every statement by its name; their text is in libpq.c. None is prepared at the server, and no
 * setting outlives its transaction, since a pooler in between may use another session for each
 * transaction. */
enum postgres_statement {
  PG_BEGIN,
  PG_COMMIT,
  PG_ROLLBACK,
  PG_GUARD,
  PG_ACCOUNT_PUT,
  PG_ACCOUNT_GET,
  PG_CHARGE_BY_KEY,
  PG_CHARGE_BY_ID,
  PG_CHARGE_LIST,
  PG_CHARGE_LIST_OPEN,
  PG_CHARGE_LIST_NEWEST,
  PG_CHARGE_LIST_KEYS,
  PG_CHARGE_LIST_ORDERS,
  PG_CHARGE_LIST_STEMS,
  PG_CHARGE_RETIRE,
  PG_CHARGE_COUNT,
  PG_CHARGE_PRUNE,
  PG_CHARGE_REMOVE,
  PG_RUNS_FORGET,
  PG_CHARGE_INSERT,
  PG_CHARGE_FORGET,
  PG_CHARGE_SETTLE,
  PG_CHARGE_AMEND,
  PG_REVIEW,
  PG_LEDGER_MAKE,
  PG_LEDGER_LOCK,
  PG_LEDGER_LOOK,
  PG_LEDGER_PUT,
  PG_SPENT,
  PG_SPENT_FORGET,
  PG_LOCK_MAKE,
  PG_LOCK_TAKE,
  PG_LOCK_HOLD,
  PG_LOCK_RENEW,
  PG_LOCK_GIVE,
  PG_STATEMENTS
};

/* The part of a snapshot that stays when its entry is settled: the expiry date before an extension
 * (a line "expires_at …", charge/snapshot.h), which identifies it; else NULL. */
#define POSTGRES_SNAPSHOT_KEPT "substring(snapshot FROM 'expires_at [^\n]*')"

struct postgres_text {
  const char *text;
  int params;
};
extern const struct postgres_text postgres_texts[PG_STATEMENTS];

struct postgres {
  struct store_driver driver;
  const atomic_bool *hurry;
  struct libpq lib;
  PGconn *connection;
  char *location;   /* with the password */
  char *name;       /* without: for messages */
  char *password;   /* must not appear in messages; NULL: none in the location */
  bool pipelined;   /* libpq's pipeline mode: on after connecting */
  bool lost;        /* the connection is gone */
  bool committing;  /* COMMIT was sent: after a failure it may have taken effect */
  bool reads;       /* the transaction writes nothing */
  bool migrating;   /* a migration runs, which may take long */
  int64_t asking;   /* the token that waits for a lock, 0: none (lock_postgres.c) */
  int64_t renew_at; /* loop_clock() at which the lease of driver.token is due to be renewed */
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

struct postgres_param {
  const char *value; /* NULL: SQL NULL */
  int size;          /* of a binary value; 0: text */
};

/* Runs a statement. `binary`: the format of the results. The caller clears the result; NULL with
 * the error set. */
PGresult *postgres_run(struct postgres *pg, enum postgres_statement name,
                       const struct postgres_param *params, bool binary, struct error *err);

/* The same for its effect; `rows` receives the number of rows unless it is NULL. */
bool postgres_do(struct postgres *pg, enum postgres_statement name,
                 const struct postgres_param *params, int *rows, struct error *err);

/* Sends a statement together with the next postgres_run or postgres_do, whose result reports its
 * failure; this saves a round trip. Statements after a failure are not run. */
bool postgres_ahead(struct postgres *pg, enum postgres_statement name,
                    const struct postgres_param *params, struct error *err);

/* Runs one or more statements by their text; returns the result of the last one. Only while
 * connecting. */
PGresult *postgres_query(struct postgres *pg, const char *text, struct error *err);

/* Runs `body` in a transaction and commits if it returns true. When the connection is lost before
 * the commit was sent, everything runs once more on another connection. */
bool postgres_transact(struct postgres *pg,
                       bool (*body)(struct postgres *pg, void *arg, struct error *err), void *arg,
                       struct error *err);

/* Runs reading statements without a transaction around them, once more when the connection is lost.
 */
bool postgres_read(struct postgres *pg,
                   bool (*body)(struct postgres *pg, void *arg, struct error *err), void *arg,
                   struct error *err);

/* Sets the error for damaged data in the database. Returns false. */
bool postgres_damaged(const struct postgres *pg, struct error *err, const char *what);

/* Migrates a new or older database to the present schema; refuses newer and foreign ones unchanged.
 */
bool postgres_migrate(struct postgres *pg, struct error *err);
int postgres_version(void); /* the version of that schema */

bool postgres_account(struct store_driver *driver, struct journal_account *account);
bool postgres_find(struct store_driver *driver, struct journal_find *find);
bool postgres_list(struct store_driver *driver, struct journal_list *list);
bool postgres_intend(struct store_driver *driver, struct journal_intend *intend);
bool postgres_settle(struct store_driver *driver, struct journal_settle *settle);
bool postgres_amend(struct store_driver *driver, struct journal_amend *amend);
bool postgres_prune(struct store_driver *driver, struct journal_prune *prune);
bool postgres_review(struct store_driver *driver, struct journal_review *review);
bool postgres_retire(struct store_driver *driver, struct journal_retire *retire);
bool postgres_lock(struct store_driver *driver, struct journal_lock *lock);
int64_t postgres_tend(struct store_driver *driver);
void postgres_unlock(struct postgres *pg);

/* To be called in a transaction, before writes that need a lock: if the lock has been lost, they
 * are not run, and fail with a store error. */
bool postgres_hold(struct postgres *pg, int64_t token, struct error *err);

#endif
