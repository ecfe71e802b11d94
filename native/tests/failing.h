// Allocations that fail on demand, without another build of the library: failing.cpp takes the place of the
// functions that it allocates with, in a program that is linked with it or in one that it is loaded before (LD_PRELOAD).
#pragma once

extern "C" {

// From now on the n-th allocation of this thread fails (1: the next), and no other; 0: none.
void gatewise_fail_allocation(long n);

// How many allocations there have been since.
long gatewise_allocations(void);

// Blocks that operator new has given and operator delete has not taken back.
long gatewise_live_blocks(void);
}
