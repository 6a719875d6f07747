/* The other side of every benchmark, in one thread: an HTTP server of documents from
 * memory, a forward proxy that listens on all of 127/8, one that accepts and never responds, and a
 * port that refuses. It prints its ports as a line of shell variables and ends when its standard
 * input does. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DOCUMENTS = 16, EVENTS = 256, INPUT = 16384 };

enum kind { LISTEN_HTTP, LISTEN_PROXY, LISTEN_HANG, STDIN, HTTP, PROXY, HANG, TUNNEL };

/* A document under its path, the response's head before it. */
struct document {
  char *path;
  char *text;
  size_t size;
};

struct peer {
  enum kind kind;
  int fd;
  uint32_t told;      /* what epoll watches for */
  struct peer *other; /* of a TUNNEL: its far end */
  struct peer *dead;  /* next of those that are freed after the batch of events */
  const char *out;    /* what is still to be written, in a document or in the other end's `in` */
  size_t left;
  size_t used;
  char in[INPUT];
  char reply[256];
};

static int epoll;
static struct peer *graveyard;
static struct document documents[DOCUMENTS];
static int document_count;

static void die(const char *what)
{
  perror(what);
  exit(1);
}

/* --- documents --- */

static char *whole_file(const char *path, size_t head_room, size_t *size)
{
  struct stat status;
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &status) < 0) die(path);
  char *text = malloc(head_room + (size_t)status.st_size);
  if (!text) die(path);
  for (*size = 0; *size < (size_t)status.st_size;) {
    ssize_t got = read(fd, text + head_room + *size, (size_t)status.st_size - *size);
    if (got <= 0) die(path);
    *size += (size_t)got;
  }
  close(fd);
  return text;
}

static char *join(const char *a, const char *b, const char *c)
{
  char *text;
  if (asprintf(&text, "%s%s%s", a, b, c) < 0) die("asprintf");
  return text;
}

static void load(const char *folder, char *path)
{
  enum { HEAD = 256 };
  char *name = join(folder, path, ""), head[HEAD];
  size_t size;
  struct document *document = &documents[document_count++];
  char *text = whole_file(name, HEAD, &size);
  free(name);
  int length =
      snprintf(head, sizeof head,
               "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 02 Nov 2026 10:00:00 GMT\r\n"
               "Content-Type: application/json\r\nContent-Length: %zu\r\nConnection: "
               "keep-alive\r\n\r\n",
               size);
  char *index = strstr(path, "/index");
  if (index) *index = '\0';
  document->path = path;
  document->text = text + HEAD - length;
  document->size = size + (size_t)length;
  memcpy(document->text, head, (size_t)length);
}

/* Every file below the folder; `path` is the part that requests name, "index" stands for its
 * folder. */
static void load_all(const char *folder, const char *path)
{
  char *name = join(folder, path, "");
  DIR *directory = opendir(name);
  if (!directory) die(name);
  free(name);
  for (struct dirent *entry; (entry = readdir(directory));) {
    if (entry->d_name[0] == '.') continue;
    name = join(path, "/", entry->d_name);
    if (entry->d_type == DT_DIR)
      load_all(folder, name);
    else if (document_count < DOCUMENTS)
      load(folder, name);
  }
  closedir(directory);
}

/* --- connections --- */

static void watch(struct peer *peer, uint32_t events)
{
  if (peer->told == events) return;
  struct epoll_event event = {.events = events, .data.ptr = peer};
  if (epoll_ctl(epoll, peer->told ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, peer->fd, &event) < 0)
    die("epoll_ctl");
  peer->told = events;
}

static struct peer *peer_new(enum kind kind, int fd)
{
  struct peer *peer = malloc(sizeof *peer);
  if (!peer) die("malloc");
  memset(peer, 0, offsetof(struct peer, in));
  peer->kind = kind;
  peer->fd = fd;
  watch(peer, EPOLLIN);
  return peer;
}

/* Events of the same batch may still name the peer: it is freed after them. */
static void peer_close(struct peer *peer)
{
  if (peer->fd < 0) return;
  close(peer->fd);
  peer->fd = -1;
  peer->dead = graveyard;
  graveyard = peer;
  if (peer->other) peer_close(peer->other);
}

static void bury(void)
{
  while (graveyard) {
    struct peer *peer = graveyard;
    graveyard = peer->dead;
    free(peer);
  }
}

static void accept_all(const struct peer *listener)
{
  static const enum kind kinds[] =
      {[LISTEN_HTTP] = HTTP, [LISTEN_PROXY] = PROXY, [LISTEN_HANG] = HANG};
  int fd, one = 1;
  while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    peer_new(kinds[listener->kind], fd);
  }
  if (errno != EAGAIN && errno != ECONNABORTED) die("accept");
}

/* Writes what is pending; until all of it is out nothing else is read. */
static void flush(struct peer *peer)
{
  while (peer->left > 0) {
    ssize_t sent = send(peer->fd, peer->out, peer->left, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
      watch(peer, EPOLLOUT);
      if (peer->other) watch(peer->other, EPOLLERR);
      return;
    }
    if (sent < 0) {
      peer_close(peer);
      return;
    }
    peer->out += sent;
    peer->left -= (size_t)sent;
  }
  watch(peer, EPOLLIN);
  if (peer->other) watch(peer->other, EPOLLIN);
}

