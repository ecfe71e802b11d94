// Where the entries of a plan lie among its words, for mutations that keep a plan whole (src/plan.cpp reads them).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gatewise_fuzz {

constexpr size_t head_words = 17;

struct Section {
    size_t count_at;  // the word that holds the number of entries
    size_t words;     // of an entry
};

// In the order in which they lie in a plan.
constexpr Section sections[] = {
    {3, 4},   // buffers
    {4, 3},   // scratch
    {5, 5},   // states
    {8, 4},   // keeps
    {9, 2},   // sums
    {10, 2},  // weights
    {11, 7},  // terms
    {12, 7},  // products
    {13, 5},  // instructions
    {14, 4},  // blocks
    {15, 6},  // segments
};

struct Range {
    size_t first, entries, words, count_at;
};

// The ranges of a plan's sections; none where the counts do not add up to the words.
inline std::vector<Range> ranges(const std::vector<int32_t>& words) {
    std::vector<Range> found;
    size_t at = head_words;
    for (const Section& s : sections) {
        if (words.size() < head_words || words[s.count_at] < 0) return {};
        size_t entries = size_t(words[s.count_at]);
        found.push_back({at, entries, s.words, s.count_at});
        at += entries * s.words;
    }
    return at == words.size() ? found : std::vector<Range>{};
}

}  // namespace gatewise_fuzz
