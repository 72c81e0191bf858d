// Kernels that are wrong on purpose: tests see to it that the shim finds each.

// Right: each block of 64 turns its values round.
extern "C" __global__ void planted_none(const int *from, int *to) {
    __shared__ int values[64];
    values[threadIdx.x] = from[threadIdx.x];
    __syncthreads();
    to[threadIdx.x] = values[63 - threadIdx.x];
}

// Reads what another thread may not have written yet.
extern "C" __global__ void planted_no_barrier(const int *from, int *to) {
    __shared__ int values[64];
    values[threadIdx.x] = from[threadIdx.x];
    to[threadIdx.x] = values[63 - threadIdx.x];
}

// Half of the threads never come to the barrier that the others wait at.
extern "C" __global__ void planted_divergent_barrier(int *to) {
    if (threadIdx.x < 32) {
        __syncthreads();
    } else {
        __syncthreads_count(1);
    }
    to[threadIdx.x] = 1;
}

// Asks for the value of a lane that does not take part.
extern "C" __global__ void planted_missing_lane(int *to) {
    if (threadIdx.x < 16) to[threadIdx.x] = __shfl_sync(ALL_LANES, 1, 0);
    else __syncthreads();
}

// Reads one value behind the end of what it was given.
extern "C" __global__ void planted_beyond_memory(const int *from, int *to) { to[threadIdx.x] = from[threadIdx.x + 1]; }

// Writes one value behind the end of an array in shared memory.
extern "C" __global__ void planted_beyond_shared(int *to) {
    __shared__ int values[64];
    values[threadIdx.x + 1] = 1;
    __syncthreads();
    to[threadIdx.x] = values[threadIdx.x];
}

// Reads behind the shared memory whose size the launch gives.
extern "C" __global__ void planted_beyond_dynamic(int *to) {
    DYNAMIC_SHARED(int, values);
    values[threadIdx.x] = 1;
    __syncthreads();
    to[threadIdx.x] = values[threadIdx.x + 1];
}

// One of each warp function and atomic: `to` is 10 rows of 64.
extern "C" __global__ void planted_warp_functions(int *to) {
    int t = threadIdx.x, lane = t % 32;
    to[t] = __shfl_sync(ALL_LANES, t, 5);
    to[64 + t] = __shfl_up_sync(ALL_LANES, t, 3);
    to[128 + t] = __shfl_down_sync(ALL_LANES, t, 3, 16);
    to[192 + t] = __shfl_xor_sync(ALL_LANES, t, 9);
    to[256 + t] = (int)__ballot_sync(ALL_LANES, lane % 3 == 0);
    to[320 + t] = __syncthreads_count(t < 10);
    if (t == 0) to[384] = 0;
    if (t == 0) to[448] = 100;
    if (t == 0) to[512] = 0;
    if (t == 0) to[576] = 0;
    __syncthreads();
    atomicAdd(&to[384], t);
    atomicMin(&to[448], t);
    atomicMax(&to[512], t);
    for (int seen = to[576];;) {
        int before = atomicCAS(&to[576], seen, seen + 2);
        if (before == seen) break;
        seen = before;
    }
}
