#define _GNU_SOURCE
#include "write_ahead_vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Bytes that are gathered before they go to the system unasked. */
#define CAPACITY (1 << 20)
/* Bytes of one call: SQLite's own file system takes no more than 128 KiB at a time. */
#define PIECE (64 << 10)

/* Syncs the database file on a thread of its own. */
typedef struct syncer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    sqlite3_file *file;
    int is_asked;
    int is_ending;
    /* Of the first sync that failed. */
    int status;
} syncer;

typedef struct wal_file {
    sqlite3_file base;
    sqlite3_file *real;
    /* NULL of other files than the log. */
    unsigned char *gathered;
    sqlite3_int64 start;
    int length;
    /* Something was written that no sync has covered yet. */
    int is_dirty;
    /* For writes that are on the disk when they return; -1 where there is no such thing. SQLite takes no locks on the
       log, so that closing this one can lose none. */
    int synced_fd;
    /* Of the database file, once it was needed. */
    syncer *syncer;
} wal_file;

#define REAL(f) (((wal_file *)(f))->real)

static int flush(sqlite3_file *f) {
    wal_file *file = (wal_file *)f;
    if (file->length == 0) return SQLITE_OK;
    int length = file->length;
    /* Once, whatever comes of it: after a failure SQLite rolls back and writes the same place anew. */
    file->length = 0;
    file->is_dirty = 1;
    for (int done = 0; done < length; done += PIECE) {
        int n = length - done < PIECE ? length - done : PIECE;
        int status = file->real->pMethods->xWrite(file->real, file->gathered + done, n, file->start + done);
        if (status != SQLITE_OK) return status;
    }
    return SQLITE_OK;
}

/* Writes what is gathered and has it on the disk when it returns, in one call to the system instead of two; 0 when that
   was not possible, and nothing is taken as written then. */
static int write_synced(wal_file *file) {
#ifdef RWF_DSYNC
    if (file->synced_fd < 0 || file->is_dirty || file->length == 0) return 0;
    for (int done = 0; done < file->length;) {
        struct iovec piece = {file->gathered + done, (size_t)(file->length - done)};
        ssize_t n = pwritev2(file->synced_fd, &piece, 1, file->start + done, RWF_DSYNC);
        if (n > 0) {
            done += (int)n;
        } else if (n == 0 || errno != EINTR) {
            /* A kernel without it is not asked again. Whatever else it is, the ordinary way writes all of it once more
               and says what is wrong. */
            if (n < 0 && (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS)) {
                close(file->synced_fd);
                file->synced_fd = -1;
            }
            return 0;
        }
    }
    file->length = 0;
    return 1;
#else
    (void)file;
    return 0;
#endif
}

static void *sync_when_asked(void *argument) {
    syncer *syncer = argument;
#ifdef __APPLE__
    pthread_setname_np("drover-sync");
#else
    pthread_setname_np(pthread_self(), "drover-sync");
#endif
    pthread_mutex_lock(&syncer->lock);
    while (!syncer->is_ending) {
        if (!syncer->is_asked) {
            pthread_cond_wait(&syncer->changed, &syncer->lock);
            continue;
        }
        pthread_mutex_unlock(&syncer->lock);
        int status = syncer->file->pMethods->xSync(syncer->file, SQLITE_SYNC_NORMAL);
        pthread_mutex_lock(&syncer->lock);
        if (syncer->status == SQLITE_OK) syncer->status = status;
        syncer->is_asked = 0;
        pthread_cond_broadcast(&syncer->changed);
    }
    pthread_mutex_unlock(&syncer->lock);
    return NULL;
}

static syncer *start_syncer(sqlite3_file *real) {
    syncer *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    made->file = real;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    if (pthread_create(&made->thread, NULL, sync_when_asked, made) == 0) return made;
    free(made);
    return NULL;
}

static void end_syncer(syncer *syncer) {
    if (!syncer) return;
    pthread_mutex_lock(&syncer->lock);
    syncer->is_ending = 1;
    pthread_cond_broadcast(&syncer->changed);
    pthread_mutex_unlock(&syncer->lock);
    pthread_join(syncer->thread, NULL);
    pthread_cond_destroy(&syncer->changed);
    pthread_mutex_destroy(&syncer->lock);
    free(syncer);
}

static int x_close(sqlite3_file *f) {
    end_syncer(((wal_file *)f)->syncer);
    int status = flush(f);
    if (((wal_file *)f)->synced_fd >= 0) close(((wal_file *)f)->synced_fd);
    int closed = REAL(f)->pMethods->xClose(REAL(f));
    free(((wal_file *)f)->gathered);
    free(REAL(f));
    return status != SQLITE_OK ? status : closed;
}

static int x_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) {
    wal_file *file = (wal_file *)f;
    if (!file->gathered) return file->real->pMethods->xWrite(file->real, from, n, at);
    if (file->length != 0 && (at != file->start + file->length || n > CAPACITY - file->length)) {
        int status = flush(f);
        if (status != SQLITE_OK) return status;
    }
    if (n > CAPACITY) {
        file->is_dirty = 1;
        return file->real->pMethods->xWrite(file->real, from, n, at);
    }
    if (file->length == 0) file->start = at;
    memcpy(file->gathered + file->length, from, (size_t)n);
    file->length += n;
    return SQLITE_OK;
}

/* Whatever looks at the file sees what was written to it. */
#define FLUSHED(f, call)                                     \
    do {                                                     \
        int flushed = flush(f);                              \
        return flushed != SQLITE_OK ? flushed : (call);      \
    } while (0)

