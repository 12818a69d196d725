/* Force-included in every file: sharp calls do not compile. The one wrapper of each defines WR_ALLOW_SHARP. */
#ifndef WR_BANNED_H
#define WR_BANNED_H
#ifndef WR_ALLOW_SHARP
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol gmtime localtime system popen rand srand
#endif
#endif
