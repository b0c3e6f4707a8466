#pragma once
#include <curl/curl.h>

// curl_easy_setopt and curl_easy_getinfo are variadic, which Swift cannot call.
static inline CURLcode bda_curl_setopt_long(CURL *_Nonnull curl, CURLoption option, long value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode bda_curl_setopt_off(CURL *_Nonnull curl, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(curl, option, value);
}
// libcurl copies the text, except for CURLOPT_POSTFIELDS, which goes by bda_curl_setopt_pointer.
static inline CURLcode bda_curl_setopt_string(CURL *_Nonnull curl, CURLoption option, const char *_Nullable value) {
    return curl_easy_setopt(curl, option, value);
}
// libcurl keeps the pointer: what it points at must live until the transfer is over.
static inline CURLcode bda_curl_setopt_pointer(CURL *_Nonnull curl, CURLoption option, const void *_Nullable value) {
    return curl_easy_setopt(curl, option, value);
}
typedef size_t (*bda_curl_write_callback)(char *_Nullable bytes, size_t size, size_t count, void *_Nullable context);
// For CURLOPT_WRITEFUNCTION and CURLOPT_HEADERFUNCTION.
static inline CURLcode bda_curl_setopt_write(CURL *_Nonnull curl, CURLoption option, bda_curl_write_callback _Nullable value) {
    return curl_easy_setopt(curl, option, value);
}
