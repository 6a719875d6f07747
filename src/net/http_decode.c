/* gzip and deflate bodies, decoded here: libcurl does not report a stream that ends early. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "net/http_private.h"

#define WINDOW 15
#define ANY_HEADER 32 /* zlib finds out whether it is gzip or zlib */
#define CHUNK (64 << 10)

struct http_decoder {
  z_stream stream;
  bool gzip, begun, ended;
  unsigned char out[CHUNK];
};

void decoder_close(struct http_decoder *decoder)
{
  if (!decoder) return;
  inflateEnd(&decoder->stream);
  free(decoder);
}

bool decoder_open(struct http_transfer *x)
{
  const char *coding = header_of(x, "Content-Encoding");
  decoder_close(x->decoder);
  x->decoder = NULL;
  if (!*coding) return true;
  struct curl_header *second;
  bool gzip = strcasecmp(coding, "gzip") == 0 || strcasecmp(coding, "x-gzip") == 0,
       repeated =
           curl_easy_header(x->easy, "Content-Encoding", 1, CURLH_HEADER, -1, &second) == CURLHE_OK;
  if (!repeated && strcasecmp(coding, "identity") == 0) return true;
  if (repeated || (!gzip && strcasecmp(coding, "deflate") != 0)) {
    error_set(&x->failure, ERROR_PROTOCOL,
              "the body has the content encoding %.60s, which was not asked for", coding);
    return false;
  }
  x->decoder = calloc(1, sizeof *x->decoder);
  if (x->decoder) x->decoder->gzip = gzip;
  if (x->decoder && inflateInit2(&x->decoder->stream, WINDOW + ANY_HEADER) == Z_OK) return true;
  free(x->decoder);
  x->decoder = NULL;
  error_set(&x->failure, ERROR_INTERNAL, "out of memory for a compressed body");
  return false;
}

/* Some servers send deflate without zlib's header. */
static bool is_raw(const unsigned char *bytes, size_t size)
{
  if ((bytes[0] & 15) != Z_DEFLATED || bytes[0] >> 4 > 7) return true;
  return size > 1 && (bytes[0] << 8 | bytes[1]) % 31 != 0;
}

static bool fail_damaged(struct http_transfer *x, const char *why)
{
  error_set(&x->failure, ERROR_PROTOCOL, "the compressed body is damaged: %s", why);
  return false;
}

/* gzip allows several members in a row. */
static bool next_member(struct http_transfer *x)
{
  struct http_decoder *d = x->decoder;
  if (!d->gzip || inflateReset(&d->stream) != Z_OK) return fail_damaged(x, "bytes follow its end");
  d->ended = false;
  return true;
}

bool decoder_take(struct http_transfer *x, const char *bytes, size_t size,
                  bool (*deliver)(struct http_transfer *x, const char *bytes, size_t size))
{
  struct http_decoder *d = x->decoder;
  z_stream *z = &d->stream;
  if (size > 0 && !d->begun) {
    d->begun = true;
    if (!d->gzip && is_raw((const unsigned char *)bytes, size) && inflateReset2(z, -WINDOW) != Z_OK)
      return fail_damaged(x, "out of memory");
  }
  z->next_in = (Bytef *)(uintptr_t)bytes;
  z->avail_in = (uInt)size;
  do {
    if (d->ended && z->avail_in > 0 && !next_member(x)) return false;
    z->next_out = d->out;
    z->avail_out = CHUNK;
    int code = inflate(z, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
      return fail_damaged(x, z->msg ? z->msg : "invalid data");
    d->ended = code == Z_STREAM_END;
    size_t made = CHUNK - z->avail_out;
    if (made > 0 && !deliver(x, (const char *)d->out, made)) return false;
  } while (z->avail_in > 0 || z->avail_out == 0);
  return true;
}

/* A body without a byte is whole where its length or its framing says so. */
static bool is_empty_whole(const struct http_transfer *x)
{
  long version = 0;
  curl_off_t length = -1;
  curl_easy_getinfo(x->easy, CURLINFO_HTTP_VERSION, &version);
  curl_easy_getinfo(x->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  return length == 0 || version >= CURL_HTTP_VERSION_2_0 || x->status == 204 || x->status == 304 ||
         (x->request.method && strcmp(x->request.method, "HEAD") == 0) ||
         *header_of(x, "Transfer-Encoding");
}

bool decoder_is_whole(const struct http_transfer *x)
{
  const struct http_decoder *d = x->decoder;
  if (!d || d->ended) return true;
  return !d->begun && is_empty_whole(x);
}
