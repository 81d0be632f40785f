package util.tree;

import java.util.function.IntBinaryOperator;

public final class SegmentTree {
    private final int[] nodes;
    private final int size;
    private final int neutral;
    private final IntBinaryOperator combine;

    public SegmentTree(int[] values, int neutral, IntBinaryOperator combine) {
        this.size = values.length;
        this.neutral = neutral;
        this.combine = combine;
        this.nodes = new int[2 * size];
        System.arraycopy(values, 0, nodes, size, size);
        for (int i = size - 1; i > 0; i--) {
            nodes[i] = combine.applyAsInt(nodes[2 * i], nodes[2 * i + 1]);
        }
    }

    public void update(int index, int value) {
        int i = index + size;
        nodes[i] = value;
        for (i /= 2; i > 0; i /= 2) {
            nodes[i] = combine.applyAsInt(nodes[2 * i], nodes[2 * i + 1]);
        }
    }

    public int query(int from, int to) {
        int left = neutral;
        int right = neutral;
        int lo = from + size;
        int hi = to + size;
        while (lo < hi) {
            if ((lo & 1) == 1) {
                left = combine.applyAsInt(left, nodes[lo++]);
            }
            if ((hi & 1) == 1) {
                right = combine.applyAsInt(nodes[--hi], right);
            }
            lo /= 2;
            hi /= 2;
        }
        return combine.applyAsInt(left, right);
    }

    public static SegmentTree minimum(int[] values) {
        return new SegmentTree(values, Integer.MAX_VALUE, Math::min);
    }
}