static int x_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) {
    FLUSHED(f, REAL(f)->pMethods->xRead(REAL(f), to, n, at));
}
static int x_truncate(sqlite3_file *f, sqlite3_int64 n) { FLUSHED(f, REAL(f)->pMethods->xTruncate(REAL(f), n)); }
static int x_sync(sqlite3_file *f, int flags) {
    wal_file *file = (wal_file *)f;
    if (file->gathered && write_synced(file)) return SQLITE_OK;
    int status = flush(f);
    if (status == SQLITE_OK) status = file->real->pMethods->xSync(file->real, flags);
    if (status == SQLITE_OK) file->is_dirty = 0;
    return status;
}
static int x_size(sqlite3_file *f, sqlite3_int64 *n) { FLUSHED(f, REAL(f)->pMethods->xFileSize(REAL(f), n)); }
static int x_control(sqlite3_file *f, int op, void *arg) {
    FLUSHED(f, REAL(f)->pMethods->xFileControl(REAL(f), op, arg));
}
static int x_lock(sqlite3_file *f, int level) { return REAL(f)->pMethods->xLock(REAL(f), level); }
static int x_unlock(sqlite3_file *f, int level) { return REAL(f)->pMethods->xUnlock(REAL(f), level); }
static int x_reserved(sqlite3_file *f, int *out) { return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out); }
static int x_sector(sqlite3_file *f) { return REAL(f)->pMethods->xSectorSize(REAL(f)); }
static int x_traits(sqlite3_file *f) { return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f)); }
static int x_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **to) {
    return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, to);
}
static int x_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
    return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}
static void x_shm_barrier(sqlite3_file *f) { REAL(f)->pMethods->xShmBarrier(REAL(f)); }
static int x_shm_unmap(sqlite3_file *f, int remove) { return REAL(f)->pMethods->xShmUnmap(REAL(f), remove); }

static const sqlite3_io_methods methods = {
    2,          x_close,   x_read,   x_write,  x_truncate, x_sync,     x_size,        x_lock,      x_unlock,
    x_reserved, x_control, x_sector, x_traits, x_shm_map,  x_shm_lock, x_shm_barrier, x_shm_unmap, 0,
    0,
};

static int x_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out) {
    (void)vfs;
    wal_file *file = (wal_file *)f;
    memset(file, 0, sizeof *file);
    file->synced_fd = -1;
    /* The default of this moment, whatever stands in front of the system's. */
    sqlite3_vfs *real = sqlite3_vfs_find(0);
    file->real = calloc(1, (size_t)real->szOsFile);
    if (!file->real) return SQLITE_NOMEM;
    if (flags & SQLITE_OPEN_WAL) file->gathered = malloc(CAPACITY);
    int status = real->xOpen(real, path, file->real, flags, out);
    if (status != SQLITE_OK || ((flags & SQLITE_OPEN_WAL) && !file->gathered)) {
        if (status == SQLITE_OK) {
            file->real->pMethods->xClose(file->real);
            status = SQLITE_NOMEM;
        }
        free(file->gathered);
        free(file->real);
        return status;
    }
    /* Another file system's files are its own affair: a test's faults, for one, must be met. */
    if (file->gathered && strcmp(real->zName, "unix") == 0) file->synced_fd = open(path, O_WRONLY | O_CLOEXEC);
    /* The first sync of a log is SQLite's own, which syncs its directory as well. */
    file->is_dirty = 1;
    file->base.pMethods = &methods;
    return SQLITE_OK;
}

static sqlite3_vfs shim;
static int is_registered;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void install(void) {
    sqlite3_vfs *real = sqlite3_vfs_find(0);
    if (!real) return;
    /* All that concerns no open file is the real one's own. */
    shim = *real;
    shim.zName = "drover-write-ahead";
    shim.szOsFile = sizeof(wal_file);
    shim.xOpen = x_open;
    shim.pNext = 0;
    is_registered = sqlite3_vfs_register(&shim, 0) == SQLITE_OK;
}

const char *drover_write_ahead_vfs(void) {
    pthread_once(&once, install);
    return is_registered ? shim.zName : 0;
}

static wal_file *database_file(sqlite3 *db) {
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || !file) return NULL;
    return file->pMethods == &methods ? (wal_file *)file : NULL;
}

int drover_sync_begin(sqlite3 *db) {
    wal_file *file = database_file(db);
    if (!file) return 0;
    if (!file->syncer) file->syncer = start_syncer(file->real);
    if (!file->syncer) return 0;
    pthread_mutex_lock(&file->syncer->lock);
    file->syncer->is_asked = 1;
    pthread_cond_broadcast(&file->syncer->changed);
    pthread_mutex_unlock(&file->syncer->lock);
    return 1;
}

enum drover_sync drover_sync_state(sqlite3 *db) {
    wal_file *file = database_file(db);
    if (!file || !file->syncer) return DROVER_SYNC_DONE;
    pthread_mutex_lock(&file->syncer->lock);
    enum drover_sync state = DROVER_SYNC_DONE;
    if (file->syncer->status != SQLITE_OK) {
        state = DROVER_SYNC_FAILED;
    } else if (file->syncer->is_asked) {
        state = DROVER_SYNC_GOES_ON;
    }
    pthread_mutex_unlock(&file->syncer->lock);
    return state;
}

int drover_sync_end(sqlite3 *db) {
    wal_file *file = database_file(db);
    if (!file || !file->syncer) return 1;
    pthread_mutex_lock(&file->syncer->lock);
    while (file->syncer->is_asked) pthread_cond_wait(&file->syncer->changed, &file->syncer->lock);
    int status = file->syncer->status;
    pthread_mutex_unlock(&file->syncer->lock);
    return status == SQLITE_OK;
}
