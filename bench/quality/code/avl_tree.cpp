#include <algorithm>
#include <memory>

// A search tree whose two sides never differ in height by more than one.
template <typename Key, typename Value>
class AvlTree {
    struct Node {
        Key key;
        Value value;
        int height = 1;
        std::unique_ptr<Node> left, right;
        Node(Key k, Value v) : key(std::move(k)), value(std::move(v)) {}
    };
    using Link = std::unique_ptr<Node>;
    Link root_;

    static int height(const Link& n) { return n ? n->height : 0; }
    static int lean(const Link& n) { return height(n->left) - height(n->right); }
    static void measure(Link& n) { n->height = 1 + std::max(height(n->left), height(n->right)); }

    static Link rotateRight(Link n) {
        Link pivot = std::move(n->left);
        n->left = std::move(pivot->right);
        measure(n);
        pivot->right = std::move(n);
        measure(pivot);
        return pivot;
    }

    static Link rotateLeft(Link n) {
        Link pivot = std::move(n->right);
        n->right = std::move(pivot->left);
        measure(n);
        pivot->left = std::move(n);
        measure(pivot);
        return pivot;
    }

    static Link balance(Link n) {
        measure(n);
        if (lean(n) > 1) {
            if (lean(n->left) < 0) n->left = rotateLeft(std::move(n->left));
            return rotateRight(std::move(n));
        }
        if (lean(n) < -1) {
            if (lean(n->right) > 0) n->right = rotateRight(std::move(n->right));
            return rotateLeft(std::move(n));
        }
        return n;
    }

    static Link insert(Link n, Key key, Value value) {
        if (!n) return std::make_unique<Node>(std::move(key), std::move(value));
        if (key < n->key) n->left = insert(std::move(n->left), std::move(key), std::move(value));
        else if (n->key < key) n->right = insert(std::move(n->right), std::move(key), std::move(value));
        else n->value = std::move(value);
        return balance(std::move(n));
    }

public:
    void put(Key key, Value value) { root_ = insert(std::move(root_), std::move(key), std::move(value)); }

    const Value* find(const Key& key) const {
        const Node* n = root_.get();
        while (n) {
            if (key < n->key) n = n->left.get();
            else if (n->key < key) n = n->right.get();
            else return &n->value;
        }
        return nullptr;
    }
};
