#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

// Answers "certainly not" or "perhaps" to the question whether a key was added.
class BloomFilter {
public:
    BloomFilter(std::size_t expected, double errorRate) {
        const double ln2 = std::log(2.0);
        const double bits = -static_cast<double>(expected) * std::log(errorRate) / (ln2 * ln2);
        bits_.assign(static_cast<std::size_t>(std::ceil(bits / 64)), 0);
        hashes_ = static_cast<int>(std::round(bits / static_cast<double>(expected) * ln2));
    }

    void add(std::string_view key) {
        eachBit(key, [this](std::size_t i) {
            bits_[i / 64] |= std::uint64_t{1} << (i % 64);
            return true;
        });
    }

    bool mightContain(std::string_view key) const {
        return eachBit(key, [this](std::size_t i) { return (bits_[i / 64] >> (i % 64) & 1) != 0; });
    }

private:
    static std::uint64_t fnv1a(std::string_view key, std::uint64_t seed) {
        std::uint64_t h = 14695981039346656037ull ^ seed;
        for (unsigned char c : key) h = (h ^ c) * 1099511628211ull;
        return h;
    }

    template <typename Action>
    bool eachBit(std::string_view key, Action action) const {
        const std::uint64_t a = fnv1a(key, 0);
        const std::uint64_t b = fnv1a(key, 0x9e3779b97f4a7c15ull) | 1;
        for (int k = 0; k < hashes_; ++k) {
            if (!action((a + static_cast<std::uint64_t>(k) * b) % (bits_.size() * 64))) return false;
        }
        return true;
    }

    std::vector<std::uint64_t> bits_;
    int hashes_;
};
