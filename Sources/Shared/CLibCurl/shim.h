#pragma once
#include <curl/curl.h>

// curl_easy_setopt and curl_easy_getinfo are variadic, which Swift cannot call.
static inline CURLcode bda_curl_setopt_long(CURL *_Nonnull curl, CURLoption option, long value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode bda_curl_setopt_off(CURL *_Nonnull curl, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode bda_curl_setopt_string(CURL *_Nonnull curl, CURLoption option, const char *_Nullable value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode bda_curl_setopt_pointer(CURL *_Nonnull curl, CURLoption option, void *_Nullable value) {
    return curl_easy_setopt(curl, option, value);
}
typedef size_t (*bda_curl_write_callback)(char *_Nullable bytes, size_t size, size_t count, void *_Nullable context);
typedef int (*bda_curl_progress_callback)(void *_Nullable context, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow);
static inline CURLcode bda_curl_setopt_write(CURL *_Nonnull curl, CURLoption option, bda_curl_write_callback _Nullable value) {
    return curl_easy_setopt(curl, option, value);
}
static inline CURLcode bda_curl_setopt_progress(CURL *_Nonnull curl, bda_curl_progress_callback _Nullable value) {
    return curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, value);
}
static inline CURLcode bda_curl_getinfo_long(CURL *_Nonnull curl, CURLINFO info, long *_Nonnull value) {
    return curl_easy_getinfo(curl, info, value);
}
