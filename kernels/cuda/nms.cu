// nms.rs on the device: of boxes that overlap, the best.

// The place of each box among all, the best first; equal scores keep their order.
extern "C" __global__ void __launch_bounds__(256) nms_rank(const unsigned *scores, int boxes, int *order) {
    __shared__ unsigned others[256];
    int at = thread_x(), rank = 0;
    unsigned score = at < boxes ? scores[at] : 0;
    for (int first = 0; first < boxes; first += 256) {
        __syncthreads();
        if (first + (int)threadIdx.x < boxes) others[threadIdx.x] = scores[first + threadIdx.x];
        __syncthreads();
        for (int i = 0; i < min(256, boxes - first); i++)
            rank += others[i] > score || (others[i] == score && first + i < at);
    }
    if (at < boxes) order[rank] = at;
}

__device__ __forceinline__ uint64 box_area(const uint16 *box) {
    uint64 width = box[2] > box[0] ? box[2] - box[0] : 0, height = box[3] > box[1] ? box[3] - box[1] : 0;
    return width * height;
}

// BoundingBox::iou, in millionths.
__device__ __forceinline__ unsigned box_iou(const uint16 *a, const uint16 *b) {
    uint16 shared[4] = {(uint16)max((int)a[0], (int)b[0]), (uint16)max((int)a[1], (int)b[1]),
                        (uint16)min((int)a[2], (int)b[2]), (uint16)min((int)a[3], (int)b[3])};
    uint64 both = box_area(shared), either = box_area(a) + box_area(b) - both;
    return either == 0 ? 0 : (unsigned)(both * 1000000u / either);
}

// One bit for each pair of boxes, by rank: does the later one overlap the earlier one by more than `max_iou`? A row has
// `words` words of 64 bits.
extern "C" __global__ void __launch_bounds__(256)
    nms_overlaps(const uint16 *boxes, const int *order, int count, int words, unsigned max_iou, uint64 *overlaps) {
    int word = thread_x(), better = thread_y();
    if (word >= words || better >= count) return;
    const uint16 *box = boxes + 4 * (size_t)order[better];
    uint64 bits = 0;
    for (int i = 0; i < 64; i++) {
        int worse = word * 64 + i;
        if (worse > better && worse < count && box_iou(box, boxes + 4 * (size_t)order[worse]) > max_iou) bits |= 1ull << i;
    }
    overlaps[(size_t)better * words + word] = bits;
}

// Goes through the boxes from the best on, strikes out what each that remains overlaps, and lists what remains. One block;
// `struck` holds `words` words.
extern "C" __global__ void __launch_bounds__(256)
    nms_keep(const int *order, const uint64 *overlaps, int count, int words, uint64 *struck, int *kept, int *total) {
    for (int word = threadIdx.x; word < words; word += 256) struck[word] = 0;
    __syncthreads();
    int found = 0;
    for (int box = 0; box < count; box++) {
        // All threads read the same word, which none writes before the barrier.
        bool remains = (struck[box / 64] >> (box % 64) & 1) == 0;
        __syncthreads();
        if (!remains) continue;
        for (int word = box / 64 + (int)threadIdx.x; word < words; word += 256)
            struck[word] |= overlaps[(size_t)box * words + word];
        if (threadIdx.x == 0) kept[found] = order[box];
        found++;
        __syncthreads();
    }
    if (threadIdx.x == 0) *total = found;
}
