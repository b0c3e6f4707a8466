#pragma once
#include <zlib.h>

// deflateInit2 is a macro, which Swift cannot see.
static inline int bda_deflate_init_gzip(z_stream *_Nonnull stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}
static inline int bda_inflate_init_gzip(z_stream *_Nonnull stream) {
    return inflateInit2(stream, 15 + 16);
}
