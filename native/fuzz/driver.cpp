// Runs files, or all files of folders, through the fuzzing harness: the kept corpus as a plain test.
#include "input.h"
#include "sections.h"

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace gatewise_fuzz {
extern long plans_made, calls_run, calls_refused;
}

namespace {

// Plans that the library takes and sections.h does not: mutations would no longer keep plans whole.
long torn = 0;

long run_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
    const uint8_t* data = reinterpret_cast<const uint8_t*>(bytes.data());
    const long before = gatewise_fuzz::plans_made;
    LLVMFuzzerTestOneInput(data, bytes.size());
    if (gatewise_fuzz::plans_made > before && gatewise_fuzz::ranges(gatewise_fuzz::Input(data, bytes.size()).words).empty())
        torn++;
    return 1;
}

}  // namespace

int main(int count, char** arguments) {
    long files = 0;
    for (int k = 1; k < count; k++) {
        std::filesystem::path path = arguments[k];
        if (!std::filesystem::is_directory(path)) {
            files += run_file(path);
            continue;
        }
        for (const auto& entry : std::filesystem::directory_iterator(path)) files += run_file(entry.path());
    }
    std::printf("%ld inputs: %ld plans accepted, %ld calls run, %ld refused\n", files, gatewise_fuzz::plans_made,
        gatewise_fuzz::calls_run, gatewise_fuzz::calls_refused);
    if (torn) std::printf("FAILED: %ld plans of another form than sections.h says; bring it up to date\n", torn);
    return torn > 0 || files == 0 || gatewise_fuzz::calls_run == 0;
}
