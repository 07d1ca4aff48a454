#ifndef DROVER_CMARIADB_SHIM_H
#define DROVER_CMARIADB_SHIM_H

#include <mysql.h>

#endif