static void answer(struct peer *peer, const char *text, size_t size)
{
  peer->out = text;
  peer->left = size;
  flush(peer);
}

__attribute__((format(printf, 2, 3))) static void reply(struct peer *peer, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  int length = vsnprintf(peer->reply, sizeof peer->reply, format, args);
  va_end(args);
  answer(peer, peer->reply, (size_t)length);
}

static void serve(struct peer *peer, const char *path, size_t length)
{
  const char *query = memchr(path, '?', length);
  if (query) length = (size_t)(query - path);
  for (int i = 0; i < document_count; i++) {
    const struct document *document = &documents[i];
    if (strncmp(document->path, path, length) != 0 || document->path[length]) continue;
    answer(peer, document->text, document->size);
    return;
  }
  reply(peer, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}

/* A forward proxy's answer, as if fetched: the address under which the client reached the proxy. */
static void serve_address(struct peer *peer)
{
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  char text[INET_ADDRSTRLEN];
  if (getsockname(peer->fd, (struct sockaddr *)&address, &size) < 0) die("getsockname");
  inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
  reply(peer,
        "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: application/json\r\nContent-Length: "
        "%zu\r\n\r\n{\"ip\":\"%s\"}",
        strlen(text) + 9, text);
}

/* CONNECT: a tunnel to that port of 127.0.0.1, for any host. */
static void tunnel(struct peer *peer, const char *target, size_t length)
{
  const char *colon = memrchr(target, ':', length);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  to.sin_port = htons((uint16_t)(colon ? atoi(colon + 1) : 0));
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
    close(fd);
    reply(peer, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct peer *far = peer_new(TUNNEL, fd);
  peer->kind = TUNNEL;
  peer->other = far;
  far->other = peer;
  reply(peer, "HTTP/1.1 200 Connection established\r\n\r\n");
}

/* One request: its first line decides. */
static void handle(struct peer *peer, const char *request)
{
  size_t verb = strcspn(request, " ");
  const char *target = request + verb + 1;
  size_t length = strcspn(target, " \r\n");
  if (peer->kind == HTTP)
    serve(peer, target, length);
  else if (strncmp(request, "CONNECT ", 8) == 0)
    tunnel(peer, target, length);
  else
    serve_address(peer);
}

static void read_requests(struct peer *peer)
{
  ssize_t got = recv(peer->fd, peer->in + peer->used, INPUT - 1 - peer->used, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    peer_close(peer);
    return;
  }
  peer->used += (size_t)got;
  peer->in[peer->used] = 0;
  if (!strstr(peer->in, "\r\n\r\n")) return;
  peer->used = 0; /* no client here sends a request before it has the answer to the last */
  handle(peer, peer->in);
}

static void read_tunnel(struct peer *peer)
{
  ssize_t got = recv(peer->fd, peer->in, INPUT, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0)
    peer_close(peer);
  else
    answer(peer->other, peer->in, (size_t)got);
}

static void read_nothing(struct peer *peer)
{
  if (recv(peer->fd, peer->in, INPUT, 0) <= 0) peer_close(peer);
}

static void work(struct peer *peer, uint32_t events)
{
  if (peer->fd < 0) return;
  if (peer->kind == STDIN) exit(0);
  if (peer->other && peer->other->left > 0 && !(events & (EPOLLERR | EPOLLHUP)))
    return; /* read before it filled up */
  if (peer->kind <= LISTEN_HANG)
    accept_all(peer);
  else if (peer->other && peer->other->left > 0)
    peer_close(peer);
  else if (events & EPOLLOUT)
    flush(peer);
  else if (peer->kind == HANG)
    read_nothing(peer);
  else if (peer->kind == TUNNEL)
    read_tunnel(peer);
  else
    read_requests(peer);
}

/* --- the start --- */

/* On every address of 127/8 and no other: the socket is tied to the loopback interface. */
static int bound_socket(int *port)
{
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t size = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0) die("socket");
  if (bind(fd, (struct sockaddr *)&at, size) < 0 ||
      getsockname(fd, (struct sockaddr *)&at, &size) < 0)
    die("bind");
  *port = ntohs(at.sin_port);
  return fd;
}

static int listen_as(enum kind kind)
{
  int port, fd = bound_socket(&port);
  if (listen(fd, 4096) < 0) die("listen");
  peer_new(kind, fd);
  return port;
}

static void raise_limit(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) die("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) die("setrlimit");
}

int main(int argc, char **argv)
{
  struct epoll_event events[EVENTS];
  int refuse;
  if (argc != 2) return fputs("usage: server FOLDER\n", stderr), 2;
  raise_limit();
  load_all(argv[1], "");
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) die("epoll_create1");
  peer_new(STDIN, STDIN_FILENO);
  bound_socket(
      &refuse); /* bound and not listening: the port stays ours, and connecting to it is refused */
  int http = listen_as(LISTEN_HTTP), proxy = listen_as(LISTEN_PROXY), hang = listen_as(LISTEN_HANG);
  printf("HTTP_PORT=%d PROXY_PORT=%d HANG_PORT=%d REFUSE_PORT=%d\n", http, proxy, hang, refuse);
  fflush(stdout);
  for (;;) {
    int count = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) work(events[i].data.ptr, events[i].events);
    bury();
  }
}
