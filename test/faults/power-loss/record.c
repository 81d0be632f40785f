/*
 * Preloaded library of the power-loss harness: writes every call that changes or syncs something below RECORD_FOLDER to
 * RECORD_LOG, in the order in which the calls returned, with the bytes. One lock around each call and its record keeps
 * that order true across threads. A call that changes files in a way the replayer does not know is recorded as such,
 * and the replayer refuses the log: nothing is passed over in silence. Writes through mmap are not seen; SQLite makes
 * them to its -shm file only, which it rebuilds.
 *
 * A record: kind (1 byte), descriptor (4), offset (8), length (4), then `length` bytes, numbers little-endian.
 *   o open: offset holds 1 when O_TRUNC was asked, bytes are the path   c close   w write   t truncate to offset
 *   s sync   r rename, bytes are "from\0to"   l link, likewise   u unlink or remove   m mkdir   d rmdir   ! unknown, bytes say which
 * Paths are relative to RECORD_FOLDER; the folder itself is "".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_DESCRIPTORS 65536
static unsigned char watched[MOST_DESCRIPTORS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static int log_descriptor = -1;

__attribute__((constructor)) static void begin(void) {
  folder = getenv("RECORD_FOLDER");
  const char *path = getenv("RECORD_LOG");
  if (folder && path)
    log_descriptor = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); real; })

static void record(char kind, int descriptor, uint64_t offset, const void *bytes, uint32_t length) {
  unsigned char head[17];
  head[0] = kind;
  memcpy(head + 1, &descriptor, 4);
  memcpy(head + 5, &offset, 8);
  memcpy(head + 13, &length, 4);
  struct iovec parts[2] = {{head, sizeof head}, {(void *)bytes, length}};
  ssize_t wanted = sizeof head + length;
  if (syscall(SYS_writev, log_descriptor, parts, 2) != wanted) abort();
}

/* The path relative to the folder, or NULL when it is outside. Only absolute paths are used below the folder. */
static const char *inside(const char *path) {
  if (log_descriptor < 0 || !path) return NULL;
  size_t length = strlen(folder);
  if (strncmp(path, folder, length) != 0) return NULL;
  if (path[length] == 0) return path + length;
  return path[length] == '/' ? path + length + 1 : NULL;
}

static int is_watched(int descriptor) {
  return log_descriptor >= 0 && descriptor >= 0 && descriptor < MOST_DESCRIPTORS && watched[descriptor];
}

/* Runs CALL; where it is one of ours, under the lock, and then RECORD with its result. */
#define RECORDED(type, ours, CALL, RECORD)                                                                             \
  if (!(ours)) return CALL;                                                                                            \
  pthread_mutex_lock(&lock);                                                                                           \
  type result = CALL;                                                                                                  \
  int kept_errno = errno;                                                                                              \
  if (result >= 0) { RECORD; }                                                                                         \
  pthread_mutex_unlock(&lock);                                                                                         \
  errno = kept_errno;                                                                                                  \
  return result;

#define OPEN(name, SIGNATURE, CALL)                                                                                    \
  int name SIGNATURE {                                                                                                 \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                               \
      va_list rest;                                                                                                    \
      va_start(rest, flags);                                                                                           \
      mode = va_arg(rest, mode_t);                                                                                     \
      va_end(rest);                                                                                                    \
    }                                                                                                                  \
    const char *place = inside(path);                                                                                  \
    RECORDED(int, place, CALL, {                                                                                       \
      if (result >= MOST_DESCRIPTORS || (flags & O_TMPFILE) == O_TMPFILE) record('!', result, 0, #name, sizeof #name); \
      else watched[result] = 1;                                                                                        \
      record('o', result, (flags & O_TRUNC) != 0, place, strlen(place));                                               \
    })                                                                                                                 \
  }
OPEN(open, (const char *path, int flags, ...), REAL(open)(path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), REAL(open64)(path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), REAL(openat)(at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), REAL(openat64)(at, path, flags, mode))

int close(int descriptor) {
  RECORDED(int, is_watched(descriptor), REAL(close)(descriptor), {
    watched[descriptor] = 0;
    record('c', descriptor, 0, "", 0);
  })
}

/* libuv closes by the number of the call. */
long syscall(long number, ...) {
  long of[6];
  va_list rest;
  va_start(rest, number);
  for (int index = 0; index < 6; index++) of[index] = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_close) return close(of[0]);
  return REAL(syscall)(number, of[0], of[1], of[2], of[3], of[4], of[5]);
}

/* Where a write without an offset ended, less what it wrote; true for O_APPEND too. */
static uint64_t began(int descriptor, ssize_t written) {
  return (uint64_t)syscall(SYS_lseek, descriptor, 0, SEEK_CUR) - written;
}

static void record_parts(int descriptor, uint64_t offset, const struct iovec *parts, size_t written) {
  for (size_t left = written; left > 0; parts++) {
    size_t length = parts->iov_len < left ? parts->iov_len : left;
    record('w', descriptor, offset, parts->iov_base, length);
    offset += length;
    left -= length;
  }
}

