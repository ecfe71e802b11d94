// What a fuzzer's bytes mean: choices for the call, then the words of a plan.
#pragma once

#include "gatewise.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace gatewise_fuzz {

constexpr size_t head_bytes = 64;

struct Input {
    uint8_t head[head_bytes] = {};
    std::vector<int32_t> words;

    Input(const uint8_t* data, size_t size) {
        if (size) std::memcpy(head, data, size < head_bytes ? size : head_bytes);
        if (size >= head_bytes + 4) {
            words.resize((size - head_bytes) / 4);
            std::memcpy(words.data(), data + head_bytes, words.size() * 4);
        }
        // A wrong mark or version ends the reading at once: nothing is to be found there.
        if (words.size() > 1) {
            words[0] = 0x47575031;
            words[1] = GATEWISE_ABI;
        }
    }

    // As bytes again; at most `most` of them.
    size_t write(uint8_t* data, size_t most) const {
        size_t whole = words.size();
        if (head_bytes + whole * 4 > most) whole = (most - head_bytes) / 4;
        std::memcpy(data, head, head_bytes);
        if (whole) std::memcpy(data + head_bytes, words.data(), whole * 4);
        return head_bytes + whole * 4;
    }

    uint8_t what() const { return head[0]; }
    int64_t steps() const { return 1 + head[1] % 7; }
    int64_t rows() const { return head[2] < 200 ? 1 + head[2] % 9 : 1 + head[2] - 120; }
    bool reverse() const { return head[3] & 1; }
    bool portable() const { return head[3] & 2; }
    bool share_memory() const { return (head[3] & 0x3c) == 0x3c; }  // the first two buffers are one
    int threads() const { return head[4] % 5; }
    int team() const { return 1 + head[5] % 4; }
    uint8_t fill() const { return head[6]; }
    uint8_t fill_seed() const { return head[7]; }
    template <class T>
    T number(size_t at) const {
        T value;
        std::memcpy(&value, head + at, sizeof(T));
        return value;
    }
    int64_t start() const { return number<int64_t>(8); }
    uint64_t seed() const { return number<uint64_t>(16); }
    int64_t stream() const { return head[24] & 1 ? number<int64_t>(24) : number<int64_t>(24) & 0xfffffe; }
    int format() const { return head[25] & 3; }  // 0: the weights as they are
    bool torn_packing() const { return (head[25] & 0x1c) == 0x1c; }
    bool together() const { return head[25] & 0x20; }  // with a second call on memory of its own
    uint8_t shape(size_t k) const { return head[32 + k % 32]; }
};

}  // namespace gatewise_fuzz
