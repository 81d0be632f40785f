#include <cassert>
#include <cmath>
#include <cstddef>
#include <vector>

class Matrix {
public:
    Matrix(std::size_t rows, std::size_t cols, double fill = 0.0)
        : rows_(rows), cols_(cols), cells_(rows * cols, fill) {}

    double& at(std::size_t r, std::size_t c) { return cells_[r * cols_ + c]; }
    double at(std::size_t r, std::size_t c) const { return cells_[r * cols_ + c]; }
    std::size_t rows() const { return rows_; }
    std::size_t cols() const { return cols_; }

    static Matrix identity(std::size_t n) {
        Matrix m(n, n);
        for (std::size_t i = 0; i < n; ++i) m.at(i, i) = 1.0;
        return m;
    }

    Matrix transposed() const {
        Matrix t(cols_, rows_);
        for (std::size_t r = 0; r < rows_; ++r)
            for (std::size_t c = 0; c < cols_; ++c) t.at(c, r) = at(r, c);
        return t;
    }

private:
    std::size_t rows_;
    std::size_t cols_;
    std::vector<double> cells_;
};

// The middle loop runs over k, so that memory is read in order.
Matrix multiply(const Matrix& a, const Matrix& b) {
    assert(a.cols() == b.rows());
    Matrix out(a.rows(), b.cols());
    for (std::size_t i = 0; i < a.rows(); ++i)
        for (std::size_t k = 0; k < a.cols(); ++k) {
            const double factor = a.at(i, k);
            for (std::size_t j = 0; j < b.cols(); ++j) out.at(i, j) += factor * b.at(k, j);
        }
    return out;
}

// Repeated squaring.
Matrix power(Matrix base, unsigned exponent) {
    Matrix result = Matrix::identity(base.rows());
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1u) result = multiply(result, base);
        base = multiply(base, base);
    }
    return result;
}
