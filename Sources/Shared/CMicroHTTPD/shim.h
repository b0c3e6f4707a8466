#pragma once
#include <microhttpd.h>
#include <stddef.h>

/* Swift cannot call variadic functions, and MHD_start_daemon is one. */

/// Serves the listening socket `descriptor` on a thread of libmicrohttpd's own; NULL if it cannot. The thread waits by epoll
/// or poll, because select refuses descriptors from 1024 on. The socket is the
/// daemon's from then on. At most `connections` at a time, each closed after `timeout` seconds of silence.
static inline struct MHD_Daemon *_Nullable bda_mhd_start(
    int descriptor, unsigned int connections, unsigned int timeout,
    MHD_AccessHandlerCallback _Nonnull handler, void *_Nullable context) {
    return MHD_start_daemon(
        MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, handler, context,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)descriptor,
        MHD_OPTION_CONNECTION_LIMIT, connections,
        MHD_OPTION_CONNECTION_TIMEOUT, timeout,
        MHD_OPTION_END);
}
