// Conversions of whole pictures: what NPP does where it is asked for, done without it.

// Brightness of a colour (ITU-R BT.601), rounded, in the fixed point that OpenCV uses.
extern "C" __global__ void __launch_bounds__(256) grey(const uint8 *from, int pixels, uint8 *to) {
    int at = thread_x();
    if (at >= pixels) return;
    const uint8 *pixel = from + ((size_t)blockIdx.z * pixels + at) * 3;
    to[(size_t)blockIdx.z * pixels + at] = (uint8)((4899 * pixel[0] + 9617 * pixel[1] + 1868 * pixel[2] + 8192) >> 14);
}

// A picture in another size, bilinearly with pixel centres at halves, rounded.
extern "C" __global__ void __launch_bounds__(256)
    resize(const uint8 *from, int from_width, int from_height, int width, int height, uint8 *to) {
    int x = thread_x(), y = thread_y();
    if (x >= width || y >= height) return;
    from += (size_t)blockIdx.z * from_width * from_height * 3;
    to += ((size_t)blockIdx.z * width * height + (size_t)y * width + x) * 3;
    int first, second, upper, lower;
    float right, down;
    between(x, width, from_width, &first, &second, &right);
    between(y, height, from_height, &upper, &lower, &down);
    const uint8 *above = from + (size_t)upper * from_width * 3, *below = from + (size_t)lower * from_width * 3;
    for (int channel = 0; channel < 3; channel++) {
        float a = above[3 * first + channel], b = above[3 * second + channel];
        float c = below[3 * first + channel], d = below[3 * second + channel];
        float over = a + right * (b - a), under = c + right * (d - c);
        to[channel] = (uint8)(over + down * (under - over) + 0.5f);
    }
}