ssize_t write(int descriptor, const void *bytes, size_t length) {
  RECORDED(ssize_t, is_watched(descriptor), REAL(write)(descriptor, bytes, length),
           record('w', descriptor, began(descriptor, result), bytes, result))
}
ssize_t writev(int descriptor, const struct iovec *parts, int count) {
  RECORDED(ssize_t, is_watched(descriptor), REAL(writev)(descriptor, parts, count),
           record_parts(descriptor, began(descriptor, result), parts, result))
}

#define WRITE_AT(name, offset_type)                                                                                    \
  ssize_t name(int descriptor, const void *bytes, size_t length, offset_type offset) {                                 \
    RECORDED(ssize_t, is_watched(descriptor), REAL(name)(descriptor, bytes, length, offset),                           \
             record('w', descriptor, offset, bytes, result))                                                           \
  }
WRITE_AT(pwrite, off_t)
WRITE_AT(pwrite64, off64_t)

#define WRITE_PARTS_AT(name, offset_type)                                                                              \
  ssize_t name(int descriptor, const struct iovec *parts, int count, offset_type offset) {                             \
    RECORDED(ssize_t, is_watched(descriptor), REAL(name)(descriptor, parts, count, offset),                            \
             record_parts(descriptor, offset, parts, result))                                                          \
  }
WRITE_PARTS_AT(pwritev, off_t)
WRITE_PARTS_AT(pwritev64, off64_t)

#define TRUNCATE(name, offset_type)                                                                                    \
  int name(int descriptor, offset_type length) {                                                                       \
    RECORDED(int, is_watched(descriptor), REAL(name)(descriptor, length), record('t', descriptor, length, "", 0))      \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                                                                                     \
  int name(int descriptor) {                                                                                           \
    RECORDED(int, is_watched(descriptor), REAL(name)(descriptor), record('s', descriptor, 0, "", 0))                   \
  }
SYNC(fsync)
SYNC(fdatasync)

/* "from\0to"; a name that comes from or goes outside is unknown to the replayer. */
static void record_pair(char kind, const char *from, const char *to) {
  char both[2 * PATH_MAX];
  if (!from || !to) return record('!', -1, 0, "rename or link across the folder", 32);
  size_t length = strlen(from) + 1;
  memcpy(both, from, length);
  memcpy(both + length, to, strlen(to));
  record(kind, -1, 0, both, length + strlen(to));
}

int rename(const char *from, const char *to) {
  RECORDED(int, inside(from) || inside(to), REAL(rename)(from, to), record_pair('r', inside(from), inside(to)))
}
int link(const char *from, const char *to) {
  RECORDED(int, inside(from) || inside(to), REAL(link)(from, to), record_pair('l', inside(from), inside(to)))
}
int unlink(const char *path) {
  RECORDED(int, inside(path), REAL(unlink)(path), record('u', -1, 0, inside(path), strlen(inside(path))))
}
/* Of a file or of an empty folder. */
int remove(const char *path) {
  RECORDED(int, inside(path), REAL(remove)(path), record('u', -1, 0, inside(path), strlen(inside(path))))
}
int mkdir(const char *path, mode_t mode) {
  RECORDED(int, inside(path), REAL(mkdir)(path, mode), record('m', -1, 0, inside(path), strlen(inside(path))))
}
int rmdir(const char *path) {
  RECORDED(int, inside(path), REAL(rmdir)(path), record('d', -1, 0, inside(path), strlen(inside(path))))
}

/* What Node or SQLite might call one day and the replayer does not know. */
#define UNKNOWN_ON(name, type, OURS, SIGNATURE, ARGUMENTS)                                                             \
  type name SIGNATURE { RECORDED(type, OURS, REAL(name) ARGUMENTS, record('!', -1, 0, #name, strlen(#name))) }
UNKNOWN_ON(fallocate, int, is_watched(fd), (int fd, int mode, off_t at, off_t length), (fd, mode, at, length))
UNKNOWN_ON(posix_fallocate, int, is_watched(fd), (int fd, off_t at, off_t length), (fd, at, length))
UNKNOWN_ON(truncate, int, inside(path) != NULL, (const char *path, off_t length), (path, length))
UNKNOWN_ON(symlink, int, inside(to) != NULL, (const char *from, const char *to), (from, to))
UNKNOWN_ON(sendfile, ssize_t, is_watched(to), (int to, int from, off_t *at, size_t count), (to, from, at, count))
UNKNOWN_ON(copy_file_range, ssize_t, is_watched(to),
           (int from, off_t *from_at, int to, off_t *to_at, size_t count, unsigned flags),
           (from, from_at, to, to_at, count, flags))
UNKNOWN_ON(unlinkat, int, inside(path) != NULL, (int at, const char *path, int flags), (at, path, flags))
UNKNOWN_ON(renameat, int, inside(from) || inside(to), (int at, const char *from, int to_at, const char *to),
           (at, from, to_at, to))
