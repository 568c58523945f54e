/**
 * @file version.h
 * Version and ABI numbers. The build reads them from here, so that header, library and soname
 * cannot disagree.
 */
#ifndef BEIT_VERSION_H
#define BEIT_VERSION_H

#define BEIT_VERSION_MAJOR 0 /**< raised when source compatibility breaks */
#define BEIT_VERSION_MINOR 1 /**< raised when something is added */
#define BEIT_VERSION_PATCH 0 /**< raised when something is mended */

/** Number in the soname, `libbeit.so.<BEIT_ABI>`; raised by every ABI break. */
#define BEIT_ABI 0

#endif /* BEIT_VERSION_H */
