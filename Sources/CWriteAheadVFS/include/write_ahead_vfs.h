#ifndef DROVER_WRITE_AHEAD_VFS_H
#define DROVER_WRITE_AHEAD_VFS_H

/* A file system beneath SQLite, for the one connection that writes: what it writes to the write-ahead log is gathered
   and handed to the system in one call, which syncs it as well. SQLite itself makes two calls for every page. */

/* The name to open the connection with; NULL when it could not be registered. May be called any number of times. */
const char *drover_write_ahead_vfs(void);

struct sqlite3;

/* Begins a sync of the connection's database file on another thread; 0 when that is not possible. */
int drover_sync_begin(struct sqlite3 *db);

enum drover_sync { DROVER_SYNC_DONE, DROVER_SYNC_GOES_ON, DROVER_SYNC_FAILED };

/* Whether one goes on, and else whether any has failed. */
enum drover_sync drover_sync_state(struct sqlite3 *db);

/* Waits for its end; 0 when any that was begun has failed. The system tells of a failure once, to whichever sync comes next:
   before SQLite syncs the file itself this must have been called, or what failed would pass for done. */
int drover_sync_end(struct sqlite3 *db);

#endif
