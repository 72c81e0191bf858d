// change.rs on the device: what differs between a picture and the empty scene.

#define CHANGE_REACH 16
#define CHANGE_WIDTH 32
#define CHANGE_HEIGHT 8
#define CHANGE_TILE_WIDTH (CHANGE_WIDTH + 2 * CHANGE_REACH)
#define CHANGE_TILE_HEIGHT (CHANGE_HEIGHT + 2 * CHANGE_REACH)

// opponent.rs: brightness, red against green, yellow against blue.
__device__ __forceinline__ void opponent(const uint8 *pixel, int colours[3]) {
    int r = pixel[0], g = pixel[1], b = pixel[2];
    colours[0] = (2 * r + 5 * g + b + 4) >> 3;
    colours[1] = r - g;
    colours[2] = ((r + g) >> 1) - b;
}

// The distance of each pixel of `picture` to the nearest colour within `reach` (at most CHANGE_REACH) of the same place in
// `empty`; 0 where `known` is 0. All pictures of a batch are compared with one empty scene.
//
// A block keeps the part of the scene that its pixels reach in shared memory, packed in eight bytes a pixel, so that each
// pixel of the scene is read from global memory about once.
extern "C" __global__ void __launch_bounds__(256) colour_change(
    const uint8 *picture, const uint8 *empty, const uint8 *known, int width, int height, int reach, uint8 *out) {
    __shared__ short tile[3][CHANGE_TILE_HEIGHT][CHANGE_TILE_WIDTH];
    int left = (int)blockIdx.x * CHANGE_WIDTH - reach, top = (int)blockIdx.y * CHANGE_HEIGHT - reach;
    for (int j = threadIdx.y; j < CHANGE_HEIGHT + 2 * reach; j += CHANGE_HEIGHT)
        for (int i = threadIdx.x; i < CHANGE_WIDTH + 2 * reach; i += CHANGE_WIDTH) {
            int x = left + i, y = top + j, colours[3];
            if (x < 0 || y < 0 || x >= width || y >= height) continue;
            opponent(empty + ((size_t)y * width + x) * 3, colours);
            for (int c = 0; c < 3; c++) tile[c][j][i] = (short)colours[c];
        }
    __syncthreads();
    int x = thread_x(), y = thread_y();
    if (x >= width || y >= height) return;
    size_t at = (size_t)y * width + x, pixels = (size_t)width * height;
    out += blockIdx.z * pixels;
    if (known[at] == 0) {
        out[at] = 0;
        return;
    }
    int here[3], nearest = 0x7fffffff;
    opponent(picture + (blockIdx.z * pixels + at) * 3, here);
    for (int v = max(y - reach, 0); v <= min(y + reach, height - 1); v++)
        for (int u = max(x - reach, 0); u <= min(x + reach, width - 1); u++) {
            int a = here[0] - tile[0][v - top][u - left];
            int b = here[1] - tile[1][v - top][u - left];
            int c = here[2] - tile[2][v - top][u - left];
            nearest = min(nearest, a * a + 4 * (b * b + c * c));
        }
    out[at] = (uint8)fminf(sqrtf((float)nearest) / 4.0f, 255.0f);
}

// How far each pixel of a depth or infrared picture is from the same place in `empty`, in units of `unit`; 0 where either has
// no reading.
extern "C" __global__ void __launch_bounds__(256)
    grey_change(const uint16 *picture, const uint16 *empty, int pixels, int unit, uint8 *out) {
    int at = thread_x();
    if (at >= pixels) return;
    picture += (size_t)blockIdx.z * pixels;
    out += (size_t)blockIdx.z * pixels;
    int now = picture[at], then = empty[at];
    int difference = now > then ? now - then : then - now;
    out[at] = now == 0 || then == 0 ? 0 : (uint8)min(difference / unit, 255);
}
