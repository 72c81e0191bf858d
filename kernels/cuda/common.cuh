// What all kernels share. There are no headers: this text stands before theirs, and the compiler (NVRTC, or a C++ compiler
// and the host shim) brings the rest.
//
// Every kernel gives the same bits as its Rust path: no contraction to fused multiply-adds (--fmad=false), no fast
// division or square root, sums in the order in which Rust takes them, ties to the lower index. Pictures of a batch lie one
// behind the other, and blockIdx.z says which one a block works on.

typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned long long uint64;

#ifdef __CUDACC_RTC__
#define DYNAMIC_SHARED(type, name) extern __shared__ type name[]
#endif

#define ALL_LANES 0xffffffffu

__device__ __forceinline__ int clampi(int value, int least, int most) { return min(max(value, least), most); }

// The place that this thread has among all along x.
__device__ __forceinline__ int thread_x() { return (int)(blockIdx.x * blockDim.x + threadIdx.x); }
__device__ __forceinline__ int thread_y() { return (int)(blockIdx.y * blockDim.y + threadIdx.y); }

// The two places of a side of `from` pixels that the place `at` of one of `to` pixels lies between, and how far on.
__device__ __forceinline__ void between(int at, int to, int from, int *first, int *second, float *on) {
    float place = ((float)at + 0.5f) * ((float)from / (float)to) - 0.5f;
    place = fminf(fmaxf(place, 0.0f), (float)(from - 1));
    *first = (int)place;
    *second = min(*first + 1, from - 1);
    *on = place - (float)*first;
}
