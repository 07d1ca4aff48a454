#include "fault_vfs.h"

#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct fault_file {
    sqlite3_file base;
    int is_wal;
    int is_database;
    const char *path;
    sqlite3_file *real;
} fault_file;

static atomic_int armed_kind;
static atomic_int armed_count;
static atomic_int failures;
/* Writes to the database file so far, and how many of them a sync has covered. */
static atomic_int writes;
static atomic_int synced;
static atomic_int restarts;
static atomic_int unsynced_restarts;
static atomic_int database_syncs;
static char armed_path[512];
static sqlite3_vfs *real_vfs;
static sqlite3_vfs shim;

static int fails(const fault_file *file, int kind) {
    if (atomic_load(&armed_kind) != kind || !file->path || !strstr(file->path, armed_path)) return 0;
    if (atomic_fetch_sub(&armed_count, 1) <= 0) return 0;
    atomic_fetch_add(&failures, 1);
    return 1;
}

#define REAL(f) (((fault_file *)(f))->real)

static int x_close(sqlite3_file *f) {
    int status = SQLITE_OK;
    if (REAL(f)->pMethods) status = REAL(f)->pMethods->xClose(REAL(f));
    free(REAL(f));
    return status;
}
static int x_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) {
    if (!((fault_file *)f)->is_wal && fails((fault_file *)f, FAULT_READ)) return SQLITE_IOERR_READ;
    return REAL(f)->pMethods->xRead(REAL(f), to, n, at);
}
/* What was in the file before writes that no sync has covered, the newest first. */
typedef struct saved {
    struct saved *next;
    sqlite3_int64 at;
    int length;
    int number;
    unsigned char bytes[];
} saved;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static saved *newest;

static void save(fault_file *file, int n, sqlite3_int64 at) {
    if (atomic_load(&armed_kind) != FAULT_DATABASE_SYNC) return;
    saved *old = malloc(sizeof *old + (size_t)n);
    if (!old) abort();
    old->at = at;
    old->length = n;
    old->number = atomic_load(&writes);
    /* What lies beyond the end is read as zeros. */
    file->real->pMethods->xRead(file->real, old->bytes, n, at);
    pthread_mutex_lock(&lock);
    old->next = newest;
    newest = old;
    pthread_mutex_unlock(&lock);
}

/* Forgets what writes before the number have replaced. */
static void forget(int number) {
    pthread_mutex_lock(&lock);
    for (saved **place = &newest; *place;) {
        saved *old = *place;
        if (old->number < number) {
            *place = old->next;
            free(old);
        } else {
            place = &old->next;
        }
    }
    pthread_mutex_unlock(&lock);
}

/* The disk has lost what no sync has covered, and the system gives up its copy. */
static void lose(fault_file *file) {
    pthread_mutex_lock(&lock);
    while (newest) {
        saved *old = newest;
        newest = old->next;
        file->real->pMethods->xWrite(file->real, old->bytes, old->length, old->at);
        free(old);
    }
    pthread_mutex_unlock(&lock);
}

static int is_watched(const fault_file *file) { return file->path && armed_path[0] && strstr(file->path, armed_path); }

/* The log loses what it has held so far. */
static void begins_anew(const fault_file *file) {
    if (!file->is_wal || !is_watched(file)) return;
    atomic_fetch_add(&restarts, 1);
    if (atomic_load(&synced) != atomic_load(&writes)) atomic_fetch_add(&unsynced_restarts, 1);
}

