#ifndef DROVER_FAULT_VFS_H
#define DROVER_FAULT_VFS_H

/* A file system beneath SQLite that fails on demand, for tests. */

enum fault_kind {
    FAULT_NONE = 0,
    /* The sync of the write-ahead log fails before anything reached the disk. */
    FAULT_WAL_SYNC_BEFORE = 1,
    /* The sync of the write-ahead log is carried out and fails all the same. */
    FAULT_WAL_SYNC_AFTER = 2,
    /* A write to the write-ahead log fails. */
    FAULT_WAL_WRITE = 3,
    /* A read of the database file fails. */
    FAULT_READ = 4,
    /* The sync of the database file fails, and what was written since the last one is lost. */
    FAULT_DATABASE_SYNC = 5,
};

/* Puts it in front of the default file system for files opened from now on. Returns 0 when that worked. */
int fault_vfs_install(void);
/* Takes it away again for files opened from now on. */
void fault_vfs_remove(void);
/* The next `count` operations of that kind fail, on files whose path holds `path`. */
void fault_vfs_arm(int kind, int count, const char *path);
/* How many operations have failed since it was armed. */
int fault_vfs_failures(void);
/* How often since then a write-ahead log was begun anew or emptied, and a database file synced. */
int fault_vfs_restarts(void);
int fault_vfs_database_syncs(void);
/* How often since then a write-ahead log was begun anew, or emptied, though the database file held writes that no sync had
   covered: what only the log has on the disk would be lost with the power. */
int fault_vfs_unsynced_restarts(void);

#endif
