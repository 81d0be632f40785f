#include <array>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

using Maze = std::vector<std::string>;
using Position = std::pair<int, int>;

std::optional<Position> locate(const Maze& maze, char mark) {
    for (int r = 0; r < static_cast<int>(maze.size()); ++r) {
        const auto c = maze[r].find(mark);
        if (c != std::string::npos) return Position{r, static_cast<int>(c)};
    }
    return std::nullopt;
}

bool isOpen(const Maze& maze, int r, int c) {
    return r >= 0 && r < static_cast<int>(maze.size()) && c >= 0 &&
           c < static_cast<int>(maze[r].size()) && maze[r][c] != '#';
}

int solve(const Maze& maze) {
    const auto start = locate(maze, 'S');
    const auto goal = locate(maze, 'E');
    if (!start || !goal) return -1;
    std::vector<std::vector<int>> steps(maze.size());
    for (std::size_t r = 0; r < maze.size(); ++r) steps[r].assign(maze[r].size(), -1);
    std::queue<Position> queue;
    queue.push(*start);
    steps[start->first][start->second] = 0;
    constexpr std::array<Position, 4> moves{{{0, 1}, {1, 0}, {0, -1}, {-1, 0}}};
    while (!queue.empty()) {
        const auto [r, c] = queue.front();
        queue.pop();
        if (Position{r, c} == *goal) return steps[r][c];
        for (const auto& [dr, dc] : moves) {
            const int nr = r + dr;
            const int nc = c + dc;
            if (isOpen(maze, nr, nc) && steps[nr][nc] < 0) {
                steps[nr][nc] = steps[r][c] + 1;
                queue.push({nr, nc});
            }
        }
    }
    return -1;
}
