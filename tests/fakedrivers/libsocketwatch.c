/* Preloaded into envcheck and all its children: appends a line to $SOCKET_WATCH_LOG for every internet socket.
 * With SOCKET_WATCH_LOOPBACK set, sockets are allowed and only connections that leave this machine are written down.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void note(const char *what)
{
    const char *path = getenv("SOCKET_WATCH_LOG");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (file >= 0) {
        dprintf(file, "%s\n", what);
        close(file);
    }
}

int socket(int domain, int type, int protocol)
{
    int (*real)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
    if ((domain == AF_INET || domain == AF_INET6) && !getenv("SOCKET_WATCH_LOOPBACK")) {
        note("socket");
        errno = EACCES;
        return -1;
    }
    return real(domain, type, protocol);
}

int connect(int descriptor, const struct sockaddr *to, socklen_t length)
{
    int (*real)(int, const struct sockaddr *, socklen_t) =
        (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
    int outside = 0;
    if (to->sa_family == AF_INET)
        outside = (ntohl(((const struct sockaddr_in *)to)->sin_addr.s_addr) >> 24) != 127;
    if (to->sa_family == AF_INET6)
        outside = !IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)to)->sin6_addr);
    if (outside) {
        note("connect");
        errno = EACCES;
        return -1;
    }
    return real(descriptor, to, length);
}
