#ifndef DROVER_WRITE_AHEAD_VFS_H
#define DROVER_WRITE_AHEAD_VFS_H

/* A file system beneath SQLite, for the one connection that writes: what it writes to the write-ahead log is gathered
   and handed to the system in one call, which syncs it as well. SQLite itself makes two calls for every page. */

/* The name to open the connection with; NULL when it could not be registered. May be called any number of times. */
const char *drover_write_ahead_vfs(void);

#endif