static int x_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) {
    if (at == 0) begins_anew((fault_file *)f);
    if (((fault_file *)f)->is_database && is_watched((fault_file *)f)) {
        save((fault_file *)f, n, at);
        atomic_fetch_add(&writes, 1);
    }
    if (((fault_file *)f)->is_wal && fails((fault_file *)f, FAULT_WAL_WRITE)) return SQLITE_IOERR_WRITE;
    return REAL(f)->pMethods->xWrite(REAL(f), from, n, at);
}
static int x_truncate(sqlite3_file *f, sqlite3_int64 n) {
    if (n == 0) begins_anew((fault_file *)f);
    return REAL(f)->pMethods->xTruncate(REAL(f), n);
}
static int x_sync(sqlite3_file *f, int flags) {
    fault_file *file = (fault_file *)f;
    if (file->is_wal && fails(file, FAULT_WAL_SYNC_BEFORE)) return SQLITE_IOERR_FSYNC;
    int is_database = file->is_database && is_watched(file);
    if (is_database) {
        if (fails(file, FAULT_DATABASE_SYNC)) {
            lose(file);
            return SQLITE_IOERR_FSYNC;
        }
        atomic_fetch_add(&database_syncs, 1);
    }
    /* What is written while it goes on may not be covered. */
    int covered = atomic_load(&writes);
    int status = REAL(f)->pMethods->xSync(REAL(f), flags);
    if (status == SQLITE_OK && is_database) {
        atomic_store(&synced, covered);
        forget(covered);
    }
    if (status == SQLITE_OK && file->is_wal && fails(file, FAULT_WAL_SYNC_AFTER)) return SQLITE_IOERR_FSYNC;
    return status;
}
static int x_size(sqlite3_file *f, sqlite3_int64 *n) { return REAL(f)->pMethods->xFileSize(REAL(f), n); }
static int x_lock(sqlite3_file *f, int level) { return REAL(f)->pMethods->xLock(REAL(f), level); }
static int x_unlock(sqlite3_file *f, int level) { return REAL(f)->pMethods->xUnlock(REAL(f), level); }
static int x_reserved(sqlite3_file *f, int *out) { return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out); }
static int x_control(sqlite3_file *f, int op, void *arg) { return REAL(f)->pMethods->xFileControl(REAL(f), op, arg); }
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
    2,          x_close,    x_read,    x_write,  x_truncate,  x_sync,     x_size,        x_lock,      x_unlock,
    x_reserved, x_control,  x_sector,  x_traits, x_shm_map,   x_shm_lock, x_shm_barrier, x_shm_unmap, 0,
    0,
};

static int x_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out) {
    (void)vfs;
    fault_file *file = (fault_file *)f;
    memset(file, 0, sizeof *file);
    file->real = calloc(1, (size_t)real_vfs->szOsFile);
    if (!file->real) return SQLITE_NOMEM;
    int status = real_vfs->xOpen(real_vfs, path, file->real, flags, out);
    if (status != SQLITE_OK) {
        free(file->real);
        return status;
    }
    file->is_wal = (flags & SQLITE_OPEN_WAL) != 0;
    file->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    file->path = path;
    file->base.pMethods = &methods;
    return SQLITE_OK;
}

int fault_vfs_install(void) {
    if (real_vfs) return sqlite3_vfs_register(&shim, 1);
    real_vfs = sqlite3_vfs_find(0);
    if (!real_vfs) return 1;
    /* All that concerns no open file is the real one's own. */
    shim = *real_vfs;
    shim.zName = "drover-fault";
    shim.szOsFile = sizeof(fault_file);
    shim.xOpen = x_open;
    shim.pNext = 0;
    return sqlite3_vfs_register(&shim, 1);
}

void fault_vfs_remove(void) {
    if (real_vfs) sqlite3_vfs_register(real_vfs, 1);
}

void fault_vfs_arm(int kind, int count, const char *path) {
    forget(INT_MAX);
    atomic_store(&armed_kind, FAULT_NONE);
    strncpy(armed_path, path, sizeof armed_path - 1);
    atomic_store(&failures, 0);
    atomic_store(&restarts, 0);
    atomic_store(&unsynced_restarts, 0);
    atomic_store(&database_syncs, 0);
    atomic_store(&armed_count, count);
    atomic_store(&armed_kind, kind);
}

int fault_vfs_failures(void) { return atomic_load(&failures); }

int fault_vfs_restarts(void) { return atomic_load(&restarts); }
int fault_vfs_database_syncs(void) { return atomic_load(&database_syncs); }
int fault_vfs_unsynced_restarts(void) { return atomic_load(&unsynced_restarts); }
