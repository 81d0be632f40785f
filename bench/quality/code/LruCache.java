package util.cache;

import java.util.HashMap;
import java.util.Map;

public final class LruCache<K, V> {
    private static final class Node<K, V> {
        K key;
        V value;
        Node<K, V> before;
        Node<K, V> after;
    }

    private final int capacity;
    private final Map<K, Node<K, V>> index = new HashMap<>();
    private final Node<K, V> head = new Node<>();
    private final Node<K, V> tail = new Node<>();

    public LruCache(int capacity) {
        this.capacity = capacity;
        head.after = tail;
        tail.before = head;
    }

    public synchronized V get(K key) {
        Node<K, V> node = index.get(key);
        if (node == null) {
            return null;
        }
        unlink(node);
        linkFirst(node);
        return node.value;
    }

    public synchronized void put(K key, V value) {
        Node<K, V> node = index.get(key);
        if (node == null) {
            node = new Node<>();
            node.key = key;
            index.put(key, node);
        } else {
            unlink(node);
        }
        node.value = value;
        linkFirst(node);
        if (index.size() > capacity) {
            Node<K, V> oldest = tail.before;
            unlink(oldest);
            index.remove(oldest.key);
        }
    }

    private void unlink(Node<K, V> node) {
        node.before.after = node.after;
        node.after.before = node.before;
    }

    private void linkFirst(Node<K, V> node) {
        node.after = head.after;
        node.before = head;
        head.after.before = node;
        head.after = node;
    }
}
