#ifndef DROVER_CSQLITE_SHIM_H
#define DROVER_CSQLITE_SHIM_H

#include <sqlite3.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif

/* SQLITE_STATIC is a cast, which Swift does not import. The bytes stay valid
   until the statement is stepped and reset. */
static inline int drover_bind_blob_static(sqlite3_stmt *stmt, int index, const void *bytes, int length) {
    /* A NULL pointer would bind SQL NULL; an empty blob is meant. */
    return length == 0 ? sqlite3_bind_zeroblob(stmt, index, 0)
                       : sqlite3_bind_blob(stmt, index, bytes, length, SQLITE_STATIC);
}

/* sqlite3_file_control is not variadic, but its void* argument is awkward here. */
static inline int drover_set_no_checkpoint_on_close(sqlite3 *db) {
    return sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}

/* The kind of the file system that holds a path, as statfs(2) numbers it; 0 where that is not known. Swift's own view
   of the C library leaves statfs out. */
static inline long drover_file_system_kind(const char *path) {
#ifdef __linux__
    struct statfs status;
    if (statfs(path, &status) == 0) return (long)status.f_type;
#endif
    (void)path;
    return 0;
}

/* Counting every allocation takes a lock that all threads share. Must come before the library is first used; it is
   refused, harmlessly, in a process that has used it already. */
static inline int drover_disable_memory_statistics(void) {
    return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

#endif
