#ifndef DROVER_CLIBPQ_SHIM_H
#define DROVER_CLIBPQ_SHIM_H

#include <libpq-fe.h>

/* PG_DIAG_SQLSTATE is a character constant, which Swift imports as no int. */
static inline const char *drover_pq_sqlstate(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_SQLSTATE);
}
static inline const char *drover_pq_severity(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
}
static inline const char *drover_pq_primary_message(const PGresult *result) {
    return PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
}

#endif
