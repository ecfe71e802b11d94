// Recorded calls: reading them from files (tools/record_native.py writes them) and running them. How a plan and a call
// are handed to the library stands here alone.
#pragma once

#include "gatewise.h"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace gatewise_tests {

struct Weight {
    int64_t rows, columns, leading;
    std::vector<uint8_t> values;
};

// Elements at step * t + row * r + u, for t < steps, r < rows, u < units.
struct Buffer {
    bool read, written;
    int64_t item, step, row, steps, rows, units;
    std::vector<uint8_t> before, after;

    int64_t count() const { return steps * rows * units; }
};

struct Case {
    std::string name;
    int64_t element = 0, steps = 0, rows = 0, start = 0, stream = 0;
    uint64_t seed = 0;
    bool reverse = false, made = false;
    std::vector<int32_t> words;
    std::vector<Weight> weights;
    std::vector<Buffer> buffers;
};

// Pseudo-random numbers in [-1/2, 1/2), the same everywhere.
struct Numbers {
    uint64_t state;

    double next() {
        state += 0x9E3779B97F4A7C15u;
        uint64_t z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return double((z ^ (z >> 31)) >> 11) / 9007199254740992.0 - 0.5;
    }
    std::vector<uint8_t> fill(int64_t count, int64_t item, double scale) {
        std::vector<uint8_t> bytes(size_t(count * item));
        for (int64_t k = 0; k < count; k++) {
            double value = next() * scale;
            float narrow = float(value);
            if (item == 1) bytes[size_t(k)] = value > -scale / 4;
            if (item == 4) std::memcpy(&bytes[size_t(k) * 4], &narrow, 4);
            if (item == 8) std::memcpy(&bytes[size_t(k) * 8], &value, 8);
        }
        return bytes;
    }
};

class File {
public:
    explicit File(const std::string& path) : path_(path) {
        std::ifstream file(path, std::ios::binary);
        if (!file) throw std::runtime_error(path + ": cannot be read");
        bytes_.assign(std::istreambuf_iterator<char>(file), {});
    }

    std::vector<Case> cases() {
        std::vector<Case> found;
        while (at_ < bytes_.size()) found.push_back(one());
        return found;
    }

private:
    std::string line() {
        size_t end = at_;
        while (end < bytes_.size() && bytes_[end] != '\n') end++;
        if (end == bytes_.size()) throw std::runtime_error(path_ + ": ends within a case");
        std::string text(bytes_.data() + at_, end - at_);
        at_ = end + 1;
        return text;
    }
    std::vector<uint8_t> take(int64_t count) {
        if (count < 0 || size_t(count) > bytes_.size() - at_) throw std::runtime_error(path_ + ": ends within a case");
        const char* from = bytes_.data() + at_;
        at_ += size_t(count);
        return {from, from + count};
    }
    int32_t word() {
        uint64_t zigzag = 0;
        for (int shift = 0;; shift += 7) {
            uint8_t byte = take(1)[0];
            zigzag |= uint64_t(byte & 127) << shift;
            if (byte < 128) break;
        }
        return int32_t(int64_t(zigzag >> 1) ^ -int64_t(zigzag & 1));
    }

    Case one() {
        Case made;
        int64_t words = 0, bytes = -1;
        while (bytes < 0) {
            std::istringstream text(line());
            std::string key, role;
            text >> key;
            if (key == "case") std::getline(text >> std::ws, made.name);
            else if (key == "element") text >> made.element;
            else if (key == "made") text >> made.made;
            else if (key == "steps") text >> made.steps;
            else if (key == "rows") text >> made.rows;
            else if (key == "start") text >> made.start;
            else if (key == "seed") text >> made.seed;
            else if (key == "stream") text >> made.stream;
            else if (key == "reverse") text >> made.reverse;
            else if (key == "words") text >> words;
            else if (key == "bytes") text >> bytes;
            else if (key == "weight") {
                Weight w{};
                text >> w.rows >> w.columns >> w.leading;
                made.weights.push_back(w);
            } else if (key == "buffer") {
                Buffer b{};
                text >> role >> b.item >> b.step >> b.row >> b.steps >> b.rows >> b.units;
                b.read = role != "out";
                b.written = role != "in";
                made.buffers.push_back(b);
            } else {
                throw std::runtime_error(path_ + ": a case with an unknown line, " + key);
            }
            if (!text && key != "case") throw std::runtime_error(path_ + ": a line that cannot be read, " + key);
        }
        const size_t end = at_ + size_t(bytes);
        for (int64_t k = 0; k < words; k++) made.words.push_back(word());
        fill(made);
        if (at_ != end) throw std::runtime_error(path_ + ": a case of another length than it says");
        return made;
    }

    void fill(Case& made) {
        Numbers numbers{made.words.size()};
        for (Weight& w : made.weights)
            w.values = made.made ? numbers.fill(w.rows * w.columns, made.element, 0.25)
                                 : take(w.rows * w.columns * made.element);
        for (Buffer& b : made.buffers) {
            if (b.read) b.before = made.made ? numbers.fill(b.count(), b.item, 1) : take(b.count() * b.item);
            if (b.written && !made.made) b.after = take(b.count() * b.item);
        }
    }

    std::string path_;
    std::vector<char> bytes_;
    size_t at_ = 0;
};

// A plan of the library's.
struct Plan {
    gatewise_plan* made = nullptr;
    int code;

