/* A backend whose memory is not the host's: addresses that it hands out trap when the host
 * touches them. Whatever runs on it touches tensor memory through the backend only. */
#ifndef TESTS_TOY_DEVICE_H
#define TESTS_TOY_DEVICE_H

#include <beit/backend.h>

extern const beit_backend_ops_t toy_device_ops;

/* Of the whole process. */
typedef struct toy_device_counts {
    int open;           /* instances now */
    size_t live_bytes;  /* allocated now */
    size_t allocations; /* so far */
    size_t calls;       /* of operations, so far */
} toy_device_counts_t;
extern toy_device_counts_t toy_device_counts;

#endif
