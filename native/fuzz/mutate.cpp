// Mutations for libFuzzer that mostly leave a plan whole: bytes changed at random are torn plans, refused at once.
#include "input.h"
#include "sections.h"

#include <random>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

using namespace gatewise_fuzz;

namespace {

using Random = std::minstd_rand;

size_t below(Random& random, size_t count) { return count ? random() % count : 0; }

int32_t changed(int32_t word, const std::vector<int32_t>& words, Random& random) {
    static const int32_t interesting[] = {0, 1, -1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 31, 32, 33, 64, 127, 128, 129, 255,
        256, 257, 1000, 1 << 16, (1 << 16) - 1, (1 << 24) - 1, 1 << 24, INT32_MAX, INT32_MIN};
    switch (below(random, 6)) {
        case 0: return int32_t(uint32_t(word) + 1);
        case 1: return int32_t(uint32_t(word) - 1);
        case 2: return interesting[below(random, sizeof interesting / sizeof *interesting)];
        case 3: return words[below(random, words.size())];
        case 4: return int32_t(below(random, 24));
        default: return int32_t(uint32_t(word) << 1);
    }
}

// One change of entries as wholes: copied over another, exchanged, added, taken away.
void change_entries(std::vector<int32_t>& words, Random& random) {
    std::vector<Range> found = ranges(words);
    if (found.empty()) return;
    const Range& r = found[below(random, found.size())];
    if (r.entries == 0) return;
    const auto entry = [&](size_t k) { return words.begin() + long(r.first + k * r.words); };
    const size_t a = below(random, r.entries), b = below(random, r.entries);
    switch (below(random, 5)) {
        case 0: std::copy(entry(a), entry(a) + long(r.words), entry(b)); break;
        case 1: std::swap_ranges(entry(a), entry(a) + long(r.words), a == b ? entry(a) : entry(b)); break;
        case 2: {
            std::vector<int32_t> copy(entry(a), entry(a) + long(r.words));
            words.insert(entry(b), copy.begin(), copy.end());
            words[r.count_at]++;
            break;
        }
        case 3:
            words.erase(entry(a), entry(a) + long(r.words));
            words[r.count_at]--;
            break;
        default: {  // one field of one entry
            auto word = entry(a) + long(below(random, r.words));
            *word = changed(*word, words, random);
        }
    }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
    Random random(seed + 1);
    const size_t kind = below(random, 10);
    if (kind == 0 || most < head_bytes + 4) return LLVMFuzzerMutate(data, size, most);
    Input input(data, size);
    if (kind <= 2 || input.words.size() < head_words) {
        LLVMFuzzerMutate(input.head, head_bytes, head_bytes);
        return input.write(data, most);
    }
    for (size_t n = 1 + below(random, 4); n > 0; n--) {
        if (below(random, 3) == 0) {
            size_t at = 2 + below(random, input.words.size() - 2);
            input.words[at] = changed(input.words[at], input.words, random);
        } else {
            change_entries(input.words, random);
        }
        if (below(random, 4) == 0) input.head[below(random, head_bytes)] = uint8_t(random());
    }
    return input.write(data, most);
}