    explicit Plan(const Case& given)
        : code(gatewise_plan_make(given.words.data(), int64_t(given.words.size()), &made)) {}
    ~Plan() { gatewise_plan_free(made); }
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;
};

// The memory of one run. Every buffer has memory of its own with guards around it; what is not read is NaN before.
class Run {
public:
    // `times`: the rows so many times over.
    explicit Run(const Case& given, int64_t times = 1) : case_(given), times_(times) {
        for (const Buffer& b : given.buffers) {
            Block block{layout(b), {}, {}};
            block.bytes.assign(size_t((extent(block.layout) + 2 * guard) * b.item), b.item == 1 ? 1 : 0xff);
            for (int64_t k = 0; b.read && k < block.layout.count(); k++)
                std::memcpy(&block.bytes[size_t((guard + place(block.layout, k)) * b.item)],
                    &b.before[size_t(source(b, k) * b.item)], size_t(b.item));
            block.first = block.bytes;
            blocks_.push_back(std::move(block));
        }
        for (const Weight& w : given.weights) {
            std::vector<uint8_t> bytes(size_t((w.leading * (w.rows - 1) + w.columns) * given.element), 0xff);
            const size_t row = size_t(w.columns * given.element);
            for (int64_t r = 0; r < w.rows; r++)
                std::memcpy(&bytes[size_t(r * w.leading * given.element)], &w.values[size_t(r) * row], row);
            weights_.push_back(std::move(bytes));
        }
    }

    // `before` is called last, when all is prepared.
    int run(
        const gatewise_plan* plan, gatewise_parallel parallel, int threads, const std::function<void()>& before = {}) {
        for (Block& block : blocks_) block.bytes = block.first;
        std::vector<gatewise_buffer> buffers;
        for (Block& block : blocks_)
            buffers.push_back({block.bytes.data() + guard * block.layout.item, block.layout.step, block.layout.row,
                extent(block.layout)});
        std::vector<gatewise_weight> weights;
        for (size_t k = 0; k < weights_.size(); k++)
            weights.push_back({weights_[k].data(), case_.weights[k].leading,
                int64_t(weights_[k].size()) / case_.element});
        gatewise_call call = {};
        call.buffers = buffers.data();
        call.weights = weights.data();
        call.steps = case_.steps;
        call.rows = case_.rows * times_;
        call.start = case_.start;
        call.seed = case_.seed;
        call.stream = case_.stream;
        call.reverse = case_.reverse;
        call.threads = threads;
        call.parallel = parallel;
        if (before) before();
        return gatewise_run(plan, &call);
    }

    // Elements of one buffer, in the order of steps, rows and units.
    std::vector<uint8_t> elements(size_t buffer) const {
        const Block& block = blocks_[buffer];
        const size_t item = size_t(block.layout.item);
        std::vector<uint8_t> found(size_t(block.layout.count()) * item);
        for (int64_t k = 0; k < block.layout.count(); k++)
            std::memcpy(&found[size_t(k) * item], &block.bytes[size_t(guard + place(block.layout, k)) * item], item);
        return found;
    }

    // All that was written, for comparing bits.
    std::vector<uint8_t> outcome() const {
        std::vector<uint8_t> found;
        for (size_t k = 0; k < blocks_.size(); k++)
            if (case_.buffers[k].written) {
                std::vector<uint8_t> own = elements(k);
                found.insert(found.end(), own.begin(), own.end());
            }
        return found;
    }

    // Whether guards, gaps and what is only read are as they were.
    bool untouched() const {
        for (size_t n = 0; n < blocks_.size(); n++) {
            std::vector<uint8_t> now = blocks_[n].bytes;
            const Buffer& b = blocks_[n].layout;
            for (int64_t k = 0; case_.buffers[n].written && k < b.count(); k++) {
                size_t at = size_t((guard + place(b, k)) * b.item);
                std::memcpy(&now[at], &blocks_[n].first[at], size_t(b.item));
            }
            if (now != blocks_[n].first) return false;
        }
        return true;
    }

private:
    static constexpr int64_t guard = 64;

    struct Block {
        Buffer layout;
        std::vector<uint8_t> bytes, first;
    };

    Buffer layout(const Buffer& b) const {
        Buffer made{b.read, b.written, b.item, b.step, b.row, b.steps, b.rows, b.units, {}, {}};
        if (b.rows != case_.rows) return made;
        made.rows *= times_;
        if (b.step >= b.row * b.rows) made.step *= times_;
        return made;
    }
    static int64_t extent(const Buffer& b) { return (b.steps - 1) * b.step + (b.rows - 1) * b.row + b.units; }
    static int64_t place(const Buffer& b, int64_t k) {
        return k / (b.units * b.rows) * b.step + k / b.units % b.rows * b.row + k % b.units;
    }
    // Of the recorded elements the one that element k of the repeated rows equals.
    int64_t source(const Buffer& b, int64_t k) const {
        if (b.rows != case_.rows) return k;
        const int64_t t = k / (b.units * b.rows * times_), row = k / b.units % (b.rows * times_) % b.rows;
        return (t * b.rows + row) * b.units + k % b.units;
    }

    const Case& case_;
    int64_t times_;
    std::vector<Block> blocks_;
    std::vector<std::vector<uint8_t>> weights_;
};

}  // namespace gatewise_tests
