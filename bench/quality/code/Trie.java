package util.text;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Prefix tree for completing words while somebody types. */
public final class Trie {
    private final Map<Character, Trie> children = new TreeMap<>();
    private int weight;

    public void insert(String word, int weight) {
        Trie node = this;
        for (char c : word.toCharArray()) {
            node = node.children.computeIfAbsent(c, key -> new Trie());
        }
        node.weight = weight;
    }

    public boolean contains(String word) {
        Trie node = descend(word);
        return node != null && node.weight > 0;
    }

    /** All words that begin with the prefix, in alphabetical order. */
    public List<String> complete(String prefix, int limit) {
        List<String> found = new ArrayList<>();
        Trie node = descend(prefix);
        if (node != null) {
            node.collect(new StringBuilder(prefix), found, limit);
        }
        return found;
    }

    private Trie descend(String path) {
        Trie node = this;
        for (int i = 0; i < path.length() && node != null; i++) {
            node = node.children.get(path.charAt(i));
        }
        return node;
    }

    private void collect(StringBuilder path, List<String> found, int limit) {
        if (found.size() >= limit) {
            return;
        }
        if (weight > 0) {
            found.add(path.toString());
        }
        for (Map.Entry<Character, Trie> child : children.entrySet()) {
            path.append(child.getKey());
            child.getValue().collect(path, found, limit);
            path.setLength(path.length() - 1);
        }
    }
}
