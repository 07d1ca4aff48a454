#ifndef DROVER_CZLIB_SHIM_H
#define DROVER_CZLIB_SHIM_H

#include <zlib.h>

#endif
