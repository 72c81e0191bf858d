// The two nearest of all descriptors of one picture to each of another, by brute force.
//
// A warp looks for one query: its lanes go through the candidates, which the block keeps in shared memory a tile at a time for
// all its warps, and each remembers its own two nearest. Distance and index are one number, distance first, so that a tie goes
// to the lower index, and the least of all lanes' numbers is the answer whatever the order.

#define MATCH_WARPS 8
#define MATCH_TILE 64
// A word more than a descriptor has, so that the lanes of a warp read from different banks.
#define HAMMING_WORDS 16
#define HAMMING_STRIDE (HAMMING_WORDS + 1)
#define L2_VALUES 64
#define L2_STRIDE (L2_VALUES + 1)
#define NONE 0xffffffffffffffffull

__device__ __forceinline__ void remember(uint64 key, uint64 *best, uint64 *second) {
    if (key < *best) {
        *second = *best;
        *best = key;
    } else if (key < *second) {
        *second = key;
    }
}

// Of the two best of each lane, the two best of the warp.
__device__ __forceinline__ void of_all_lanes(uint64 *best, uint64 *second) {
    for (int with = 16; with > 0; with /= 2) {
        uint64 other_best = __shfl_xor_sync(ALL_LANES, *best, with);
        uint64 other_second = __shfl_xor_sync(ALL_LANES, *second, with);
        // No key is in two lanes, so none comes twice; NONE may.
        if (other_best < *best) {
            *second = *best < other_second ? *best : other_second;
            *best = other_best;
        } else if (other_best < *second) {
            *second = other_best;
        }
    }
}

// Two rows of two numbers for each query: distance << 32 | index of the nearest and of the second; NONE where there is none.
extern "C" __global__ void __launch_bounds__(256) hamming_nearest(
    const unsigned *queries, int query_count, const unsigned *candidates, int candidate_count, uint64 *nearest) {
    __shared__ unsigned tile[MATCH_TILE * HAMMING_STRIDE];
    int lane = threadIdx.x % 32, query = (int)blockIdx.x * MATCH_WARPS + (int)threadIdx.x / 32;
    unsigned mine[HAMMING_WORDS];
    for (int word = 0; word < HAMMING_WORDS; word++)
        mine[word] = query < query_count ? queries[(size_t)query * HAMMING_WORDS + word] : 0;
    uint64 best = NONE, second = NONE;
    for (int first = 0; first < candidate_count; first += MATCH_TILE) {
        int count = min(MATCH_TILE, candidate_count - first);
        for (int i = threadIdx.x; i < count * HAMMING_WORDS; i += 32 * MATCH_WARPS)
            tile[i / HAMMING_WORDS * HAMMING_STRIDE + i % HAMMING_WORDS] = candidates[(size_t)first * HAMMING_WORDS + i];
        __syncthreads();
        for (int i = lane; i < count; i += 32) {
            unsigned distance = 0;
            for (int word = 0; word < HAMMING_WORDS; word++) distance += __popc(mine[word] ^ tile[i * HAMMING_STRIDE + word]);
            remember((uint64)distance << 32 | (unsigned)(first + i), &best, &second);
        }
        __syncthreads();
    }
    of_all_lanes(&best, &second);
    if (lane == 0 && query < query_count) {
        nearest[2 * (size_t)query] = best;
        nearest[2 * (size_t)query + 1] = second;
    }
}
